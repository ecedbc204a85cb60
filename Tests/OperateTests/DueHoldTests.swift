import Ledger
import Postgres
import Store
import Testing

@testable import Operate

/// Which holds a worker is told have run out.
@Suite struct DueHoldTests {
    @Test func `a hold has run out when both the worker's clock and the server's say so`() throws {
        let database = try TestDatabase()
        _ = try SchemaMigrator(connection: database.connection).run()
        try database.connection.run(
            """
            INSERT INTO sluice.tenant (name, partition) VALUES ('demo', 3);
            INSERT INTO sluice.payment (id, tenant_id, fingerprint, debit, credit, amount, currency, status, accepted_at, decided_at, revision,
                log_partition, log_offset, manual, hold_until)
            SELECT uuid, (SELECT id FROM sluice.tenant), uuid, 'a', 'b', 1, 'CZK', 4, now(), now(), 1, 3, n, true,
                now() + n * interval '30 minutes'
            FROM (VALUES (-1, '00000000-0000-0000-0000-000000000001'::uuid), (1, '00000000-0000-0000-0000-000000000002'::uuid)) AS k (n, uuid)
            """)
        let rows = try database.connection.query("SELECT (extract(epoch FROM now()) * 1000000)::bigint")
        let now = rows.int64(0, 0)
        func due(afterMinutes minutes: Int64, _ partition: Int32 = 3) throws -> [UInt64] {
            let query = LearnQueries.dueHolds([partition], at: Timestamp(microseconds: now + minutes * 60_000_000), limit: 10)
            return LearnQueries.dueHolds(try database.connection.query(query.statement.sql, query.parameters)).map(\.payment.low)
        }
        #expect(try due(afterMinutes: 0) == [1])
        #expect(try due(afterMinutes: 0, 4) == [])
        // A clock that is an hour ahead, and one that is an hour behind.
        #expect(try due(afterMinutes: 60) == [1])
        #expect(try due(afterMinutes: -60) == [])
    }
}
