import Testing

@testable import Postgres

@Suite struct PipelineTests {
    typealias Machine = Pipeline<String, Int>

    private let failure = PostgresError.serverError(sqlState: "22012", message: "division by zero", detail: nil)
    private let other = PostgresError.serverError(sqlState: "23503", message: "a deferred constraint", detail: nil)

    /// What the events lead to, as text, without those that lead to nothing.
    private func run(_ machine: inout Machine, _ events: [Machine.Event]) -> [String] {
        events.compactMap { event in
            switch machine.handle(event) {
            case .none: nil
            case .finished(let ticket, .success(let answers)): "\(ticket) \(answers)"
            case .finished(let ticket, .failure(let error)): "\(ticket) \(error)"
            case .violated: "violated"
            }
        }
    }

    private func machine(_ segments: [(String, Int)]) -> Machine {
        var machine = Machine()
        for (ticket, queries) in segments { machine.sent(ticket, queries: queries, deadlineNanoseconds: 0) }
        return machine
    }

    @Test func `segments are finished in order, each at its synchronisation`() {
        var machine = machine([("a", 2), ("b", 1), ("c", 0)])
        #expect(run(&machine, [.answered(1), .answered(2)]) == [])
        #expect(run(&machine, [.synchronised]) == ["a [1, 2]"])
        #expect(run(&machine, [.answered(3), .synchronised, .synchronised]) == ["b [3]", "c []"])
        #expect(machine.inFlight == 0)
    }

    @Test func `a failure skips the rest of its segment and nothing of the next`() {
        var machine = machine([("a", 3), ("b", 1)])
        let events: [Machine.Event] = [.answered(1), .failed(failure), .aborted, .synchronised, .answered(2), .synchronised]
        #expect(run(&machine, events) == ["a \(failure)", "b [2]"])
    }

    @Test func `a commit that fails after every answer is a failure`() {
        var machine = machine([("a", 2)])
        #expect(run(&machine, [.answered(1), .answered(2), .failed(other), .synchronised]) == ["a \(other)"])
    }

    @Test func `the first failure of a segment is the one that is told`() {
        var machine = machine([("a", 2)])
        #expect(run(&machine, [.failed(failure), .failed(other), .synchronised]) == ["a \(failure)"])
    }

    @Test func `more, fewer or other answers than were asked for are a violation`() {
        let wrong: [[Machine.Event]] = [
            [.answered(1), .answered(2), .answered(3)], [.answered(1), .synchronised], [.aborted], [.failed(failure), .answered(1)],
            [.answered(1), .answered(2), .synchronised, .synchronised],
        ]
        for events in wrong {
            var machine = machine([("a", 2)])
            #expect(run(&machine, events).last == "violated")
        }
        for event in [.answered(1), .failed(failure), .aborted, .synchronised] as [Machine.Event] {
            var idle = Machine()
            #expect(run(&idle, [event]) == ["violated"])
        }
    }

    @Test func `a loss hands back every segment once, the oldest first, also half-answered ones`() {
        var machine = Machine()
        for (index, ticket) in ["a", "b", "c"].enumerated() { machine.sent(ticket, queries: 2, deadlineNanoseconds: UInt64(index)) }
        #expect(run(&machine, [.answered(1)]) == [])
        #expect(machine.firstDeadlineNanoseconds == 0)
        let taken = machine.removeAll()
        #expect(taken.map(\.0) == ["a", "b", "c"] && taken.map(\.deadlineNanoseconds) == [0, 1, 2])
        #expect(machine.inFlight == 0 && machine.firstDeadlineNanoseconds == nil && machine.removeAll().isEmpty)
    }

    @Test func `any segments with any failures are answered once each and in order`() {
        let seed = UInt64.random(in: 0...UInt64.max)
        var random = seed
        func next(_ bound: UInt64) -> UInt64 {
            random = random &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return (random >> 33) % bound
        }
        var machine = Machine()
        var events: [Machine.Event] = []
        var expected: [String] = []
        var answered: [String] = []
        for number in 0..<2_000 {
            let queries = Int(next(4))
            machine.sent("\(number)", queries: queries, deadlineNanoseconds: 0)
            // The query that fails; the one past the last is the commit.
            let failing = Int(next(8))
            for index in 0..<queries { events.append(index < failing ? .answered(index) : index == failing ? .failed(failure) : .aborted) }
            if failing == queries { events.append(.failed(failure)) }
            events.append(.synchronised)
            expected.append(failing <= queries ? "\(number) \(failure)" : "\(number) \(Array(0..<queries))")
            while !events.isEmpty, next(3) > 0 { answered += run(&machine, [events.removeFirst()]) }
        }
        answered += run(&machine, events)
        #expect(answered == expected, "seed \(seed)")
    }
}

@Suite struct RingBufferTests {
    @Test func `it is first in, first out while it grows and goes round`() {
        var buffer = RingBuffer<Int>()
        var model: [Int] = []
        for step in 0..<1_000 {
            if step % 7 < 4 {
                buffer.append(step)
                model.append(step)
            } else {
                #expect(buffer.removeFirst() == (model.isEmpty ? nil : model.removeFirst()))
            }
            #expect(buffer.count == model.count && buffer.first == model.first)
            #expect((0..<model.count).allSatisfy { buffer[$0] == model[$0] })
        }
    }
}
