import Foundation
import Glibc
import Synchronization
import Testing

extension WholeSystem {
    /// Redis is a copy: without it everything is slower, and nothing is wrong.
    @Suite struct RedisFaults {
        @Test func `with Redis frozen reads and payments are answered, and rightly after it is back`() throws {
            let scene = try Scene()
            let world = try scene.world()
            let shop = try scene.open("shop")
            #expect(try scene.client.pay(10, from: world, to: shop).status == 201)
            _ = try scene.posted(shop)
            let key = newKey()
            let (id, revision) = try scene.system.whileFrozen("redis") {
                let read = try scene.client.get("/v1/accounts/\(shop)")
                #expect(read.status == 200, "\(read)")
                #expect(read.json.posted.int == 10)
                #expect(try scene.client.get("/v1/accounts/\(shop)/transactions").status == 200)
                let payment = try scene.client.pay(5, from: world, to: shop, key: key)
                // The worker's word does not come through: the gateway looks for the outcome when the wait ends, if not before.
                #expect([201, 202].contains(payment.status), "\(payment)")
                let id = try #require(payment.json.id.string)
                let final = try scene.final(id)
                #expect(final.status.string == "settled")
                let revision = try #require(final.credit_result.revision.int)
                #expect(try scene.posted(shop, minRevision: revision) == 15)
                return (id, revision)
            }
            try scene.system.waitUntilHealthy()
            #expect(try scene.posted(shop, minRevision: revision) == 15)
            #expect(try scene.client.pay(5, from: world, to: shop, key: key).json.id.string == id)
            // What Redis held from before the freeze is not believed for ever.
            let isFresh = try eventually(seconds: 10) { try scene.client.get("/v1/accounts/\(shop)").json.posted.int == 15 }
            #expect(isFresh)
            try expectLedgerIsSound(scene.system)
        }

        /// The worker commits and may not say so: what a word is that nobody heard.
        @Test func `a word that was lost with the subscription is made up for, long before the client's time is up`() throws {
            let scene = try Scene()
            let system = scene.system
            let world = try scene.world()
            let shop = try scene.open("shop")
            let answered = try LateAnswer(system)
            defer { _ = try? system.redis("ACL", "SETUSER", "sluice_worker", "+publish") }
            try system.whileFrozen("worker-1") {
                answered.begin { try $0.pay(5, from: world, to: shop, wait: 10) }
                // It is in the log, and its client is parked.
                usleep(500_000)
                #expect(try system.redis("ACL", "SETUSER", "sluice_worker", "-publish") == "OK")
                // The loops of both gateways.
                let killed = try system.redis("CLIENT", "KILL", "TYPE", "pubsub")
                #expect(Int(killed).map { $0 >= 2 } == true, "\(killed)")
            }
            let (status, seconds) = try answered.wait(seconds: 15)
            #expect(status == 201 && seconds < 6, "\(status) after \(seconds) s")
        }

        /// Only the worker has lost Redis: the gateways hear the channel on which nobody speaks.
        @Test func `clients that wait are answered while the worker alone is cut off from Redis`() throws {
            let scene = try Scene()
            let system = scene.system
            let world = try scene.world()
            let shop = try scene.open("shop")
            #expect(try scene.client.pay(1, from: world, to: shop).status == 201)
            let worker = try system.pid("worker-1")
            func connections() throws -> Int {
                try system.redis("CLIENT", "LIST").split(separator: "\n").filter { $0.contains(" user=sluice_worker ") }.count
            }
            let early = try LateAnswer(system)
            defer { _ = try? system.redis("ACL", "SETUSER", "sluice_worker", "on") }
            #expect(try connections() > 0)
            try system.whileFrozen("worker-1") {
                early.begin { try $0.pay(5, from: world, to: shop, wait: 10) }
                usleep(300_000)
                #expect(try system.redis("ACL", "SETUSER", "sluice_worker", "off") == "OK")
                try system.redis("CLIENT", "KILL", "USER", "sluice_worker")
            }
            let (status, seconds) = try early.wait(seconds: 15)
            #expect(status == 201 && seconds < 6, "\(status) after \(seconds) s")
            // Those that come while nobody speaks.
            var began = Moment.now
            let payment = try scene.client.pay(7, from: world, to: shop, wait: 10)
            #expect(payment.status == 201 && began.secondsAgo < 4, "\(payment) after \(began.secondsAgo) s")
            let accepted = try #require(try scene.client.pay(9, from: world, to: shop, wait: nil).json.id.string)
            began = Moment.now
            let read = try scene.client.get("/v1/payments/\(accepted)?wait=10")
            #expect(read.json.status.string == "settled" && began.secondsAgo < 4, "\(read) after \(began.secondsAgo) s")
            #expect(try connections() == 0, "the worker was not cut off")
            #expect(try system.pid("worker-1") == worker, "the worker was started anew")
            #expect(try system.redis("ACL", "SETUSER", "sluice_worker", "on") == "OK")
            try system.waitUntilHealthy()
            #expect(try scene.client.pay(1, from: world, to: shop).status == 201)
            try expectLedgerIsSound(system)
        }

