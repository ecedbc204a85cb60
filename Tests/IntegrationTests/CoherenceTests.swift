import Foundation
import Glibc
import Testing

extension WholeSystem {
    /// What Redis and the gateways hold is old, and nobody may believe it for long.
    @Suite struct Coherence {
        private let gateways = ["gateway-a", "gateway-b"]

        /// Reads an account at both gateways until it is a copy in both.
        private func warm(_ scene: Scene, _ account: String) throws {
            for gateway in gateways {
                let client = try scene.system.client(at: gateway)
                for _ in 0..<8 { #expect(try client.get("/v1/accounts/\(account)").status == 200) }
            }
        }

        /// What is shown at each gateway, without a token.
        private func shown(_ scene: Scene, _ account: String) throws -> [JSON] {
            try gateways.map { gateway in
                let read = try scene.system.client(at: gateway).get("/v1/accounts/\(account)")
                #expect(read.status == 200, "\(read)")
                return read.json
            }
        }

        private func expectAll(
            _ scene: Scene, _ account: String, sourceLocation: SourceLocation = #_sourceLocation, _ isRight: (JSON) -> Bool
        ) throws {
            let wrong = try shown(scene, account).filter { !isRight($0) }
            #expect(wrong.isEmpty, "\(wrong.map { "\($0.value ?? "")" })", sourceLocation: sourceLocation)
        }

        /// With Redis frozen, pays 5 into an account that has 10; nobody but Redis's own copies says 10 afterwards.
        private func payFive(from world: String, to shop: String, _ scene: Scene) throws {
            let accepted = try scene.client.pay(5, from: world, to: shop, wait: nil)
            #expect(accepted.status == 202, "\(accepted)")
            let tables = LedgerTables(system: scene.system)
            let isSettled = try eventually(seconds: 10) { try tables.movements(to: shop).sum == 15 }
            #expect(isSettled)
            usleep(1_500_000)
        }

        /// Wakes Redis while the worker cannot catch up, so that what it has is what it had: it is not shown.
        private func expectNotBelieved(_ redis: pid_t, _ shop: String, _ scene: Scene) throws {
            try scene.system.whileFrozen("worker-1") {
                ProcessTree.thaw(redis)
                let end = Moment.now.advanced(bySeconds: 2.5)
                while Moment.now < end { try expectAll(scene, shop) { $0.posted.int == 15 } }
            }
            try scene.system.waitUntilHealthy()
        }

        @Test func `a balance that is read again comes from the process, and its change is seen at the other gateway`() throws {
            let scene = try Scene()
            let world = try scene.world()
            let shop = try scene.open("shop")
            // The lease and the tracking stand soon after the start.
            let isNear = try eventually(seconds: 20) {
                let before = try scene.system.gatewaySum("sluice_gateway_near_hits_total")
                try warm(scene, shop)
                return try scene.system.gatewaySum("sluice_gateway_near_hits_total") >= before + 8
            }
            #expect(isNear)
            for round in 1...20 {
                let payment = try scene.system.client(at: "gateway-a").pay(1, from: world, to: shop)
                #expect(payment.status == 201, "\(payment)")
                let told = Moment.now
                let isSeen = try eventually(seconds: 2, everyMilliseconds: 1) {
                    try shown(scene, shop).allSatisfy { $0.posted.int == round }
                }
                #expect(isSeen)
                #expect(told.secondsAgo < 0.5, "the old balance was shown for \(told.secondsAgo) s")
            }
        }

        /// What a worker leaves behind that dies between a commit and its publication: a newer row, and nobody who knows.
        @Test func `a commit that its worker did not live to publish is shown once its lease has run out`() throws {
            let scene = try Scene()
            let world = try scene.world()
            let shop = try scene.open("shop")
            #expect(try scene.client.pay(10, from: world, to: shop).status == 201)
            try warm(scene, shop)
            let before = try scene.system.gatewaySum("sluice_gateway_cache_unbelieved_total")
            try scene.system.whileFrozen("worker-1") {
                let tables = LedgerTables(system: scene.system)
                // The command is in the log, and what it changes is committed with its outcome and the offset, as a worker does it.
                let accepted = try scene.client.change(account: shop, "limit", "{\"overdraft_limit\":77}", wait: nil)
                #expect(accepted.status == 202, "\(accepted)")
                let record = try #require(
                    try LogReader(scene.system).records().last { $0.value.hasPrefix("{\"type\":\"set_limit\",\"account\":\"\(shop)\"") })
                _ = try tables.rows(
                    """
                    WITH changed AS (
                        UPDATE sluice.account SET overdraft_limit = 77, revision = revision + 1 WHERE id = '\(shop)'
                        RETURNING tenant_id, id, revision),
                    moved AS (UPDATE sluice.kafka_offset SET next_offset = \(record.offset + 1) WHERE partition = \(record.partition))
                    INSERT INTO sluice.operation (id, tenant_id, fingerprint, kind, account_id, setting, account_revision, decided_at,
                        log_partition, log_offset)
                    SELECT '\(record.headers["id"] ?? "")', tenant_id, '\(record.headers["fingerprint"] ?? "")', 5, id, 77, revision, now(),
                        \(record.partition), \(record.offset) FROM changed
                    """)
                // A lease's life, a gateway's look at it, and the replica's way.
                usleep(1_600_000)
                for _ in 0..<50 { try expectAll(scene, shop) { $0.overdraft_limit.int == 77 } }
                #expect(try scene.system.gatewaySum("sluice_gateway_cache_unbelieved_total") > before)
            }
            try scene.system.waitUntilHealthy()
            // Its next change, by a worker that had not heard of this one, is a change of the newer row.
            #expect(try scene.client.pay(5, from: world, to: shop).status == 201)
            #expect(try scene.posted(shop, minRevision: 4) == 15)
            try expectLedgerIsSound(scene.system)
        }

