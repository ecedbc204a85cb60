/// Why the ledger refused a command. A refusal is final under its idempotency key.
public enum DeclineReason: UInt8, Sendable, CaseIterable {
    // The numbers are stored: never renumbered, never reused.
    case insufficientFunds = 1
    case accountNotFound = 2
    case accountFrozen = 3
    case accountClosed = 4
    case currencyMismatch = 5
    case deadlineExceeded = 6
    case balanceOutOfRange = 7
    case idempotencyKeyReused = 8
    case accountExists = 9
    case alreadyClosed = 10
    case balanceNotZero = 11
    case fundsHeld = 12
    case overdraftInUse = 13
    case externalAccount = 14
    case paymentNotFound = 15
    case paymentNotAuthorized = 16
    case captureExceedsHold = 17
    case refundExceedsCaptured = 18
    case tooManyChanges = 19

    /// As the API writes it.
    public var code: StaticString {
        switch self {
        case .insufficientFunds: "insufficient_funds"
        case .accountNotFound: "account_not_found"
        case .accountFrozen: "account_frozen"
        case .accountClosed: "account_closed"
        case .currencyMismatch: "currency_mismatch"
        case .deadlineExceeded: "deadline_exceeded"
        case .balanceOutOfRange: "balance_out_of_range"
        case .idempotencyKeyReused: "idempotency_key_reused"
        case .accountExists: "account_exists"
        case .alreadyClosed: "already_closed"
        case .balanceNotZero: "balance_not_zero"
        case .fundsHeld: "funds_held"
        case .overdraftInUse: "overdraft_in_use"
        case .externalAccount: "external_account"
        case .paymentNotFound: "payment_not_found"
        case .paymentNotAuthorized: "payment_not_authorized"
        case .captureExceedsHold: "capture_exceeds_hold"
        case .refundExceedsCaptured: "refund_exceeds_captured"
        case .tooManyChanges: "too_many_changes"
        }
    }
}

/// What one side of a movement left on its account.
public struct LegResult: Equatable, Sendable {
    /// The entry's number on that account.
    public let sequence: Int64
    /// The account's posted balance after the entry, minor units.
    public let postedAfter: Int64
    /// The account's revision after the entry: a read that presents it sees at least this.
    public let revision: Int64

    public init(sequence: Int64, postedAfter: Int64, revision: Int64) {
        self.sequence = sequence
        self.postedAfter = postedAfter
        self.revision = revision
    }
}

/// What became of a command.
public enum Outcome: Equatable, Sendable {
    /// A payment: settled, authorized or declined.
    case payment(Payment)
    /// An account was opened; this is how it stood then.
    case opened(Account)
    /// An account was frozen, unfrozen, closed or given another limit; this is how it stood then.
    case accountChanged(Account)
    /// A payment was captured, voided or refunded, or its hold expired; or that was declined.
    case paymentChanged(PaymentChange)
    /// An account command was refused.
    case accountDeclined(AccountKey, DeclineReason)
    /// The id was decided earlier under the same fingerprint: that outcome stands, and is told again.
    case repeated
    /// The id belongs to another request: nothing moved, and nothing of the first request is told.
    case keyReused
}

/// What is known of an id that was decided before.
public struct PriorDecision: Equatable, Sendable {
    public let fingerprint: Fingerprint
    public init(fingerprint: Fingerprint) { self.fingerprint = fingerprint }
}
