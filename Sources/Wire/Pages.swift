internal import Bytes
public import Ledger

/// One entry of an account's history, as a page of transactions shows it.
public struct HistoryEntry: Equatable, Sendable {
    public enum Direction: Sendable { case debit, credit }

    /// The entry's number on the account.
    public let sequence: Int64
    public let payment: OperationID
    /// Which side of the payment the account is.
    public let direction: Direction
    /// Minor units, 1 or more whatever the direction.
    public let amount: Int64
    /// The account on the other side.
    public let counterparty: AccountID
    /// The account's posted balance after the entry, minor units.
    public let postedAfter: Int64
    /// The payment's reference.
    public let reference: String?
    /// When the payment was decided.
    public let at: Timestamp

    public init(
        sequence: Int64, payment: OperationID, direction: Direction, amount: Int64, counterparty: AccountID, postedAfter: Int64,
        reference: String?, at: Timestamp
    ) {
        self.sequence = sequence
        self.payment = payment
        self.direction = direction
        self.amount = amount
        self.counterparty = counterparty
        self.postedAfter = postedAfter
        self.reference = reference
        self.at = at
    }
}

/// Lists. `next` is the cursor of the page that follows, nil on the last.
extension [UInt8] {
    /// Appends a page of an account's transactions, in the order given.
    ///
    /// - Parameter revision: the account's revision that the page was read at.
    public mutating func append(history: [HistoryEntry], of account: AccountID, revision: Int64, next: String?) {
        append("{\"account\":")
        append(json: account.text)
        append(",\"revision\":")
        append(decimal: revision)
        append(",\"data\":[")
        for (index, entry) in history.enumerated() {
            if index > 0 { append(UInt8(ascii: ",")) }
            append(entry)
        }
        append(endOfListBefore: next)
    }

    private mutating func append(_ entry: HistoryEntry) {
        append("{\"sequence\":")
        append(decimal: entry.sequence)
        append(",\"payment\":")
        append(json: entry.payment)
        append(entry.direction == .debit ? ",\"direction\":\"debit\",\"amount\":" : ",\"direction\":\"credit\",\"amount\":")
        append(decimal: entry.amount)
        append(",\"counterparty\":")
        append(json: entry.counterparty.text)
        append(",\"posted_after\":")
        append(decimal: entry.postedAfter)
        if let reference = entry.reference {
            append(",\"reference\":")
            append(json: reference)
        }
        append(",\"at\":")
        append(json: entry.at)
        append(UInt8(ascii: "}"))
    }

    /// Appends a list of payments, each as it is shown alone.
    public mutating func append(payments: [Payment], next: String?) {
        append("{\"data\":[")
        for (index, payment) in payments.enumerated() {
            if index > 0 { append(UInt8(ascii: ",")) }
            append(payment)
        }
        append(endOfListBefore: next)
    }

    /// Appends a list of accounts, each as it is shown alone.
    public mutating func append(accounts: [Account], next: String?) {
        append("{\"data\":[")
        for (index, account) in accounts.enumerated() {
            if index > 0 { append(UInt8(ascii: ",")) }
            append(account)
        }
        append(endOfListBefore: next)
    }

    private mutating func append(endOfListBefore next: String?) {
        append("],\"next\":")
        if let next { append(json: next) } else { append("null") }
        append(UInt8(ascii: "}"))
    }
}
