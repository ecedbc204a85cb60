internal import Postgres
internal import Store

/// A partition of `payments.commands` as the ledger has it.
struct OffsetRow: Equatable {
    let partition: Int32
    /// The log that the offsets count in; nil until a worker has taken the partition for the first time.
    let logIncarnation: String?
    /// The first offset that is not applied.
    let nextOffset: Int64
    /// The first offset whose outcome may not have been published.
    let publishedOffset: Int64
    /// How many workers have taken the partition so far.
    let epoch: Int64
}

/// The rows of `sluice.kafka_offset`.
enum OffsetRows {
    /// A row for each partition that has none yet. Returns how many were made.
    static func insert(partitions: Int32, on connection: PostgresConnection) throws(PostgresError) -> Int {
        var parameters = Parameters()
        parameters.append(text: Topic.commands)
        parameters.append(int32: partitions)
        return try connection.query(
            """
            INSERT INTO sluice.kafka_offset (topic, partition)
            SELECT $1::text, p FROM generate_series(0, $2::integer - 1) AS p ON CONFLICT DO NOTHING
            """, parameters
        ).affectedRows
    }

    /// By partition.
    static func read(_ connection: PostgresConnection) throws(PostgresError) -> [OffsetRow] {
        var parameters = Parameters()
        parameters.append(text: Topic.commands)
        let rows = try connection.query(
            """
            SELECT partition, log_incarnation, next_offset, published_offset, epoch FROM sluice.kafka_offset
            WHERE topic = $1::text ORDER BY partition
            """, parameters)
        return (0..<rows.count).map {
            OffsetRow(
                partition: rows.int32($0, 0), logIncarnation: rows.isNull($0, 1) ? nil : rows.text($0, 1), nextOffset: rows.int64($0, 2),
                publishedOffset: rows.int64($0, 3), epoch: rows.int64($0, 4))
        }
    }
}
