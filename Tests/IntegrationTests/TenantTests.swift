import Foundation
import Testing

extension WholeSystem {
    /// Who sees what, and who is let in.
    @Suite struct Tenants {
        @Test func `another tenant's ids are not found by any route, and its money cannot be moved`() throws {
            let mine = try Scene()
            let world = try mine.world()
            let shop = try mine.open("shop")
            let reference = mine.id("ref")
            let payment = try mine.client.pay(10, from: world, to: shop, more: ",\"reference\":\"\(reference)\"")
            let id = try #require(payment.json.id.string, "\(payment)")

            let theirs = try newTenantsClient()
            let targets = [
                "/v1/payments/\(id)", "/v1/accounts/\(shop)", "/v1/accounts/\(shop)/balance", "/v1/accounts/\(shop)/transactions",
            ]
            for target in targets {
                // Twice: the first answer must not be kept for the second, nor either tenant's for the other.
                for _ in 0..<2 {
                    #expect(try mine.client.get(target).status == 200, "\(target)")
                    let answer = try theirs.get(target)
                    #expect(answer.status == 404, "\(target)")
                    // A payment nobody has heard of may be one on its way.
                    let codes: Set<String?> = target.contains("payments") ? ["not_found", "payment_not_visible_yet"] : ["not_found"]
                    #expect(codes.contains(answer.problemCode), "\(answer)")
                }
            }
            #expect(try theirs.get("/v1/payments?reference=\(reference)").json.data.list.count == 0)
            #expect(try theirs.get("/v1/accounts").json.data.list.count == 0)
            let theft = try theirs.pay(5, from: shop, to: world)
            #expect(theft.status == 402)
            #expect(theft.problemCode == "account_not_found", "\(theft)")
            #expect(try mine.posted(shop) == 10)
        }

        @Test func `two tenants may use the same account ids and the same keys`() throws {
            let (first, second) = (try newTenantsClient(), try newTenantsClient())
            let keys = (0..<3).map { _ in newKey() }
            var ids: Set<String> = []
            for (index, client) in [first, second].enumerated() {
                #expect(try client.open("world", kind: "external", key: keys[0]).status == 201)
                #expect(try client.open("shop", key: keys[1]).status == 201)
                // Another amount under the same key: it is another key space.
                let answer = try client.pay(10 + index, from: "world", to: "shop", key: keys[2])
                #expect(answer.status == 201, "\(answer)")
                ids.insert(answer.json.id.string ?? "")
                let revision = answer.json.credit_result.revision.int ?? 0
                #expect(try client.get("/v1/accounts/shop/balance?min_revision=\(revision)").json.posted.int == 10 + index)
            }
            #expect(ids.count == 2)
        }

        @Test func `a cursor of another tenant or another list is refused`() throws {
            let mine = try Scene()
            for name in ["a", "b", "c"] { try mine.open(name) }
            let page = try mine.client.get("/v1/accounts?limit=1")
            let cursor = try #require(page.json.next.string, "\(page)")
            #expect(try mine.client.get("/v1/accounts?limit=1&cursor=\(cursor)").status == 200)
            #expect(try newTenantsClient().get("/v1/accounts?limit=1&cursor=\(cursor)").problemCode == "invalid_parameter")
            #expect(try mine.client.get("/v1/accounts/\(mine.id("a"))/transactions?cursor=\(cursor)").problemCode == "invalid_parameter")
        }

        @Test func `a revoked key is refused within 5 s, by both gateways`() throws {
            let system = SystemUnderTest.shared
            let client = try newTenantsClient()
            let key = try #require(client.key)
            let revoked = try system.sluice(["keys", "revoke", publicID(of: key)])
            try #require(revoked.code == 0, "\(revoked.errors)")
            let since = Moment.now
            for gateway in ["gateway-a", "gateway-b"] {
                let client = APIClient(try system.gateway(gateway), key: key)
                let isRefused = try eventually(seconds: 5) { try client.get("/v1/accounts").status == 401 }
                #expect(isRefused)
                #expect(try client.get("/v1/accounts").problemCode == "unauthorized")
                #expect(try client.open("a").problemCode == "unauthorized")
            }
            #expect(since.secondsAgo < 5)
        }

