public import Postgres
internal import Store

/// Tenants, and the partitions that carry their commands. Blocks its thread.
public struct Tenants {
    let connection: PostgresConnection

    public struct Tenant: Equatable, Sendable {
        public let number: Int64
        public let name: String
        /// Of `payments.commands`.
        public let partition: Int32
        public let createdAtMicroseconds: Int64
        /// Keys that are not revoked.
        public let validKeys: Int64
    }

    /// - Parameter connection: to the primary.
    public init(_ connection: PostgresConnection) { self.connection = connection }

    /// In the order of their numbers.
    public func all() throws(OperateError) -> [Tenant] { try read("true", Parameters()) }

    public func named(_ name: String) throws(OperateError) -> Tenant? {
        var parameters = Parameters()
        parameters.append(text: name)
        return try read("t.name = $1", parameters).first
    }

    /// The tenant of this name, or the refusal to go on without it.
    func require(_ name: String) throws(OperateError) -> Tenant {
        guard let tenant = try named(name) else {
            throw .refused("there is no tenant `\(name)`: create it with `sluice keys create-tenant \(name)`")
        }
        return tenant
    }

    /// Creates a tenant.
    ///
    /// - Parameters:
    ///   - name: 1 to 63 of `a-z 0-9 _ -`, the first one a letter or a digit.
    ///   - partition: nil for the one with the fewest tenants.
    public func create(_ name: String, partition: Int32? = nil) throws(OperateError) -> Tenant {
        guard Self.isValid(name) else {
            throw .refused("'\(name)' is no tenant's name: use 1 to 63 of a-z 0-9 _ -, beginning with a letter or a digit")
        }
        do throws(PostgresError) {
            try connection.transaction { () throws(PostgresError) in try insert(name, partition) }
        } catch {
            throw Self.refusal(of: name, partition, error)
        }
        return try require(name)
    }

    /// The statement inserts nothing when there is no such partition.
    private func insert(_ name: String, _ partition: Int32?) throws(PostgresError) {
        // Two that count at the same time would choose the same partition.
        try connection.run("LOCK TABLE sluice.tenant IN SHARE ROW EXCLUSIVE MODE")
        var parameters = Parameters()
        parameters.append(text: name)
        parameters.append(text: Topic.commands)
        if let partition { parameters.append(int32: partition) } else { parameters.appendNull(.int32) }
        let made = try connection.query(
            """
            INSERT INTO sluice.tenant (name, partition)
            SELECT $1::text, o.partition FROM sluice.kafka_offset o LEFT JOIN sluice.tenant t ON t.partition = o.partition
            WHERE o.topic = $2::text AND o.partition = coalesce($3::integer, o.partition)
            GROUP BY o.partition ORDER BY count(t.id), o.partition LIMIT 1
            """, parameters)
        guard made.affectedRows == 1 else { throw .unexpectedAnswer(message: Self.noPartition) }
    }

    private static let noPartition = "no such partition"

    private static func refusal(of name: String, _ partition: Int32?, _ error: PostgresError) -> OperateError {
        switch error {
        case .serverError(sqlState: "23505", _, _): .refused("there is a tenant `\(name)` already")
        case .unexpectedAnswer(noPartition):
            .refused(
                partition.map { "the topic has no partition \($0)" } ?? "there are no partitions yet: run `sluice migrate` first")
        default: .postgres(error)
        }
    }

    private func read(_ condition: String, _ parameters: Parameters) throws(OperateError) -> [Tenant] {
        let rows = try withPostgres { () throws(PostgresError) in
            try connection.query(
                """
                SELECT t.id, t.name, t.partition, t.created_at, count(k.public_id) FILTER (WHERE k.revoked_at IS NULL)
                FROM sluice.tenant t LEFT JOIN sluice.api_key k ON k.tenant_id = t.id
                WHERE \(condition) GROUP BY t.id ORDER BY t.id
                """, parameters)
        }
        return (0..<rows.count).map {
            Tenant(
                number: rows.int64($0, 0), name: rows.text($0, 1), partition: rows.int32($0, 2),
                createdAtMicroseconds: rows.timestamp($0, 3),
                validKeys: rows.int64($0, 4))
        }
    }

    /// As the table's constraint has it.
    private static func isValid(_ name: String) -> Bool {
        let bytes = Array(name.utf8)
        guard (1...63).contains(bytes.count), bytes[0] != UInt8(ascii: "_"), bytes[0] != UInt8(ascii: "-") else { return false }
        return bytes.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "0")...UInt8(ascii: "9"): true
            default: byte == UInt8(ascii: "_") || byte == UInt8(ascii: "-")
            }
        }
    }
}
