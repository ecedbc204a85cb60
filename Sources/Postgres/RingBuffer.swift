/// A first-in, first-out queue in an array that is used round and round; it grows and never shrinks.
struct RingBuffer<Element> {
    private var storage: [Element?] = [nil, nil, nil, nil]
    private var head = 0
    private(set) var count = 0

    var isEmpty: Bool { count == 0 }
    var first: Element? { count == 0 ? nil : storage[head] }

    /// The element `offset` places after the oldest.
    subscript(offset: Int) -> Element {
        get {
            precondition(offset >= 0 && offset < count)
            return storage[(head + offset) & (storage.count - 1)]!
        }
        _modify {
            precondition(offset >= 0 && offset < count)
            yield &storage[(head + offset) & (storage.count - 1)]!
        }
    }

    mutating func append(_ element: Element) {
        if count == storage.count { grow() }
        storage[(head + count) & (storage.count - 1)] = element
        count += 1
    }

    mutating func removeFirst() -> Element? {
        guard count > 0 else { return nil }
        defer {
            storage[head] = nil
            head = (head + 1) & (storage.count - 1)
            count -= 1
        }
        return storage[head]
    }

    /// The size stays a power of two, so that the index wraps with a mask.
    private mutating func grow() {
        let ordered = Array(storage[head...] + storage[..<head])
        storage = ordered + Array(repeating: nil, count: ordered.count)
        head = 0
    }
}
