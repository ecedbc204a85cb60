import Testing

@testable import Gateway

private typealias Flow = CommandFlow
private typealias Event = CommandFlow.Event
private typealias Reaction = CommandFlow.Reaction

/// A flow that was brought into a phase by events, and is told apart by how it got there.
private struct Situation: CustomTestStringConvertible {
    let name: String
    let phase: Flow.Phase
    let mayProduce: Bool
    let path: [Event]

    init(_ name: String, _ phase: Flow.Phase, mayProduce: Bool = true, _ path: [Event]) {
        self.name = name
        self.phase = phase
        self.mayProduce = mayProduce
        self.path = path
    }

    var testDescription: String { name }

    func flow() -> Flow {
        var flow = Flow(mayProduce: mayProduce)
        for event in path { _ = flow.handle(event) }
        return flow
    }
}

private let fresh = Event.marked(.fresh)
private let repeated = Event.marked(.sameRequest)
private let other = Event.marked(.otherRequest)
private let without = Event.marked(.unavailable)
private let accepted = Event.reported(.persisted, patient: true)

private let situations: [Situation] = [
    Situation("marking", .marking, []),
    Situation("marking while the log is behind", .marking, mayProduce: false, []),
    Situation("looking up a repeat", .lookingUp, [repeated]),
    Situation("looking up a repeat while the log is behind", .lookingUp, mayProduce: false, [repeated]),
    Situation("looking up another's key", .lookingUp, [other]),
    Situation("producing with its own marker", .producing, [fresh]),
    Situation("producing without Redis", .producing, [without]),
    Situation("producing a repeat", .producing, [repeated, .found(.nothing)]),
    Situation("producing, and told that the key is another's", .producing, [fresh, .toldReused]),
    Situation("told before the report", .told, [fresh, .decided]),
    Situation("parked", .parked, [fresh, accepted]),
    Situation("parked without Redis", .parked, [without, accepted]),
    Situation("reading at a wait's end", .reading, [fresh, accepted, .waitEnded]),
    Situation("verifying another's key", .verifying, [fresh, accepted, .toldReused]),
    Situation("verifying another's key without a marker of its own", .verifying, [without, accepted, .toldReused]),
    Situation(
        "verifying another's key after an unclear report", .verifying, [fresh, .toldReused, .reported(.possiblyPersisted, patient: true)]),
    Situation("finished", .finished, [fresh, .reported(.persisted, patient: false)]),
]

private let events: [Event] =
    Flow.Marking.allCases.map { Event.marked($0) } + Flow.Finding.allCases.map { Event.found($0) } + [.notProduced]
    + Flow.Report.allCases.flatMap { [Event.reported($0, patient: true), .reported($0, patient: false)] }
    + [.decided, .toldReused, .waitEnded, .draining]

@Suite struct CommandFlowTests {
    @Test("every situation is in the phase it is named after", arguments: situations)
    private func phase(_ situation: Situation) {
        #expect(situation.flow().phase == situation.phase)
    }

