/// What kind of money an account stands for.
public enum AccountKind: UInt8, Sendable, CaseIterable {
    /// A balance within the tenant's books: never below its overdraft limit.
    case normal = 0
    /// The world outside (a bank, a card scheme): money enters and leaves through it, so it may go below zero without limit.
    case external = 1

    /// As the API and the log write it.
    public var name: String { self == .normal ? "normal" : "external" }

    /// Nil for any other name.
    public init?(name: String) {
        switch name {
        case "normal": self = .normal
        case "external": self = .external
        default: return nil
        }
    }
}

/// What an account is closed to.
public struct AccountFlags: OptionSet, Hashable, Sendable {
    public let rawValue: Int16
    public init(rawValue: Int16) { self.rawValue = rawValue }

    /// No payment may take money from it.
    public static let debitFrozen = AccountFlags(rawValue: 1)
    /// No payment may bring money to it.
    public static let creditFrozen = AccountFlags(rawValue: 2)
    /// Neither, for ever.
    public static let closed = AccountFlags(rawValue: 4)
}

/// An account as the ledger knows it at one revision.
public struct Account: Equatable, Sendable {
    public let key: AccountKey
    /// The ledger's own number for it: short, and the same for ever.
    public let number: Int64
    public let currency: Currency
    public let kind: AccountKind
    /// How far below zero a normal account may go, minor units, 0 or more; of no meaning for an external one.
    public var overdraftLimit: Int64
    public var flags: AccountFlags
    /// All entries added up, minor units, within ±`Money.minorUnitsMax`.
    public var posted: Int64
    /// Held for payments that are authorised and not captured, minor units, 0 or more.
    public var held: Int64
    /// The number of its last entry; entries count from 1 without gaps.
    public var sequence: Int64
    /// Rises with every change to the account (`Revision`).
    public var revision: Int64
    public let openedAt: Timestamp
    /// When the last change was decided.
    public var changedAt: Timestamp

    public init(
        key: AccountKey, number: Int64, currency: Currency, kind: AccountKind, overdraftLimit: Int64, flags: AccountFlags = [],
        posted: Int64 = 0, held: Int64 = 0, sequence: Int64 = 0, revision: Int64 = 1, openedAt: Timestamp, changedAt: Timestamp
    ) {
        self.key = key
        self.number = number
        self.currency = currency
        self.kind = kind
        self.overdraftLimit = overdraftLimit
        self.flags = flags
        self.posted = posted
        self.held = held
        self.sequence = sequence
        self.revision = revision
        self.openedAt = openedAt
        self.changedAt = changedAt
    }

    /// What may be spent now, minor units, within ±`Money.minorUnitsMax`. For an external account: how far it is from the
    /// end of the range.
    public var available: Int64 {
        let limit = kind == .normal ? overdraftLimit : Money.minorUnitsMax
        // A high balance and a high limit add up to more than a JSON reader holds exactly. No amount is above the range
        // either, so cutting the sum there changes no decision.
        return min(max(posted - held + limit, -Money.minorUnitsMax), Money.minorUnitsMax)
    }
}
