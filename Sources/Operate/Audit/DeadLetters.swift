internal import Postgres

/// Records that could not be applied.
enum DeadLetters {
    static func count(_ scope: AuditScope, _ connection: PostgresConnection) throws(OperateError) -> Int64 {
        try withPostgres { () throws(PostgresError) in
            try connection.query(
                "SELECT count(*) FROM sluice.dead_letter WHERE $1::bigint IS NULL OR tenant_id = $1", scope.parameters
            ).int64(0, 0)
        }
    }

    /// The first ones, a line each.
    static func lines(_ scope: AuditScope, _ connection: PostgresConnection) throws(OperateError) -> [String] {
        let rows = try withPostgres { () throws(PostgresError) in
            try connection.query(
                """
                SELECT log_partition, log_offset, reason FROM sluice.dead_letter WHERE $1::bigint IS NULL OR tenant_id = $1
                ORDER BY seen_at DESC, log_partition, log_offset LIMIT \(AuditReport.findingsShownMax)
                """, scope.parameters)
        }
        return (0..<rows.count).map { "dead letter at offset \(rows.int32($0, 0))/\(rows.int64($0, 1)): \(rows.text($0, 2))" }
    }
}
