/// Who waits for the same thing: the first asks for it, the others wait with it.
struct Flights<Key: Hashable, Waiter> {
    private var flights: [Key: [Waiter]] = [:]

    var count: Int { flights.count }

    /// Whether the waiter is the first, and so has to ask.
    mutating func join(_ key: Key, _ waiter: Waiter) -> Bool {
        flights[key, default: []].append(waiter)
        return flights[key]?.count == 1
    }

    /// Everybody who waits, in the order they came.
    func waiters(_ key: Key) -> [Waiter] { flights[key] ?? [] }

    /// Everybody who waits, in the order they came; none of them waits any longer.
    mutating func land(_ key: Key) -> [Waiter] { flights.removeValue(forKey: key) ?? [] }
}
