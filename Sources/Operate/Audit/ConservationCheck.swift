internal import Postgres

/// Money is neither made nor lost.
enum ConservationCheck {
    static let check = AuditReport.Check("conservation", "the balances of each currency, and of each tenant's, add up to zero")

    static func run(_ scope: AuditScope, _ connection: PostgresConnection, _ check: inout AuditReport.Check) throws(OperateError) {
        let rows = try withPostgres { () throws(PostgresError) in try connection.query(sql, scope.parameters) }
        for row in 0..<rows.count {
            let currency = rows.text(row, 0)
            let sum = rows.text(row, 2)
            let tenant = rows.isNull(row, 1) ? nil : rows.int64(row, 1)
            if tenant == nil { check.looked += Int(rows.int64(row, 3)) }
            guard sum != "0" else { continue }
            let whose = tenant.map { "tenant \(scope.names[$0] ?? "\($0)"), currency \(currency)" } ?? "currency \(currency)"
            check.find(whose, "all balances add up to \(sum)")
        }
    }

    // Sums are numeric: those of many accounts may pass 64 bits.
    private static let sql = """
        SELECT currency, tenant_id, sum(posted)::text, count(*) FROM sluice.account
        WHERE $1::bigint IS NULL OR tenant_id = $1
        GROUP BY GROUPING SETS ((currency), (currency, tenant_id)) ORDER BY currency, tenant_id NULLS FIRST
        """
}