        @Test func `a Redis that was frozen comes back old, and is not believed`() throws {
            let scene = try Scene()
            let world = try scene.world()
            let shop = try scene.open("shop")
            #expect(try scene.client.pay(10, from: world, to: shop).status == 201)
            try warm(scene, shop)
            let redis = try scene.system.pid("redis")
            ProcessTree.freeze(redis)
            defer { ProcessTree.thaw(redis) }
            try payFive(from: world, to: shop, scene)
            try expectNotBelieved(redis, shop, scene)
            let isCached = try eventually(seconds: 5) {
                let hits = try scene.system.gatewaySum("sluice_gateway_near_hits_total")
                try expectAll(scene, shop) { $0.posted.int == 15 }
                return try scene.system.gatewaySum("sluice_gateway_near_hits_total") > hits
            }
            #expect(isCached, "not cached again within 5 s")
        }

        /// A renewal of the lease is on its way as Redis freezes, and is carried out as it wakes: by then the ledger has moved on.
        @Test func `what was sent to a Redis before it froze vouches for nothing that came after`() throws {
            let scene = try Scene()
            let world = try scene.world()
            let shop = try scene.open("shop")
            #expect(try scene.client.pay(10, from: world, to: shop).status == 201)
            try warm(scene, shop)
            let redis = try scene.system.pid("redis")
            ProcessTree.freeze(redis)
            defer { ProcessTree.thaw(redis) }
            // The worker has given the connection up, and its next one cannot be used yet.
            usleep(2_000_000)
            try payFive(from: world, to: shop, scene)
            try expectNotBelieved(redis, shop, scene)
            #expect(try scene.posted(shop) == 15)
        }

