// modules: Bytes HTTP1
// length: 512
// seconds: 30
// planted: Sources/HTTP1/BodyDecoder.swift s/guard start + 1 < bytes.count else { return false }/guard start + 1 <= bytes.count else { return false }/
import Bytes
import HTTP1

/// A connection's bytes: the same requests and the same refusal whole, cut where the input says, and byte by byte.
///
/// The first four bytes are where the rest is cut; every 16th run is byte by byte as well, which takes as long as all the others.
@c(LLVMFuzzerTestOneInput)
public func fuzzHTTP(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    let input = unsafe FuzzInput(start, count)
    guard count > 4 else { return 0 }
    let bytes = input.bytes
    let text = bytes.extracting(4...)
    let cuts = (0..<4).map { Int(bytes[$0]) * text.count / 256 }.sorted()
    let whole = Verdict(text, cuts: [])
    let split = Verdict(text, cuts: cuts)
    precondition(whole == split, "split at \(cuts)")
    if bytes[0] % 16 == 0, text.count <= 256 {
        let single = Verdict(text, cuts: Array(1..<text.count))
        precondition(whole == single, "byte by byte")
    }
    return 0
}

/// What became of a connection's bytes.
private struct Verdict: Equatable {
    struct Request: Equatable {
        let method: Method
        let target: [UInt8]
        let query: [UInt8]
        let fields: [UInt8]
        let body: [UInt8]
        let keepsAlive: Bool
    }

    var requests: [Request] = []
    var refusal: Refusal?
    var isClosed = false

    private static let limits: ConnectionLimits = {
        var limits = ConnectionLimits()
        // Small, so that inputs of a few hundred bytes meet every bound.
        limits.request.requestLineBytesMax = 64
        limits.request.fieldsMax = 6
        limits.request.fieldBytesMax = 160
        limits.request.bodyBytesMax = 48
        limits.request.largeBodyPath = Array("/b".utf8)
        limits.request.largeBodyBytesMax = 96
        limits.request.chunkExtensionBytesMax = 24
        limits.request.trailerBytesMax = 40
        limits.requestsPerConnectionMax = 5
        return limits
    }()

    init(_ bytes: Span<UInt8>, cuts: [Int]) {
        var machine = ConnectionMachine(limits: Self.limits, now: 0)
        var head = RequestHead()
        var kept: [UInt8] = []
        var start = 0
        for end in cuts + [bytes.count] where end >= start {
            for index in start..<end { kept.append(bytes[index]) }
            start = end
            take(&machine, &kept, &head)
        }
    }

    private mutating func take(_ machine: inout ConnectionMachine, _ kept: inout [UInt8], _ head: inout RequestHead) {
        while true {
            var buffer = FuzzInput(copying: kept.span)
            var span = buffer.mutableBytes
            let receipt = machine.receive(&span, head: &head, limits: Self.limits, now: 0)
            let bytes = span.span
            precondition(
                receipt.consumed >= 0 && receipt.kept >= 0 && receipt.consumed + receipt.kept <= bytes.count, "a receipt past its bytes")
            precondition(receipt.kept <= max(Self.limits.request.bufferedBytesMax, kept.count), "more kept than promised")
            var isDone = false
            switch receipt.outcome {
            case .request(let number, let body):
                add(head, bytes, body)
                _ = machine.answer(number)
            case .refuse(let number, let refusal):
                self.refusal = refusal
                guard case .write(let rendering) = machine.answer(number), rendering.persistence == .close else {
                    preconditionFailure("a refusal is the last answer")
                }
            case .needsMore, .sendContinue, .close: isDone = true
            case .pause: break
            }
            kept = bytes.extracting(receipt.consumed..<receipt.consumed + receipt.kept).copied
            let action = machine.wrote(unwrittenBytes: 0, limits: Self.limits, now: 0)
            if action == .shutDownWriting || action == .close { isClosed = true }
            if isDone { return }
        }
    }

    private mutating func add(_ head: borrowing RequestHead, _ bytes: Span<UInt8>, _ body: ByteRange) {
        var fields: [UInt8] = []
        for index in 0..<head.fields.count {
            let field = head.fields[index]
            fields += bytes[field.name].copied + [0] + bytes[field.value].copied + [0]
        }
        precondition(Int(body.count) <= Self.limits.request.largeBodyBytesMax, "a body beyond its bound")
        precondition(bytes[head.path].count <= Self.limits.request.requestLineBytesMax, "a path beyond the request line")
        // What a handler does with a path and a query must hold for whatever the parser lets through.
        var segments = PathSegments(head.path)
        var segmentCount = 0
        while segments.next(in: bytes) != nil { segmentCount += 1 }
        precondition(segmentCount <= bytes.count, "more segments than bytes")
        requests.append(
            Request(
                method: head.method, target: bytes[head.target].copied, query: bytes[head.query].copied, fields: fields,
                body: bytes[body].copied, keepsAlive: head.keepsAlive))
        precondition(requests.count <= Self.limits.requestsPerConnectionMax, "more requests than a connection may have")
    }
}
