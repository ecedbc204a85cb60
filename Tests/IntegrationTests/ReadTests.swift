import Foundation
import Testing

extension WholeSystem {
    /// Accounts, lists and histories.
    @Suite struct Reads {
        @Test func `an account can be opened, read and listed`() throws {
            let scene = try Scene()
            let answer = try scene.client.open(scene.id("a"), currency: "JPY", limit: 500)
            #expect(answer.status == 201, "\(answer)")
            #expect(answer["location"] == "/v1/accounts/\(scene.id("a"))")
            for path in ["", "/balance"] {
                let account = try scene.client.get("/v1/accounts/\(scene.id("a"))\(path)")
                #expect(account.status == 200, "\(account)")
                #expect(account["content-type"] == "application/json")
                #expect(account.json.id.string == scene.id("a"))
                #expect(account.json.currency.string == "JPY")
                #expect(account.json.kind.string == "normal")
                #expect(account.json.overdraft_limit.int == 500)
                #expect(account.json.posted.int == 0)
                #expect(account.json.available.int == 500)
                #expect(account.json.revision.int == 1)
                #expect(account.json.status.string == "open")
            }
            #expect(try scene.client.get("/v1/accounts/\(scene.id("nobody"))").problemCode == "not_found")
        }

        @Test func `pages of accounts have each account once, in order`() throws {
            let scene = try Scene(newTenantsClient())
            let ids = try (0..<23).map { try scene.open("list-\($0 + 10)") }
            var seen: [String] = []
            var target: String? = "/v1/accounts?limit=5"
            while let next = target {
                let page = try scene.client.get(next)
                try #require(page.status == 200, "\(page)")
                #expect(page.json.data.list.count <= 5)
                seen += page.json.data.list.compactMap(\.id.string)
                target = page.json.next.string.map { "/v1/accounts?limit=5&cursor=\($0)" }
            }
            #expect(seen == ids)
        }

