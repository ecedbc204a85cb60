import Foundation
import Glibc
import Testing

extension WholeSystem {
    /// A gateway of its own, with small limits, and clients that mean no good.
    @Suite struct Attacks {
        @Test func `slow clients are closed in time, and good ones are served meanwhile`() throws {
            let gateway = try SpareGateway("request_milliseconds=1000;write_milliseconds=1000")
            let scene = try Scene()
            try scene.open("shop")
            let head = "Host: a\r\nAuthorization: Bearer \(gateway.key)\r\n"
            var slow: [HTTPConnection] = []
            for number in 0..<90 {
                let connection = try HTTPConnection(gateway.endpoint, timeoutSeconds: 10)
                switch number % 3 {
                case 0: try connection.send("GET /v1/accounts HTTP/1.1\r\n\(head)X-Slow: ")
                case 1:
                    try connection.send(
                        "POST /v1/payments HTTP/1.1\r\n\(head)Content-Length: 60000\r\n\r\n" + String(repeating: " ", count: 30_000))
                default: try connection.send("G")
                }
                slow.append(connection)
            }
            let start = Moment.now
            let client = APIClient(gateway.endpoint, key: gateway.key)
            var slowest = 0.0
            // A byte now and then does not help: the time is that of the whole request.
            while start.secondsAgo < 0.8 {
                let before = Moment.now
                #expect(try client.get("/v1/accounts/\(scene.id("shop"))/balance").status == 200)
                slowest = max(slowest, before.secondsAgo)
                for connection in slow { try? connection.send("x") }
                usleep(50_000)
            }
            #expect(slowest < 0.5)
            let statuses = slow.map { connection in (try? connection.receive(answering: "GET").status) ?? 0 }
            #expect(statuses == Array(repeating: 408, count: 90))
            #expect(start.secondsAgo < 5)
            let isOver = try eventually(seconds: 5) { try gateway.metric("sluice_http_connections") <= 1 }
            #expect(isOver)
            #expect(try gateway.metric("sluice_http_request_timeouts_total") == 90)
        }

        @Test func `one address gets its share of the connections, and the others wait for room`() throws {
            let gateway = try SpareGateway("connections=40;connections_per_address=20")
            var flood: [HTTPConnection] = []
            for _ in 0..<30 { flood.append(try HTTPConnection(gateway.endpoint, timeoutSeconds: 5)) }
            let isBounded = try eventually(seconds: 5) { try gateway.metric("sluice_http_address_refusals_total") == 10 }
            #expect(isBounded)
            #expect(try gateway.metric("sluice_http_connections") == 20)
            // A proxy on this machine is not counted by address, and fills what is left; who comes then waits in the kernel.
            var proxied: [HTTPConnection] = []
            for _ in 0..<25 { proxied.append(try HTTPConnection(gateway.socket, timeoutSeconds: 5)) }
            let isFull = try eventually(seconds: 5) { try gateway.metric("sluice_http_connections") == 40 }
            #expect(isFull)
            try proxied[24].send("GET /v1/accounts HTTP/1.1\r\nHost: a\r\n\r\n")
            usleep(300_000)
            #expect(!proxied[24].isStale)
            flood.removeAll()
            #expect(try proxied[24].receive(answering: "GET").status == 401)
        }

        /// What the tenant has done at the system's gateways counts for a spare one as well: there it is more than its small quota for the present
        /// second, and for one more.
        private func forgetWhatWasSpent() { usleep(2_400_000) }

