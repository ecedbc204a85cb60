import Foundation
import Ledger
import Postgres
import Store
import Testing

@testable import Operate

/// How PostgreSQL reads a page of an account's history, which a gateway asks for when no cache has it.
@Suite struct HistoryPlanTests {
    /// A step of a plan, as `EXPLAIN (ANALYZE, FORMAT JSON)` tells it.
    private struct Step {
        let kind: String
        let relation: String?
        let index: String?
        /// All loops together.
        let rows: Int
        let removed: Int
        /// Of 8 KiB, with those of the steps below it.
        let pages: Int
        let steps: [Step]

        init(_ json: [String: Any]) throws {
            func integer(_ name: String) -> Int { (json[name] as? NSNumber)?.intValue ?? 0 }
            kind = try #require(json["Node Type"] as? String)
            relation = json["Relation Name"] as? String
            index = json["Index Name"] as? String
            rows = integer("Actual Rows") * integer("Actual Loops")
            removed = integer("Rows Removed by Filter") + integer("Rows Removed by Index Recheck")
            pages = integer("Shared Hit Blocks") + integer("Shared Read Blocks")
            steps = try (json["Plans"] as? [[String: Any]] ?? []).map(Step.init)
        }

        var all: [Step] { [self] + steps.flatMap(\.all) }
    }

    /// 2,000 accounts with 60,000 movements between them, and one with 20,000 debits and 20,000 credits more.
    private func filled() throws -> TestDatabase {
        let database = try TestDatabase()
        _ = try SchemaMigrator(connection: database.connection).run()
        try database.connection.run(
            """
            INSERT INTO sluice.tenant (name, partition) VALUES ('demo', 0);
            INSERT INTO sluice.account (number, tenant_id, id, currency, kind, overdraft_limit, posted, held, sequence, revision, opened_at,
                changed_at)
            SELECT n, (SELECT id FROM sluice.tenant), 'a-' || n, 'CZK', 1, 0, 0, 0, 0, 1, now(), now() FROM generate_series(1, 2000) n;
            CREATE TEMPORARY TABLE made AS
            SELECT n, gen_random_uuid() AS id, CASE WHEN n > 60000 AND n % 2 = 0 THEN 1 ELSE 2 + n % 999 END AS debit,
                CASE WHEN n > 60000 AND n % 2 = 1 THEN 1 ELSE 1001 + n % 997 END AS credit
            FROM generate_series(1, 100000) n;
            INSERT INTO sluice.payment (id, tenant_id, fingerprint, debit, credit, amount, currency, reference, status, accepted_at,
                decided_at, revision, debit_account, log_partition, log_offset)
            SELECT id, (SELECT id FROM sluice.tenant), id, 'a-' || debit, 'a-' || credit, 1, 'CZK', 'order-' || n, 1, now(), now(), 1,
                debit, 0, n
            FROM made;
            INSERT INTO sluice.movement
            SELECT id, debit, credit, 1, row_number() OVER (PARTITION BY debit ORDER BY n) * 2,
                row_number() OVER (PARTITION BY credit ORDER BY n) * 2 + 1, 0, 0, 2, 2, now()
            FROM made
            """)
        try database.connection.run("VACUUM ANALYZE")
        return database
    }

    /// The plan that every execution of the prepared statement has: it does not know the account, nor how long the page is.
    private func plan(before: Int64, limit: Int, _ database: TestDatabase) throws -> Step {
        let key = AccountKey(tenant: TenantID(1), account: try #require(AccountID("a-1")))
        let query = ReadQueries.transactions(of: key, before: before, limit: limit)
        // As the servers that come with the source have it.
        try database.connection.run("SET plan_cache_mode = force_generic_plan; SET random_page_cost = 1.1; SET jit = off")
        try database.connection.run("PREPARE page (bigint, text, bigint, integer) AS \(query.statement.sql)")
        let rows = try database.connection.query(
            "EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) EXECUTE page (1, 'a-1', \(before), \(limit))")
        let json = try JSONSerialization.jsonObject(with: Data((0..<rows.count).map { rows.text($0, 0) }.joined().utf8))
        return try Step(#require((json as? [[String: Any]])?.first?["Plan"] as? [String: Any]))
    }

    @Test func `an entry whose payment is gone still tells of its counterparty`() throws {
        let database = try filled()
        try database.connection.run("DELETE FROM sluice.payment WHERE debit = 'a-1'")
        let key = AccountKey(tenant: TenantID(1), account: try #require(AccountID("a-1")))
        let query = ReadQueries.transactions(of: key, before: .max, limit: 4)
        let rows = try database.connection.query(query.statement.sql, query.parameters)
        let page = try #require(ReadQueries.transactions(rows))
        #expect(page.entries.count == 4)
        for entry in page.entries {
            #expect((entry.reference == nil) == entry.isDebit)
            let number = try #require(Int(entry.counterparty.text.dropFirst(2)))
            #expect(entry.isDebit ? number >= 1_001 : (2...1_000).contains(number), "\(entry)")
        }
    }

    @Test(arguments: [Int64.max, 20_000])
    func `an uncached page is read along the two indexes of its account, and no further than the page`(before: Int64) throws {
        let limit = 51
        let steps = try plan(before: before, limit: limit, filled()).all
        #expect(steps[0].rows == limit)
        let movements = steps.filter { $0.relation == "movement" }
        #expect(Set(movements.compactMap(\.index)) == ["movement_debit", "movement_credit"])
        #expect(movements.count == 2)
        for step in movements { #expect(step.kind == "Index Scan" && step.rows <= limit && step.removed == 0, "\(step)") }
        for step in steps {
            #expect(!["Seq Scan", "Bitmap Heap Scan", "Hash", "Materialize"].contains(step.kind), "\(step)")
            // What both legs give may be sorted, and the page that was made of it.
            if step.kind.hasSuffix("Sort") { #expect(step.steps.reduce(0) { $0 + $1.rows } <= 2 * limit, "\(step)") }
        }
        #expect(steps.count { $0.kind == "Limit" } == 3)
        // A few for each row of the page and its payment; the table has more than a thousand.
        #expect(steps[0].pages < 7 * limit, "\(steps[0].pages) pages")
    }
}
