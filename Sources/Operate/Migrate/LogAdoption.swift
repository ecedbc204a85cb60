internal import Kafka
internal import Postgres
internal import Store

/// Moves the ledger on to another log. Offsets count in one log only: in another one they would skip commands.
///
/// The old log must be drained, which the report of an audit of it proves: nobody had produced to it since, as the gateways
/// were stopped before.
struct LogAdoption {
    let report: AuditReport
    let connection: PostgresConnection
    let kafka: KafkaConfiguration
    /// Partitions of the new log.
    let partitions: Int32

    /// Returns the new log's identity; nil when the ledger is on it already.
    func run() throws(OperateError) -> String? {
        let kafka = kafka
        guard let incarnation = try withKafka({ () throws(KafkaError) in try KafkaAdmin.clusterID(kafka) }) else {
            throw .refused("the brokers have no cluster id, by which a log is known")
        }
        let connection = connection
        let rows = try withPostgres { () throws(PostgresError) in try OffsetRows.read(connection) }
        if rows.allSatisfy({ $0.logIncarnation == nil || $0.logIncarnation == incarnation }) { return nil }
        try Self.checkDrained(rows, report)
        try checkTenants()
        var lows: [Int64] = []
        for row in rows {
            lows.append(
                row.partition < partitions
                    ? try withKafka { () throws(KafkaError) in
                        try KafkaAdmin.watermarks(kafka, topic: Topic.commands, partition: row.partition)
                    }.low : 0)
        }
        try move(rows, lows, to: incarnation)
        return incarnation
    }

    /// Whether the report shows that everything in the old log is applied, and that this is still how the ledger stands.
    ///
    /// Outcomes that may not have been published are no obstacle: a worker notes that it has published a batch with the next
    /// one, and values in Redis expire.
    static func checkDrained(_ rows: [OffsetRow], _ report: AuditReport) throws(OperateError) {
        guard report.tenant == nil, let audited = report.partitions, let incarnation = report.incarnation else {
            throw .refused("the audit did not look at the whole log: run `sluice audit --json` without --tenant and --skip-log")
        }
        guard report.isClean else { throw .refused("the audit of the old log has findings: clear them up first") }
        for row in rows {
            let place = "partition \(row.partition)"
            if let known = row.logIncarnation, known != incarnation {
                throw .refused("\(place) is on log \(known), and the audit is of log \(incarnation)")
            }
            guard let seen = audited.first(where: { $0.partition == row.partition }) else {
                throw .refused("the audit has no \(place)")
            }
            guard seen.nextOffset == row.nextOffset else {
                throw .refused("\(place) has moved on since the audit: stop the gateways, wait for the worker, and audit again")
            }
            guard seen.high == row.nextOffset else {
                throw .refused(
                    "\(place) has commands that are not decided: offset \(row.nextOffset) of \(seen.high); run a worker on the old log first"
                )
            }
        }
    }

    private func checkTenants() throws(OperateError) {
        var parameters = Parameters()
        parameters.append(int32: partitions)
        let rows = try withPostgres { () throws(PostgresError) in
            try connection.query("SELECT name, partition FROM sluice.tenant WHERE partition >= $1 ORDER BY id LIMIT 1", parameters)
        }
        guard rows.isEmpty else {
            throw .refused(
                "the tenant `\(rows.text(0, 0))` is on partition \(rows.int32(0, 1)), and the new log has \(partitions) partitions: "
                    + "use --partitions to make as many as before")
        }
    }

    /// Guarded by offset and epoch: a worker that takes a partition meanwhile makes it fail, and is made to fail by it.
    private func move(_ rows: [OffsetRow], _ lows: [Int64], to incarnation: String) throws(OperateError) {
        var parameters = Parameters()
        parameters.append(text: Topic.commands)
        parameters.append(int32Array: rows.map(\.partition))
        parameters.append(int64Array: rows.map(\.nextOffset))
        parameters.append(int64Array: rows.map(\.epoch))
        parameters.append(int64Array: lows)
        parameters.append(text: incarnation)
        parameters.append(int64: Int64(rows.count))
        do throws(PostgresError) {
            _ = try connection.query(Self.moveSQL, parameters)
        } catch {
            guard case .serverError(sqlState: "SL001", _, _) = error else { throw .postgres(error) }
            throw .refused("a worker has moved on meanwhile: stop the workers, and audit again")
        }
    }

    // The time moves on by the smallest step, so that each outcome's time tells which log it is of.
    private static let moveSQL = """
        WITH known AS (
            SELECT o.partition, o.log_incarnation, o.next_offset, o.last_decided_at, k.low
            FROM unnest($2::integer[], $3::bigint[], $4::bigint[], $5::bigint[]) AS k (partition, next_offset, epoch, low)
            JOIN sluice.kafka_offset o ON o.topic = $1::text AND o.partition = k.partition AND o.next_offset = k.next_offset
                AND o.epoch = k.epoch
            FOR UPDATE OF o),
        noted AS (
            INSERT INTO sluice.log_adoption (topic, partition, log_incarnation, left_incarnation, left_offset, decided_until)
            SELECT $1::text, partition, $6::text, coalesce(log_incarnation, ''), next_offset, last_decided_at FROM known),
        moved AS (
            UPDATE sluice.kafka_offset o
            SET log_incarnation = $6::text, next_offset = known.low, published_offset = known.low, relayed_offset = known.low,
                epoch = o.epoch + 1, owner = '',
                last_decided_at = o.last_decided_at + interval '1 microsecond'
            FROM known WHERE o.topic = $1::text AND o.partition = known.partition RETURNING 1)
        SELECT sluice.expect((SELECT count(*) FROM moved), $7::bigint, 'partitions moved to another log')
        """
}
