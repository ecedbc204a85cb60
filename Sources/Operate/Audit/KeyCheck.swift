internal import Ledger
internal import Postgres

/// One key, one outcome.
enum KeyCheck {
    static let check = AuditReport.Check("keys", "no key has two outcomes, and another request under a used key moved nothing")

    static func run(_ scope: AuditScope, _ connection: PostgresConnection, _ check: inout AuditReport.Check) throws(OperateError) {
        try withPostgres { () throws(PostgresError) in
            check.looked = Int(try connection.query(countSQL, scope.parameters).int64(0, 0))
            try connection.stream(twiceSQL, scope.parameters) { row throws(PostgresError) in
                let id = row.uuid(0)
                check.find("operation \(OperationID(high: id.0, low: id.1))", "has \(row.int64(1)) outcomes")
            }
            try connection.stream(conflictSQL, scope.parameters) { row throws(PostgresError) in
                check.find("offset \(row.int32(0))/\(row.int64(1))", row.text(2))
            }
        }
    }

    private static let outcomes = """
        SELECT id, tenant_id, fingerprint FROM sluice.payment UNION ALL SELECT id, tenant_id, fingerprint FROM sluice.operation
        """

    private static let countSQL = "SELECT count(*) FROM (\(outcomes)) o WHERE $1::bigint IS NULL OR tenant_id = $1"

    private static let twiceSQL = """
        SELECT id, count(*) FROM (\(outcomes)) o WHERE $1::bigint IS NULL OR tenant_id = $1 GROUP BY id HAVING count(*) > 1
        """

    private static let conflictSQL = """
        SELECT k.log_partition, k.log_offset, CASE WHEN o.id IS NULL THEN 'is said to repeat a key that nobody has used'
            ELSE 'is said to be another request than the first one, and is the same' END
        FROM sluice.key_conflict k LEFT JOIN (\(outcomes)) o ON o.id = k.operation_id
        WHERE ($1::bigint IS NULL OR k.tenant_id = $1) AND (o.id IS NULL OR o.fingerprint = k.fingerprint)
        """
}
