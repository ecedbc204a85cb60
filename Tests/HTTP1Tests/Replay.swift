import HTTP1

/// A driver for tests: it feeds bytes to a machine in pieces, answers every request at once and writes down what came out.
/// Kept bytes move to new memory before each piece, and the lent head serves a stranger in between.
struct Replay: Equatable {
    struct Request: Equatable {
        var method: Method
        var path: String
        var query: String
        var host: String
        var fields: [String]
        var body: String
        var keepsAlive: Bool
    }

    var requests: [Request] = []
    var refusal: Refusal?
    var isClosed = false

    /// Compared apart: an interim answer is due or not depending on what came together.
    struct Extra {
        var interims = 0
        var keptMax = 0
        var keptAtEnd = 0
    }

    /// Plays `input` cut after each of the offsets in `cuts` (ascending).
    static func run(
        _ input: [UInt8], cuts: [Int] = [], limits: ConnectionLimits = ConnectionLimits()
    ) -> (Replay, Extra) {
        var replay = Replay()
        var extra = Extra()
        var machine = ConnectionMachine(limits: limits, now: 0)
        var head = RequestHead()
        var kept: [UInt8] = []
        var start = 0
        for end in cuts + [input.count] {
            kept += input[start..<end]
            start = end
            replay.take(&machine, &kept, &head, &extra, limits)
            extra.keptMax = max(extra.keptMax, kept.count)
            disturb(&head)
        }
        extra.keptAtEnd = kept.count
        return (replay, extra)
    }

    private mutating func take(
        _ machine: inout ConnectionMachine, _ kept: inout [UInt8], _ head: inout RequestHead, _ extra: inout Extra,
        _ limits: ConnectionLimits
    ) {
        while true {
            let receipt: ConnectionMachine.Receipt
            do {
                var span = kept.mutableSpan
                receipt = machine.receive(&span, head: &head, limits: limits, now: 0)
            }
            precondition(receipt.consumed >= 0 && receipt.kept >= 0 && receipt.consumed + receipt.kept <= kept.count)
            var isDone = false
            switch receipt.outcome {
            case .request(let number, let body):
                requests.append(Request(head, kept, body))
                _ = machine.answer(number)
            case .refuse(let number, let refusal):
                self.refusal = refusal
                guard case .write(let rendering) = machine.answer(number), rendering.persistence == .close else {
                    preconditionFailure("a refusal is the last answer")
                }
            case .needsMore, .close: isDone = true
            case .sendContinue:
                extra.interims += 1
                isDone = true
            case .pause: break
            }
            kept = Array(kept[receipt.consumed..<receipt.consumed + receipt.kept])
            let action = machine.wrote(unwrittenBytes: 0, limits: limits, now: 0)
            if receipt.outcome == .pause { precondition(action == .resume) }
            if action == .shutDownWriting || action == .close { isClosed = true }
            if isDone { return }
        }
    }

    /// Fills the head with another request, as another connection of the loop would.
    private static func disturb(_ head: inout RequestHead) {
        var parser = RequestParser()
        let other = Array("DELETE /other?x=y HTTP/1.0\r\nHost: elsewhere\r\nContent-Length: 7\r\n\r\n".utf8)
        let isComplete = (try? parser.parse(other.span, into: &head, limits: RequestLimits())) ?? false
        precondition(isComplete)
    }
}

extension Replay.Request {
    init(_ head: borrowing RequestHead, _ bytes: [UInt8], _ body: ByteRange) {
        method = head.method
        path = text(bytes, head.path)
        query = text(bytes, head.query)
        host = text(bytes, head.host)
        fields = []
        for index in 0..<head.fields.count {
            let field = head.fields[index]
            fields.append("\(text(bytes, field.name))=\(text(bytes, field.value))")
        }
        self.body = text(bytes, body)
        keepsAlive = head.keepsAlive
    }
}

/// The bytes of a range as text.
func text(_ bytes: [UInt8], _ range: ByteRange) -> String {
    String(decoding: bytes[Int(range.start)..<range.end], as: UTF8.self)
}

/// Escapes control bytes for a failure message.
func shown(_ bytes: [UInt8]) -> String {
    String(decoding: bytes.prefix(200), as: UTF8.self).debugDescription
}

/// The verdict on `input` whole, byte by byte and at every split in two; nil (and the cut) where they differ.
func unanimous(_ input: [UInt8], limits: ConnectionLimits = ConnectionLimits()) -> (replay: Replay, dissent: String?) {
    let (whole, _) = Replay.run(input, limits: limits)
    let (single, _) = Replay.run(input, cuts: Array(1..<max(input.count, 1)), limits: limits)
    if single != whole { return (whole, "byte by byte: \(single)") }
    for cut in 0..<input.count {
        let (split, _) = Replay.run(input, cuts: [cut], limits: limits)
        if split != whole { return (whole, "split at \(cut): \(split)") }
    }
    return (whole, nil)
}