        @Test func `pages of transactions have each entry once, newest first`() throws {
            let scene = try Scene()
            let world = try scene.world()
            let shop = try scene.open("shop")
            for amount in 1...17 {
                #expect(try scene.client.pay(amount, from: world, to: shop, more: ",\"reference\":\"r\(amount)\"").status == 201)
            }
            let last = try scene.client.pay(3, from: shop, to: world)
            let revision = try #require(last.json.debit_result.revision.int, "\(last)")
            func pages(of account: String, minRevision: Int) throws -> [JSON] {
                var entries: [JSON] = []
                var target: String? = "/v1/accounts/\(account)/transactions?limit=4&min_revision=\(minRevision)"
                while let next = target {
                    let page = try scene.client.get(next)
                    try #require(page.status == 200, "\(page)")
                    #expect(page.json.account.string == account)
                    #expect(page.json.data.list.count <= 4)
                    entries += page.json.data.list
                    target = page.json.next.string.map { "/v1/accounts/\(account)/transactions?limit=4&cursor=\($0)" }
                }
                return entries
            }
            // Nearly all debits on one side are nearly all credits on the other: both ways through the history are paged.
            let others = try pages(of: world, minRevision: try #require(last.json.credit_result.revision.int, "\(last)"))
            #expect(others.map(\.sequence.int) == (1...18).reversed().map { $0 })
            #expect(others.map(\.direction.string) == ["credit"] + Array(repeating: "debit", count: 17))
            let entries = try pages(of: shop, minRevision: revision)
            #expect(entries.map(\.sequence.int) == (1...18).reversed().map { $0 })
            #expect(entries.first?.direction.string == "debit")
            #expect(entries.first?.amount.int == 3)
            #expect(entries.dropFirst().map(\.amount.int) == (1...17).reversed().map { $0 })
            #expect(entries.dropFirst().map(\.reference.string) == (1...17).reversed().map { "r\($0)" })
            #expect(entries.allSatisfy { $0.counterparty.string == world })
            // Each balance follows from the one before.
            var posted = 0
            for entry in entries.reversed() {
                posted += (entry.amount.int ?? 0) * (entry.direction.string == "credit" ? 1 : -1)
                #expect(entry.posted_after.int == posted)
            }
        }

        @Test func `payments are found by their reference, each once, newest first`() throws {
            let scene = try Scene()
            let world = try scene.world()
            let shop = try scene.open("shop")
            let reference = scene.id("order/ž 1&2")
            let ids = try (1...9).map { amount in
                let answer = try scene.client.pay(amount, from: world, to: shop, more: ",\"reference\":\"\(reference)\"")
                return try #require(answer.json.id.string, "\(answer)")
            }
            #expect(try scene.client.pay(1, from: world, to: shop, more: ",\"reference\":\"\(reference)x\"").status == 201)
            let query = "/v1/payments?reference=\(reference.addingPercentEncoding(withAllowedCharacters: .alphanumerics) ?? "")&limit=4"
            var seen: [String] = []
            let isComplete = try eventually {
                // A list is read from a replica, which may be a moment behind.
                seen = []
                var target: String? = query
                while let next = target {
                    let page = try scene.client.get(next)
                    try #require(page.status == 200, "\(page)")
                    seen += page.json.data.list.compactMap(\.id.string)
                    target = page.json.next.string.map { "\(query)&cursor=\($0)" }
                }
                return seen.count >= 9
            }
            #expect(isComplete)
            #expect(seen == ids.reversed())
        }

        @Test func `an entity tag saves the body, and a change is seen`() throws {
            let scene = try Scene()
            let world = try scene.world()
            let shop = try scene.open("shop")
            let target = "/v1/accounts/\(shop)"
            let first = try scene.client.get(target)
            let tag = try #require(first["etag"], "\(first)")
            #expect(tag == "\"R1\"")
            let same = try scene.client.get(target, ["If-None-Match": tag])
            #expect(same.status == 304, "\(same)")
            #expect(same.body.isEmpty)
            #expect(same["etag"] == tag)
            let payment = try scene.client.pay(9, from: world, to: shop)
            let revision = try #require(payment.json.credit_result.revision.int, "\(payment)")
            let changed = try scene.client.get("\(target)?min_revision=\(revision)", ["If-None-Match": "\"R7\", \(tag)"])
            #expect(changed.status == 200)
            #expect(changed["etag"] == "\"R\(revision)\"")
            #expect(changed.json.posted.int == 9)
        }

        @Test func `a client that presents the revision it has seen is shown no older one, at the other gateway`() throws {
            let scene = try Scene()
            let world = try scene.world()
            let shop = try scene.open("shop")
            let clients = try ["gateway-a", "gateway-b"].map { try scene.system.client(at: $0) }
            for round in 1...40 {
                let payment = try clients[round % 2].pay(1, from: world, to: shop)
                let revision = try #require(payment.json.credit_result.revision.int, "\(payment)")
                let other = clients[(round + 1) % 2]
                let balance = try other.get("/v1/accounts/\(shop)/balance?min_revision=\(revision)")
                #expect(balance.status == 200, "\(balance)")
                #expect((balance.json.revision.int ?? 0) >= revision)
                #expect(balance.json.posted.int == round)
                let history = try other.get("/v1/accounts/\(shop)/transactions?limit=1&min_revision=\(revision)")
                #expect(history.json.data[0].posted_after.int == round, "\(history)")
            }
            let ahead = try clients[0].get("/v1/accounts/\(shop)/balance?min_revision=1000000")
            #expect(ahead.status == 409)
            #expect(ahead.problemCode == "revision_not_reached", "\(ahead)")
            #expect(ahead.json.retryable.bool == true)
        }

        @Test func `HEAD answers as GET does, without the body`() throws {
            let scene = try Scene()
            let account = try scene.open("a")
            let client = try scene.system.client(at: "gateway-a")
            for target in ["/v1/accounts/\(account)", "/v1/accounts/\(account)/transactions", "/v1/accounts/nobody", "/nowhere"] {
                let get = try client.get(target)
                let head = try client.send("HEAD", target)
                #expect(head.status == get.status)
                #expect(head.body.isEmpty)
                for name in ["content-length", "content-type", "etag"] { #expect(head[name] == get[name], "\(target) \(name)") }
            }
            // The connection is where it should be: the next answer is whole.
            #expect(try client.get("/v1/accounts/\(account)").json.id.string == account)
        }

        @Test func `a payment can be waited for`() throws {
            let scene = try Scene()
            let world = try scene.world()
            let shop = try scene.open("shop")
            for _ in 0..<5 {
                let accepted = try scene.client.pay(2, from: world, to: shop, wait: nil)
                let id = try #require(accepted.json.id.string, "\(accepted)")
                let payment = try scene.client.get("/v1/payments/\(id)?wait=10")
                #expect(payment.status == 200, "\(payment)")
                #expect(payment.json.status.string == "settled")
            }
        }
    }
}
