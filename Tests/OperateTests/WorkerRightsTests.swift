import Kafka
import Postgres
import Store
import Testing

@testable import Operate
@testable import TestSupport

/// What the worker's role may do after `sluice migrate`, whatever it might before.
@Suite(.serialized) struct WorkerRightsTests {
    private static let tables = [
        "account", "api_key", "dead_letter", "kafka_offset", "key_conflict", "ledger_line", "log_adoption", "movement", "operation",
        "payment",
        "schema_migration", "tenant",
    ]

    @Test func `it adds entries, changes none, and reads no keys`() throws {
        let database = try TestDatabase()
        let connection = database.connection
        let role = "w" + String(UInt64.random(in: 0...UInt64.max), radix: 36)
        try connection.run("CREATE ROLE \(role) LOGIN")
        defer { try? connection.run("DROP OWNED BY \(role); DROP ROLE \(role)") }
        _ = try SchemaMigrator(connection: connection).run()
        // As a hand may have left it.
        try connection.run("GRANT USAGE ON SCHEMA sluice TO \(role); GRANT ALL ON ALL TABLES IN SCHEMA sluice TO \(role)")
        #expect(try WorkerRights(role: role).grant(on: connection))
        #expect(try WorkerRights(role: role).grant(on: connection))
        #expect(try WorkerRights(role: "nobody_of_that_name").grant(on: connection) == false)
        #expect(try WorkerRights(role: "postgres").grant(on: connection) == false)

        func may(_ right: String) throws -> [String] {
            try Self.tables.filter { try connection.query("SELECT has_table_privilege('\(role)', 'sluice.\($0)', '\(right)')").bool(0, 0) }
        }
        let all = try connection.query(
            "SELECT relname FROM pg_class WHERE relnamespace = 'sluice'::regnamespace AND relkind = 'r' ORDER BY 1")
        #expect((0..<all.count).map { all.text($0, 0) } == Self.tables, "a table that was added needs its place here and in WorkerRights")
        #expect(try may("SELECT") == Self.tables.filter { $0 != "api_key" })
        #expect(try may("INSERT") == ["account", "dead_letter", "key_conflict", "ledger_line", "movement", "operation", "payment"])
        #expect(try may("UPDATE") == ["account", "kafka_offset", "payment"])
        for right in ["DELETE", "TRUNCATE", "REFERENCES", "TRIGGER"] { #expect(try may(right) == [], "\(right)") }

        // The right is missing, not only stopped by the table's trigger.
        try connection.run("SET ROLE \(role)")
        for statement in [
            "UPDATE sluice.movement SET amount = 1", "DELETE FROM sluice.operation", "TRUNCATE sluice.movement",
            "SELECT FROM sluice.api_key",
        ] {
            #expect { try connection.run(statement) } throws: { "\($0)".contains("permission denied") }
        }
        #expect(try connection.query("SELECT sluice.line_now(true) > sluice.line_now() - 1").bool(0, 0))
        try connection.run("SELECT nextval('sluice.account_number'); RESET ROLE")
    }
}
