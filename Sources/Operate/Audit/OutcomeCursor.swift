internal import Ledger
internal import Postgres
internal import Store

/// An outcome as far as the log is concerned.
struct LoggedOutcome {
    enum Kind: Int16 { case payment, operation, keyConflict, deadLetter }

    let partition: Int32
    let offset: Int64
    let kind: Kind
    /// Nil for a dead letter that names none.
    let id: OperationID?
    /// Nil for a dead letter.
    let fingerprint: Fingerprint?
    /// Of a payment.
    let amount: Int64?
    let accounts: (debit: String, credit: String)?
}

/// All outcomes of the log as it is now, by partition and offset, fetched as they are asked for: the caller reads the log at
/// the same time. In the connection's open transaction, one at a time.
final class OutcomeCursor {
    private static let rowsPerFetch = 2_048

    private let connection: PostgresConnection
    private var rows: Rows
    private var index = 0
    private var next: LoggedOutcome?

    /// - Parameter incarnation: of the log; outcomes of another one are left out.
    init(_ connection: PostgresConnection, _ scope: AuditScope, incarnation: String) throws(PostgresError) {
        self.connection = connection
        var parameters = scope.parameters
        parameters.append(text: incarnation)
        parameters.append(text: Topic.commands)
        try connection.run("SET LOCAL cursor_tuple_fraction = 1")
        _ = try connection.query("DECLARE outcomes NO SCROLL CURSOR FOR \(Self.sql)", parameters)
        rows = try connection.query("FETCH FORWARD \(Self.rowsPerFetch) FROM outcomes")
        next = read()
    }

    /// The next outcome without taking it.
    var peek: LoggedOutcome? { next }

    func take() throws(PostgresError) -> LoggedOutcome? {
        guard let outcome = next else { return nil }
        if index == rows.count, rows.count == Self.rowsPerFetch {
            rows = try connection.query("FETCH FORWARD \(Self.rowsPerFetch) FROM outcomes")
            index = 0
        }
        next = read()
        return outcome
    }

    private func read() -> LoggedOutcome? {
        guard index < rows.count else { return nil }
        defer { index += 1 }
        guard let kind = LoggedOutcome.Kind(rawValue: rows.int16(index, 2)) else { preconditionFailure("the statement has four kinds") }
        let id = rows.isNull(index, 3) ? nil : rows.uuid(index, 3)
        let fingerprint = rows.isNull(index, 4) ? nil : rows.uuid(index, 4)
        let isPayment = kind == .payment
        return LoggedOutcome(
            partition: rows.int32(index, 0), offset: rows.int64(index, 1), kind: kind, id: id.map { OperationID(high: $0.0, low: $0.1) },
            fingerprint: fingerprint.map { Fingerprint(high: $0.0, low: $0.1) }, amount: isPayment ? rows.int64(index, 5) : nil,
            accounts: isPayment ? (rows.text(index, 6), rows.text(index, 7)) : nil)
    }

    // Offsets of outcomes that were decided before the partition moved on to this log count in another one.
    private static let sql = """
        SELECT o.log_partition, o.log_offset, o.kind, o.id, o.fingerprint, o.amount, o.debit, o.credit FROM (
            SELECT log_partition, log_offset, 0::smallint AS kind, id, fingerprint, amount, debit, credit, tenant_id, decided_at
            FROM sluice.payment
            UNION ALL
            SELECT log_partition, log_offset, 1::smallint, id, fingerprint, NULL, NULL, NULL, tenant_id, decided_at FROM sluice.operation
            UNION ALL
            SELECT log_partition, log_offset, 2::smallint, operation_id, fingerprint, NULL, NULL, NULL, tenant_id, 'infinity'
            FROM sluice.key_conflict WHERE log_incarnation = $2::text
            UNION ALL
            SELECT log_partition, log_offset, 3::smallint, operation_id, NULL, NULL, NULL, NULL, tenant_id, 'infinity'
            FROM sluice.dead_letter WHERE log_incarnation = $2::text) o
        LEFT JOIN (
            SELECT partition, max(decided_until) AS decided_until FROM sluice.log_adoption WHERE topic = $3::text GROUP BY partition) a
            ON a.partition = o.log_partition
        WHERE ($1::bigint IS NULL OR o.tenant_id = $1) AND (a.decided_until IS NULL OR o.decided_at > a.decided_until)
        ORDER BY o.log_partition, o.log_offset
        """
}
