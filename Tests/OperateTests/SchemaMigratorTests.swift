import Postgres
import Store
import Testing

@testable import Operate

@Suite struct SchemaMigratorTests {
    private let steps = [
        Migration(number: 1, name: "one", sql: "CREATE SCHEMA sluice; CREATE TABLE sluice.one (a bigint)"),
        Migration(number: 2, name: "two", sql: "CREATE TABLE sluice.two (a bigint)"),
    ]

    private func applied(_ step: Migration) -> AppliedMigration {
        AppliedMigration(number: step.number, name: step.name, digest: MigrationPlan.digest(of: step))
    }

    // The plan

    @Test func `what was applied is not applied again`() throws {
        #expect(try MigrationPlan.remaining(applied: [], known: steps).map(\.number) == [1, 2])
        #expect(try MigrationPlan.remaining(applied: [applied(steps[0])], known: steps).map(\.number) == [2])
        #expect(try MigrationPlan.remaining(applied: steps.map(applied), known: steps).map(\.number) == [])
    }

    @Test func `an applied step whose text has changed is refused`() {
        let edited = Migration(number: 1, name: "one", sql: steps[0].sql + " ")
        #expect { try MigrationPlan.remaining(applied: steps.map(applied), known: [edited, steps[1]]) } throws: {
            "\($0)".contains("migration 1 (one) was applied with another text")
        }
    }

    @Test func `a database that is newer than the build is refused`() {
        #expect { try MigrationPlan.remaining(applied: steps.map(applied), known: [steps[0]]) } throws: {
            "\($0)".contains("newer than this build: it has migration 2 (two)")
        }
    }

    // On a server

    @Test func `the schema of this build is applied once`() throws {
        let database = try TestDatabase()
        let migrator = SchemaMigrator(connection: database.connection)
        #expect(try migrator.run().map(\.number) == Migration.all.map(\.number))
        #expect(try migrator.run().isEmpty)
        #expect(try database.integer("SELECT count(*) FROM sluice.schema_migration") == Int64(Migration.all.count))
        #expect(try database.integer("SELECT count(*) FROM sluice.account") == 0)
    }

    @Test func `migrations at the same time apply each step once`() async throws {
        let database = try TestDatabase()
        let text = database.connectionString
        let counts = try await withThrowingTaskGroup(of: Int.self) { group in
            for _ in 0..<4 {
                group.addTask { try SchemaMigrator(connection: PostgresConnection(text)).run().count }
            }
            return try await group.reduce(into: []) { $0.append($1) }
        }
        #expect(counts.sorted() == [0, 0, 0, Migration.all.count])
    }

    @Test func `a step that fails leaves nothing behind and the steps before it stay`() throws {
        let database = try TestDatabase()
        let broken = Migration(number: 2, name: "two", sql: "CREATE TABLE sluice.two (a bigint); SELECT 1 / 0")
        let migrator = SchemaMigrator(connection: database.connection, known: [steps[0], broken])
        #expect { try migrator.run() } throws: { "\($0)".contains("migration 2 (two) was not applied: division by zero") }
        #expect(try database.integer("SELECT count(*) FROM sluice.schema_migration") == 1)
        #expect(try database.integer("SELECT count(*) FROM pg_tables WHERE tablename = 'two'") == 0)
        #expect(try SchemaMigrator(connection: database.connection, known: steps).run().map(\.number) == [2])
    }

    @Test func `a schema that somebody else made is refused`() throws {
        let database = try TestDatabase()
        try database.connection.run("CREATE SCHEMA sluice")
        #expect { try SchemaMigrator(connection: database.connection).run() } throws: {
            "\($0)".contains("not made by `sluice migrate`")
        }
    }
}
