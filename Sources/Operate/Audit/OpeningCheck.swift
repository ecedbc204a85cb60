internal import Ledger
internal import Postgres

/// No account without the command that opened it.
enum OpeningCheck {
    static let check = AuditReport.Check("openings", "each account was opened by one command, and each such command opened one")

    static func run(_ scope: AuditScope, _ connection: PostgresConnection, _ check: inout AuditReport.Check) throws(OperateError) {
        try withPostgres { () throws(PostgresError) in
            check.looked = Int(try connection.query(countSQL, scope.parameters).int64(0, 0))
            try connection.stream(sql, scope.parameters) { row throws(PostgresError) in
                let account = scope.name(tenant: row.int64(0), account: row.text(1))
                switch (row.isNull(2), row.int64(3)) {
                case (true, _): check.find(account, "\(row.int64(3)) commands opened it, and it does not exist")
                case (false, 0): check.find(account, "no command opened it")
                case (false, let count): check.find(account, "\(count) commands opened it")
                }
            }
        }
    }

    private static let countSQL = "SELECT count(*) FROM sluice.account WHERE $1::bigint IS NULL OR tenant_id = $1"

    // Kind 1 opens an account.
    private static let sql = """
        SELECT coalesce(a.tenant_id, o.tenant_id), coalesce(a.id, o.account_id), a.number, coalesce(o.count, 0)
        FROM sluice.account a FULL JOIN (
            SELECT tenant_id, account_id, count(*) AS count FROM sluice.operation
            WHERE kind = 1 AND decline_reason IS NULL GROUP BY tenant_id, account_id) o
            ON o.tenant_id = a.tenant_id AND o.account_id = a.id
        WHERE (a.number IS NULL OR coalesce(o.count, 0) <> 1) AND ($1::bigint IS NULL OR coalesce(a.tenant_id, o.tenant_id) = $1)
        """
}
