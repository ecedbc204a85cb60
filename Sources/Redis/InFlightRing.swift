/// The commands that wait for an answer, oldest first: Redis answers in order, and every deadline is the same
/// time after its turn, so the oldest is always the first to be answered and the first to be late.
///
/// A command that has timed out stays until its late answer takes it away; that answer can therefore never be
/// taken for the next command's. The late ones are always the first `lateCount`.
struct InFlightRing: ~Copyable {
    private struct Entry {
        var token: UInt64
        var deadlineNanoseconds: UInt64
    }
    private var entries: [Entry]
    private var head = 0
    private(set) var count = 0
    private var lateCount = 0

    /// Room for `capacity` commands, rounded up to a power of two and made at once.
    init(capacity: Int) {
        precondition(capacity > 0 && capacity <= 1 << 24)
        var size = 16
        while size < capacity { size *= 2 }
        entries = [Entry](repeating: Entry(token: 0, deadlineNanoseconds: 0), count: size)
    }

    /// When the first command that has not been given up on is due.
    var firstDeadlineNanoseconds: UInt64? {
        lateCount < count ? entries[index(lateCount)].deadlineNanoseconds : nil
    }

    /// The deadline is not before that of the command appended last.
    mutating func append(token: UInt64, deadlineNanoseconds: UInt64) {
        precondition(count < entries.count, "more commands in flight than the bound")
        entries[index(count)] = Entry(token: token, deadlineNanoseconds: deadlineNanoseconds)
        count += 1
    }

    /// Takes the oldest command off for a reply that has come in; nil when it had timed out.
    mutating func takeAnswered() -> UInt64? {
        precondition(count > 0, "a reply to no command")
        let token = entries[head].token
        head = index(1)
        count -= 1
        if lateCount > 0 {
            lateCount -= 1
            return nil
        }
        return token
    }

    /// Gives up on the first command that is due, and returns its token; nil when none is.
    mutating func takeLate(nowNanoseconds: UInt64) -> UInt64? {
        guard let deadline = firstDeadlineNanoseconds, deadline <= nowNanoseconds else { return nil }
        let token = entries[index(lateCount)].token
        lateCount += 1
        return token
    }

    /// Takes the oldest command off that has not timed out, with the late ones before it; nil when none is left.
    /// For a connection that is gone: no reply will come.
    mutating func takeLost() -> UInt64? {
        head = index(lateCount)
        count -= lateCount
        lateCount = 0
        return count > 0 ? takeAnswered() : nil
    }

    private func index(_ offset: Int) -> Int { (head + offset) & (entries.count - 1) }
}
