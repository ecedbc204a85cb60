import Testing

@testable import Gateway

@Suite struct SettlementLagTests {
    /// A command that was produced in the instant of its acknowledgement; it is in the log that is applied.
    private func acknowledge(_ lag: inout SettlementLag, _ partition: Int32, _ offset: Int64, at now: UInt64) {
        let isApplied = lag.acknowledged(partition: partition, offset: offset, producedMilliseconds: now, nowMilliseconds: now)
        #expect(isApplied)
    }

    @Test func `the age is that of the oldest command that is not applied, of its partition`() {
        var lag = SettlementLag()
        #expect(lag.isEmpty && lag.ageMilliseconds(ofPartition: 3, nowMilliseconds: 9_000) == 0)
        acknowledge(&lag, 3, 10, at: 1_000)
        acknowledge(&lag, 3, 20, at: 2_000)
        acknowledge(&lag, 5, 1, at: 2_500)
        #expect(lag.ageMilliseconds(ofPartition: 3, nowMilliseconds: 3_000) == 2_000)
        #expect(lag.ageMilliseconds(ofPartition: 5, nowMilliseconds: 3_000) == 500)
        #expect(lag.oldestMilliseconds(nowMilliseconds: 3_000) == 2_000)
        // The next offset is the first that is not applied.
        lag.applied(partition: 3, nextOffset: 10, ofLog: "a", nowMilliseconds: 0)
        #expect(lag.ageMilliseconds(ofPartition: 3, nowMilliseconds: 3_000) == 2_000)
        lag.applied(partition: 3, nextOffset: 11, ofLog: "a", nowMilliseconds: 0)
        #expect(lag.ageMilliseconds(ofPartition: 3, nowMilliseconds: 3_000) == 1_000)
        lag.applied(partition: 3, nextOffset: 21, ofLog: "a", nowMilliseconds: 0)
        #expect(lag.ageMilliseconds(ofPartition: 3, nowMilliseconds: 3_000) == 0)
        lag.applied(partition: 5, nextOffset: 2, ofLog: "a", nowMilliseconds: 0)
        #expect(lag.isEmpty && lag.oldestMilliseconds(nowMilliseconds: 9_000) == 0)
    }

    @Test func `a ledger that keeps up is never behind, whatever the rate`() {
        var lag = SettlementLag()
        for step in 0..<10_000 {
            let now = UInt64(step)
            acknowledge(&lag, 0, Int64(step * 7), at: now)
            if step % 500 == 0 { lag.applied(partition: 0, nextOffset: Int64(step * 7 + 1), ofLog: "a", nowMilliseconds: 0) }
            #expect(lag.oldestMilliseconds(nowMilliseconds: now) <= 500)
        }
    }

    @Test func `a ledger that stands still is measured to the end, in bounded memory`() {
        var lag = SettlementLag()
        for step in 0..<100_000 { acknowledge(&lag, 0, Int64(step), at: UInt64(step * 10)) }
        #expect(lag.oldestMilliseconds(nowMilliseconds: 1_000_000) == 1_000_000)
        // Half of it applied: the age is right within the spacing that is left.
        lag.applied(partition: 0, nextOffset: 50_000, ofLog: "a", nowMilliseconds: 0)
        let age = lag.oldestMilliseconds(nowMilliseconds: 1_000_000)
        #expect((400_000...500_000).contains(age), "\(age)")
    }

    @Test func `a repeat whose place the broker does not tell is no mark`() {
        var lag = SettlementLag()
        acknowledge(&lag, 0, -1, at: 5)
        #expect(lag.isEmpty)
    }

    // MARK: Another log

    @Test func `a place that the ledger had passed before the command was produced is in another log`() {
        var lag = SettlementLag()
        lag.applied(partition: 2, nextOffset: 1_000, ofLog: "a", nowMilliseconds: 500)
        // Produced before that was learned: the worker may have been faster than the acknowledgement.
        let early = lag.acknowledged(partition: 2, offset: 999, producedMilliseconds: 500, nowMilliseconds: 700)
        #expect(early && !lag.hasGoneBack(2))
        let next = lag.acknowledged(partition: 2, offset: 1_000, producedMilliseconds: 501, nowMilliseconds: 700)
        #expect(next && !lag.hasGoneBack(2))
        let late = lag.acknowledged(partition: 2, offset: 5, producedMilliseconds: 501, nowMilliseconds: 701)
        #expect(!late && lag.hasGoneBack(2) && lag.hasAnyGoneBack && !lag.hasGoneBack(3))
        // It waits for no ledger.
        lag.applied(partition: 2, nextOffset: 1_001, ofLog: "a", nowMilliseconds: 800)
        #expect(lag.isEmpty && lag.hasGoneBack(2))
        // A replica that is behind is no other ledger.
        lag.applied(partition: 2, nextOffset: 990, ofLog: "a", nowMilliseconds: 900)
        #expect(lag.hasGoneBack(2))
        let behind = lag.acknowledged(partition: 2, offset: 995, producedMilliseconds: 901, nowMilliseconds: 902)
        #expect(!behind)
        // Set on another log, the ledger comes to what is in it.
        lag.applied(partition: 2, nextOffset: 4, ofLog: "b", nowMilliseconds: 1_000)
        #expect(!lag.hasAnyGoneBack)
        let again = lag.acknowledged(partition: 2, offset: 6, producedMilliseconds: 1_001, nowMilliseconds: 1_002)
        #expect(again)
    }

    @Test func `a command is held against what was known when it was produced, however late it is acknowledged`() {
        var lag = SettlementLag()
        lag.applied(partition: 0, nextOffset: 100, ofLog: "a", nowMilliseconds: 10)
        lag.applied(partition: 0, nextOffset: 120, ofLog: "a", nowMilliseconds: 110)
        for (offset, produced, isApplied) in [(99, 10, true), (99, 11, false), (110, 110, true), (119, 111, false), (120, 111, true)] {
            var copy = lag
            let seen = copy.acknowledged(
                partition: 0, offset: Int64(offset), producedMilliseconds: UInt64(produced), nowMilliseconds: 5_000)
            #expect(seen == isApplied, "\(offset), produced at \(produced)")
        }
    }
}
