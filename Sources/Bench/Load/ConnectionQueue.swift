/// Connections in the order in which they became free.
struct ConnectionQueue {
    private var items: [LoadConnection] = []
    private var head = 0

    mutating func add(_ connection: LoadConnection) {
        // Only when half of it is used up, so that each connection is moved once at most.
        if head >= 64, head * 2 >= items.count {
            items.removeFirst(head)
            head = 0
        }
        items.append(connection)
    }

    mutating func next() -> LoadConnection? {
        guard head < items.count else { return nil }
        defer { head += 1 }
        return items[head]
    }
}
