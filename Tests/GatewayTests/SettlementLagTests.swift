import Testing

@testable import Gateway

@Suite struct SettlementLagTests {
    @Test func `the age is that of the oldest command that is not applied, of its partition`() {
        var lag = SettlementLag()
        #expect(lag.isEmpty && lag.ageMilliseconds(ofPartition: 3, nowMilliseconds: 9_000) == 0)
        lag.acknowledged(partition: 3, offset: 10, nowMilliseconds: 1_000)
        lag.acknowledged(partition: 3, offset: 20, nowMilliseconds: 2_000)
        lag.acknowledged(partition: 5, offset: 1, nowMilliseconds: 2_500)
        #expect(lag.ageMilliseconds(ofPartition: 3, nowMilliseconds: 3_000) == 2_000)
        #expect(lag.ageMilliseconds(ofPartition: 5, nowMilliseconds: 3_000) == 500)
        #expect(lag.oldestMilliseconds(nowMilliseconds: 3_000) == 2_000)
        // The next offset is the first that is not applied.
        lag.applied(partition: 3, nextOffset: 10)
        #expect(lag.ageMilliseconds(ofPartition: 3, nowMilliseconds: 3_000) == 2_000)
        lag.applied(partition: 3, nextOffset: 11)
        #expect(lag.ageMilliseconds(ofPartition: 3, nowMilliseconds: 3_000) == 1_000)
        lag.applied(partition: 3, nextOffset: 21)
        #expect(lag.ageMilliseconds(ofPartition: 3, nowMilliseconds: 3_000) == 0)
        lag.applied(partition: 5, nextOffset: 2)
        #expect(lag.isEmpty && lag.oldestMilliseconds(nowMilliseconds: 9_000) == 0)
    }

    @Test func `a ledger that keeps up is never behind, whatever the rate`() {
        var lag = SettlementLag()
        for step in 0..<10_000 {
            let now = UInt64(step)
            lag.acknowledged(partition: 0, offset: Int64(step * 7), nowMilliseconds: now)
            if step % 500 == 0 { lag.applied(partition: 0, nextOffset: Int64(step * 7 + 1)) }
            #expect(lag.oldestMilliseconds(nowMilliseconds: now) <= 500)
        }
    }

    @Test func `a ledger that stands still is measured to the end, in bounded memory`() {
        var lag = SettlementLag()
        for step in 0..<100_000 { lag.acknowledged(partition: 0, offset: Int64(step), nowMilliseconds: UInt64(step * 10)) }
        #expect(lag.oldestMilliseconds(nowMilliseconds: 1_000_000) == 1_000_000)
        // Half of it applied: the age is right within the spacing that is left.
        lag.applied(partition: 0, nextOffset: 50_000)
        let age = lag.oldestMilliseconds(nowMilliseconds: 1_000_000)
        #expect((400_000...500_000).contains(age), "\(age)")
    }

    @Test func `a repeat whose place the broker does not tell is no mark`() {
        var lag = SettlementLag()
        lag.acknowledged(partition: 0, offset: -1, nowMilliseconds: 5)
        #expect(lag.isEmpty)
    }
}
