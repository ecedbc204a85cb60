/// Money that moved: one row that carries both entries, the debit and the credit, and so adds up to zero by construction.
public struct Movement: Equatable, Sendable {
    public let payment: OperationID
    public let debitAccount: Int64
    public let creditAccount: Int64
    /// Minor units, 1 or more.
    public let amount: Int64
    public let debit: LegResult
    public let credit: LegResult

    public init(payment: OperationID, debitAccount: Int64, creditAccount: Int64, amount: Int64, debit: LegResult, credit: LegResult) {
        self.payment = payment
        self.debitAccount = debitAccount
        self.creditAccount = creditAccount
        self.amount = amount
        self.debit = debit
        self.credit = credit
    }
}
