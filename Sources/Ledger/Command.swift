/// What a tenant asks for, validated at the door; what the log carries.
public enum Command: Equatable, Sendable {
    case openAccount(OpenAccount)
    case pay(Pay)
    case changeAccount(ChangeAccount)
    case changePayment(ChangePayment)
}

/// Opens an account. Declined `account_exists` when the id is taken.
public struct OpenAccount: Equatable, Sendable {
    public let account: AccountID
    public let currency: Currency
    public let kind: AccountKind
    /// Minor units, 0 to `Money.minorUnitsMax`; 0 for an external account.
    public let overdraftLimit: Int64

    public init(account: AccountID, currency: Currency, kind: AccountKind, overdraftLimit: Int64) {
        self.account = account
        self.currency = currency
        self.kind = kind
        self.overdraftLimit = overdraftLimit
    }
}

/// When a payment's money moves.
public enum CaptureMode: UInt8, Sendable, CaseIterable {
    /// When the payment is decided.
    case automatic = 0
    /// When somebody captures it: until then it is held on the account to debit.
    case manual = 1
}

/// Moves money from one account to another of the same tenant, or holds it to be moved.
public struct Pay: Equatable, Sendable {
    public let debit: AccountID
    /// Never the same as `debit`.
    public let credit: AccountID
    /// Minor units, 1 to `Money.minorUnitsMax`.
    public let amount: Int64
    public let currency: Currency
    /// The client's own reference: 1 to 128 bytes of UTF-8 without control characters.
    public let reference: String?
    /// A JSON object of strings in canonical form, at most 4 KiB; nil when there is none.
    public let metadata: String?
    /// Not decided by then, it is declined `deadline_exceeded`.
    public let expiresAt: Timestamp?
    public let capture: CaptureMode
    /// Of a manual one: what is not captured by then is released. Nil for `Payment.holdMicroseconds` after the decision.
    public let captureBefore: Timestamp?

    public init(
        debit: AccountID, credit: AccountID, amount: Int64, currency: Currency, reference: String? = nil, metadata: String? = nil,
        expiresAt: Timestamp? = nil, capture: CaptureMode = .automatic, captureBefore: Timestamp? = nil
    ) {
        self.debit = debit
        self.credit = credit
        self.amount = amount
        self.currency = currency
        self.reference = reference
        self.metadata = metadata
        self.expiresAt = expiresAt
        self.capture = capture
        self.captureBefore = captureBefore
    }
}

/// A command with what the door knew about it.
public struct Envelope: Equatable, Sendable {
    public let id: OperationID
    public let tenant: TenantID
    public let fingerprint: Fingerprint
    /// When the gateway produced it, by the gateway's clock.
    public let acceptedAt: Timestamp
    public let command: Command
    /// The client's W3C trace context. Nothing is decided by it.
    public var traceparent: String?

    public init(
        id: OperationID, tenant: TenantID, fingerprint: Fingerprint, acceptedAt: Timestamp, command: Command, traceparent: String? = nil
    ) {
        self.id = id
        self.tenant = tenant
        self.fingerprint = fingerprint
        self.acceptedAt = acceptedAt
        self.command = command
        self.traceparent = traceparent
    }

    /// The accounts that the command names, whose state its decision depends on. A change of a payment depends on those of its
    /// payment as well, which the payment names.
    public var accounts: [AccountKey] {
        var keys: [AccountKey] = []
        forEachAccount { keys.append($0) }
        return keys
    }

    /// As `accounts`, without making a list of them.
    public func forEachAccount(_ body: (AccountKey) -> Void) {
        switch command {
        case .changeAccount(let change): body(AccountKey(tenant: tenant, account: change.account))
        case .changePayment: break
        case .openAccount(let open): body(AccountKey(tenant: tenant, account: open.account))
        case .pay(let pay):
            body(AccountKey(tenant: tenant, account: pay.debit))
            body(AccountKey(tenant: tenant, account: pay.credit))
        }
    }
}
