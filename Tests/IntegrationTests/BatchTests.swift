import Foundation
import Testing

extension WholeSystem {
    /// Many commands in one request.
    @Suite struct Batches {
        private func item(_ amount: Int, _ debit: String, _ credit: String, key: String = newKey(), more: String = "") -> String {
            "{\"key\":\"\(key)\",\"debit\":\"\(debit)\",\"credit\":\"\(credit)\",\"amount\":\(amount),\"currency\":\"CZK\"\(more)}"
        }

        private func send(_ client: APIClient, _ items: [String], wait: Int? = 10) throws -> HTTPResponse {
            let fields = wait.map { ["Prefer": "wait=\($0)"] } ?? [:]
            return try client.send("POST", "/v1/batches", fields, body: "{\"items\":[\(items.joined(separator: ","))]}")
        }

        @Test func `one bad item harms no other, and each is answered in its place`() throws {
            let scene = try Scene()
            let world = try scene.world()
            let (shop, fresh) = (try scene.open("shop"), scene.id("fresh"))
            let again = newKey()
            let items = [
                item(10, world, shop, key: again),
                "{\"key\":\"\(newKey())\",\"type\":\"account\",\"id\":\"\(fresh)\",\"currency\":\"CZK\"}",
                item(0, world, shop), item(4, shop, fresh), item(1_000, shop, fresh), "17", "{\"key\":nonsense}",
                item(10, world, shop, key: again),
                item(11, world, shop, key: again), item(3, fresh, shop, more: ",\"capture\":\"manual\""),
                "{\"debit\":\"\(world)\",\"credit\":\"\(shop)\",\"amount\":1,\"currency\":\"CZK\"}",
            ]
            let answer = try send(scene.client, items)
            #expect(answer.status == 200, "\(answer)")
            let results = answer.json.results.list
            #expect(
                results.map { $0.status.int } == [201, 201, 422, 201, 402, 422, 400, 201, results[8].status.int, 201, 422], "\(answer.text)"
            )
            // Which of two requests under one key is first is known at once here.
            #expect([409, 422].contains(results[8].status.int ?? 0))
            #expect(results[0].body.amount.int == 10 && results[0].body.status.string == "settled")
            #expect(results[1].body.id.string == fresh)
            #expect(results[2].body.errors[0].pointer.string == "/amount")
            #expect(results[4].body.code.string == "insufficient_funds" && results[6].body.code.string == "malformed_json")
            #expect(results[7].replayed.bool == true && results[7].body.id.string == results[0].body.id.string)
            #expect(results[9].body.status.string == "authorized")
            #expect(results[10].body.errors[0].pointer.string == "/key")
            #expect(try LedgerTables(system: scene.system).movements(to: shop) == (1, 10))

            // The same batch again moves nothing again.
            let repeated = try send(try scene.system.client(at: "gateway-b"), items)
            #expect(repeated.status == 200, "\(repeated)")
            #expect(repeated.json.results[0].replayed.bool == true && repeated.json.results[0].body.id.string == results[0].body.id.string)
            #expect(try LedgerTables(system: scene.system).movements(to: shop) == (1, 10))
            try expectLedgerIsSound(scene.system)
        }

        @Test func `a thousand payments in one request are all settled once`() throws {
            let scene = try Scene()
            let world = try scene.world()
            let shop = try scene.open("shop")
            let items = (0..<1_000).map { item($0 + 1, world, shop, more: ",\"reference\":\"batch \($0)\"") }
            let answer = try send(scene.client, items, wait: nil)
            #expect(answer.status == 200, "\(answer)")
            let results = answer.json.results.list
            #expect(results.count == 1_000 && results.allSatisfy { $0.status.int == 202 }, "\(answer)")
            #expect(zip(results, 1...).allSatisfy { $0.body.amount.int == $1 })
            let tables = LedgerTables(system: scene.system)
            let isDone = try eventually(seconds: 60) { try tables.movements(to: shop) == (1_000, 500_500) }
            #expect(isDone)
            let tooMany = try send(scene.client, items + [items[0]])
            #expect(tooMany.status == 422 && tooMany.json.errors[0].code.string == "too_many_members", "\(tooMany)")
        }

        @Test func `a batch that is none is refused whole`() throws {
            let scene = try Scene()
            func refused(_ body: String, _ status: Int, sourceLocation: SourceLocation = #_sourceLocation) throws {
                let answer = try scene.client.send("POST", "/v1/batches", body: body)
                #expect(answer.status == status, "\(answer)", sourceLocation: sourceLocation)
            }
            try refused("{\"items\":[]}", 422)
            try refused("{\"items\":[{}", 400)
            try refused("[]", 400)
            #expect(try scene.client.send("POST", "/v1/batches", ["Content-Type": "text/plain"], body: "{\"items\":[{}]}").status == 415)
            let wrong = try scene.client.get("/v1/batches")
            #expect(wrong.status == 405 && wrong["allow"] == "POST", "\(wrong)")
            #expect(try APIClient(scene.system.nginx(), key: nil).send("POST", "/v1/batches", body: "{\"items\":[{}]}").status == 401)
        }
    }
}
