import Glibc
import Testing

extension WholeSystem {
    /// PostgreSQL's three servers, one at a time.
    @Suite struct DatabaseFaults {
        @Test(arguments: ["frozen", "killed"])
        func `with the read replica away reads still answer and payments still settle`(how: String) throws {
            let scene = try Scene()
            let world = try scene.world()
            let shop = try scene.open("shop")
            func useIt() throws {
                for amount in 1...5 {
                    let payment = try scene.client.pay(amount, from: world, to: shop)
                    #expect(payment.status == 201, "\(payment)")
                    // Nobody has asked for these yet, so Redis has none of them.
                    let fresh = try scene.open("fresh-\(amount)")
                    for target in ["/v1/accounts/\(fresh)", "/v1/accounts/\(fresh)/transactions", "/v1/accounts?limit=1"] {
                        let read = try scene.client.get(target)
                        #expect(read.status == 200, "\(target) \(read)")
                    }
                }
            }
            if how == "frozen" {
                try scene.system.whileFrozen("postgres-replica", useIt)
            } else {
                try scene.system.kill9("postgres-replica")
                try useIt()
            }
            try scene.system.waitUntilHealthy()
            #expect(try LedgerTables(system: scene.system).movements(to: shop) == (5, 15))
            try expectLedgerIsSound(scene.system)
        }

        @Test func `a replica that is behind shows nobody what is older than he has seen`() throws {
            let scene = try Scene()
            let world = try scene.world()
            let shop = try scene.open("shop")
            let reader = try scene.system.client(at: "gateway-b")
            try scene.system.whileReplicaIsStale {
                for round in 1...3 {
                    let payment = try scene.client.pay(1, from: world, to: shop)
                    let revision = try #require(payment.json.credit_result.revision.int, "\(payment)")
                    // Redis holds the revision that every reader must see, whether it has the body or not.
                    #expect(try reader.get("/v1/accounts/\(shop)").json.posted.int == round)
                    let history = try reader.get("/v1/accounts/\(shop)/transactions?min_revision=\(revision)")
                    #expect(history.json.data.list.count == round, "\(history)")
                }
                try scene.system.whileFrozen("redis") {
                    let balance = try reader.get("/v1/accounts/\(shop)/balance?min_revision=4")
                    #expect(balance.json.posted.int == 3, "\(balance)")
                }
            }
            try scene.system.waitUntilHealthy()
        }

        @Test func `with the synchronous standby away payments are accepted, and settle when it is back`() throws {
            let scene = try Scene()
            let world = try scene.world()
            let shop = try scene.open("shop")
            let ids = try scene.system.whileFrozen("postgres-standby") {
                let ids = try (1...10).map { amount in
                    let accepted = try scene.client.pay(amount, from: world, to: shop, wait: nil)
                    #expect(accepted.status == 202, "\(accepted)")
                    return try #require(accepted.json.id.string)
                }
                // Long enough to have been decided; but a commit waits for the standby.
                let waited = try scene.client.pay(1, from: world, to: shop, wait: 2)
                #expect(waited.status == 202, "\(waited)")
                #expect(try LedgerTables(system: scene.system).movements(to: shop).count == 0)
                #expect(try scene.client.get("/v1/accounts/\(world)").status == 200)
                return ids + [try #require(waited.json.id.string)]
            }
            for id in ids { #expect(try scene.final(id).status.string == "settled") }
            try scene.system.waitUntilHealthy()
            #expect(try LedgerTables(system: scene.system).movements(to: shop) == (11, 56))
            try expectLedgerIsSound(scene.system)
        }

        @Test func `a worker whose partition was taken over by one that is gone takes it back`() throws {
            let scene = try Scene()
            let world = try scene.world()
            let shop = try scene.open("shop")
            // What a worker that was frozen in the middle of its take-over does when it wakes, before it finds that it was replaced.
            let raise = "UPDATE sluice.kafka_offset SET epoch = epoch + 1, owner = 'gone' WHERE partition = 0"
            _ = try LedgerTables(system: scene.system).rows(raise)
            let accepted = try scene.client.pay(5, from: world, to: shop, wait: nil)
            #expect(accepted.status == 202, "\(accepted)")
            #expect(try scene.final(try #require(accepted.json.id.string), seconds: 60).status.string == "settled")
            try scene.system.waitUntilHealthy()
            #expect(try LedgerTables(system: scene.system).movements(to: shop) == (1, 5))
            try expectLedgerIsSound(scene.system)
        }

        @Test func `kill -9 of the primary under load: the worker goes on where it was`() throws {
            let scene = try LoadedScene()
            try scene.load.runUntil(more: 100)
            try scene.system.kill9("postgres-primary")
            // The log takes payments meanwhile.
            try scene.load.runUntil(more: 100)
            try scene.system.waitUntilHealthy(seconds: 90)
            try scene.load.runUntil(more: 50)
            try scene.load.finish(scene.system)
        }
    }
}
