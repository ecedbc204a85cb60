@testable import HTTP1

/// A machine in a box (expectations copy what they look at, and a machine cannot be copied) with what its driver would hold, for tests that walk it event by event.
final class Client {
    var machine: ConnectionMachine
    var limits: ConnectionLimits
    var head = RequestHead()
    var kept: [UInt8] = []
    var now: UInt64 = 1000

    init(limits: ConnectionLimits = ConnectionLimits()) {
        self.limits = limits
        machine = ConnectionMachine(limits: limits, now: now)
    }

    var isIdle: Bool { machine.isIdle }
    var isClosed: Bool { machine.isClosed }
    var wantsInput: Bool { machine.wantsInput }
    var needsKeptBytes: Bool { machine.needsKeptBytes }
    var expectedBytes: Int { machine.expectedBytes }
    var deadline: UInt64 { machine.deadline }
    var requestsInFlight: Int { machine.requestsInFlight }

    static func get(_ path: String, _ fields: String = "") -> String { "GET \(path) HTTP/1.1\r\nHost: a\r\n\(fields)\r\n" }

    /// Gives `text` behind the kept bytes and calls `receive` until it asks for no more.
    func receive(_ text: String = "", gathered: Int = 0, begun: Int = 0) -> [ConnectionMachine.Receipt.Outcome] {
        kept += Array(text.utf8)
        var outcomes: [ConnectionMachine.Receipt.Outcome] = []
        while true {
            let receipt: ConnectionMachine.Receipt
            var bytes = kept
            do {
                var span = bytes.mutableSpan
                receipt = machine.receive(
                    &span, head: &head, limits: limits, now: now, gatheredBytes: gathered, begunRequests: begun)
            }
            kept = Array(bytes[receipt.consumed..<receipt.consumed + receipt.kept])
            outcomes.append(receipt.outcome)
            switch receipt.outcome {
            case .request, .refuse: continue
            default: return outcomes
            }
        }
    }

    func wrote(_ unwrittenBytes: Int = 0) -> ConnectionMachine.Action {
        machine.wrote(unwrittenBytes: unwrittenBytes, limits: limits, now: now)
    }

    func drain() -> ConnectionMachine.Action { machine.drain(limits: limits, now: now) }

    func pass(_ milliseconds: UInt64) -> ConnectionMachine.Action {
        now += milliseconds
        return machine.timePassed(now: now)
    }

    func answer(_ number: UInt32, closing: Bool = false) -> ConnectionMachine.Answer {
        machine.answer(number, closing: closing)
    }

    func nextHeld() -> UInt32? { machine.nextHeld() }

    func endOfInput() -> ConnectionMachine.Action { machine.endOfInput() }

    /// Answers and writes whole.
    func serve(_ number: UInt32) -> ConnectionMachine.Action {
        _ = machine.answer(number)
        return wrote()
    }
}