    @Test("every phase is among the situations")
    func coverage() {
        for phase in Flow.Phase.allCases { #expect(situations.contains { $0.phase == phase }, "\(phase)") }
    }

    /// What each phase does with each event that means something to it; all others change nothing.
    private static let expected: [String: [(Event, Flow.Phase, Reaction)]] = [
        "marking": [
            (fresh, .producing, Reaction(request: .produce)),
            (.marked(.absent), .producing, Reaction(request: .produce)),
            (without, .producing, Reaction(request: .produce)),
            (repeated, .lookingUp, Reaction(request: .lookUp)),
            (other, .lookingUp, Reaction(request: .lookUp)),
            (.decided, .finished, Reaction(answers: .everybody(.outcome))),
        ],
        "marking while the log is behind": [
            (fresh, .finished, Reaction(answers: .everybody(.notAccepted), marker: .drop)),
            (.marked(.absent), .finished, Reaction(answers: .everybody(.notAccepted))),
            (without, .finished, Reaction(answers: .everybody(.notAccepted))),
            (repeated, .lookingUp, Reaction(request: .lookUp)),
            (other, .lookingUp, Reaction(request: .lookUp)),
            (.decided, .finished, Reaction(answers: .everybody(.outcome))),
        ],
        "looking up a repeat": [
            (.found(.outcome), .finished, Reaction(answers: .everybody(.outcome))),
            (.found(.conflict), .finished, Reaction(answers: .everybody(.keyReused))),
            (.found(.nothing), .producing, Reaction(request: .produce)),
            (.decided, .finished, Reaction(answers: .everybody(.outcome))),
        ],
        "looking up a repeat while the log is behind": [
            (.found(.outcome), .finished, Reaction(answers: .everybody(.outcome))),
            (.found(.conflict), .finished, Reaction(answers: .everybody(.keyReused))),
            // The first attempt may be in the log: "not accepted" could be a lie.
            (.found(.nothing), .finished, Reaction(answers: .everybody(.outcomeUnknown))),
            (.decided, .finished, Reaction(answers: .everybody(.outcome))),
        ],
        "looking up another's key": [
            (.found(.outcome), .finished, Reaction(answers: .everybody(.outcome))),
            (.found(.conflict), .finished, Reaction(answers: .everybody(.keyReused))),
            (.found(.nothing), .finished, Reaction(answers: .everybody(.keyReused))),
            (.decided, .finished, Reaction(answers: .everybody(.outcome))),
        ],
        "producing with its own marker": [
            (.notProduced, .finished, Reaction(answers: .everybody(.notAccepted), marker: .drop)),
            (accepted, .parked, Reaction(answers: .impatient, marker: .keep)),
            (.reported(.persisted, patient: false), .finished, Reaction(answers: .impatient, marker: .keep)),
            (.reported(.notPersisted, patient: true), .finished, Reaction(answers: .everybody(.notAccepted), marker: .drop)),
            (.reported(.notPersisted, patient: false), .finished, Reaction(answers: .everybody(.notAccepted), marker: .drop)),
            (.reported(.possiblyPersisted, patient: true), .finished, Reaction(answers: .everybody(.outcomeUnknown))),
            (.reported(.possiblyPersisted, patient: false), .finished, Reaction(answers: .everybody(.outcomeUnknown))),
            (.decided, .told, Reaction(answers: .everybody(.outcome))),
        ],
        "producing without Redis": [
            (.notProduced, .finished, Reaction(answers: .everybody(.notAccepted))),
            (accepted, .parked, Reaction(answers: .impatient, marker: .keep)),
            (.reported(.persisted, patient: false), .finished, Reaction(answers: .impatient, marker: .keep)),
            (.reported(.notPersisted, patient: true), .finished, Reaction(answers: .everybody(.notAccepted))),
            (.reported(.notPersisted, patient: false), .finished, Reaction(answers: .everybody(.notAccepted))),
            (.reported(.possiblyPersisted, patient: true), .finished, Reaction(answers: .everybody(.outcomeUnknown))),
            (.reported(.possiblyPersisted, patient: false), .finished, Reaction(answers: .everybody(.outcomeUnknown))),
            (.decided, .told, Reaction(answers: .everybody(.outcome))),
        ],
        // The first attempt's marker is not this one's to drop, and what it came to is not known.
        "producing a repeat": [
            (.notProduced, .finished, Reaction(answers: .everybody(.outcomeUnknown))),
            (accepted, .parked, Reaction(answers: .impatient, marker: .keep)),
            (.reported(.persisted, patient: false), .finished, Reaction(answers: .impatient, marker: .keep)),
            (.reported(.notPersisted, patient: true), .finished, Reaction(answers: .everybody(.outcomeUnknown))),
            (.reported(.notPersisted, patient: false), .finished, Reaction(answers: .everybody(.outcomeUnknown))),
            (.reported(.possiblyPersisted, patient: true), .finished, Reaction(answers: .everybody(.outcomeUnknown))),
            (.reported(.possiblyPersisted, patient: false), .finished, Reaction(answers: .everybody(.outcomeUnknown))),
            (.decided, .told, Reaction(answers: .everybody(.outcome))),
        ],
        "producing, and told that the key is another's": [
            (.notProduced, .finished, Reaction(answers: .everybody(.notAccepted), marker: .drop)),
            (accepted, .verifying, Reaction(request: .lookUp)),
            (.reported(.persisted, patient: false), .verifying, Reaction(request: .lookUp)),
            (.reported(.notPersisted, patient: true), .finished, Reaction(answers: .everybody(.notAccepted), marker: .drop)),
            (.reported(.notPersisted, patient: false), .finished, Reaction(answers: .everybody(.notAccepted), marker: .drop)),
            (.reported(.possiblyPersisted, patient: true), .verifying, Reaction(request: .lookUp)),
            (.reported(.possiblyPersisted, patient: false), .verifying, Reaction(request: .lookUp)),
            (.decided, .told, Reaction(answers: .everybody(.outcome))),
        ],
        "told before the report": [
            (accepted, .finished, Reaction(marker: .keep)),
            (.reported(.persisted, patient: false), .finished, Reaction(marker: .keep)),
            (.reported(.notPersisted, patient: true), .finished, Reaction()),
            (.reported(.notPersisted, patient: false), .finished, Reaction()),
            (.reported(.possiblyPersisted, patient: true), .finished, Reaction()),
            (.reported(.possiblyPersisted, patient: false), .finished, Reaction()),
        ],
        "parked": [
            (.decided, .finished, Reaction(answers: .everybody(.outcome))),
            (.toldReused, .verifying, Reaction(request: .lookUp)),
            (.waitEnded, .reading, Reaction(request: .lookUp)),
            (.draining, .finished, Reaction(answers: .everybody(.accepted))),
        ],
        "parked without Redis": [
            (.decided, .finished, Reaction(answers: .everybody(.outcome))),
            (.toldReused, .verifying, Reaction(request: .lookUp)),
            (.waitEnded, .reading, Reaction(request: .lookUp)),
            (.draining, .finished, Reaction(answers: .everybody(.accepted))),
        ],
        "reading at a wait's end": [
            (.found(.outcome), .finished, Reaction(answers: .everybody(.outcome))),
            (.found(.conflict), .finished, Reaction(answers: .everybody(.keyReused), marker: .drop)),
            (.found(.nothing), .parked, Reaction(answers: .impatient)),
            (.decided, .finished, Reaction(answers: .everybody(.outcome))),
            (.toldReused, .reading, Reaction()),
            (.draining, .finished, Reaction(answers: .everybody(.accepted))),
        ],
        "verifying another's key": [
            (.found(.outcome), .finished, Reaction(answers: .everybody(.outcome))),
            (.found(.conflict), .finished, Reaction(answers: .everybody(.keyReused), marker: .drop)),
            (.found(.nothing), .finished, Reaction(answers: .everybody(.accepted), marker: .keep)),
            (.decided, .finished, Reaction(answers: .everybody(.outcome))),
            (.draining, .finished, Reaction(answers: .everybody(.accepted))),
        ],
        "verifying another's key without a marker of its own": [
            (.found(.outcome), .finished, Reaction(answers: .everybody(.outcome))),
            (.found(.conflict), .finished, Reaction(answers: .everybody(.keyReused))),
            (.found(.nothing), .finished, Reaction(answers: .everybody(.accepted), marker: .keep)),
            (.decided, .finished, Reaction(answers: .everybody(.outcome))),
            (.draining, .finished, Reaction(answers: .everybody(.accepted))),
        ],
        "verifying another's key after an unclear report": [
            (.found(.outcome), .finished, Reaction(answers: .everybody(.outcome))),
            (.found(.conflict), .finished, Reaction(answers: .everybody(.keyReused), marker: .drop)),
            (.found(.nothing), .finished, Reaction(answers: .everybody(.outcomeUnknown))),
            (.decided, .finished, Reaction(answers: .everybody(.outcome))),
            (.draining, .finished, Reaction(answers: .everybody(.outcomeUnknown))),
        ],
        "finished": [],
    ]

    @Test("every event in every situation does what the table says, and nothing else", arguments: situations)
    private func table(_ situation: Situation) throws {
        let rows = try #require(Self.expected[situation.name])
        for event in events {
            var flow = situation.flow()
            let reaction = flow.handle(event)
            let row = rows.first { $0.0 == event }
            #expect(reaction == (row?.2 ?? Reaction()), "\(event)")
            #expect(flow.phase == (row?.1 ?? situation.phase), "\(event)")
        }
    }

    @Test("a command that was refused is refused as not accepted only when no earlier attempt is known")
    func notAccepted() {
        for situation in situations {
            for event in events {
                var flow = situation.flow()
                let reaction = flow.handle(event)
                if reaction.answers == .everybody(.notAccepted) { #expect(!flow.isRepeat, "\(situation.name): \(event)") }
            }
        }
    }

    @Test("nobody is told that a command was accepted before the log said so")
    func acceptedAfterTheReport() {
        for situation in situations where situation.phase != .finished {
            for event in events {
                var flow = situation.flow()
                let reaction = flow.handle(event)
                let tellsAccepted = reaction.answers == .impatient || reaction.answers == .everybody(.accepted)
                if tellsAccepted { #expect(flow.isAcknowledged, "\(situation.name): \(event)") }
            }
        }
    }

    @Test("a phase without a request under way ends once nobody waits, the others go on", arguments: situations)
    private func nobodyWaits(_ situation: Situation) {
        var flow = situation.flow()
        flow.nobodyWaits()
        let ends: Set<Flow.Phase> = [.parked, .reading, .verifying, .finished]
        #expect(flow.isFinished == ends.contains(situation.phase))
    }
}
