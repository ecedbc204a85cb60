import Foundation
import Glibc
import Testing

extension WholeSystem {
    /// Reads when what they go by is old, lost, or asked for by nobody any more.
    @Suite struct ReadFaults {
        /// What a Redis has that was frozen while a payment was captured: the payment as it was, and no lease.
        @Test func `an old state of a payment in Redis is not shown while no worker vouches for it`() throws {
            let scene = try Scene()
            try scene.world()
            let (payer, shop) = (try scene.funded("payer", 100), try scene.open("shop"))
            let id = try #require(try scene.client.hold(80, from: payer, to: shop).json.id.string)
            let isCached = try eventually(seconds: 5) { try !scene.system.redis("--scan", "--pattern", "p:*:\(id)").isEmpty }
            try #require(isCached)
            let key = try scene.system.redis("--scan", "--pattern", "p:*:\(id)")
            #expect(try scene.system.redis("COPY", key, "test:\(id)") == "1")
            #expect(try scene.client.change(payment: id, "capture").status == 201)
            try scene.system.whileFrozen("worker-1") {
                // A lease's life, and a gateway's look at it.
                usleep(1_300_000)
                #expect(try scene.system.redis("COPY", "test:\(id)", key, "REPLACE") == "1")
                let before = try scene.system.gatewaySum("sluice_gateway_cache_unbelieved_total")
                for gateway in ["gateway-a", "gateway-b"] {
                    let client = try scene.system.client(at: gateway)
                    for _ in 0..<10 {
                        let read = try client.get("/v1/payments/\(id)")
                        #expect(read.json.status.string == "settled" && read["etag"] == "\"R2\"", "\(read)")
                    }
                }
                #expect(try scene.system.gatewaySum("sluice_gateway_cache_unbelieved_total") > before)
                // The gateways have not put anything in its place either: nobody vouches for that.
                #expect(try scene.system.redis("GET", key).hasPrefix("1"))
                try scene.system.redis("DEL", key, "test:\(id)")
            }
            try scene.system.waitUntilHealthy()
            #expect(try scene.client.get("/v1/payments/\(id)").json.captured.int == 80)
        }

