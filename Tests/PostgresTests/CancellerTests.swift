import Loop
import Telemetry
import Testing

@testable import Postgres
@testable import TestSupport

/// Requests to stop a statement while a server takes no connections: libpq's call then blocks.
@Suite struct CancellerTests {
    let bench = Bench()
    let answers = Answers()

    private func isStopped(_ label: String) -> Bool {
        if case .serverError("57014", _, _)? = answers.error(label) { true } else { false }
    }

    @Test func `a server that takes no connections holds up no other, and what waited for it too long is not sent`() throws {
        let (frozen, other) = (try TestServer(), try TestServer())
        // Over TCP both have the same address, and differ by the port.
        let held = try bench.ready(frozen) { $0.connectionString = frozen.tcpConnectionString }
        let free = try bench.ready(other) { $0.connectionString = other.tcpConnectionString }
        #expect(held.execute([SQL.query(SQL.sleep, 30_000)], completion: answers.completion("held")))
        #expect(free.execute([SQL.query(SQL.sleep, 30_000)], completion: answers.completion("free")))
        #expect(!bench.run(upTo: 0.3) { answers.count > 0 })
        try frozen.freezePostmaster()
        let dropped = Canceller.dropped.value
        // One is under way, and those beyond what may wait are too many.
        for _ in 0..<(2 * Canceller.waitingMax + 2) {
            #expect(held.cancel(execution: held.executionCount))
            _ = bench.run(upTo: 0.002) { false }
        }
        #expect(Canceller.dropped.value > dropped)
        #expect(free.cancel(execution: free.executionCount))
        #expect(bench.run(upTo: 5) { answers.count == 1 })
        #expect(isStopped("free"))
        // Beyond the patience of all that wait.
        #expect(!bench.run(upTo: 1.2) { answers.count > 1 })
        try frozen.thaw()
        #expect(bench.run(upTo: 5) { answers.count == 2 })
        #expect(isStopped("held"))
        // The statements behind it are hit by none of those that had waited.
        for number in 0..<5 { #expect(held.execute([SQL.query(SQL.sleep, 100)], completion: answers.completion("after \(number)"))) }
        #expect(bench.run(upTo: 5) { answers.count == 7 })
        for number in 0..<5 { #expect(try answers.rows("after \(number)").count == 1) }
        #expect(Canceller.dropped.value >= dropped + UInt64(2 * Canceller.waitingMax))
    }

    @Test func `a server beyond the bound takes over the lane that was used longest ago`() {
        var table = LaneTable<Int>(capacity: 3)
        var made = 0
        func lane(_ server: String) -> Int {
            table.lane(for: server) {
                made += 1
                return made
            }
        }
        #expect(["a", "b", "c", "a"].map(lane) == [1, 2, 3, 1])
        #expect(["d", "b", "a", "d"].map(lane) == [2, 3, 1, 2])
        #expect(made == 3)
    }
}
