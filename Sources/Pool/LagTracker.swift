/// How far a standby is behind, from log positions: the primary's, sampled over time, and the one the standby has replayed.
///
/// A standby alone cannot know. Once its receiver is dead or frozen, all it has received is replayed and its own figures say
/// "no lag" for ever; the receiver's time-outs are a minute long. Against the primary's positions the lag grows from the first
/// commit that did not arrive. Only when the primary cannot be asked, and the standby has all that it was last known to
/// have, is the standby's own word taken, and then a missing receiver counts as lag since it was last seen.
public struct LagTracker: Sendable {
    /// What one probe of a standby answered.
    public struct Probe: Sendable {
        /// False for a server that was promoted: it has no lag.
        public var isStandby: Bool
        /// The log position replayed, bytes from the start of the log.
        public var replayedPosition: UInt64
        /// The standby's own word: 0 when all it received is replayed, else the age of the last replayed commit.
        public var ownLagMilliseconds: Int
        /// Whether a process receives the primary's log.
        public var hasReceiver: Bool

        public init(isStandby: Bool, replayedPosition: UInt64, ownLagMilliseconds: Int, hasReceiver: Bool) {
            self.isStandby = isStandby
            self.replayedPosition = replayedPosition
            self.ownLagMilliseconds = ownLagMilliseconds
            self.hasReceiver = hasReceiver
        }
    }

    private struct Sample {
        let position: UInt64
        let askedNanoseconds: UInt64
    }

    /// A minute at four samples a second; a standby further behind is that far behind at least.
    static let samplesMax = 240

    private var samples: [Sample] = []
    /// Whether the primary's log was seen to go back: a standby was promoted. Another one whose log went on where the new one forked
    /// cannot follow, and its position says nothing; only one that receives is known to have the same history.
    private var isAnotherHistory = false
    private let sampleAgeMaxNanoseconds: UInt64
    private var receiverSeenNanoseconds: [UInt64?]

    /// - Parameter sampleAgeMaxMilliseconds: how old the newest sample may be to prove that a standby which has replayed it is fresh.
    public init(standbys: Int, sampleAgeMaxMilliseconds: Int) {
        receiverSeenNanoseconds = Array(repeating: nil, count: standbys)
        sampleAgeMaxNanoseconds = UInt64(sampleAgeMaxMilliseconds) * 1_000_000
    }

    /// The primary has flushed its log up to `position`; `askedNanoseconds` is when it was asked, so that every commit
    /// acknowledged before is at or below the position.
    public mutating func primaryWasAt(_ position: UInt64, askedNanoseconds: UInt64) {
        // A position that goes back is another history: nothing known so far can be compared with it.
        if let last = samples.last, position < last.position {
            samples.removeAll(keepingCapacity: true)
            isAnotherHistory = true
        }
        if let last = samples.last, position == last.position {
            // Idle: what has replayed this position is as fresh as the newest sample of it.
            samples[samples.count - 1] = Sample(position: last.position, askedNanoseconds: askedNanoseconds)
            return
        }
        if samples.count == Self.samplesMax { samples.removeFirst() }
        samples.append(Sample(position: position, askedNanoseconds: askedNanoseconds))
    }

    /// What a standby that never had a receiver, and nothing to be held against, is behind.
    public static let unknownMilliseconds = Int(Int32.max)

    /// The standby's lag, milliseconds, 0 or more.
    public mutating func lagMilliseconds(ofStandby index: Int, _ probe: Probe, nowNanoseconds: UInt64) -> Int {
        guard probe.isStandby else { return 0 }
        if probe.hasReceiver { receiverSeenNanoseconds[index] = nowNanoseconds }
        if let newest = samples.last, isComparable(probe) {
            if probe.replayedPosition < newest.position {
                let covered = samples.last { $0.position <= probe.replayedPosition } ?? samples[0]
                return milliseconds(since: covered.askedNanoseconds, nowNanoseconds)
            }
            if newest.askedNanoseconds + sampleAgeMaxNanoseconds >= nowNanoseconds { return 0 }
        }
        guard let seen = receiverSeenNanoseconds[index] else { return Self.unknownMilliseconds }
        return max(probe.ownLagMilliseconds, milliseconds(since: seen, nowNanoseconds))
    }

    /// Every commit that was acknowledged before this instant has been replayed by a standby that answered so; 0 when that is not known.
    /// Unlike the lag it is never a guess.
    public func coveredNanoseconds(_ probe: Probe) -> UInt64 {
        guard probe.isStandby, isComparable(probe) else { return 0 }
        return samples.last { $0.position <= probe.replayedPosition }?.askedNanoseconds ?? 0
    }

    private func isComparable(_ probe: Probe) -> Bool { probe.hasReceiver || !isAnotherHistory }

    private func milliseconds(since start: UInt64, _ now: UInt64) -> Int { now > start ? Int((now - start) / 1_000_000) : 0 }
}
