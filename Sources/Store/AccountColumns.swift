public import Ledger
public import Postgres

/// How an account's row is read, the same in every statement.
public enum AccountColumns {
    /// In the order `account(_:_:)` reads them; `a` is `sluice.account`.
    static let list = """
        a.tenant_id, a.id, a.number, a.currency, a.kind, a.overdraft_limit, a.flags, a.posted, a.held, a.sequence, a.revision, \
        a.opened_at, a.changed_at
        """
    static let count = 13

    /// Traps on a row that no worker of ours can have written.
    public static func account(_ rows: Rows, _ row: Int) -> Account {
        guard let id = AccountID(rows.bytes(row, 1)), let currency = Currency(rows.bytes(row, 3)),
            let kind = UInt8(exactly: rows.int16(row, 4)).flatMap(AccountKind.init(rawValue:))
        else { preconditionFailure("an account's row has an id, currency or kind that the ledger never wrote") }
        return Account(
            key: AccountKey(tenant: TenantID(rows.int64(row, 0)), account: id), number: rows.int64(row, 2), currency: currency, kind: kind,
            overdraftLimit: rows.int64(row, 5), flags: AccountFlags(rawValue: rows.int16(row, 6)), posted: rows.int64(row, 7),
            held: rows.int64(row, 8), sequence: rows.int64(row, 9), revision: rows.int64(row, 10),
            openedAt: Timestamp(microseconds: rows.timestamp(row, 11)), changedAt: Timestamp(microseconds: rows.timestamp(row, 12)))
    }
}
