/// Connections that wait for something, by their slots, in the order in which they came; each at most once.
struct SlotQueue {
    private var slots: [UInt32] = []
    /// The first one that was not taken.
    private var first = 0

    var count: Int { slots.count - first }

    mutating func append(_ slot: UInt32) { slots.append(slot) }

    mutating func popFirst() -> UInt32? {
        guard first < slots.count else { return nil }
        let slot = slots[first]
        first += 1
        // Moved down rarely, so that a step costs the same however many wait.
        if first * 2 >= slots.count {
            slots.removeFirst(first)
            first = 0
        }
        return slot
    }

    /// Takes one out of the middle.
    mutating func remove(_ slot: UInt32) {
        if let index = slots[first...].firstIndex(of: slot) { slots.remove(at: index) }
    }
}
