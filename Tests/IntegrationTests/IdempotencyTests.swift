import Testing

extension WholeSystem {
    /// One key, one payment, whoever asks how often and where.
    @Suite struct Idempotency {
        @Test func `50 parallel requests under one key have one effect and one id`() throws {
            let scene = try Scene()
            let system = scene.system
            let world = try scene.world()
            let shop = try scene.open("shop")
            let (key, apiKey) = (newKey(), system.demoKey)
            // Every thread of both gateways, and nginx; half of them wait for the outcome.
            let ways =
                try [system.nginx(), system.gateway("gateway-a"), system.gateway("gateway-b")]
                + ["gateway-a", "gateway-b"].flatMap { name in [0, 1].map { system.gatewaySocket(name, thread: $0) } }
            let since = Moment.now
            let answers = try concurrently(50) { index in
                try APIClient(ways[index % ways.count], key: apiKey).pay(
                    250, from: world, to: shop, key: key, wait: index % 2 == 0 ? 10 : nil)
            }
            for (index, answer) in answers.enumerated() {
                #expect(answer.status == (index % 2 == 0 ? 201 : 202), "\(answer)")
            }
            // All hear of it when it is decided, and not when their time is up.
            #expect(since.secondsAgo < 5)
            let ids = Set(answers.map { $0.json.id.string })
            try #require(ids.count == 1)
            let payment = try scene.final(try #require(ids.first ?? nil))
            #expect(payment.status.string == "settled")
            #expect(try scene.posted(shop, minRevision: payment.credit_result.revision.int ?? 0) == 250)
            #expect(try LedgerTables(system: system).movements(to: shop) == (1, 250))
        }

        @Test func `one key with two bodies at once moves money for one of them`() throws {
            let scene = try Scene()
            let system = scene.system
            let world = try scene.world()
            let shop = try scene.open("shop")
            let (key, apiKey) = (newKey(), system.demoKey)
            let ways = try [system.gateway("gateway-a"), system.gateway("gateway-b")]
            // Both bodies go to both gateways.
            let amounts = (0..<20).map { $0 % 4 < 2 ? 100 : 200 }
            let answers = try concurrently(20) { index in
                try APIClient(ways[index % 2], key: apiKey).pay(amounts[index], from: world, to: shop, key: key)
            }
            let won = Set(answers.filter { $0.status == 201 }.map { $0.json.amount.int })
            try #require(won.count == 1, "\(answers)")
            for (amount, answer) in zip(amounts, answers) where answer.status != 201 {
                // While nobody knows yet whose the key is, both may be told to come again; but never is the one whose money moves
                // told that the key is another's.
                let isConflict = answer.status == 409 && answer.problemCode == "conflict"
                #expect(
                    isConflict || answer.status == 422 && answer.problemCode == "idempotency_key_reused" && !won.contains(amount),
                    "\(answer)")
            }
            #expect(try LedgerTables(system: system).movements(to: shop) == (1, won.first.flatMap { $0 } ?? 0))
        }

        @Test func `the same key with another body is 422 at every door and moves nothing`() throws {
            let scene = try Scene()
            let world = try scene.world()
            let shop = try scene.open("shop")
            let key = newKey()
            let first = try scene.client.pay(100, from: world, to: shop, key: key)
            try #require(first.status == 201, "\(first)")
            for gateway in ["gateway-a", "gateway-b"] {
                let client = try scene.system.client(at: gateway)
                for wait in [nil, 10] {
                    let other = try client.pay(101, from: world, to: shop, key: key, wait: wait)
                    #expect(other.status == 422)
                    #expect(other.problemCode == "idempotency_key_reused", "\(other)")
                }
                let account = try client.open(scene.id("other"), key: key)
                #expect(account.status == 422)
                #expect(account.problemCode == "idempotency_key_reused", "\(account)")
            }
            #expect(try LedgerTables(system: scene.system).movements(to: shop) == (1, 100))
            #expect(try scene.client.get("/v1/accounts/\(scene.id("other"))").status == 404)
        }

        @Test func `a body that differs only in its form is the same request`() throws {
            let scene = try Scene()
            let world = try scene.world()
            let shop = try scene.open("shop")
            let key = newKey()
            let first = try scene.client.pay(5, from: world, to: shop, key: key, more: ",\"metadata\":{\"a\":\"1\",\"b\":\"2\"}")
            try #require(first.status == 201, "\(first)")
            let body =
                "{ \"metadata\": {\"b\":\"2\", \"a\":\"\\u0031\"},\n \"currency\":\"CZK\", \"amount\": 5, \"credit\":\"\(shop)\", \"debit\":\"\(world)\"}"
            let second = try scene.client.post("/v1/payments", key: key, wait: 10, body: body)
            #expect(second.status == 201, "\(second)")
            #expect(second.text == first.text)
            #expect(second["idempotency-replayed"] == "true")
        }

        @Test func `a repeat answers as the first time, through either gateway`() throws {
            let scene = try Scene()
            let world = try scene.world()
            let shop = try scene.open("shop")
            let key = newKey()
            let first = try scene.client.pay(70, from: world, to: shop, key: key)
            try #require(first.status == 201, "\(first)")
            #expect(first["idempotency-replayed"] == nil)
            for gateway in ["gateway-a", "gateway-b"] {
                let again = try scene.system.client(at: gateway).pay(70, from: world, to: shop, key: key)
                #expect(again.status == 201)
                #expect(again.text == first.text)
                #expect(again["idempotency-replayed"] == "true")
            }
        }

