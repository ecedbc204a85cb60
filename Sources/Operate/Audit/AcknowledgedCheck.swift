internal import Ledger
internal import Postgres

/// The ids of payments, as a client was told them.
public struct AcknowledgedPayments: Sendable {
    var ids: [OperationID] = []
    public var count: Int { ids.count }

    public init() {}

    public mutating func append(high: UInt64, low: UInt64) { ids.append(OperationID(high: high, low: low)) }
}

/// What a client was told is accepted is there: the other checks cannot see a command that never reached the log.
struct AcknowledgedCheck {
    static let check = AuditReport.Check("acknowledged", "each payment that a client was told is accepted has exactly one outcome")
    private static let idsPerQuery = 10_000

    let payments: AcknowledgedPayments
    let connection: PostgresConnection

    func run(_ check: inout AuditReport.Check) throws(OperateError) {
        let connection = connection
        var lost = 0
        for start in stride(from: 0, to: payments.ids.count, by: Self.idsPerQuery) {
            let ids = payments.ids[start..<min(start + Self.idsPerQuery, payments.ids.count)]
            var array = PostgresArray(of: .uuid)
            for id in ids { array.append(uuid: id.high, low: id.low) }
            var parameters = Parameters()
            parameters.append(array)
            check.looked += ids.count
            try withPostgres { () throws(PostgresError) in
                try connection.stream(Self.sql, parameters) { row throws(PostgresError) in
                    let id = row.uuid(0)
                    let count = row.int64(1)
                    if count == 0 { lost += 1 }
                    check.find(
                        "payment \(OperationID(high: id.0, low: id.1))",
                        count == 0 ? "was accepted and has no outcome" : "was accepted once and has \(count) outcomes")
                }
            }
        }
        if lost > 0 { check.notes.append("\(lost) of \(check.looked) accepted payments have no outcome") }
    }

    // A payment that could not be read became a dead letter, which is an outcome that somebody looks at. Once it is replayed it has
    // another one, and may have become a dead letter more than once before: that is one outcome all the same.
    private static let sql = """
        SELECT o.id, o.outcomes FROM (
            SELECT a.id, greatest(
                (SELECT count(*) FROM sluice.payment p WHERE p.id = a.id) + (SELECT count(*) FROM sluice.operation o WHERE o.id = a.id),
                (EXISTS (SELECT 1 FROM sluice.dead_letter d WHERE d.operation_id = a.id))::integer::bigint) AS outcomes
            FROM (SELECT DISTINCT id FROM unnest($1::uuid[]) AS id) a) o
        WHERE o.outcomes <> 1
        """
}
