import Foundation
import Testing

extension WholeSystem {
    /// The log away: nothing is promised that is not durable, and nobody waits for long to hear so.
    @Suite struct BrokerFaults {
        @Test func `a frozen broker refuses new payments at once and recovers by itself`() throws {
            let scene = try Scene()
            let system = scene.system
            let world = try scene.world()
            let shop = try scene.open("shop")
            let (ways, apiKey) = (["gateway-a", "gateway-b"].map { system.gatewaySocket($0, thread: 0) }, system.demoKey)
            let keys = ways.map { _ in newKey() }
            try system.whileFrozen("broker") {
                // One on each gateway's thread is on its way when the log stops answering.
                let first = try concurrently(ways.count) { index in
                    try APIClient(ways[index], key: apiKey).pay(1, from: world, to: shop, key: keys[index], wait: nil)
                } meanwhile: {
                    usleep(900_000)
                    for way in ways {
                        let client = APIClient(way, key: apiKey)
                        for _ in 0..<10 {
                            let since = Moment.now
                            let refused = try client.pay(1, from: world, to: shop, wait: nil)
                            #expect(Moment.now.milliseconds(since: since) < 100)
                            #expect(refused.status == 503)
                            #expect(refused.problemCode == "not_accepted", "\(refused)")
                            #expect(refused["retry-after"] != nil)
                        }
                        // What is there can still be read.
                        #expect(try client.get("/v1/accounts/\(shop)").status == 200)
                    }
                }
                for answer in first {
                    #expect([503, 504].contains(answer.status), "\(answer)")
                    let code = answer.status == 503 ? "not_accepted" : "outcome_unknown"
                    #expect(answer.problemCode == code, "\(answer)")
                    if answer.status == 504 { #expect(answer.json.payment_id.string?.utf8.count == 32) }
                }
            }
            for (way, key) in zip(ways, keys) {
                let client = APIClient(way, key: apiKey)
                var last: HTTPResponse?
                let isBack = try eventually(seconds: 20) {
                    last = try client.pay(1, from: world, to: shop, key: key)
                    return last?.status == 201
                }
                #expect(isBack, "\(String(describing: last))")
            }
            #expect(try LedgerTables(system: system).movements(to: shop) == (2, 2))
            try system.waitUntilHealthy()
            try expectLedgerIsSound(system)
        }

        @Test func `a topic that begins anew is not taken for the log that was applied`() throws {
            let scene = try Scene()
            let system = scene.system
            let world = try scene.world()
            let shop = try scene.open("shop")
            for _ in 0..<20 { #expect(try scene.client.pay(1, from: world, to: shop).status == 201) }
            // Gateways that have seen how far the ledger is.
            usleep(1_500_000)
            let topics = system.data + "/broker/topics/"
            let name = try #require(
                FileManager.default.contentsOfDirectory(atPath: topics).first { $0.hasPrefix("payments.commands.") })
            let (folder, aside) = (topics + name, system.data + "/commands-aside")
            try system.whileFrozen("broker") {
                try FileManager.default.moveItem(atPath: folder, toPath: aside)
                try system.kill9("broker")
            }
            var answers: [String: Int] = [:]
            func pay() throws -> Int {
                let answer = try scene.client.pay(1, from: world, to: shop)
                answers["\(answer.status) \(answer.problemCode ?? "")", default: 0] += 1
                return answer.status
            }
            let isRefused = try eventually(seconds: 20) {
                try pay() == 503
                    && ["gateway-a", "gateway-b"].allSatisfy {
                        try String(decoding: APIClient(system.admin($0), key: nil).get("/readyz").body, as: UTF8.self)
                            .contains("it went back")
                    }
            }
            // Nothing that was written to it was promised.
            #expect(isRefused && !answers.keys.contains { $0.hasPrefix("20") }, "\(answers)")
            #expect((answers["504 outcome_unknown"] ?? 0) >= 2, "\(answers)")
            // Nor by gateways that are started only now.
            for part in ["gateway-a", "gateway-b"] { try system.kill9(part) }
            let end = Moment.now.advanced(bySeconds: 6)
            while Moment.now < end {
                _ = try pay()
                usleep(20_000)
            }
            #expect(!answers.keys.contains { $0.hasPrefix("20") }, "\(answers)")
            // The log that was applied is back, and whoever went by the other one begins anew.
            try system.whileFrozen("broker") {
                try FileManager.default.removeItem(atPath: folder)
                try FileManager.default.moveItem(atPath: aside, toPath: folder)
                try system.kill9("broker")
            }
            for part in ["gateway-a", "gateway-b", "worker-1"] { try system.kill9(part) }
            let isBack = try eventually(seconds: 30) { try scene.client.pay(1, from: world, to: shop).status == 201 }
            #expect(isBack)
            try system.waitUntilHealthy()
            try expectLedgerIsSound(system)
        }

        @Test func `a broker frozen under load loses nothing that was acknowledged`() throws {
            let scene = try LoadedScene()
            try scene.load.runUntil(more: 100)
            // Longer than a command may wait for its acknowledgement: each client is refused, and comes again.
            try scene.system.whileFrozen("broker") { _ = usleep(7_500_000) }
            try scene.load.runUntil(more: 100)
            let kinds = scene.load.refusals
            #expect(!kinds.isEmpty)
            #expect(Set(kinds.keys).isSubset(of: ["503 not_accepted", "504 outcome_unknown"]), "\(kinds)")
            try scene.system.waitUntilHealthy()
            try scene.load.finish(scene.system)
        }
    }
}
