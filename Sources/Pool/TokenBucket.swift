/// A rate held over time: so many a second, with bursts up to a tenth of a second's worth. No clock: time is passed in.
public struct TokenBucket: Sendable {
    static let burstNanoseconds: UInt64 = 100_000_000

    private let nanosecondsPerToken: UInt64
    private let burstNanoseconds: UInt64
    /// Up to when the rate has been used. Never further back than the burst allows.
    private var usedUpToNanoseconds: UInt64 = 0

    /// `perSecond` 0 never grants anything.
    public init(perSecond: Int) {
        precondition(perSecond >= 0)
        nanosecondsPerToken = perSecond == 0 ? 0 : max(1, 1_000_000_000 / UInt64(perSecond))
        burstNanoseconds = max(nanosecondsPerToken, Self.burstNanoseconds)
    }

    /// Takes one, or takes nothing and returns false.
    ///
    /// - Parameters:
    ///   - nowNanoseconds: monotonic.
    ///   - creditNanoseconds: how far ahead of time one may be taken; nothing is granted until time has caught up.
    public mutating func take(nowNanoseconds: UInt64, creditNanoseconds: UInt64 = 0) -> Bool {
        guard nanosecondsPerToken > 0 else { return false }
        let earliest = nowNanoseconds > burstNanoseconds ? nowNanoseconds - burstNanoseconds : 0
        let start = max(usedUpToNanoseconds, earliest)
        guard start + nanosecondsPerToken <= nowNanoseconds + creditNanoseconds else { return false }
        usedUpToNanoseconds = start + nanosecondsPerToken
        return true
    }
}
