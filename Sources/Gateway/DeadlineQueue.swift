/// Elements in the order of their deadlines, which is the order they are put in: all in one queue wait equally long.
struct DeadlineQueue<Element> {
    private var elements: [(deadline: UInt64, element: Element)] = []
    private var head = 0

    var count: Int { elements.count - head }
    var isEmpty: Bool { count == 0 }
    /// That of the first element; nil when there is none.
    var nextDeadline: UInt64? { isEmpty ? nil : elements[head].deadline }

    /// - Parameter deadline: monotonic milliseconds, not below that of the element before.
    mutating func append(_ element: Element, deadline: UInt64) {
        precondition(isEmpty || elements[elements.count - 1].deadline <= deadline, "deadlines of one queue rise")
        elements.append((deadline, element))
    }

    /// Forgets elements before their time.
    mutating func removeAll(where isDone: (Element) -> Bool) {
        elements = elements[head...].filter { !isDone($0.element) }
        head = 0
    }

    /// Takes the first element whose deadline has come; nil when there is none.
    mutating func popDue(now: UInt64) -> Element? {
        guard head < elements.count, elements[head].deadline <= now else { return nil }
        let element = elements[head].element
        head += 1
        // Half of the array is done with: what is left moves down, so each element moves once on average.
        if head * 2 >= elements.count {
            elements.removeFirst(head)
            head = 0
        }
        return element
    }
}
