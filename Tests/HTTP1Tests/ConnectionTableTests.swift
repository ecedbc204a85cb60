import Testing

@testable import HTTP1

/// Every event in every state. A cell reads `what is returned > the state after`.
@Suite struct ConnectionTableTests {
    enum State: String, CaseIterable {
        case idle, partialHead, partialBody, awaitingBody, busy, busyPartial, full, heldAnswer, unwritten
        case finishing, finishingUnwritten, halfClosed, drainingIdle, drainingPartial, lingering, closed

        func make() -> Client {
            var limits = ConnectionLimits()
            limits.pipelinedRequestsMax = 2
            let client = Client(limits: limits)
            let post = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n"
            switch self {
            case .idle: break
            case .partialHead: _ = client.receive("GET / HT")
            case .partialBody: _ = client.receive(post + "\r\nab")
            case .awaitingBody: _ = client.receive(post + "Expect: 100-continue\r\n\r\n")
            case .busy: _ = client.receive(Client.get("/0"))
            case .busyPartial: _ = client.receive(Client.get("/0") + "GET")
            case .full: _ = client.receive(Client.get("/0") + Client.get("/1") + Client.get("/2"))
            case .heldAnswer:
                _ = client.receive(Client.get("/0") + Client.get("/1"))
                _ = client.answer(1)
            case .unwritten:
                _ = client.receive(Client.get("/0"))
                _ = client.answer(0)
                _ = client.wrote(100)
            case .finishing: _ = client.receive(Client.get("/0", "Connection: close\r\n"))
            case .finishingUnwritten:
                _ = client.receive(Client.get("/0", "Connection: close\r\n"))
                _ = client.answer(0)
                _ = client.wrote(100)
            case .halfClosed:
                _ = client.receive(Client.get("/0"))
                _ = client.endOfInput()
            case .drainingIdle: _ = client.drain()
            case .drainingPartial:
                _ = client.receive("GET / HT")
                _ = client.drain()
            case .lingering:
                _ = client.receive("garbage\r\n")
                _ = client.serve(0)
            case .closed: client.machine.lost()
            }
            return client
        }
    }

    enum Event: String, CaseIterable {
        case request, garbage, endOfInput, answer, strangeAnswer, wroteAll, wroteSome, wroteTooLittle, soon, late, drain, lost

        func happen(to client: Client) -> String {
            switch self {
            case .request: outcomes(client.receive(Client.get("/n")))
            case .garbage: outcomes(client.receive("\u{1}"))
            case .endOfInput: action(client.endOfInput())
            case .answer: answer(client.answer(0))
            case .strangeAnswer: answer(client.answer(7))
            case .wroteAll: action(client.wrote(0))
            case .wroteSome: action(client.wrote(50))
            case .wroteTooLittle: action(client.wrote(client.limits.unwrittenBytesMax + 1))
            case .soon: action(client.pass(999))
            case .late: action(client.pass(100_000))
            case .drain: action(client.drain())
            case .lost: lost(client)
            }
        }

        private func lost(_ client: Client) -> String {
            client.machine.lost()
            return "none"
        }

        private func action(_ action: ConnectionMachine.Action) -> String {
            if case .refuse(let number, _) = action { "refuse \(number)" } else { "\(action)" }
        }

        private func answer(_ answer: ConnectionMachine.Answer) -> String {
            switch answer {
            case .write(let rendering): "write \(rendering.persistence)"
            case .hold(let rendering): "hold \(rendering.persistence)"
            case .drop: "drop"
            }
        }

        private func outcomes(_ outcomes: [ConnectionMachine.Receipt.Outcome]) -> String {
            outcomes.map {
                switch $0 {
                case .request(let number, _): "request \(number)"
                case .refuse(let number, _): "refuse \(number)"
                default: "\($0)"
                }
            }.joined(separator: ", ")
        }
    }

    /// The state in words: the phase, then what the driver can see of it.
    static func describe(_ client: Client) -> String {
        var words = "\(client.machine.phase)"
        if client.isIdle { words += " idle" }
        if client.requestsInFlight > 0 { words += " \(client.requestsInFlight) in flight" }
        if client.needsKeptBytes { words += " keeps" }
        if !client.wantsInput { words += " deaf" }
        if client.deadline == .max { words += " timeless" }
        return words
    }

    @Test(arguments: State.allCases)
    func `every event does in every state what the table says`(state: State) throws {
        let row = try #require(Self.expected[state])
        for event in Event.allCases {
            let client = state.make()
            let result = event.happen(to: client)
            let state = Self.describe(client)
            #expect("\(result) > \(state)" == row[event], "\(event)")
        }
    }

    @Test(arguments: State.allCases)
    func `no two events in a row stop a state's promises`(state: State) {
        for first in Event.allCases {
            for second in Event.allCases {
                let client = state.make()
                _ = first.happen(to: client)
                _ = second.happen(to: client)
                let isClosed = client.isClosed
                let isConsistent =
                    !isClosed || (!client.wantsInput && client.deadline == .max && !client.needsKeptBytes)
                #expect(isConsistent, "\(first), \(second)")
                let keepsNothing = !client.isIdle || client.kept.isEmpty
                #expect(keepsNothing, "\(first), \(second)")
                // What is open and owes nothing must have a time at which it ends.
                let ends =
                    isClosed || client.deadline < .max || client.requestsInFlight > 0
                    || client.machine.flushed != client.machine.answered
                #expect(ends, "\(first), \(second)")
            }
        }
    }
}