        /// A client goes from one key to the next without a moment in which it has none.
        @Test func `a tenant has two keys at a time, and when one is revoked the other goes on`() throws {
            let system = SystemUnderTest.shared
            let tenant = try newTenant()
            let (old, new) = (try knownKey(of: tenant), try knownKey(of: tenant))
            #expect(old != new)
            let ways = gatewayThreads.map { system.gatewaySocket($0.gateway, thread: $0.thread) }
            let (olds, news) = (ways.map { APIClient($0, key: old) }, ways.map { APIClient($0, key: new) })

            // Both are the same tenant's: what one has opened the other pays from, and a request repeated under the next key is the same.
            #expect(try olds[0].open("world", kind: "external").status == 201)
            #expect(try news[1].open("shop").status == 201)
            let repeated = newKey()
            let first = try olds[2].pay(5, from: "world", to: "shop", key: repeated)
            let again = try news[3].pay(5, from: "world", to: "shop", key: repeated)
            #expect(first.status == 201 && again.status == 201 && again.json.id.string == first.json.id.string, "\(first) \(again)")
            let revision = try #require(first.json.credit_result.revision.int)
            #expect(try news[0].get("/v1/accounts/shop/balance?min_revision=\(revision)").json.posted.int == 5)

            let revoked = try system.sluice(["keys", "revoke", publicID(of: old)])
            try #require(revoked.code == 0, "\(revoked.errors)")
            let since = Moment.now
            var paid = 0
            // The new key is used through every thread while the old one goes out of use in each by itself.
            let isRefused = try eventually(seconds: 5, everyMilliseconds: 20) {
                for client in news {
                    let answer = try client.pay(1, from: "world", to: "shop", wait: nil)
                    #expect(answer.status == 202, "\(answer)")
                    #expect(try client.get("/v1/accounts").status == 200)
                    paid += 1
                }
                return try olds.allSatisfy { try $0.get("/v1/accounts").status == 401 }
            }
            #expect(isRefused && since.secondsAgo < 5)
            for client in olds {
                #expect(try client.get("/v1/accounts").problemCode == "unauthorized")
                #expect(try client.pay(1, from: "world", to: "shop").problemCode == "unauthorized")
            }
            for client in news { #expect(try client.pay(1, from: "world", to: "shop").status == 201) }
            let isPaid = try eventually { try news[0].get("/v1/accounts/shop/balance").json.posted.int == 5 + paid + news.count }
            #expect(isPaid)
        }

        @Test func `what is no valid key is 401, with the scheme to use`() throws {
            let system = SystemUnderTest.shared
            let way = try system.gateway("gateway-a")
            let good = system.demoKey
            let last = good.last == "A" ? "Q" : "A"
            let wrong = ["sk_", "\(good)x", good.dropLast() + last, "sk_0000000000000000_" + good.suffix(43), good.uppercased()]
            for key in wrong {
                let answer = try APIClient(way, key: key).get("/v1/accounts")
                #expect(answer.status == 401, "\(key)")
                #expect(answer.problemCode == "unauthorized")
                #expect(answer["www-authenticate"]?.hasPrefix("Bearer") == true)
            }
            let client = APIClient(way, key: nil)
            for field in ["Basic \(good)", "Bearer", "Bearer ", good, "Bearer \(good) x"] {
                #expect(try client.get("/v1/accounts", ["Authorization": field]).status == 401, "\(field)")
            }
            // RFC 9110 section 11.1: the scheme's name is in any case.
            #expect(try client.get("/v1/accounts", ["Authorization": "bEARER \(good)"]).status == 200)
        }
    }
}

/// Each thread of each gateway reads the keys by itself.
private let gatewayThreads = [("gateway-a", 0), ("gateway-a", 1), ("gateway-b", 0), ("gateway-b", 1)].map { (gateway: $0.0, thread: $0.1) }

/// A client of a tenant that was just made, once the gateways know it.
func newTenantsClient() throws -> APIClient { APIClient(try SystemUnderTest.shared.nginx(), key: try knownKey(of: try newTenant())) }

/// The name of a tenant that was just made; it has no key.
private func newTenant() throws -> String {
    let name = "t-" + UUID().uuidString.prefix(8).lowercased()
    let made = try SystemUnderTest.shared.sluice(["keys", "create-tenant", name])
    try #require(made.code == 0, "\(made.errors)")
    return name
}

/// What `sluice keys` calls a key.
private func publicID(of key: String) -> String { String(key.dropFirst("sk_".count).prefix(16)) }

/// A new key of a tenant, once the gateways know it.
private func knownKey(of tenant: String) throws -> String {
    let system = SystemUnderTest.shared
    let key = try system.sluice(["keys", "create", "--tenant", tenant]).output.trimmingCharacters(in: .whitespacesAndNewlines)
    for (gateway, thread) in gatewayThreads {
        let client = APIClient(system.gatewaySocket(gateway, thread: thread), key: key)
        let isKnown = try eventually(seconds: 10) { try client.get("/v1/accounts").status == 200 }
        try #require(isKnown, "thread \(thread) of \(gateway) does not know the new key")
    }
    // nginx takes any thread: enough answers in a row have met them all.
    let client = APIClient(try system.nginx(), key: key)
    var known = 0
    let isKnown = try eventually(seconds: 10, everyMilliseconds: 20) {
        known = try client.get("/v1/accounts").status == 200 ? known + 1 : 0
        return known >= 12
    }
    try #require(isKnown, "some thread does not know the new key")
    return key
}
