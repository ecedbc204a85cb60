/// Which lines of the log are written: so many of each message in a window of time. Pure, time passed in.
///
/// A message is a literal of the program, so there are at most as many entries as there are places that log.
struct LogGate {
    /// Enough for each partition or replica of a machine to be told of once; a fault that meets every request writes no more than this.
    static let linesMax = 50
    static let windowMilliseconds: UInt64 = 10_000

    /// What was left out of a message.
    struct LeftOut {
        let message: StaticString
        let level: Log.Level
        let count: Int
    }

    private struct Entry {
        let message: StaticString
        let level: Log.Level
        var rate = RateLimit(burst: LogGate.linesMax, windowMilliseconds: LogGate.windowMilliseconds)
    }
    /// By the literal's address.
    private var entries: [UInt: Entry] = [:]

    /// How many lines of this message were left out since the last that was written; nil for one that is left out itself.
    mutating func admit(_ message: StaticString, _ level: Log.Level, nowMilliseconds now: UInt64) -> Int? {
        let key = unsafe UInt(bitPattern: message.utf8Start)
        var entry = entries[key] ?? Entry(message: message, level: level)
        defer { entries[key] = entry }
        return entry.rate.allows(nowMilliseconds: now) ? entry.rate.takeSuppressed() : nil
    }

    /// What was left out of messages that have not come again since.
    ///
    /// - Parameter isEnding: also of those whose window is not over.
    mutating func takeLeftOut(nowMilliseconds now: UInt64, isEnding: Bool) -> [LeftOut] {
        var result: [LeftOut] = []
        for key in entries.keys {
            guard var entry = entries[key], isEnding || entry.rate.hasPassed(nowMilliseconds: now) else { continue }
            let count = entry.rate.takeSuppressed()
            guard count > 0 else { continue }
            entries[key] = entry
            result.append(LeftOut(message: entry.message, level: entry.level, count: count))
        }
        return result
    }
}
