import Foundation
import Glibc
import Testing

extension WholeSystem {
    /// Our own processes killed while payments come in.
    @Suite struct Crashes {
        @Test func `kill -9 of the worker under load loses and duplicates nothing`() throws {
            let scene = try LoadedScene()
            try scene.load.runUntil(more: 100)
            for _ in 0..<3 {
                try scene.system.kill9("worker-1")
                try scene.load.runUntil(more: 150)
            }
            try scene.system.waitUntilHealthy()
            try scene.load.finish(scene.system)
        }

        /// Once at each step; `make test-crash` sets SLUICE_CRASH_ROUNDS for more.
        @Test func `a worker that dies at any step of a batch loses and doubles nothing, and leaves out no event`() throws {
            let rounds = ProcessInfo.processInfo.environment["SLUICE_CRASH_ROUNDS"].flatMap { Int($0) } ?? 1
            let scene = try LoadedScene()
            let shop = try scene.scene.open("life")
            let payers = try (0..<2).map { try scene.scene.funded("holder-\($0)", 1_000_000) }
            let life = LifeLoad(clients: 2, at: try scene.system.nginx(), key: scene.system.demoKey, debits: payers, credit: shop)
            var steps = (0..<rounds).flatMap { _ in SystemUnderTest.steps }
            if rounds > 1 { steps.shuffle() }
            for (number, step) in steps.enumerated() {
                try scene.system.die(at: step)
                // Whoever dies again and again is started ever later, up to ten seconds; payments are refused meanwhile.
                try scene.load.runUntil(more: 30, seconds: 120)
                // At some random instant as well.
                if rounds > 1, number % 3 == 0 { try scene.system.kill9("worker-1") }
            }
            try life.finish(scene.system)
            try scene.load.finish(scene.system)
            let events = try EventLog.expectComplete(scene.system)
            let accounts = [shop, scene.load.credit, scene.scene.id("world")] + payers
            #expect(try events.gaps(of: accounts, LedgerTables(system: scene.system)) == [])
            #expect(events.repeated > 0, "nothing was written twice: the worker did not die where it was asked to")
            try scene.system.waitUntilHealthy()
        }

        @Test func `each fail point of the worker is a step that it dies at`() throws {
            let sources = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("../../Sources")
            let text = try String(contentsOf: sources.appendingPathComponent("Worker/FailPoint.swift"), encoding: .utf8)
            let cases = text.split(separator: "\n").map { $0.trimmingCharacters(in: .whitespaces) }.filter { $0.hasPrefix("case ") }
            #expect(cases.map { $0.dropFirst("case ".count) } == SystemUnderTest.steps.map { Substring($0) })
        }

        @Test func `a frozen worker that wakes up has lost nothing`() throws {
            let scene = try LoadedScene()
            try scene.load.runUntil(more: 50)
            try scene.system.whileFrozen("worker-1") { try scene.load.runUntil(more: 300) }
            try scene.load.finish(scene.system)
            try scene.system.waitUntilHealthy()
        }

        @Test func `kill -9 of a gateway under load loses nothing that was acknowledged`() throws {
            let scene = try LoadedScene()
            try scene.load.runUntil(more: 100)
            for gateway in ["gateway-a", "gateway-b"] {
                try scene.system.kill9(gateway)
                try scene.load.runUntil(more: 100)
                try scene.system.waitUntilHealthy()
            }
            try scene.load.finish(scene.system)
        }

        @Test func `a gateway that is told to stop refuses no client, and neither does one that starts`() throws {
            let scene = try LoadedScene()
            try scene.load.runUntil(more: 100)
            for gateway in ["gateway-a", "gateway-b"] {
                let before = try scene.system.part(gateway)
                kill(try #require(before.pid), SIGTERM)
                try scene.load.runUntil(more: 50)
                let isBack = try eventually(seconds: 30) {
                    let part = try scene.system.part(gateway)
                    return part.restarts > before.restarts && part.state == "healthy"
                }
                #expect(isBack)
            }
            // Connections that nginx keeps are served once more before they are closed, and nobody is let in who is not served.
            #expect(scene.load.refusals == [:])
            try scene.load.finish(scene.system)
        }

        @Test func `gateways are restarted one after the other under load, and no client is refused`() throws {
            let scene = try LoadedScene()
            try scene.load.runUntil(more: 100)
            let system = scene.system
            let before = try ["gateway-a", "gateway-b"].map { try system.pid($0) }
            let script = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("../../infra/rolling-restart")
                .path
            let result = try run(
                "/usr/bin/env", ["SLUICE_EXECUTABLE=\(try SystemUnderTest.executable())", script, "--data", system.data], seconds: 90)
            #expect(result.code == 0, "\(result.output) \(result.errors)")
            try scene.load.runUntil(more: 50)
            let after = try ["gateway-a", "gateway-b"].map { try system.pid($0) }
            #expect(zip(before, after).allSatisfy { $0 != $1 }, "\(before) \(after)")
            // nginx's own restart of its workers closes connections of its clients: a payment under way on one has no answer.
            #expect(scene.load.refusals.keys.allSatisfy { $0 == "closed" }, "\(scene.load.refusals)")
            let pools = try String(contentsOfFile: system.data + "/nginx/nginx.conf", encoding: .utf8)
            #expect(!pools.contains(" down;"))
            try scene.load.finish(system)
        }

        @Test func `a gateway that is told to stop answers clients that wait`() throws {
            let scene = try Scene()
            let world = try scene.world()
            let shop = try scene.open("shop")
            let system = scene.system
            let (way, apiKey) = (try system.gateway("gateway-a"), system.demoKey)
            let pid = try system.pid("gateway-a")
            // The worker is frozen, so nobody is answered before the gateway is told to stop.
            let answers = try system.whileFrozen("worker-1") {
                try concurrently(4) { _ in
                    try APIClient(way, key: apiKey).pay(1, from: world, to: shop)
                } meanwhile: {
                    usleep(700_000)
                    kill(pid, SIGTERM)
                }
            }
            #expect(answers.map(\.status) == [202, 202, 202, 202])
            for answer in answers { #expect(try scene.final(try #require(answer.json.id.string)).status.string == "settled") }
            // It stays for a while, for requests that are under way on connections that nginx has.
            let isAnother = try eventually(seconds: 20) { try system.part("gateway-a").pid != pid }
            #expect(isAnother)
            try system.waitUntilHealthy()
        }
    }
}

/// A merchant, customers with more money than they will spend, and clients that pay.
struct LoadedScene {
    let scene: Scene
    let load: PaymentLoad
    var system: SystemUnderTest { scene.system }

    init(clients: Int = 4) throws {
        scene = try Scene()
        try scene.world()
        let customers = try (0..<clients).map { [scene] in try scene.funded("customer-\($0)", 1_000_000) }
        let shop = try scene.open("shop")
        load = PaymentLoad(clients: clients, at: try scene.system.nginx(), key: scene.system.demoKey, debits: customers, credit: shop)
    }
}