        @Test func `a hot key that Redis has lost costs one query a loop, however many ask`() throws {
            let scene = try Scene()
            let shop = try scene.open("shop")
            let count = try raiseFileLimit(toHold: 3_000)
            let endpoint = try scene.system.gateway("gateway-a")
            let request = "GET /v1/accounts/\(shop) HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer \(scene.system.demoKey)\r\n\r\n"
            let connections = try (0..<count).map { _ in try HTTPConnection(endpoint) }
            func askAll() throws {
                for connection in connections { try connection.send(request) }
                for connection in connections { #expect(try connection.receive().status == 200) }
            }
            try askAll()
            let gateway = try scene.system.pid("gateway-a")
            let losses = 3
            let asked = try (0..<losses).map { _ in
                // Every one of the requests stands in the sockets before the loops see the first.
                let misses = try scene.system.gatewaySum("sluice_gateway_cache_misses_total")
                ProcessTree.freeze(gateway)
                defer { ProcessTree.thaw(gateway) }
                try scene.system.redis("EVAL", "return redis.call('DEL', unpack(redis.call('KEYS', 'a:*')))", "0")
                for connection in connections { try connection.send(request) }
                ProcessTree.thaw(gateway)
                for connection in connections { #expect(try connection.receive().status == 200) }
                return try scene.system.gatewaySum("sluice_gateway_cache_misses_total") - misses
            }
            #expect(asked.allSatisfy { $0 <= 2 } && asked.reduce(0, +) > 0, "\(asked) queries for each loss by two loops")
        }

        /// Raises the limit of open files; returns how many connections of `wanted` it allows.
        private func raiseFileLimit(toHold wanted: Int) throws -> Int {
            var limit = rlimit()
            #expect(unsafe getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0)
            limit.rlim_cur = min(limit.rlim_max, rlim_t(wanted + 1_000))
            #expect(unsafe setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0)
            return min(wanted, Int(limit.rlim_cur) / 2)
        }

        @Test func `while Redis answers errors reads are answered, and soon after from the caches again`() throws {
            let scene = try Scene()
            let world = try scene.world()
            let shop = try scene.open("shop")
            func allow(_ sign: String) throws {
                let commands = ["get", "mget", "set", "fcall", "fcall_ro", "pexpire"].map { sign + $0 }
                for user in ["sluice_gateway", "sluice_worker"] {
                    #expect(try scene.system.redis(["ACL", "SETUSER", user] + commands) == "OK")
                }
            }
            defer { try? allow("+") }
            try allow("-")
            let id = try #require(try scene.client.pay(7, from: world, to: shop, wait: nil).json.id.string)
            #expect(try scene.final(id).status.string == "settled")
            let end = Moment.now.advanced(bySeconds: 1.5)
            while Moment.now < end {
                let read = try scene.client.get("/v1/accounts/\(shop)/balance?min_revision=2")
                #expect(read.status == 200 && read.json.posted.int == 7, "\(read)")
                #expect(try scene.client.get("/v1/payments/\(id)").status == 200)
            }
            try allow("+")
            let isCached = try eventually(seconds: 5) {
                let before = try scene.system.gatewaySum("sluice_gateway_near_hits_total")
                for _ in 0..<4 { #expect(try scene.client.get("/v1/accounts/\(shop)").json.posted.int == 7) }
                return try scene.system.gatewaySum("sluice_gateway_near_hits_total") > before
            }
            #expect(isCached, "not cached again within 5 s")
            try scene.system.waitUntilHealthy()
        }

        @Test func `without replicas and past the primary's budget a read is told to come again, and payments settle`() throws {
            let scene = try Scene()
            let world = try scene.world()
            let shop = try scene.open("shop")
            let gateway = try SpareGateway("primary_reads_per_second=2", ["SLUICE_REPLICAS="])
            let client = APIClient(gateway.endpoint, key: gateway.key)
            var refused = 0
            for round in 1...20 {
                let read = try client.get("/v1/accounts/\(scene.id("nobody-\(round)"))")
                if read.status == 503 {
                    refused += 1
                    #expect(read["retry-after"] == "1" && read.problemCode == "service_unavailable", "\(read)")
                } else {
                    #expect(read.status == 404, "\(read)")
                }
                if round % 5 == 0 { #expect(try client.pay(1, from: world, to: shop).status == 201) }
            }
            #expect(refused > 10)
            #expect(try LedgerTables(system: scene.system).movements(to: shop) == (4, 4))
        }

        @Test func `nobody goes on asking for a client that has left`() throws {
            let scene = try Scene()
            let shop = try scene.open("shop")
            let gateway = try SpareGateway("revision_wait_milliseconds=1500")
            func send(_ target: String) throws -> HTTPConnection {
                let connection = try HTTPConnection(gateway.endpoint)
                try connection.send("GET \(target) HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer \(gateway.key)\r\n\r\n")
                return connection
            }
            let primary = "sluice_replica_reads_total{server=\"primary\"}"
            let before = try gateway.metric(exactly: primary)
            // A revision that the account never reaches: the replica is asked again and again, and then the primary.
            var reads = try (0..<5).map { _ in try send("/v1/accounts/\(shop)?min_revision=99") }
            // A payment that nobody has made, with the longest wait.
            reads += try (0..<5).map { try send("/v1/payments/\(String(repeating: "\($0)", count: 32))?wait=10") }
            let isWaiting = try eventually(seconds: 5) { try gateway.metric("sluice_gateway_parked_clients") == 5 }
            #expect(isWaiting)
            let left = Moment.now
            reads = []
            let isOver = try eventually(seconds: 5) {
                try gateway.metric("sluice_gateway_reads_abandoned_total") == 10 && gateway.metric("sluice_gateway_parked_clients") == 0
            }
            #expect(isOver && left.secondsAgo < 3)
            #expect(try gateway.metric(exactly: primary) == before)
            // One that only ends its side is answered what is known, at once.
            let half = try send("/v1/payments/\(String(repeating: "a", count: 32))?wait=10")
            half.finishSending()
            #expect(try half.receive().status == 404)
            #expect(left.secondsAgo < 6)
            // And one that stays is answered by the primary.
            #expect(try send("/v1/accounts/\(shop)?min_revision=99").receive().status == 409)
            #expect(try gateway.metric(exactly: primary) == before + 1)
        }

        /// Nobody reads or writes an entry for so long, on the primary and on the replica. Returns once that is so.
        private func lockMovements(_ system: SystemUnderTest, seconds: Int) throws -> GuardedProcess {
            let tables = LedgerTables(system: system)
            // The lock comes to the replica by the log, and holds up who reads there as it does on the primary.
            let lock = try GuardedProcess(
                "/usr/bin/psql",
                [
                    "--no-psqlrc", "-qX", "-d", tables.superuser, "-c",
                    "BEGIN; LOCK TABLE sluice.movement IN ACCESS EXCLUSIVE MODE; SELECT pg_sleep(\(seconds))",
                ], output: "/dev/null")
            let isLocked = try eventually(seconds: 4) {
                // Any commit, which takes what is in the log before it along.
                _ = try tables.rows("SELECT txid_current()")
                return try tables.rows(
                    "SELECT 1 FROM pg_locks WHERE relation = 'sluice.movement'::regclass AND mode = 'AccessExclusiveLock' AND granted",
                    on: system.settings["SLUICE_REPLICAS"]
                ).count == 1
            }
            #expect(isLocked)
            return lock
        }

        /// Histories have sessions of their own: however many of those wait for a server, balances do not wait behind them.
        @Test func `histories that a database is slow to read delay no balance`() throws {
            let scene = try Scene()
            let accounts = try (0..<40).map { try scene.open("account-\($0)") }
            let gateway = try SpareGateway("query_milliseconds=12000")
            let client = APIClient(gateway.endpoint, key: gateway.key)
            try scene.system.redis("EVAL", "return redis.call('DEL', unpack(redis.call('KEYS', 'a:*')))", "0")
            func sendHistory(_ number: Int) throws -> HTTPConnection {
                let connection = try HTTPConnection(gateway.endpoint)
                let target = "/v1/accounts/\(accounts[number])/transactions?limit=7"
                try connection.send("GET \(target) HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer \(gateway.key)\r\n\r\n")
                return connection
            }
            let tables = LedgerTables(system: scene.system)
            let waiting =
                "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'spare-%' AND wait_event_type = 'Lock' "
                + "AND query LIKE '%movement%'"
            func stuck(on server: String?) throws -> Bool {
                try eventually(seconds: 4) { try tables.rows(waiting, asSuperuser: server == nil, on: server) == [["1"]] }
            }
            /// Of accounts that nobody has asked for: no cache has them.
            func readBalances(_ numbers: Range<Int>) throws {
                let misses = try gateway.metric("sluice_gateway_cache_misses_total")
                var slowest = 0.0
                for number in numbers {
                    let start = Moment.now
                    let read = try client.get("/v1/accounts/\(accounts[number])/balance")
                    #expect(read.status == 200 && read.json.posted.int == 0, "\(read)")
                    slowest = max(slowest, start.secondsAgo)
                }
                #expect(slowest < 0.5, "a balance took \(slowest) s")
                #expect(try gateway.metric("sluice_gateway_cache_misses_total") == misses + Double(numbers.count))
            }

            let lock = try lockMovements(scene.system, seconds: 8)
            defer { if lock.exitCode == nil { kill(lock.pid, SIGKILL) } }
            let locked = Moment.now
            // More than one session for balances could hide.
            var histories = try (20..<26).map(sendHistory)
            // Each server has one session for lists. The replica's answers no probe while it waits, and then the primary is asked.
            #expect(try stuck(on: scene.system.settings["SLUICE_REPLICAS"]))
            try readBalances(0..<10)
            usleep(1_200_000)
            histories += try (26..<32).map(sendHistory)
            #expect(try stuck(on: nil))
            try readBalances(10..<20)
            #expect(try tables.rows(waiting, on: scene.system.settings["SLUICE_REPLICAS"]) == [["1"]])
            #expect(locked.secondsAgo < 7, "the lock may have been over")
            // Of those past what the primary is asked for at once some were told to come again.
            let statuses = try histories.map { try $0.receive(answering: "GET").status }
            #expect(statuses.prefix(6).allSatisfy { $0 == 200 } && statuses.allSatisfy { [200, 503].contains($0) }, "\(statuses)")
            try scene.system.waitUntilHealthy()
        }

        @Test func `a history that a database is slow to read is stopped when its client leaves`() throws {
            let scene = try Scene()
            let world = try scene.world()
            let shop = try scene.funded("shop", 5)
            let gateway = try SpareGateway("query_milliseconds=8000")
            func send() throws -> HTTPConnection {
                let connection = try HTTPConnection(gateway.endpoint)
                try connection.send(
                    "GET /v1/accounts/\(shop)/transactions?limit=7 HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer \(gateway.key)\r\n\r\n")
                return connection
            }
            let lock = try lockMovements(scene.system, seconds: 5)
            defer { if lock.exitCode == nil { kill(lock.pid, SIGKILL) } }
            var reads = try (0..<3).map { _ in try send() }
            usleep(400_000)
            let left = Moment.now
            reads = []
            let cancelled = "sluice_replica_reads_cancelled_total{use=\"lists\"}"
            let isOver = try eventually(seconds: 3) {
                try gateway.metric(exactly: cancelled) == 1 && gateway.metric("sluice_gateway_reads_abandoned_total") == 3
            }
            #expect(isOver && left.secondsAgo < 2)
            #expect(reads.isEmpty)
            // One that stays is answered once the table can be read.
            let read = try send().receive(answering: "GET")
            #expect(read.status == 200 && read.json.data.list.count == 1, "\(read)")
            try scene.system.waitUntilHealthy()
            #expect(try scene.client.pay(1, from: world, to: shop).status == 201)
        }
    }
}
