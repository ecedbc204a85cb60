/// Elements that are looked at again and again: soon after they came, when most are done, then ever less often. No clock.
struct PollQueues<Element> {
    /// Looks come together at multiples of this many milliseconds, so that thousands of elements are a few hundred wakes a second.
    static var grainMilliseconds: UInt64 { 5 }

    /// One for each time between two looks, so that each queue's deadlines rise.
    private var steps: [(milliseconds: UInt64, queue: DeadlineQueue<Element>)] = []

    /// Times between two looks: the first, then doubled with each look up to the longest; milliseconds, above 0.
    init(firstMilliseconds: Int, longestMilliseconds: Int) {
        var milliseconds = min(firstMilliseconds, longestMilliseconds)
        precondition(milliseconds > 0, "a look again takes time")
        while milliseconds < longestMilliseconds {
            steps.append((UInt64(milliseconds), DeadlineQueue()))
            milliseconds *= 2
        }
        steps.append((UInt64(longestMilliseconds), DeadlineQueue()))
    }

    /// When the next element is to be looked at, monotonic milliseconds; nil when there is none.
    var nextDeadline: UInt64? { steps.compactMap(\.queue.nextDeadline).min() }

    /// When an element would be looked at that is put in now, monotonic milliseconds.
    ///
    /// - Parameters:
    ///   - looks: how often it was put in here before.
    ///   - now: monotonic milliseconds.
    func deadline(looks: Int, now: UInt64) -> UInt64 {
        let deadline = now + steps[min(looks, steps.count - 1)].milliseconds
        return (deadline + Self.grainMilliseconds - 1) / Self.grainMilliseconds * Self.grainMilliseconds
    }

    /// Parameters as those of `deadline(looks:now:)`.
    mutating func append(_ element: Element, looks: Int, now: UInt64) {
        steps[min(looks, steps.count - 1)].queue.append(element, deadline: deadline(looks: looks, now: now))
    }

    var count: Int { steps.reduce(0) { $0 + $1.queue.count } }

    /// Forgets elements before their time.
    mutating func removeAll(where isDone: (Element) -> Bool) {
        for index in steps.indices { steps[index].queue.removeAll(where: isDone) }
    }

    /// Takes an element that is to be looked at; nil when there is none.
    mutating func popDue(now: UInt64) -> Element? {
        for index in steps.indices {
            if let element = steps[index].queue.popDue(now: now) { return element }
        }
        return nil
    }
}