        @Test func `an emptied Redis takes nothing from a replica that is behind`() throws {
            let scene = try Scene()
            let world = try scene.world()
            let shop = try scene.open("shop")
            #expect(try scene.client.pay(10, from: world, to: shop).status == 201)
            try warm(scene, shop)
            try scene.system.whileReplicaIsStale {
                let payment = try scene.client.pay(5, from: world, to: shop)
                #expect(payment.status == 201, "\(payment)")
                // Floors and bodies are gone, and the replica knows the old balance only.
                #expect(try scene.system.redis("FLUSHALL") == "OK")
                for _ in 0..<20 { _ = try shown(scene, shop) }
            }
            // The replica catches up: nothing it said meanwhile may have stayed.
            let revision = 3
            let isCaught = try eventually(seconds: 10) {
                try LedgerTables(system: scene.system).movements(to: shop).sum == 15
                    && scene.client.get("/v1/accounts/\(shop)?min_revision=\(revision)").json.posted.int == 15
            }
            #expect(isCaught)
            usleep(1_000_000)
            for _ in 0..<50 { try expectAll(scene, shop) { $0.posted.int == 15 } }
            try scene.system.waitUntilHealthy()
        }

        @Test func `a final outcome is told only once no failover can take it back`() throws {
            let scene = try Scene()
            let world = try scene.world()
            let shop = try scene.open("shop")
            let id = try scene.system.whileFrozen("postgres-standby") {
                // The read replica gets the commit from the primary before the standby has it, and shows it.
                let key = newKey()
                let waited = try scene.client.pay(1, from: world, to: shop, key: key, wait: 3)
                #expect(waited.status == 202, "\(waited)")
                let id = try #require(waited.json.id.string)
                // Nor does who has read it there hand it on as final.
                let isShown = try eventually(seconds: 2) {
                    try gateways.allSatisfy {
                        try scene.system.client(at: $0).get("/v1/payments/\(id)").json.status.string == "settled"
                    }
                }
                #expect(isShown)
                let repeated = try scene.client.pay(1, from: world, to: shop, key: key, wait: 1)
                #expect(repeated.status == 202, "\(repeated)")
                return id
            }
            #expect(try scene.final(id).status.string == "settled")
            try scene.system.waitUntilHealthy()
        }

        @Test func `opening an account is visible at once to its opener, although others have looked for it`() throws {
            let scene = try Scene()
            let id = scene.id("later")
            for gateway in gateways {
                let client = try scene.system.client(at: gateway)
                for _ in 0..<5 { #expect(try client.get("/v1/accounts/\(id)").status == 404) }
            }
            try scene.open("later")
            let isSeen = try eventually(seconds: 1, everyMilliseconds: 1) {
                try gateways.allSatisfy { try scene.system.client(at: $0).get("/v1/accounts/\(id)").json.id.string == id }
            }
            #expect(isSeen)
            #expect(try scene.client.get("/v1/accounts/\(id)?min_revision=1").status == 200)
        }

        @Test func `a gateway holds as many database connections as its threads account for, and no more are begun`() throws {
            let scene = try Scene()
            _ = try scene.world()
            // Two threads, each with a session for reads and one for lists.
            let held = try LedgerTables(system: scene.system).count(
                "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'gateway-a'")
            #expect(held == 4)
            let started = try scene.system.sluice(
                ["gateway", "--threads", "64", "--listen", "127.0.0.1:1", "--admin", "127.0.0.1:0"], seconds: 10)
            #expect(started.code == 2)
            #expect((started.output + started.errors).contains("SLUICE_SERVER_CONNECTIONS"), "\(started)")
        }

        @Test func `all gateways together have the connections that their role is allowed, and the worker has its own`() throws {
            let scene = try Scene()
            let world = try scene.world()
            let tables = LedgerTables(system: scene.system)
            let held = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'sluice_gateway'"
            let before = try tables.count(held)
            #expect(before == 8, "two gateways of two threads")
            let database = (scene.system.settings["SLUICE_DATABASE"] ?? "").replacingOccurrences(
                of: "user=sluice", with: "user=sluice_gateway")
            _ = try tables.rows("ALTER ROLE sluice_gateway CONNECTION LIMIT \(before)", asSuperuser: true)
            defer { _ = try? tables.rows("ALTER ROLE sluice_gateway CONNECTION LIMIT 200", asSuperuser: true) }
            let third = try SpareGateway("near_bytes=0", ["SLUICE_DATABASE=\(database)", "SLUICE_REPLICAS="], waits: false)
            let end = Moment.now.advanced(bySeconds: 2)
            var most = 0
            while Moment.now < end {
                most = max(most, try tables.count(held))
                usleep(20_000)
            }
            #expect(most == before)
            #expect(try APIClient(third.admin, key: nil).get("/readyz").status == 503)
            #expect(try scene.client.pay(5, from: world, to: scene.open("shop")).status == 201)
            _ = try tables.rows("ALTER ROLE sluice_gateway CONNECTION LIMIT 200", asSuperuser: true)
            let isReady = try eventually(seconds: 20) { try APIClient(third.admin, key: nil).get("/readyz").status == 200 }
            #expect(isReady)
            // And they may only read.
            #expect(
                try run("/usr/bin/psql", ["-qX", "-d", database, "-c", "DELETE FROM sluice.payment"]).errors.contains("permission denied"))
        }