        /// A worker remembers ids of its own time only, and asks for a while; then it relies on the ledger's keys.
        @Test func `a command that stands in the log again long after it was decided counts once, whether or not it is asked for`() throws {
            let scene = try Scene()
            let system = scene.system
            let world = try scene.world()
            let shop = try scene.open("shop")
            let id = try #require(try scene.client.pay(5, from: world, to: shop).json.id.string)
            let others = try (0..<6).map { _ in try #require(try scene.client.pay(5, from: world, to: shop).json.id.string) }
            let before = try system.part("worker-1").restarts
            try system.kill9("worker-1")
            // One that died several times lately is given some seconds before it is started again.
            let isBack = try eventually(seconds: 40) {
                let part = try system.part("worker-1")
                return part.restarts > before && part.state == "healthy"
            }
            try #require(isBack)
            // Each is a batch of its own in which nothing old is found.
            for _ in 0..<24 { #expect(try scene.client.pay(1, from: world, to: shop).status == 201) }
            let records = try LogReader(system).records()
            let payment = try #require(records.first { $0.headers["id"] == id })
            let opening = try #require(records.first { $0.value.contains("open_account") && $0.value.contains(shop) })
            // The payment again; and another under the id that opened an account.
            let decidedBefore = try decidedAgain(system)
            try payment.produce(system)
            #expect(try scene.client.pay(1, from: world, to: shop).status == 201)
            #expect(try decidedAgain(system) == decidedBefore + 1)
            for _ in 0..<24 { #expect(try scene.client.pay(1, from: world, to: shop).status == 201) }
            var headers = payment.headers
            headers["id"] = opening.headers["id"]
            try payment.produce(under: headers, system)
            #expect(try scene.client.pay(1, from: world, to: shop).status == 201)
            #expect(try decidedAgain(system) == decidedBefore + 2)
            let tables = LedgerTables(system: system)
            #expect(try tables.movements(to: shop) == (51 + others.count, 55 + 5 * others.count))
            let conflicts = "SELECT count(*) FROM sluice.key_conflict WHERE replace(operation_id::text, '-', '') = "
            #expect(try tables.count(conflicts + "'\(opening.headers["id"] ?? "")'") == 1)
            // With a backlog one batch is sent behind another, mostly. The one that has an old id is the first of them, then the second.
            var hasFollowed = [false, false]
            for (number, other) in others.enumerated() {
                let place = number % 2
                for _ in 0..<24 { #expect(try scene.client.pay(1, from: world, to: shop).status == 201) }
                let settled = try tables.movements(to: shop).count
                let decidedBefore = try decidedAgain(system)
                let followingBefore = try count("sluice_worker_batches_following_total", system)
                let old = try #require(records.first { $0.headers["id"] == other })
                try system.whileFrozen("worker-1") {
                    if place == 1 { try pile(600, from: world, to: shop, scene) }
                    try old.produce(system)
                    for _ in 0..<2 { try pile(900, from: world, to: shop, scene) }
                }
                let isDecided = try eventually(seconds: 30) { try tables.movements(to: shop).count >= settled + 1_800 + place * 600 }
                #expect(isDecided)
                #expect(try decidedAgain(system) == decidedBefore + 1)
                if try count("sluice_worker_batches_following_total", system) > followingBefore { hasFollowed[place] = true }
                #expect(try tables.movements(to: shop).count == settled + 1_800 + place * 600)
            }
            #expect(hasFollowed == [true, true])
            try expectLedgerIsSound(system)
        }

        /// Payments of one, accepted and not waited for.
        private func pile(_ count: Int, from debit: String, to credit: String, _ scene: Scene) throws {
            let items = (0..<count).map { _ in
                "{\"key\":\"\(newKey())\",\"debit\":\"\(debit)\",\"credit\":\"\(credit)\",\"amount\":1,\"currency\":\"CZK\"}"
            }
            let answer = try scene.client.send("POST", "/v1/batches", body: "{\"items\":[\(items.joined(separator: ","))]}")
            #expect(answer.status == 200, "\(answer)")
        }

        private func decidedAgain(_ system: SystemUnderTest) throws -> Int {
            try count("sluice_worker_batches_decided_again_total", system)
        }

        private func count(_ metric: String, _ system: SystemUnderTest) throws -> Int {
            let page = try APIClient(system.admin("worker-1"), key: nil).get("/metrics").text
            let line = page.split(separator: "\n").first { $0.hasPrefix(metric + " ") }
            return try #require(line.flatMap { Int($0.split(separator: " ")[1]) })
        }

        @Test func `a decline is final under its key, also when the money has come meanwhile`() throws {
            let scene = try Scene()
            let world = try scene.world()
            let poor = try scene.funded("poor", 50)
            let shop = try scene.open("shop")
            let key = newKey()
            let declined = try scene.client.pay(51, from: poor, to: shop, key: key)
            #expect(declined.status == 402)
            #expect(declined.problemCode == "insufficient_funds", "\(declined)")
            #expect(declined.json.payment.status.string == "declined")
            #expect(declined.json.payment.decline_reason.string == "insufficient_funds")
            #expect(try scene.client.pay(1000, from: world, to: poor).status == 201)
            for gateway in ["gateway-a", "gateway-b"] {
                let again = try scene.system.client(at: gateway).pay(51, from: poor, to: shop, key: key)
                #expect(again.status == 402)
                #expect(again.text == declined.text)
            }
            #expect(try scene.posted(shop) == 0)
            #expect(try scene.client.pay(51, from: poor, to: shop).status == 201)
        }
    }
}
