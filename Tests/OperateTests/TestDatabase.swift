import Postgres

@testable import TestSupport

/// A database of a test's own on the shared server, dropped afterwards.
final class TestDatabase {
    let connectionString: String
    let connection: PostgresConnection
    private let name: String

    init() throws {
        name = "t" + String(UInt64.random(in: 0...UInt64.max), radix: 36)
        try TestServer.shared.connect().run("CREATE DATABASE \(name)")
        connectionString = "host=\(TestServer.shared.folder) port=\(TestServer.shared.port) user=postgres dbname=\(name)"
        connection = try PostgresConnection(connectionString)
    }

    deinit { try? TestServer.shared.connect().run("DROP DATABASE \(name) WITH (FORCE)") }

    /// The first column of the first row, an integer.
    func integer(_ sql: String) throws -> Int64 { try connection.query("SELECT (\(sql))::bigint").int64(0, 0) }
}
