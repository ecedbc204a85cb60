import Loop
import Postgres
import Store
import Testing

@testable import Operate
@testable import TestSupport

/// Who starts on a schema that is not yet, or no longer, that of its build.
@Suite(.serialized) struct SchemaCheckTests {
    private let loop = EventLoop()

    private func session(_ connectionString: String) -> PostgresSession {
        var configuration = PostgresConfiguration(connectionString: connectionString)
        configuration.setUp = [SchemaCheck.setUp]
        return PostgresSession(loop: loop, configuration: configuration)
    }

    /// Runs the loop until the condition holds; false when it does not within 20 s.
    private func run(until condition: @escaping () -> Bool) -> Bool {
        var ticksLeft = 4_000
        var timer: LoopTimer?
        timer = LoopTimer(loop: loop) {
            ticksLeft -= 1
            if ticksLeft == 0 || condition() { loop.stop() } else { timer?.arm(afterMilliseconds: 5) }
        }
        timer?.arm(afterMilliseconds: 0)
        loop.run()
        return condition()
    }

    private func says(_ session: PostgresSession, _ found: Int) -> Bool {
        let sentence = "the database has migration \(found), and this build needs \(SchemaCheck.needed): run `sluice migrate`"
        return session.lastFailure?.description.contains(sentence) == true
    }

    private let earlier = Array(Migration.all.dropLast())

    @Test func `a connection is of use once the database has this build's last migration, and with a later one`() throws {
        let database = try TestDatabase()
        let session = session(database.connectionString)
        defer { session.close() }
        #expect(run { says(session, 0) })
        _ = try SchemaMigrator(connection: database.connection, known: earlier).run()
        #expect(run { says(session, SchemaCheck.needed - 1) })
        #expect(!session.isReady)
        _ = try SchemaMigrator(connection: database.connection).run()
        #expect(run { session.isReady })
        try database.connection.run("INSERT INTO sluice.schema_migration (number, name, sha256) VALUES (99, 'later', repeat('0', 64))")
        let later = self.session(database.connectionString)
        defer { later.close() }
        #expect(run { later.isReady })
    }

    @Test func `a replica that is behind is of no use until it has replayed the migration`() throws {
        let primary = try TestServer()
        let standby = try TestServer(standbyOf: primary)
        _ = try SchemaMigrator(connection: primary.connect(), known: earlier).run()
        try wait(upTo: 20) { try standby.connect().query("SELECT to_regclass('sluice.schema_migration') IS NOT NULL").bool(0, 0) }
        try wait(upTo: 20) { try SchemaMigrator(connection: standby.connect()).applied().count == earlier.count }
        try standby.connect().run("SELECT pg_wal_replay_pause()")
        _ = try SchemaMigrator(connection: primary.connect()).run()
        let (first, second) = (session(primary.connectionString), session(standby.connectionString))
        defer {
            first.close()
            second.close()
        }
        #expect(run { first.isReady && says(second, SchemaCheck.needed - 1) })
        try standby.connect().run("SELECT pg_wal_replay_resume()")
        #expect(run { second.isReady })
    }

    @Test func `a gateway and a worker say which schema they found and need, and serve once it is there`() throws {
        let database = try TestDatabase()
        let roles = try RunningRoles()
        try roles.makeTopics()
        _ = try SchemaMigrator(connection: database.connection, known: earlier).run()
        try roles.start("gateway", database: database.connectionString)
        try roles.start("worker", database: database.connectionString)
        let sentence =
            "the database has migration \(SchemaCheck.needed - 1), and this build needs \(SchemaCheck.needed): run `sluice migrate`"
        for role in ["gateway", "worker"] { try wait(upTo: 30) { try roles.readiness(role).contains(sentence) } }
        try roles.migrate(database.connectionString)
        for role in ["gateway", "worker"] { try wait(upTo: 40) { try roles.readiness(role).contains("\"ready\":true") } }
    }

    @Test func `doctor tells a schema that is newer than the build from one that lacks migrations`() throws {
        let database = try TestDatabase()
        func finding() throws -> DoctorReport.Finding {
            var doctor = Doctor()
            doctor.database = PostgresConfiguration(connectionString: database.connectionString)
            doctor.looksAtSystem = false
            return try #require(doctor.run().findings.first { $0.check == "ledger.schema" })
        }
        _ = try SchemaMigrator(connection: database.connection, known: earlier).run()
        #expect(try finding().level == .failure)
        _ = try SchemaMigrator(connection: database.connection).run()
        #expect(try finding().level == .ok)
        try database.connection.run("INSERT INTO sluice.schema_migration (number, name, sha256) VALUES (99, 'later', repeat('0', 64))")
        let newer = try finding()
        #expect(newer.level == .warning && newer.seen.contains("migration 99 (later)"))
    }
}
