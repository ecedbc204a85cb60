import Foundation
import Testing

extension WholeSystem {
    /// Payments that nothing disturbs.
    @Suite struct Payments {
        @Test func `a payment is readable right after its 202, at either gateway`() throws {
            let scene = try Scene()
            let world = try scene.world()
            let shop = try scene.open("shop")
            let readers = try ["gateway-a", "gateway-b"].map { try scene.system.client(at: $0) }
            for _ in 0..<10 {
                let accepted = try scene.client.pay(10, from: world, to: shop, wait: nil)
                try #require(accepted.status == 202, "\(accepted)")
                let id = try #require(accepted.json.id.string)
                #expect(accepted["location"] == "/v1/payments/\(id)")
                for reader in readers {
                    let read = try reader.get("/v1/payments/\(id)")
                    #expect(read.status == 200, "\(read)")
                    #expect(["processing", "settled"].contains(read.json.status.string ?? ""), "\(read)")
                    #expect(read.json.amount.int == 10)
                }
            }
        }

        @Test func `a payment that waits is answered with its result`() throws {
            let scene = try Scene()
            let world = try scene.world()
            let shop = try scene.open("shop")
            let more = ",\"reference\":\"order 7\",\"metadata\":{\"shop\":\"7\"},\"expires_at\":\"2099-01-01T00:00:00Z\""
            let answer = try scene.client.pay(15_075, from: world, to: shop, more: more)
            #expect(answer.status == 201, "\(answer)")
            #expect(answer["preference-applied"] == "wait=10")
            let payment = answer.json
            #expect(payment.id.string?.utf8.count == 32)
            #expect(payment.status.string == "settled")
            #expect(payment.debit.string == world)
            #expect(payment.credit.string == shop)
            #expect(payment.amount.int == 15_075)
            #expect(payment.currency.string == "CZK")
            #expect(payment.reference.string == "order 7")
            #expect(payment.metadata.shop.string == "7")
            #expect(payment.expires_at.string == "2099-01-01T00:00:00.000000Z")
            #expect(payment.debit_result.posted_after.int == -15_075)
            #expect(payment.credit_result.posted_after.int == 15_075)
            #expect(payment.credit_result.sequence.int == 1)
            let read = try scene.client.get("/v1/payments/\(payment.id.string ?? "")")
            #expect(read.status == 200)
            #expect(read.text == answer.text)
        }

        @Test func `a transfer and its reverse leave zero`() throws {
            let scene = try Scene()
            try scene.world()
            let (left, right) = (try scene.funded("left", 900), try scene.open("right"))
            #expect(try scene.client.pay(900, from: left, to: right).status == 201)
            let back = try scene.client.pay(900, from: right, to: left)
            #expect(back.status == 201, "\(back)")
            #expect(try scene.posted(right, minRevision: back.json.debit_result.revision.int ?? 0) == 0)
            #expect(try scene.posted(left, minRevision: back.json.credit_result.revision.int ?? 0) == 900)
            #expect(try LedgerTables(system: scene.system).violations() == [])
        }

        @Test func `a payment after a deposit that was only accepted is decided after it`() throws {
            let scene = try Scene()
            let world = try scene.world()
            let shop = try scene.open("shop")
            for round in 0..<20 {
                let payer = scene.id("payer-\(round)")
                // Not even the account is waited for, and each request goes to another gateway than the one before.
                let clients = try ["gateway-a", "gateway-b"].map { try scene.system.client(at: $0) }
                #expect(try clients[round % 2].open(payer, wait: nil).status == 202)
                #expect(try clients[(round + 1) % 2].pay(40, from: world, to: payer, wait: nil).status == 202)
                let payment = try clients[round % 2].pay(40, from: payer, to: shop)
                #expect(payment.status == 201, "\(payment)")
                let second = try clients[(round + 1) % 2].pay(1, from: payer, to: shop)
                #expect(second.problemCode == "insufficient_funds", "\(second)")
            }
            #expect(try LedgerTables(system: scene.system).movements(to: shop) == (20, 800))
        }

