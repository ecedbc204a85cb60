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
        }
    }
}

/// Where a payment stands.
public enum PaymentStatus: UInt8, Sendable, CaseIterable {
    // The numbers are stored: never renumbered, never reused.
    /// Durable in the log, not decided yet.
    case processing = 0
    case settled = 1
    case declined = 2
    /// Its record in the log could not be read; an operator decides.
    case quarantined = 3

    public var name: StaticString {
        switch self {
        case .processing: "processing"
        case .settled: "settled"
        case .declined: "declined"
        case .quarantined: "quarantined"
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

/// A payment with its outcome: what is stored, cached and shown.
public struct Payment: Equatable, Sendable {
    public let id: OperationID
    public let tenant: TenantID
    public let request: Pay
    public let acceptedAt: Timestamp
    public let status: PaymentStatus
    public let declineReason: DeclineReason?
    /// Nil while it is processing.
    public let decidedAt: Timestamp?
    /// Rises with every change; 0 while it is processing.
    public let revision: Int64
    /// Both set when it is settled.
    public let debitResult: LegResult?
    public let creditResult: LegResult?

    public init(
        id: OperationID, tenant: TenantID, request: Pay, acceptedAt: Timestamp, status: PaymentStatus, declineReason: DeclineReason? = nil,
        decidedAt: Timestamp? = nil, revision: Int64 = 0, debitResult: LegResult? = nil, creditResult: LegResult? = nil
    ) {
        self.id = id
        self.tenant = tenant
        self.request = request
        self.acceptedAt = acceptedAt
        self.status = status
        self.declineReason = declineReason
        self.decidedAt = decidedAt
        self.revision = revision
        self.debitResult = debitResult
        self.creditResult = creditResult
    }
}

/// What became of a command.
public enum Outcome: Equatable, Sendable {
    /// A payment, settled or declined.
    case payment(Payment)
    /// An account was opened; this is how it stood then.
    case opened(Account)
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
