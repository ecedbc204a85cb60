import Testing

@testable import Telemetry

@Suite struct LogGateTests {
    @Test func `so many lines a window pass, and the rest is counted`() {
        var rate = RateLimit(burst: 3, windowMilliseconds: 1_000)
        let times: [UInt64] = [10_000, 10_001, 10_002, 10_003, 10_004, 10_999, 11_000]
        var allowed: [Bool] = []
        for time in times { allowed.append(rate.allows(nowMilliseconds: time)) }
        #expect(allowed == [true, true, true, false, false, false, true])
        let counts = [rate.takeSuppressed(), rate.takeSuppressed()]
        #expect(counts == [3, 0])
    }

    @Test func `a thread that read its clock before another one opened the window is in that window`() {
        var rate = RateLimit(burst: 1, windowMilliseconds: 1_000)
        let first = rate.allows(nowMilliseconds: 10_001)
        let late = rate.allows(nowMilliseconds: 10_000)
        #expect(first && !late)
    }

    @Test func `a message that repeats is left out past its limit, and the next line of it has the count`() {
        var gate = LogGate()
        var written: [Int] = []
        for _ in 0..<1_000 { if let count = gate.admit("a", .warning, nowMilliseconds: 20_000) { written.append(count) } }
        #expect(written == Array(repeating: 0, count: LogGate.linesMax))
        #expect(gate.admit("a", .warning, nowMilliseconds: 30_000) == 1_000 - LogGate.linesMax)
        #expect(gate.admit("a", .warning, nowMilliseconds: 30_000) == 0)
    }

    @Test func `each message has a limit of its own`() {
        var gate = LogGate()
        for _ in 0...LogGate.linesMax { _ = gate.admit("a", .warning, nowMilliseconds: 20_000) }
        #expect(gate.admit("a", .warning, nowMilliseconds: 20_001) == nil)
        #expect(gate.admit("b", .warning, nowMilliseconds: 20_001) == 0)
    }

    @Test func `what was left out of a message that does not come again is told once its window is over, or at the end`() {
        func told(_ gate: inout LogGate, _ now: UInt64, isEnding: Bool = false) -> [String] {
            gate.takeLeftOut(nowMilliseconds: now, isEnding: isEnding).map { "\($0.level) \($0.message) \($0.count)" }
        }
        var gate = LogGate()
        for _ in 0..<LogGate.linesMax + 7 { _ = gate.admit("a", .error, nowMilliseconds: 20_000) }
        _ = gate.admit("b", .warning, nowMilliseconds: 20_000)
        #expect(told(&gate, 29_999) == [])
        #expect(told(&gate, 30_000) == ["error a 7"])
        #expect(told(&gate, 40_000) == [])
        for _ in 0..<LogGate.linesMax + 2 { _ = gate.admit("a", .error, nowMilliseconds: 50_000) }
        #expect(told(&gate, 50_001, isEnding: true) == ["error a 2"])
    }
}