        @Test func `what piled up while the worker stood still is decided in the order of acceptance`() throws {
            let scene = try Scene()
            let world = try scene.world()
            let shop = try scene.open("shop")
            let clients = try ["gateway-a", "gateway-b"].map { try scene.system.client(at: $0) }
            let payments = try scene.system.whileFrozen("worker-1") {
                try (0..<20).map { round in
                    let payer = scene.id("payer-\(round)")
                    let (one, other) = (clients[round % 2], clients[(round + 1) % 2])
                    #expect(try one.open(payer, wait: nil).status == 202)
                    #expect(try other.pay(40, from: world, to: payer, wait: nil).status == 202)
                    let first = try one.pay(30, from: payer, to: shop, wait: nil)
                    let second = try other.pay(11, from: payer, to: shop, wait: nil)
                    return (try #require(first.json.id.string), try #require(second.json.id.string))
                }
            }
            for (first, second) in payments {
                #expect(try scene.final(first).status.string == "settled")
                #expect(try scene.final(second).decline_reason.string == "insufficient_funds")
            }
            #expect(try LedgerTables(system: scene.system).movements(to: shop) == (20, 600))
        }

        @Test func `every reason for a decline that applies is told`() throws {
            let scene = try Scene()
            let world = try scene.world()
            let (payer, shop) = (try scene.funded("payer", 100, limit: 30), try scene.open("shop"))
            let euros = try scene.open("euros", currency: "EUR")

            func expect(_ code: String, _ answer: HTTPResponse, sourceLocation: SourceLocation = #_sourceLocation) {
                #expect(answer.status == 402, sourceLocation: sourceLocation)
                #expect(answer.problemCode == code, "\(answer)", sourceLocation: sourceLocation)
                #expect(answer.json.payment.decline_reason.string == code, sourceLocation: sourceLocation)
                #expect(answer.json.payment.debit_result.isNull, sourceLocation: sourceLocation)
            }
            expect("insufficient_funds", try scene.client.pay(131, from: payer, to: shop))
            expect("account_not_found", try scene.client.pay(1, from: payer, to: scene.id("nobody")))
            expect("account_not_found", try scene.client.pay(1, from: scene.id("nobody"), to: shop))
            expect("currency_mismatch", try scene.client.pay(1, from: payer, to: euros))
            expect("currency_mismatch", try scene.client.pay(1, from: payer, to: shop, currency: "EUR"))
            expect("deadline_exceeded", try scene.client.pay(1, from: payer, to: shop, more: ",\"expires_at\":\"2020-01-01T00:00:00Z\""))
            let vault = try scene.funded("vault", 9_007_199_254_740_991 - 100)
            expect("balance_out_of_range", try scene.client.pay(101, from: payer, to: vault))
            // Down to the limit, and not one further.
            #expect(try scene.client.pay(130, from: payer, to: shop).status == 201)
            expect("insufficient_funds", try scene.client.pay(1, from: payer, to: shop))
            #expect(try scene.client.pay(1, from: shop, to: world).status == 201)
            let exists = try scene.client.open(shop)
            #expect(exists.status == 409)
            #expect(exists.problemCode == "account_exists", "\(exists)")
        }

        @Test func `many payments in parallel on one account leave the sum`() throws {
            let scene = try Scene()
            let world = try scene.world()
            let hot = try scene.open("hot")
            let (way, apiKey) = (try scene.system.nginx(), scene.system.demoKey)
            let results = try concurrently(8) { index in
                let client = APIClient(way, key: apiKey)
                return try (0..<25).map { try client.pay(1 + $0, from: world, to: hot, wait: $0 % 5 == index % 5 ? 10 : nil) }
            }.flatMap(\.self)
            #expect(results.allSatisfy { $0.status == 201 || $0.status == 202 })
            #expect(Set(results.map { $0.json.id.string }).count == 200)
            let tables = LedgerTables(system: scene.system)
            let isDone = try eventually { try tables.movements(to: hot).count == 200 }
            #expect(isDone)
            #expect(try tables.movements(to: hot) == (200, 8 * 25 * 26 / 2))
            #expect(try tables.violations() == [])
        }
    }
}
