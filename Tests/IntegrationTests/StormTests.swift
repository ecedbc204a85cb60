import Bytes
import Foundation
import Glibc
import Testing

/// How often every fault happens; `make test-crash` sets it.
private let stormRounds = ProcessInfo.processInfo.environment["SLUICE_STORM_ROUNDS"].flatMap { Int($0) } ?? 0

extension WholeSystem {
    /// Two workers, and everything that they stand on killed and frozen in turn, while money moves. Long: `make test-crash`.
    ///
    /// In each round a worker dies at three of the seven steps of a batch, those that follow the last round's: three rounds go through
    /// all of them. `SLUICE_STORM_SEED` repeats the order of a run.
    @Suite(.enabled(if: stormRounds > 0)) struct Storms {
        @Test func `two workers, a rebalance in the middle, servers killed and frozen: what was said stays so`() throws {
            let scene = try LoadedScene()
            let system = scene.system
            let life = try lifeLoad(scene)
            let witness = try witness(scene)
            var spare = try SpareWorker()
            let seed = ProcessInfo.processInfo.environment["SLUICE_STORM_SEED"].flatMap(UInt64.init) ?? UInt64.random(in: 0...UInt64.max)
            print("SLUICE_STORM_SEED=\(seed)")
            var random = SplitMix64(seed: seed)
            let steps = SystemUnderTest.steps.shuffled(using: &random)
            var deaths: [String] = []
            let faults = [
                "die", "kill worker", "kill spare", "stop spare", "kill primary", "kill broker", "freeze broker", "freeze primary",
                "freeze worker", "freeze standby",
            ]
            for round in 0..<stormRounds {
                for fault in faults.shuffled(using: &random) {
                    print("round \(round): \(fault)")
                    switch fault {
                    case "die":
                        for _ in 0..<3 {
                            let step = steps[deaths.count % steps.count]
                            print("round \(round): die at \(step)")
                            try system.die(at: step)
                            deaths.append(step)
                        }
                    case "kill worker": try system.kill9("worker-1")
                    case "kill spare": spare.kill9()
                    case "stop spare": spare.stop()
                    case "kill primary": try system.kill9("postgres-primary")
                    case "kill broker": try system.kill9("broker")
                    default:
                        let part = ["broker": "broker", "primary": "postgres-primary", "standby": "postgres-standby"]
                        let name = part[String(fault.dropFirst("freeze ".count))] ?? "worker-1"
                        try system.whileFrozen(name) { _ = usleep(round % 3 == 0 ? 10_000_000 : 1_500_000) }
                    }
                    if spare.hasEnded { spare = try SpareWorker() }
                    try scene.load.runUntil(more: 60, seconds: 90)
                    // The log takes payments while nobody decides them: the next fault waits until somebody does.
                    let before = witness.answerCount
                    let isDeciding = eventually(seconds: 90) { witness.answerCount >= before + 5 }
                    try #require(isDeciding, "nothing is decided after: \(fault)")
                }
            }
            spare.stop()
            try system.waitUntilHealthy(seconds: 90)
            witness.stop()
            try life.finish(system)
            try scene.load.finish(system)
            #expect(deaths.count == 3 * stormRounds && Set(deaths).count == min(deaths.count, steps.count), "\(deaths)")
            let contradictions = try witness.contradictions(system)
            #expect(witness.changeCount > 0 && witness.acceptedCount > 0, "no capture, refund or 202 was there to be compared")
            #expect(contradictions.isEmpty, "\(contradictions.count): \(contradictions.prefix(3))")
            let events = try EventLog.expectComplete(system)
            #expect(try events.gaps(of: [scene.load.credit, witness.shop, scene.scene.id("world")], LedgerTables(system: system)) == [])
        }

        /// The control: with a promise of PostgreSQL switched off, the same witness must speak up.
        @Test func `without a durable commit what was said does not stay so`() throws {
            let scene = try LoadedScene()
            let system = scene.system
            let witness = try witness(scene)
            let tables = LedgerTables(system: system)
            _ = try tables.rows("ALTER ROLE sluice SET synchronous_commit = off")
            defer { _ = try? tables.rows("ALTER ROLE sluice RESET synchronous_commit") }
            // Its next session commits so.
            try system.kill9("worker-1")
            var contradictions: [String] = []
            for _ in 0..<5 where contradictions.isEmpty {
                let before = witness.answerCount
                #expect(eventually(seconds: 40) { witness.answerCount > before + 40 })
                try system.kill9("postgres-primary")
                try system.waitUntilHealthy(seconds: 90)
                try scene.load.runUntil(more: 50, seconds: 60)
                contradictions = try witness.contradictions(system)
            }
            witness.stop()
            scene.load.stop()
            #expect(!contradictions.isEmpty, "commits were lost and nobody noticed")
            #expect(try tables.violations() == [])
        }

        private func lifeLoad(_ scene: LoadedScene) throws -> LifeLoad {
            let shop = try scene.scene.open("life")
            let payers = try (0..<2).map { try scene.scene.funded("holder-\($0)", 1_000_000) }
            return LifeLoad(clients: 2, at: try scene.system.nginx(), key: scene.system.demoKey, debits: payers, credit: shop)
        }

        private func witness(_ scene: LoadedScene) throws -> Witness {
            let shop = try scene.scene.open("seen")
            let poor = try (0..<3).map { try scene.scene.funded("poor-\($0)", $0 == 0 ? 40 : 1_000_000) }
            return try Witness(scene.system, poor: poor, holder: try scene.scene.funded("seen-holder", 1_000_000), shop: shop)
        }
    }
}
