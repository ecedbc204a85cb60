/// Changes what an account may do. Final under its key, and each of them is one more revision of the account.
public struct ChangeAccount: Equatable, Sendable {
    public enum Change: Equatable, Sendable {
        /// One side or both (`AccountFlags.sides`): captures and refunds are stopped as payments are, a void or an expiry is not.
        case freeze(AccountFlags)
        case unfreeze(AccountFlags)
        /// For ever. Needs a balance of zero and nothing held.
        case close
        /// Minor units, 0 to `Money.minorUnitsMax`; never below what is in use, and none for an external account.
        case setOverdraftLimit(Int64)
    }

    public let account: AccountID
    public let change: Change

    public init(account: AccountID, change: Change) {
        self.account = account
        self.change = change
    }
}

extension AccountFlags {
    /// What can be frozen.
    public static let sides: AccountFlags = [.debitFrozen, .creditFrozen]
}
