/// A rate held over time: so many a second, with bursts up to a tenth of a second's worth. No clock: time is passed in.
public struct TokenBucket: Sendable {
    private let nanosecondsPerToken: UInt64
    private let burstNanoseconds: UInt64
    /// Up to when the rate has been used. Never further back than the burst allows.
    private var usedUpToNanoseconds: UInt64 = 0

    /// `perSecond` 0 never grants anything.
    public init(perSecond: Int) {
        precondition(perSecond >= 0)
        nanosecondsPerToken = perSecond == 0 ? 0 : max(1, 1_000_000_000 / UInt64(perSecond))
        burstNanoseconds = max(nanosecondsPerToken, 100_000_000)
    }

    /// Takes one, or takes nothing and returns false. `nowNanoseconds` is monotonic.
    public mutating func take(nowNanoseconds: UInt64) -> Bool {
        guard nanosecondsPerToken > 0 else { return false }
        let earliest = nowNanoseconds > burstNanoseconds ? nowNanoseconds - burstNanoseconds : 0
        let start = max(usedUpToNanoseconds, earliest)
        guard start + nanosecondsPerToken <= nowNanoseconds else { return false }
        usedUpToNanoseconds = start + nanosecondsPerToken
        return true
    }
}
