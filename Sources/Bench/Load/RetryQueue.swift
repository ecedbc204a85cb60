/// Requests that are sent again, by their time: a binary heap.
struct RetryQueue {
    private var items: [(due: UInt64, plan: RequestPlan)] = []

    var count: Int { items.count }
    /// Monotonic nanoseconds; nil when there is none.
    var next: UInt64? { items.first?.due }

    mutating func add(_ plan: RequestPlan, due: UInt64) {
        items.append((due, plan))
        var child = items.count - 1
        while child > 0 {
            let parent = (child - 1) / 2
            if items[parent].due <= items[child].due { return }
            items.swapAt(parent, child)
            child = parent
        }
    }

    mutating func take() -> RequestPlan? {
        guard let first = items.first else { return nil }
        items.swapAt(0, items.count - 1)
        items.removeLast()
        var parent = 0
        while true {
            let left = 2 * parent + 1
            guard left < items.count else { break }
            let right = left + 1
            let child = right < items.count && items[right].due < items[left].due ? right : left
            if items[parent].due <= items[child].due { break }
            items.swapAt(parent, child)
            parent = child
        }
        return first.plan
    }

    mutating func removeAll() { items.removeAll() }
}

/// How long a client waits before it sends a request again.
enum RetryDelay {
    private static let firstSeconds = 0.05
    private static let secondsMax = 10.0

    /// What the server asks for, else doubling from 50 ms; a client among many comes back at a time of its own.
    static func nanoseconds(attempt: Int, retryAfterSeconds: Int?, _ chance: inout Chance) -> UInt64 {
        if let asked = retryAfterSeconds {
            let spread = Double.random(in: 0..<0.25, using: &chance)
            return UInt64(min(Double(asked) + spread, secondsMax) * 1e9)
        }
        var seconds = firstSeconds
        for _ in 0..<attempt { seconds *= 2 }
        return UInt64(min(seconds * Double.random(in: 0.5..<1.5, using: &chance), secondsMax) * 1e9)
    }
}
