internal import Foundation
internal import Ledger
public import Postgres
internal import Store

/// `sluice dead`: records of the log that could not be applied. Blocks its thread.
public struct DeadLetterBox {
    let connection: PostgresConnection

    /// A place in `payments.commands`, as operators write it: `PARTITION/OFFSET`.
    public struct Place: Hashable, Sendable, CustomStringConvertible {
        public let partition: Int32
        public let offset: Int64

        public init(partition: Int32, offset: Int64) {
            self.partition = partition
            self.offset = offset
        }

        /// Nil for anything but two numbers with a slash between them.
        public init?(_ text: String) {
            let parts = text.split(separator: "/", omittingEmptySubsequences: false)
            guard parts.count == 2, let partition = Int32(parts[0]), let offset = Int64(parts[1]), partition >= 0, offset >= 0 else {
                return nil
            }
            self.init(partition: partition, offset: offset)
        }

        public var description: String { "\(partition)/\(offset)" }
    }

    public struct Letter: Equatable, Sendable {
        public let place: Place
        /// The log that the offset counts in.
        public let logIncarnation: String
        /// Nil when the record named none, or one that does not exist.
        public let tenant: String?
        /// 32 hexadecimal digits; nil when the record had none.
        public let operation: String?
        public let reason: String
        public let seenAtMicroseconds: Int64
        /// Nil for one that was not put into the log again.
        public let replayedAtMicroseconds: Int64?
        /// Whether its operation has an outcome all the same: from a replay, or from another record of the same command.
        public let isDecided: Bool
        public let key: [UInt8]
        public let value: [UInt8]
        /// By name; of those that appeared twice the last.
        public let headers: [String: String]
    }

    /// - Parameter connection: to the primary.
    public init(_ connection: PostgresConnection) { self.connection = connection }

    /// Those seen last in front.
    ///
    /// - Parameters:
    ///   - tenant: nil for all.
    ///   - open: leave out those that are decided.
    ///   - limit: 1 or more.
    public func list(tenant: String?, open: Bool, limit: Int) throws(OperateError) -> [Letter] {
        var parameters = Parameters()
        if let tenant { parameters.append(int64: try Tenants(connection).require(tenant).number) } else { parameters.appendNull(.int64) }
        parameters.append(bool: open)
        parameters.append(int32: Int32(clamping: limit))
        let rows = try withPostgres { () throws(PostgresError) in
            try connection.query(
                Self.select + """
                     WHERE ($1::bigint IS NULL OR d.tenant_id = $1) AND NOT ($2::boolean AND coalesce(o.is_decided, false))
                    ORDER BY d.seen_at DESC, d.log_partition, d.log_offset LIMIT $3::integer
                    """, parameters)
        }
        return (0..<rows.count).map { Self.letter(rows, $0) }
    }

    /// The one at a place: of the log that was read last, where several had one there.
    public func find(_ place: Place) throws(OperateError) -> Letter {
        var parameters = Parameters()
        parameters.append(int32: place.partition)
        parameters.append(int64: place.offset)
        let rows = try withPostgres { () throws(PostgresError) in
            try connection.query(
                Self.select + " WHERE d.log_partition = $1::integer AND d.log_offset = $2::bigint ORDER BY d.seen_at DESC LIMIT 1",
                parameters)
        }
        guard !rows.isEmpty else { throw .refused("there is no dead letter at \(place): `sluice dead list` shows those there are") }
        return Self.letter(rows, 0)
    }

    /// Notes that a letter stands in the log again.
    func noteReplayed(_ letter: Letter) throws(OperateError) {
        var parameters = Parameters()
        parameters.append(text: letter.logIncarnation)
        parameters.append(int32: letter.place.partition)
        parameters.append(int64: letter.place.offset)
        _ = try withPostgres { () throws(PostgresError) in
            try connection.query(
                """
                UPDATE sluice.dead_letter SET replayed_at = now()
                WHERE log_incarnation = $1::text AND log_partition = $2::integer AND log_offset = $3::bigint
                """, parameters)
        }
    }

    private static let select = """
        SELECT d.log_partition, d.log_offset, d.log_incarnation, t.name, d.operation_id, d.reason, d.seen_at, d.replayed_at,
            coalesce(o.is_decided, false), coalesce(d.record_key, ''), coalesce(d.record_value, ''), coalesce(d.record_headers::text, '{}')
        FROM sluice.dead_letter d LEFT JOIN sluice.tenant t ON t.id = d.tenant_id
        LEFT JOIN LATERAL (
            SELECT EXISTS (SELECT 1 FROM sluice.payment p WHERE p.id = d.operation_id)
                OR EXISTS (SELECT 1 FROM sluice.operation o WHERE o.id = d.operation_id) AS is_decided) o ON true
        """

    private static func letter(_ rows: Rows, _ row: Int) -> Letter {
        func bytes(_ column: Int) -> [UInt8] {
            let span = rows.bytes(row, column)
            return (0..<span.count).map { span[$0] }
        }
        let id = rows.isNull(row, 4) ? nil : rows.uuid(row, 4)
        let headers = try? JSONSerialization.jsonObject(with: Data(rows.text(row, 11).utf8)) as? [String: String]
        return Letter(
            place: Place(partition: rows.int32(row, 0), offset: rows.int64(row, 1)), logIncarnation: rows.text(row, 2),
            tenant: rows.isNull(row, 3) ? nil : rows.text(row, 3), operation: id.map { "\(OperationID(high: $0.0, low: $0.1))" },
            reason: rows.text(row, 5), seenAtMicroseconds: rows.timestamp(row, 6),
            replayedAtMicroseconds: rows.isNull(row, 7) ? nil : rows.timestamp(row, 7), isDecided: rows.bool(row, 8), key: bytes(9),
            value: bytes(10), headers: headers ?? [:])
    }
}