        @Test func `the primary's budget is exported, and a tenant that takes all it gets leaves another his share`() throws {
            let other = try #require(try newTenantsClient().key)
            // Without a replica every read that misses is the primary's.
            let gateway = try SpareGateway("primary_reads_per_second=40", ["SLUICE_REPLICAS="])
            #expect(try gateway.metric(exactly: "sluice_primary_budget_reads_per_second{use=\"reads\"}") == 40)
            // Each of them asks for accounts that nobody knows, so that no copy answers.
            let stop = Moment.now.advanced(bySeconds: 3)
            let (endpoint, keys) = (gateway.endpoint, [gateway.key, other])
            let statuses = try concurrently(2) { number in
                var seen: [Int: Int] = [:]
                let client = APIClient(endpoint, key: keys[number])
                var round = 0
                while Moment.now < stop {
                    round += 1
                    seen[try client.get("/v1/accounts/nobody-\(UUID().uuidString.prefix(8))-\(round)").status, default: 0] += 1
                    if number == 1 { usleep(100_000) }
                }
                return seen
            }
            #expect((statuses[0][503] ?? 0) > 100 && (statuses[0][404] ?? 0) > 30, "\(statuses)")
            #expect(statuses[1][503] == nil && (statuses[1][404] ?? 0) > 10, "\(statuses)")
            let isCounted = try eventually(seconds: 2) {
                try gateway.metric(exactly: "sluice_primary_budget_refused_total{use=\"reads\",reason=\"over_share\"}") > 50
            }
            #expect(isCounted)
        }

        @Test func `a page that is read again comes from the process, and a new entry makes a new page`() throws {
            let scene = try Scene()
            let world = try scene.world()
            let shop = try scene.open("shop")
            for round in 1...3 {
                let payment = try scene.client.pay(round, from: world, to: shop)
                let revision = try #require(payment.json.credit_result.revision.int, "\(payment)")
                let client = try scene.system.client(at: "gateway-a")
                // The balance is what names the page: somebody has asked for it.
                #expect(try client.get("/v1/accounts/\(shop)?min_revision=\(revision)").status == 200)
                let target = "/v1/accounts/\(shop)/transactions?limit=20&min_revision=\(revision)"
                let first = try client.get(target)
                let asked = try scene.system.gatewaySum("sluice_replica_other_reads_total")
                for _ in 0..<20 {
                    let again = try client.get(target)
                    #expect(again.text == first.text)
                    #expect(again["etag"] == "\"R\(revision)\"")
                }
                #expect(try scene.system.gatewaySum("sluice_replica_other_reads_total") - asked <= 1)
                #expect(first.json.data.list.count == round)
            }
        }
    }
}
