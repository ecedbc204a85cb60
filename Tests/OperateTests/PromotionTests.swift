import Postgres
import Store
import Testing

@testable import Operate
@testable import TestSupport

/// What becomes of the ledger's line when a standby is promoted.
@Suite(.serialized) struct PromotionTests {
    private func places(_ server: TestServer) throws -> [PartitionPlace] {
        let query = PartitionQueries.places([0])
        return PartitionQueries.places(try server.connect().query(query.statement.sql, query.parameters))
    }

    private func grants(_ server: TestServer) throws -> [PartitionGrant] {
        let query = PartitionQueries.acquire([0], owner: "test", logIncarnation: "log")
        return PartitionQueries.grants(try server.connect().query(query.statement.sql, query.parameters))
    }

    @Test func `where a partition stands is told with the line that the ledger is in`() throws {
        let primary = try TestServer()
        let standby = try TestServer(standbyOf: primary)
        _ = try SchemaMigrator(connection: primary.connect()).run()
        _ = try OffsetRows.insert(partitions: 1, on: primary.connect())
        // As a ledger that was moved once: its line is above what the timeline would tell.
        _ = try primary.connect().query("SELECT sluice.line_now(true)")
        let grant = try #require(try grants(primary).first)
        #expect(grant.line > 100)
        #expect(try places(primary) == [PartitionPlace(partition: 0, nextOffset: 0, epoch: 1, line: grant.line)])
        try wait(upTo: 20) { (try? OffsetRows.read(standby.connect()).map(\.epoch)) == [1] }
        primary.stop()
        try standby.connect().run("SELECT pg_promote()")
        #expect(try places(standby) == [PartitionPlace(partition: 0, nextOffset: 0, epoch: 1, line: grant.line + 1)])
        #expect(try grants(standby).map(\.line) == [grant.line + 1])
    }

    @Test func `a worker that lives through a promotion goes on in the new line, although it had nothing to do`() throws {
        let primary = try TestServer()
        let standby = try TestServer(standbyOf: primary)
        let roles = try RunningRoles()
        try roles.migrate(primary.connectionString)
        try roles.start(
            "worker",
            database: "host=\(primary.folder),\(standby.folder) port=\(primary.port),\(standby.port) user=postgres dbname=postgres "
                + "target_session_attrs=read-write")
        try wait(upTo: 30) { try roles.leaseOwner() == 1 }
        try wait(upTo: 20) { (try? OffsetRows.read(standby.connect()).map(\.epoch)) == [1] }
        primary.stop()
        try standby.connect().run("SELECT pg_promote()")
        try wait(upTo: 30) { try roles.leaseOwner() == 1 << 40 + 2 }
        #expect(try OffsetRows.read(standby.connect()).map(\.epoch) == [2])
    }
}
