import Foundation
import Glibc
import Testing

extension WholeSystem {
    /// Partitions move between workers while money moves.
    @Suite struct Handovers {
        @Test func `a worker that comes and goes stops payments for two seconds at most, each time`() throws {
            let scene = try LoadedScene()
            let tables = LedgerTables(system: scene.system)
            func now() throws -> String { try #require(try tables.rows("SELECT now()").first?.first) }
            func ownedBySpare() throws -> Int {
                try tables.count("SELECT count(*) FROM sluice.kafka_offset WHERE owner LIKE 'spare-worker-%'")
            }
            /// The longest time between two payments that were decided one after the other since then, seconds.
            func longestPause(since: String) throws -> Double {
                let row = try tables.rows(
                    "SELECT max(extract(epoch FROM at - before)) FROM (SELECT m.decided_at AS at, lag(m.decided_at) OVER (ORDER BY m.decided_at) AS before "
                        + "FROM sluice.movement m JOIN sluice.account a ON a.number = m.credit_account WHERE a.id = '\(scene.load.credit)' "
                        + "AND m.decided_at > '\(since)') AS gap")
                return try #require(Double(row.first?.first ?? ""))
            }
            try scene.load.runUntil(more: 100)
            var pauses: [String: Double] = [:]
            for round in 1...2 {
                var since = try now()
                let spare = try SpareWorker()
                let hasCome = try eventually(seconds: 30) { try ownedBySpare() > 0 }
                try #require(hasCome, "the spare worker owns nothing")
                try scene.load.runUntil(more: 200)
                pauses["\(round): it came"] = try longestPause(since: since)
                since = try now()
                spare.stop()
                let hasGone = try eventually(seconds: 30) { try ownedBySpare() == 0 }
                try #require(hasGone, "nobody took over from the spare worker")
                try scene.load.runUntil(more: 200)
                pauses["\(round): it went"] = try longestPause(since: since)
            }
            #expect(pauses.allSatisfy { $0.value <= 2 }, "\(pauses)")
            print("longest pauses, seconds: \(pauses)")
            try scene.load.finish(scene.system)
        }
    }
}
