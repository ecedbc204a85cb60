import Postgres
import Redis
import Store
import Testing

@testable import Operate
@testable import TestSupport

/// Which line of its history a ledger goes on in, wherever it is served from.
@Suite(.serialized) struct LedgerLineTests {
    private let names = (0..<2).map { _ in "c" + String(UInt64.random(in: 0...UInt64.max), radix: 36) }
    private let server = TestServer.shared

    private func line(_ connection: PostgresConnection) throws -> Int64 {
        let query = PartitionQueries.acquire([0], owner: "test", logIncarnation: "log")
        return try #require(PartitionQueries.grants(try connection.query(query.statement.sql, query.parameters)).first).line
    }

    private func connect(_ server: TestServer, _ database: String) throws -> PostgresConnection {
        try PostgresConnection("host=\(server.folder) port=\(server.port) user=postgres dbname=\(database)")
    }

    private func drop() { for name in names { try? server.connect().run("DROP DATABASE IF EXISTS \(name) WITH (FORCE)") } }

    private func ledger() throws -> (database: TestDatabase, name: String) {
        let database = try TestDatabase()
        _ = try SchemaMigrator(connection: database.connection).run()
        _ = try OffsetRows.insert(partitions: 1, on: database.connection)
        return (database, try database.connection.query("SELECT current_database()").text(0, 0))
    }

    @Test func `a ledger that was copied goes on above all lines that it can have told in`() throws {
        let (database, name) = try ledger()
        defer { drop() }
        let days = try database.integer("SELECT floor(extract(epoch FROM now() - timestamptz '2026-01-01T00:00:00Z') / 86400)")
        #expect(try [line(database.connection), line(database.connection)] == [0, 0])
        // In the same cluster, and what was copied in another one.
        try server.copy(name, to: server, as: names[0])
        let copy = try connect(server, names[0])
        let first = try line(copy)
        #expect(first >= max(1, days) && first <= days + 1)
        #expect(try line(copy) == first)
        let other = try TestServer()
        try server.copy(names[0], to: other, as: "moved")
        #expect(try line(connect(other, "moved")) == first + 1)
        // The one that was copied stays where it was.
        #expect(try line(database.connection) == 0)
    }

    @Test func `lines of one place follow its timelines, and one is begun for whoever asks`() throws {
        let (database, _) = try ledger()
        #expect(try line(database.connection) == 0)
        // PostgreSQL's timeline can only rise: two promotions, of which this ledger saw none.
        try database.connection.run("UPDATE sluice.ledger_line SET timeline = timeline - 2")
        #expect(try line(database.connection) == 2)
        let begun = try (0..<2).map { _ in try database.connection.query("SELECT sluice.line_now(true)").int64(0, 0) }
        #expect(begun[0] > 2 && begun[1] == begun[0] + 1)
        #expect(try line(database.connection) == begun[1])
        // A timeline that fell is no promotion.
        try database.connection.run("UPDATE sluice.ledger_line SET timeline = timeline + 5")
        #expect(try line(database.connection) == begun[1] + 1)
    }

    @Test func `workers that find a copy at the same time begin one line`() async throws {
        let (database, name) = try ledger()
        defer { drop() }
        _ = try OffsetRows.insert(partitions: 8, on: database.connection)
        #expect(try line(database.connection) == 0)
        try server.copy(name, to: server, as: names[0])
        let text = "host=\(server.folder) port=\(server.port) user=postgres dbname=\(names[0])"
        let lines = try await withThrowingTaskGroup(of: Int64.self) { group in
            for partition in 0..<8 as Range<Int32> {
                group.addTask {
                    let query = PartitionQueries.acquire([partition], owner: "test", logIncarnation: "log")
                    let rows = try PostgresConnection(text).query(query.statement.sql, query.parameters)
                    return try #require(PartitionQueries.grants(rows).first).line
                }
            }
            return try await group.reduce(into: []) { $0.append($1) }
        }
        #expect(Set(lines).count == 1 && lines[0] > 0)
        #expect(try connect(server, names[0]).query("SELECT count(*) FROM sluice.ledger_line").int64(0, 0) == 2)
    }

    @Test func `a worker on a copy of the ledger empties Redis and vouches for it in the new line`() throws {
        let database = try TestDatabase()
        defer { drop() }
        let roles = try RunningRoles()
        try roles.migrate(database.connectionString)
        try roles.start("worker", database: database.connectionString)
        try wait(upTo: 30) { try roles.leaseOwner() == 1 }
        roles.kill("worker")
        let redis = try RedisConnection(RedisConfiguration(endpoint: roles.redis.endpoint))
        _ = try redis.command(["SET", "a:{1}:told", "7\nof a commit that the dump does not have"])
        try server.copy(database.connection.query("SELECT current_database()").text(0, 0), to: server, as: names[0])
        try roles.start("worker", database: "host=\(server.folder) port=\(server.port) user=postgres dbname=\(names[0])")
        // The group waits until the one that was killed has timed out, or sees that it is the same.
        try wait(upTo: 60) { try roles.leaseOwner().map { $0 > 1 << 40 && $0 & (1 << 40 - 1) == 2 } == true }
        #expect(try redis.command(["GET", "a:{1}:told"]) == .null)
        roles.kill("worker")
    }

    @Test func `a ledger that was put back by a copy of its files shows in the metrics, and goes on in a line that is begun by hand`()
        throws
    {
        let database = try TestDatabase()
        let roles = try RunningRoles()
        try roles.migrate(database.connectionString)
        // What Redis knows, and the ledger does not any more: its file system was put back to before five owners.
        let redis = try RedisConnection(RedisConfiguration(endpoint: roles.redis.endpoint))
        _ = try redis.command(RedisFunctions.setUp[0])
        #expect(try redis.command(["FCALL", RedisFunctions.name("renew"), "1", "l:0", "6", "1000", "0"]) == .integer(1))
        try roles.start("worker", database: database.connectionString)
        try wait(upTo: 30) { try roles.page("metrics", of: "worker").contains("\nsluice_worker_leases_refused 1\n") }
        #expect(try roles.leaseOwner() == 6)
        roles.kill("worker")
        var migrator = Migrator(database: PostgresConfiguration(connectionString: database.connectionString), kafka: roles.kafka)
        migrator.beginsNewLine = true
        var lines: [String] = []
        try migrator.run { lines.append($0) }
        let line = try database.integer("SELECT max(line) FROM sluice.ledger_line")
        #expect(line > 0 && lines.contains("line \(line) of the ledger's history: begun"))
        try roles.start("worker", database: database.connectionString)
        try wait(upTo: 60) { try roles.leaseOwner() == line << 40 + 2 }
        #expect(try roles.page("metrics", of: "worker").contains("\nsluice_worker_leases_refused 0\n"))
    }
}
