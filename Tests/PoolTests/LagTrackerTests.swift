import Pool
import Testing

@Suite struct LagTrackerTests {
    private let second: UInt64 = 1_000_000_000
    private var tracker = LagTracker(standbys: 2, sampleAgeMaxMilliseconds: 1_000)

    private func probe(at position: UInt64, own: Int = 0, receiver: Bool = true, standby: Bool = true) -> LagTracker.Probe {
        LagTracker.Probe(isStandby: standby, replayedPosition: position, ownLagMilliseconds: own, hasReceiver: receiver)
    }

    @Test mutating func `a standby at the primary's position has no lag, however long nothing was written`() {
        for number in 1...100 { tracker.primaryWasAt(500, askedNanoseconds: UInt64(number) * second) }
        #expect(tracker.lagMilliseconds(ofStandby: 0, probe(at: 500, own: 99_000), nowNanoseconds: 100 * second) == 0)
        #expect(tracker.lagMilliseconds(ofStandby: 0, probe(at: 501), nowNanoseconds: 100 * second) == 0)
    }

    @Test mutating func `lag is the time since the primary was where the standby is now`() {
        for number in 1...10 { tracker.primaryWasAt(UInt64(number) * 100, askedNanoseconds: UInt64(number) * second) }
        #expect(tracker.lagMilliseconds(ofStandby: 0, probe(at: 799), nowNanoseconds: 10 * second) == 3_000)
        #expect(tracker.lagMilliseconds(ofStandby: 0, probe(at: 800), nowNanoseconds: 10 * second) == 2_000)
        #expect(tracker.lagMilliseconds(ofStandby: 1, probe(at: 1_000), nowNanoseconds: 10 * second) == 0)
        // Older than all that is remembered: at least as late as the oldest sample.
        #expect(tracker.lagMilliseconds(ofStandby: 0, probe(at: 1), nowNanoseconds: 10 * second) == 9_000)
    }

    @Test mutating func `a standby that says it has no lag is not believed against the primary's position`() {
        tracker.primaryWasAt(100, askedNanoseconds: 1 * second)
        tracker.primaryWasAt(200, askedNanoseconds: 2 * second)
        #expect(tracker.lagMilliseconds(ofStandby: 0, probe(at: 100, own: 0), nowNanoseconds: 2 * second) == 1_000)
    }

    @Test mutating func `what is remembered is bounded, and lag then counts from the oldest sample`() {
        for number in 1...10_000 { tracker.primaryWasAt(UInt64(number), askedNanoseconds: UInt64(number) * second) }
        let lag = tracker.lagMilliseconds(ofStandby: 0, probe(at: 1), nowNanoseconds: 10_000 * second)
        #expect(lag == 239_000)
    }

    @Test mutating func `a position that goes back is another history`() {
        tracker.primaryWasAt(900, askedNanoseconds: 1 * second)
        tracker.primaryWasAt(300, askedNanoseconds: 2 * second)
        #expect(tracker.lagMilliseconds(ofStandby: 0, probe(at: 300), nowNanoseconds: 2 * second) == 0)
    }

    @Test mutating func `after a promotion only a standby that receives is known to have the new history`() {
        tracker.primaryWasAt(2_000, askedNanoseconds: 1 * second)
        let left = probe(at: 2_000, receiver: false)
        #expect(tracker.lagMilliseconds(ofStandby: 0, probe(at: 2_000), nowNanoseconds: 1 * second) == 0)
        #expect(tracker.lagMilliseconds(ofStandby: 0, left, nowNanoseconds: 1 * second) == 0)
        #expect(tracker.coveredNanoseconds(left) == 1 * second)
        // Its log goes on beyond where the new primary's forked: it cannot follow.
        tracker.primaryWasAt(1_500, askedNanoseconds: 2 * second)
        #expect(tracker.lagMilliseconds(ofStandby: 0, left, nowNanoseconds: 9 * second) == 8_000)
        #expect(tracker.lagMilliseconds(ofStandby: 1, left, nowNanoseconds: 9 * second) == LagTracker.unknownMilliseconds)
        #expect(tracker.coveredNanoseconds(left) == 0)
        #expect(tracker.coveredNanoseconds(probe(at: 1_500)) == 2 * second)
    }

    @Test mutating func `without a recent sample the standby's own word counts`() {
        tracker.primaryWasAt(900, askedNanoseconds: 1 * second)
        #expect(tracker.lagMilliseconds(ofStandby: 0, probe(at: 900, own: 70), nowNanoseconds: 2 * second) == 0)
        #expect(tracker.lagMilliseconds(ofStandby: 0, probe(at: 900, own: 70), nowNanoseconds: 2 * second + 1) == 70)
        // What is known to be missing stays known.
        #expect(tracker.lagMilliseconds(ofStandby: 0, probe(at: 899, own: 70), nowNanoseconds: 60 * second) == 59_000)
    }

    @Test mutating func `without a sample, a receiver that is gone counts as lag since it was last seen`() {
        #expect(tracker.lagMilliseconds(ofStandby: 0, probe(at: 1), nowNanoseconds: 5 * second) == 0)
        #expect(tracker.lagMilliseconds(ofStandby: 0, probe(at: 1, receiver: false), nowNanoseconds: 7 * second) == 2_000)
        #expect(tracker.lagMilliseconds(ofStandby: 0, probe(at: 1, own: 9_000, receiver: false), nowNanoseconds: 8 * second) == 9_000)
        #expect(tracker.lagMilliseconds(ofStandby: 0, probe(at: 1), nowNanoseconds: 9 * second) == 0)
        // The other one's receiver was never seen.
        let never = tracker.lagMilliseconds(ofStandby: 1, probe(at: 1, receiver: false), nowNanoseconds: 9 * second)
        #expect(never == LagTracker.unknownMilliseconds)
    }

    @Test mutating func `a promoted server has no lag`() {
        tracker.primaryWasAt(900, askedNanoseconds: 1 * second)
        #expect(tracker.lagMilliseconds(ofStandby: 0, probe(at: 0, own: 5, receiver: false, standby: false), nowNanoseconds: second) == 0)
    }

    @Test mutating func `what a standby has for certain is told by the newest position that it has replayed`() {
        #expect(tracker.coveredNanoseconds(probe(at: 500)) == 0)
        tracker.primaryWasAt(100, askedNanoseconds: 1 * second)
        tracker.primaryWasAt(200, askedNanoseconds: 2 * second)
        #expect(tracker.coveredNanoseconds(probe(at: 99)) == 0)
        #expect(tracker.coveredNanoseconds(probe(at: 100)) == 1 * second)
        #expect(tracker.coveredNanoseconds(probe(at: 250)) == 2 * second)
        // One that was promoted has a history of its own.
        #expect(tracker.coveredNanoseconds(probe(at: 250, standby: false)) == 0)
    }
}
