internal import Wire

/// The commands that clients wait for, by when their time is up.
struct WaitQueues {
    /// By the seconds of the wait, so that each queue's deadlines rise.
    private var bySeconds = Array(repeating: DeadlineQueue<PendingCommand>(), count: Limits.waitSecondsMax + 1)
    private var unheard = DeadlineQueue<PendingCommand>()

    /// A client waits. Times are monotonic milliseconds.
    mutating func append(_ pending: PendingCommand, seconds: Int, deadline: UInt64) {
        bySeconds[seconds].append(pending, deadline: deadline)
    }

    /// A command whose outcome no worker will tell is to be looked up.
    mutating func appendUnheard(_ pending: PendingCommand, deadline: UInt64) { unheard.append(pending, deadline: deadline) }

    /// The command of a client whose time is up; nil when there is none.
    mutating func popEnded(now: UInt64) -> PendingCommand? {
        for index in bySeconds.indices {
            if let pending = bySeconds[index].popDue(now: now) { return pending }
        }
        return nil
    }

    mutating func popUnheard(now: UInt64) -> PendingCommand? { unheard.popDue(now: now) }
}
