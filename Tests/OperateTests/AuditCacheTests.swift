import Bytes
import Ledger
import Postgres
import Redis
import Store
import Testing
import Wire

@testable import Operate
@testable import TestSupport

/// Redis beside the ledger, with a real Redis.
@Suite struct AuditCacheTests {
    /// What a worker or a gateway would have put there.
    private func put(_ redis: RedisConnection, _ key: String, _ revision: Int64, _ body: [UInt8]) throws {
        var value: [UInt8] = []
        CacheValue.append(revision: revision, body: body.span, to: &value)
        #expect(try redis.command([Array("SET".utf8), Array(key.utf8), value]) == .status("OK"))
    }

    private func account(_ world: AuditWorld, _ id: String) throws -> (revision: Int64, body: [UInt8]) {
        let query = LearnQueries.accounts([AccountKey(tenant: world.tenant, account: AccountID(id)!)])
        let account = AccountColumns.account(try world.connection.query(query.statement.sql, query.parameters), 0)
        var body: [UInt8] = []
        body.append(account)
        return (account.revision, body)
    }

    @Test func `values that PostgreSQL has are clean and others are found and named`() throws {
        let world = try AuditWorld()
        try world.fill()
        try withServer { server in
            let configuration = RedisConfiguration(endpoint: server.endpoint)
            let redis = try RedisConnection(configuration)
            let tenant = "{\(world.tenant.rawValue)}"
            let alice = try account(world, "alice")
            let bob = try account(world, "bob")
            let query = LearnQueries.payments([world.envelopes[7].id])
            let payment = PaymentColumns.payment(try world.connection.query(query.statement.sql, query.parameters), 0)
            var body: [UInt8] = []
            body.append(payment)

            try put(redis, "a:\(tenant):alice", alice.revision, alice.body)
            try put(redis, "a:\(tenant):bob", bob.revision - 1, bob.body)
            try put(redis, "a:\(tenant):carol", 5, [])
            try put(redis, "a:\(tenant):nobody", 0, [UInt8(ascii: "-")])
            try put(redis, "p:\(tenant):\(payment.id)", payment.revision, body)
            try put(redis, "m:\(tenant):\(payment.id)", 7, [])
            let clean = try world.audit(redis: configuration)
            #expect(clean.isClean && clean.checks.last?.looked == 5)
            #expect(clean.checks.last?.notes.first?.hasPrefix("1 values are older") == true)

            try put(redis, "a:\(tenant):alice", alice.revision + 1, alice.body)
            try put(redis, "a:\(tenant):bob", bob.revision, alice.body)
            try put(redis, "a:\(tenant):ghost", 1, alice.body)
            try put(redis, "a:\(tenant):carol", 1_000, [])
            try put(redis, "p:\(tenant):\(payment.id)", payment.revision, alice.body)
            try put(redis, "p:{99}:\(payment.id)", payment.revision, body)
            _ = try redis.command(["SET", "a:\(tenant):dave", "rubbish"])
            let found = try world.findings(redis: configuration)
            #expect(
                Set(found) == [
                    "cache: a:\(tenant):alice: is in Redis at revision \(alice.revision + 1), and PostgreSQL has \(alice.revision)",
                    "cache: a:\(tenant):bob: differs from PostgreSQL at revision \(bob.revision)",
                    "cache: a:\(tenant):ghost: is in Redis at revision 1, and PostgreSQL has none",
                    "cache: a:\(tenant):carol: is in Redis at revision 1000, and PostgreSQL has 5",
                    "cache: a:\(tenant):dave: is no value of ours",
                    "cache: p:\(tenant):\(payment.id): differs from PostgreSQL at revision \(payment.revision)",
                    "cache: p:{99}:\(payment.id): is in Redis at revision \(payment.revision), and PostgreSQL has none",
                ])
        }
    }

    @Test func `many values are read in parts`() throws {
        let world = try AuditWorld()
        try world.apply((0..<2_500).map { world.open("a\($0)") })
        try withServer { server in
            let configuration = RedisConfiguration(endpoint: server.endpoint)
            let redis = try RedisConnection(configuration)
            for number in 0..<2_500 { try put(redis, "a:{\(world.tenant.rawValue)}:a\(number)", number == 1_234 ? 9 : 1, []) }
            let check = try #require(try world.audit(redis: configuration).checks.last)
            #expect(check.looked >= 2_500 && check.findings == 1 && check.first[0].subject.hasSuffix(":a1234"))
        }
    }
}
