internal import Ledger
internal import Wire

/// The commands that clients wait for, by when their time is up, and by when they are to be looked up.
///
/// Ids, not the commands: most are decided long before either, and nothing of those is kept. So what comes due may be gone, or begun anew.
/// Of those that are gone at most as many are kept as of others, beyond `sparedMax`.
struct WaitQueues {
    private let sparedMax: Int
    /// Entries from which on those of commands that are gone are looked for.
    private var sweptFrom: Int
    /// By the seconds of the wait, so that each queue's deadlines rise.
    private var bySeconds = Array(repeating: DeadlineQueue<OperationID>(), count: Limits.waitSecondsMax + 1)
    private var looks: PollQueues<OperationID>

    /// - Parameters:
    ///   - lookMilliseconds: before a command is looked up for the first time; then ever less often, up to 32 times as long.
    ///   - sparedMax: entries that are kept without a look at what they are of.
    init(lookMilliseconds: Int, sparedMax: Int) {
        self.sparedMax = sparedMax
        sweptFrom = sparedMax
        looks = PollQueues(firstMilliseconds: lookMilliseconds, longestMilliseconds: lookMilliseconds * 32)
    }

    var count: Int { bySeconds.reduce(looks.count) { $0 + $1.count } }

    /// Forgets commands that are gone, once there are many entries; costs each of them a step or two in all.
    mutating func sweep(_ isGone: (OperationID) -> Bool) {
        guard count >= sweptFrom else { return }
        for index in bySeconds.indices { bySeconds[index].removeAll(where: isGone) }
        looks.removeAll(where: isGone)
        sweptFrom = max(sparedMax, 2 * count)
    }

    /// A client waits. Times are monotonic milliseconds.
    mutating func append(_ id: OperationID, seconds: Int, deadline: UInt64) { bySeconds[seconds].append(id, deadline: deadline) }

    /// The command of a client whose time is up; nil when there is none.
    mutating func popEnded(now: UInt64) -> OperationID? {
        for index in bySeconds.indices {
            if let id = bySeconds[index].popDue(now: now) { return id }
        }
        return nil
    }

    // MARK: Looking up

    /// When a command would be looked up that was so many times before.
    func nextLook(looks count: Int, now: UInt64) -> UInt64 { looks.deadline(looks: count, now: now) }

    mutating func appendLook(_ id: OperationID, looks count: Int, now: UInt64) { looks.append(id, looks: count, now: now) }

    mutating func popLook(now: UInt64) -> OperationID? { looks.popDue(now: now) }
}