        @Test func `a tenant has one quota at all gateways together`() throws {
            let gateways = try (0..<2).map { _ in try SpareGateway("tenant_reads_per_second=50") }
            let clients = gateways.map { APIClient($0.endpoint, key: $0.key) }
            forgetWhatWasSpent()
            let began = Moment.now
            var statuses: [Int: Int] = [:]
            while began.secondsAgo < 4 {
                for client in clients { statuses[try client.get("/v1/accounts/nobody").status, default: 0] += 1 }
                usleep(2_000)
            }
            let seconds = began.secondsAgo
            #expect(Set(statuses.keys) == [404, 429])
            // A second's worth at once, and once more at the gateway that had not heard of it yet. Each by itself would let in twice as many.
            let served = Double(statuses[404] ?? 0)
            #expect(served <= 50 * seconds + 120 && served >= 50 * seconds - 100, "\(statuses) in \(seconds) s")
            for gateway in gateways { #expect(try gateway.metric("sluice_gateway_requests_elsewhere_total") > 0) }
        }

        @Test func `a tenant beyond its quota is told so, and reads are not payments`() throws {
            let gateway = try SpareGateway("tenant_writes_per_second=5")
            let scene = try Scene()
            let (world, shop) = (try scene.world(), try scene.open("shop"))
            let client = APIClient(gateway.endpoint, key: gateway.key)
            forgetWhatWasSpent()
            let answers = try (0..<12).map { _ in try client.pay(1, from: world, to: shop, wait: nil) }
            let refused = answers.filter { $0.status == 429 }
            #expect(answers.filter { $0.status == 202 }.count + refused.count == 12)
            #expect((1...7).contains(refused.count), "\(answers.map(\.status))")
            for answer in refused {
                #expect(answer.problemCode == "too_many_requests" && answer["retry-after"] == "1")
                #expect(answer["ratelimit-policy"] == "\"writes\";q=5;w=1" && answer["ratelimit"] == "\"writes\";r=0;t=1")
            }
            #expect(try client.get("/v1/accounts/\(shop)/balance").status == 200)
            let isLetInAgain = try eventually(seconds: 3) { try client.pay(1, from: world, to: shop, wait: nil).status == 202 }
            #expect(isLetInAgain)
        }

        @Test func `a batch counts as its items, and is refused whole`() throws {
            let gateway = try SpareGateway("tenant_writes_per_second=10")
            let scene = try Scene()
            let (world, shop) = (try scene.world(), try scene.open("shop"))
            let client = APIClient(gateway.endpoint, key: gateway.key)
            forgetWhatWasSpent()
            // Each takes a second's quota, so hardly more than one a second is let in.
            let answers = try (0..<8).map { _ in
                let items = (0..<20).map { _ in
                    "{\"key\":\"\(newKey())\",\"debit\":\"\(world)\",\"credit\":\"\(shop)\",\"amount\":1,\"currency\":\"CZK\"}"
                }
                return try client.send("POST", "/v1/batches", [:], body: "{\"items\":[\(items.joined(separator: ","))]}")
            }
            let taken = answers.filter { $0.status == 200 }
            let refused = answers.filter { $0.status == 429 }
            #expect(taken.count + refused.count == 8 && !taken.isEmpty && !refused.isEmpty, "\(answers.map(\.status))")
            for answer in refused { #expect(answer["ratelimit"] == "\"writes\";r=0;t=1") }
            let tables = LedgerTables(system: scene.system)
            let isSettled = try eventually(seconds: 20) { try tables.movements(to: shop).count == 20 * taken.count }
            #expect(isSettled)
        }

        @Test func `with the ledger far behind the log new payments are refused at once, before the log, until it has caught up`() throws {
            let gateway = try SpareGateway("unsettled_milliseconds=1500")
            let scene = try Scene()
            let (world, shop) = (try scene.world(), try scene.open("shop"))
            let client = APIClient(gateway.endpoint, key: gateway.key)
            let early = newKey()
            try scene.system.whileFrozen("worker-1") {
                #expect(try client.pay(1, from: world, to: shop, key: early, wait: nil).status == 202)
                let isShut = try eventually(seconds: 10) { try client.pay(1, from: world, to: shop, wait: nil).status == 503 }
                try #require(isShut)
                let produced = try gateway.metric("sluice_gateway_commands_produced_total")
                for _ in 0..<20 {
                    let since = Moment.now
                    let refused = try client.pay(1, from: world, to: shop, wait: nil)
                    #expect(Moment.now.milliseconds(since: since) < 100)
                    #expect(refused.status == 503 && refused.problemCode == "not_accepted", "\(refused)")
                    #expect(refused["retry-after"] != nil)
                }
                #expect(try gateway.metric("sluice_gateway_commands_produced_total") == produced)
                // Readiness looks at the loops four times a second.
                let isTold = try eventually(seconds: 5) {
                    try APIClient(gateway.admin, key: nil).get("/readyz").text.contains("the ledger is behind the log")
                }
                #expect(isTold)
                // One that was accepted is never said to be refused, and what is there can be read.
                let again = try client.pay(1, from: world, to: shop, key: early, wait: nil)
                #expect(again.status == 504 && again.problemCode == "outcome_unknown", "\(again)")
                #expect(try client.get("/v1/accounts/\(shop)/balance").status == 200)
            }
            let isOpen = try eventually(seconds: 20) { try client.pay(1, from: world, to: shop, wait: nil).status == 202 }
            #expect(isOpen)
            let accepted = try gateway.metric("sluice_gateway_commands_accepted_total")
            let tables = LedgerTables(system: scene.system)
            let isSettled = try eventually(seconds: 20) { try Double(tables.movements(to: shop).count) == accepted }
            let settled = try tables.movements(to: shop).count
            #expect(isSettled, "\(accepted) were accepted, and \(settled) are in the ledger")
            try scene.system.waitUntilHealthy()
        }

        @Test func `without a descriptor a gateway neither spins nor ends, and goes on when there are some`() throws {
            let gateway = try SpareGateway("")
            let client = APIClient(gateway.endpoint, key: gateway.key)
            #expect(try client.get("/v1/accounts").status == 200)
            let used = try FileManager.default.contentsOfDirectory(atPath: "/proc/\(gateway.pid)/fd").count
            let before = try gateway.limitFiles(to: UInt(used))
            var waiting: [HTTPConnection] = []
            for _ in 0..<50 { waiting.append(try HTTPConnection(gateway.endpoint, timeoutSeconds: 5)) }
            try waiting[49].send("GET /v1/accounts HTTP/1.1\r\nHost: a\r\n\r\n")
            let cpu = try gateway.cpuTicks()
            usleep(1_000_000)
            // A hundred ticks are a second of a core.
            #expect(try gateway.cpuTicks() - cpu < 30)
            #expect(try client.get("/v1/accounts").status == 200)
            try gateway.limitFiles(to: before)
            #expect(try waiting[49].receive(answering: "GET").status == 401)
            #expect(try gateway.metric("sluice_http_descriptor_exhaustions_total") >= 1)
        }

        /// Nobody is left to be answered, so the gateway ends at once, and what it had asked of Redis fails then.
        @Test func `a stop is a clean one while a command of a client that has gone is still looked up`() throws {
            let scene = try Scene()
            let (world, shop) = (try scene.world(), try scene.open("shop"))
            for round in 0..<5 {
                let gateway = try SpareGateway("redis_milliseconds=2000")
                try scene.system.whileFrozen("redis") {
                    var client: HTTPConnection? = try HTTPConnection(gateway.endpoint, timeoutSeconds: 5)
                    let body = "{\"debit\":\"\(world)\",\"credit\":\"\(shop)\",\"amount\":1,\"currency\":\"CZK\"}"
                    try client?.send(
                        "POST /v1/payments HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer \(gateway.key)\r\nIdempotency-Key: \(newKey())\r\n"
                            + "Content-Type: application/json\r\nContent-Length: \(body.utf8.count)\r\n\r\n\(body)")
                    let isUnderWay = try eventually(seconds: 5) { try gateway.metric("sluice_gateway_commands") == 1 }
                    #expect(isUnderWay)
                    client?.endByReset()
                    client = nil
                    kill(gateway.pid, SIGTERM)
                    #expect(gateway.waitForEnd(seconds: 20) == 0, "round \(round)")
                }
            }
            try scene.system.waitUntilHealthy()
        }

        @Test func `a stop ends in time with an idle client, and a second signal ends it at once`() throws {
            let first = try SpareGateway("drain_idle_milliseconds=500")
            let idle = try HTTPConnection(first.endpoint, timeoutSeconds: 5)
            kill(first.pid, SIGTERM)
            usleep(100_000)
            #expect(try APIClient(first.admin, key: nil).get("/readyz").status == 503)
            try idle.send("GET /v1/accounts HTTP/1.1\r\nHost: a\r\n\r\n")
            let answer = try idle.receive(answering: "GET")
            #expect(answer.status == 401 && answer["connection"] == "close")
            #expect(first.waitForEnd(seconds: 6) == 0)

            let second = try SpareGateway("drain_idle_milliseconds=5000")
            let kept = try HTTPConnection(second.endpoint, timeoutSeconds: 5)
            kill(second.pid, SIGTERM)
            usleep(200_000)
            #expect(second.waitForEnd(seconds: 0) == nil)
            kill(second.pid, SIGTERM)
            #expect(second.waitForEnd(seconds: 2) == 1)
            _ = kept
        }

        @Test func `limits that cannot work end the start with a sentence`() throws {
            for (limits, word) in [("conections=5", "conections"), ("connections=0", "1 to 1000000"), ("drain_milliseconds=10", "drain")] {
                let result = try run(
                    "/usr/bin/env",
                    ["SLUICE_LIMITS=\(limits)", try SystemUnderTest.executable(), "gateway", "--show-limits"])
                #expect(result.code == 2 && result.errors.contains(word), "\(result)")
            }
        }
    }
}
