/// The tokens that have no report yet, oldest first. Pure; times are monotonic nanoseconds passed in.
///
/// Entries stand in slots that are reused, linked in the order they were produced, so that the oldest is known at once
/// although reports of different partitions come in any order.
struct InFlightTable {
    private struct Slot {
        var token: UInt64
        var producedNanoseconds: UInt64
        /// Rises with each use of the slot, so that a second report for an earlier message is noticed.
        var generation: UInt32
        /// Towards the older and the newer neighbour; a free slot links to the next free one by `newer`.
        var older: Int32
        var newer: Int32
        var isUsed: Bool
    }
    private static let none: Int32 = -1

    private var slots: [Slot] = []
    private var firstFree = none
    private var oldest = none
    private var newest = none
    private(set) var count = 0
    private let capacity: Int

    init(capacity: Int) {
        precondition(capacity > 0 && capacity < Int(Int32.max))
        self.capacity = capacity
    }

    var isFull: Bool { count == capacity }
    var oldestNanoseconds: UInt64? { oldest == Self.none ? nil : slots[Int(oldest)].producedNanoseconds }

    /// Takes a token in. Returns the key that `remove` wants; the table must not be full.
    mutating func insert(token: UInt64, nowNanoseconds: UInt64) -> UInt64 {
        precondition(!isFull)
        let index: Int32
        if firstFree != Self.none {
            index = firstFree
            firstFree = slots[Int(index)].newer
        } else {
            index = Int32(slots.count)
            slots.append(Slot(token: 0, producedNanoseconds: 0, generation: 0, older: 0, newer: 0, isUsed: false))
        }
        let generation = slots[Int(index)].generation &+ 1
        slots[Int(index)] = Slot(
            token: token, producedNanoseconds: nowNanoseconds, generation: generation, older: newest, newer: Self.none, isUsed: true)
        if newest == Self.none { oldest = index } else { slots[Int(newest)].newer = index }
        newest = index
        count += 1
        return UInt64(generation) << 32 | UInt64(UInt32(index))
    }

    /// Gives the token back. Nil when the key was removed before: the caller's bug.
    mutating func remove(_ key: UInt64) -> UInt64? {
        let index = Int(key & 0xFFFF_FFFF)
        guard index < slots.count, slots[index].isUsed, slots[index].generation == UInt32(key >> 32) else { return nil }
        let slot = slots[index]
        if slot.older == Self.none { oldest = slot.newer } else { slots[Int(slot.older)].newer = slot.newer }
        if slot.newer == Self.none { newest = slot.older } else { slots[Int(slot.newer)].older = slot.older }
        slots[index].isUsed = false
        slots[index].newer = firstFree
        firstFree = Int32(index)
        count -= 1
        return slot.token
    }
}