        /// Hardly long enough for a lease to run out: nobody is told that a word was lost.
        @Test func `clients that wait are answered soon after a worker was cut off from Redis for a moment`() throws {
            let scene = try Scene()
            let system = scene.system
            let world = try scene.world()
            let shop = try scene.open("shop")
            let late = [try LateAnswer(system), try LateAnswer(system)]
            var accepted = ""
            // For two seconds from their start on gateways look up everything.
            usleep(2_200_000)
            defer { _ = try? system.redis("ACL", "SETUSER", "sluice_worker", "on") }
            try system.whileFrozen("worker-1") {
                accepted = try #require(try scene.client.pay(3, from: world, to: shop, wait: nil).json.id.string)
                let id = accepted
                late[0].begin { try $0.pay(5, from: world, to: shop, wait: 10) }
                late[1].begin { try $0.get("/v1/payments/\(id)?wait=10") }
                usleep(200_000)
                #expect(try system.redis("ACL", "SETUSER", "sluice_worker", "off") == "OK")
                try system.redis("CLIENT", "KILL", "USER", "sluice_worker")
            }
            usleep(400_000)
            #expect(try system.redis("ACL", "SETUSER", "sluice_worker", "on") == "OK")
            let answers = try late.map { try $0.wait(seconds: 20) }
            #expect(answers.allSatisfy { [200, 201].contains($0.status) && $0.seconds < 5 }, "\(answers)")
            #expect(try scene.final(accepted).status.string == "settled")
        }

        @Test func `kill -9 of Redis under load fails no read and loses no payment`() throws {
            let scene = try LoadedScene()
            let shop = scene.load.credit
            try scene.load.runUntil(more: 50)
            try scene.system.kill9("redis")
            for _ in 0..<40 {
                let read = try scene.scene.client.get("/v1/accounts/\(shop)/balance")
                #expect(read.status == 200, "\(read)")
            }
            try scene.load.runUntil(more: 100)
            try scene.system.waitUntilHealthy()
            try scene.load.runUntil(more: 50)
            try scene.load.finish(scene.system)
            let tables = LedgerTables(system: scene.system)
            let sum = try tables.movements(to: shop).sum
            let isRight = try eventually(seconds: 10) { try scene.scene.client.get("/v1/accounts/\(shop)/balance").json.posted.int == sum }
            #expect(isRight)
        }
    }
}

/// What a client is told that waits on a thread of its own, and after how long.
private final class LateAnswer: Sendable {
    private let endpoint: Endpoint
    private let key: String
    private let answer = Mutex<(status: Int, seconds: Double)?>(nil)

    init(_ system: SystemUnderTest) throws {
        endpoint = try system.nginx()
        key = system.demoKey
    }

    /// Asks, once; a failure is the status 0.
    func begin(_ ask: @escaping @Sendable (APIClient) throws -> HTTPResponse) {
        Thread.detachNewThread { [self] in
            let began = Moment.now
            let status = (try? ask(APIClient(endpoint, key: key)))?.status ?? 0
            answer.withLock { $0 = (status, began.secondsAgo) }
        }
    }

    func wait(seconds: Double) throws -> (status: Int, seconds: Double) {
        let isThere = eventually(seconds: seconds) { answer.withLock { $0 != nil } }
        try #require(isThere)
        return try #require(answer.withLock { $0 })
    }
}
