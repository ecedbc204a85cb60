/// So many of something in a window of time; what is over is counted. Pure, time passed in.
public struct RateLimit: Sendable {
    private let burst: Int
    private let windowMilliseconds: UInt64
    private var windowStart: UInt64 = 0
    private var used = 0
    private var suppressed = 0

    public init(burst: Int, windowMilliseconds: UInt64) {
        self.burst = burst
        self.windowMilliseconds = windowMilliseconds
    }

    public mutating func allows(nowMilliseconds now: UInt64) -> Bool {
        if hasPassed(nowMilliseconds: now) {
            windowStart = now
            used = 0
        }
        guard used < burst else {
            suppressed += 1
            return false
        }
        used += 1
        return true
    }

    /// Whether the window is over, so that the next one would be allowed. `now` may be before its start: threads that share a limit read
    /// their clocks before they get hold of it.
    public func hasPassed(nowMilliseconds now: UInt64) -> Bool { now >= windowStart + windowMilliseconds }

    /// How many were refused since the last call.
    public mutating func takeSuppressed() -> Int {
        defer { suppressed = 0 }
        return suppressed
    }
}
