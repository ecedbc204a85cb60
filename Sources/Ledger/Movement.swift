/// Money that moved: one row that carries both entries, the debit and the credit, and so adds up to zero by construction.
public struct Movement: Equatable, Sendable {
    /// The payment it belongs to, also when a capture or a refund of it made it.
    public let payment: OperationID
    public let debitAccount: Int64
    public let creditAccount: Int64
    /// Minor units, 1 or more.
    public let amount: Int64
    public let debit: LegResult
    public let credit: LegResult
    public let decidedAt: Timestamp

    public init(
        payment: OperationID, debitAccount: Int64, creditAccount: Int64, amount: Int64, debit: LegResult, credit: LegResult,
        decidedAt: Timestamp
    ) {
        self.payment = payment
        self.debitAccount = debitAccount
        self.creditAccount = creditAccount
        self.amount = amount
        self.debit = debit
        self.credit = credit
        self.decidedAt = decidedAt
    }
}
