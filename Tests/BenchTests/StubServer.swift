import Bytes
import Glibc
import HTTP1
import Loop
import Server
import Synchronization
import Telemetry

/// What a stub saw, read by the test when it is over.
final class StubLog: Sendable {
    struct Seen: Sendable {
        var requests: [String] = []
        var bodies: [String] = []
        var keys: Set<String> = []
        var times: [UInt64] = []
        /// Nanoseconds from a request's arrival to its answer's departure.
        var delays: [UInt64] = []
    }
    let seen = Mutex(Seen())
}

/// What a stub does with its requests.
struct StubBehaviour: Sendable {
    /// The server's thread stands still once: so long after its first request, for so long.
    var freeze: (afterMilliseconds: UInt64, forMilliseconds: UInt32)?
    /// Every n-th answer is a refusal.
    var refusesEvery: Int?
    /// Every n-th answer is the connection's last.
    var closesEvery: Int?
    /// Every n-th status of a payment is 404 with this problem.
    var misses: (every: Int, code: String)?
    /// Requests are never answered.
    var isSilent = false
    /// What refusals carry.
    var retryAfterSeconds: Int?
    /// How long the n-th request waits for its answer, microseconds.
    var delayMicroseconds: (@Sendable (Int) -> UInt64)?
    /// Payments are answered with 202 and a body that shows them, under an id that follows from the key, and their status
    /// is `settled` so long after.
    var settlesAfterMilliseconds: UInt64?
    /// Each payment gets an id of its own, whatever its key.
    var forgetsKeys = false
}

/// A server on a thread of its own.
final class StubServer: Sendable {
    let address: SocketAddress
    let log = StubLog()
    private let thread: LoopThread
    private let inbox = Mailbox<Void>(capacity: 1)

    /// - Parameter address: port 0 for one that the system chooses.
    init(_ address: SocketAddress = .tcp(address: "127.0.0.1", port: 0), _ behaviour: StubBehaviour = StubBehaviour()) {
        let ready = Mailbox<SocketAddress>(capacity: 1)
        let log = log
        let inbox = inbox
        thread = LoopThread(name: "stub") { loop in
            guard let stub = try? Stub(loop, address, behaviour, log) else { preconditionFailure("no socket for a stub") }
            let receiver = MailboxReceiver(loop: loop, mailbox: inbox) { _ in loop.stop() }
            _ = ready.send(stub.server!.addresses[0])
            withExtendedLifetime((stub, receiver)) { loop.run() }
        }
        let loop = EventLoop()
        var found: SocketAddress?
        let receiver = MailboxReceiver(loop: loop, mailbox: ready) { address in
            found = address
            loop.stop()
        }
        withExtendedLifetime(receiver) { loop.run() }
        self.address = found!
    }

    func stop() {
        _ = inbox.send(())
        thread.join()
    }
}

private final class Stub: RequestHandler {
    var server: HTTPServer<Stub>?
    private let loop: EventLoop
    private let behaviour: StubBehaviour
    private let log: StubLog
    private var first: UInt64?
    private var isFrozen = false
    private var count = 0

    init(_ loop: EventLoop, _ address: SocketAddress, _ behaviour: StubBehaviour, _ log: StubLog) throws {
        self.loop = loop
        self.behaviour = behaviour
        self.log = log
        server = try HTTPServer(loop: loop, addresses: [address], limits: .init(), counters: ServerCounters(), handler: self)
    }

    func handle(_ head: borrowing RequestHead, bytes: Span<UInt8>, body: Span<UInt8>, ticket: RequestTicket) {
        let now = Clock.monotonicNanoseconds
        note(head, bytes, body, now)
        count += 1
        let start = first ?? now
        first = start
        if let freeze = behaviour.freeze, !isFrozen, now - start >= freeze.afterMilliseconds * 1_000_000 {
            isFrozen = true
            usleep(freeze.forMilliseconds * 1_000)
        }
        if behaviour.isSilent { return }
        var reply = Reply()
        reply.isRefused = behaviour.refusesEvery.map { count.isMultiple(of: $0) } ?? false
        reply.isLast = behaviour.closesEvery.map { count.isMultiple(of: $0) } ?? false
        if let settles = behaviour.settlesAfterMilliseconds { reply.body = payment(head, bytes, settles, now, &reply.isAccepted) }
        if let misses = behaviour.misses, Self.text(bytes[head.path]).hasPrefix("/v1/payments/") {
            statusCount += 1
            reply.isMissing = statusCount.isMultiple(of: misses.every)
            if reply.isMissing { reply.body = "{\"type\":\"/problems/\(misses.code)\",\"status\":404}" }
        }
        guard let delay = behaviour.delayMicroseconds else { return answer(ticket, reply) }
        waiting.append((now + delay(count - 1) * 1_000, now, ticket, reply))
        waiting.sort { $0.due < $1.due }
        arm(now)
    }

    private struct Reply {
        var isRefused = false
        var isMissing = false
        var isLast = false
        var isAccepted = false
        var body = "{}"
    }

    private func answer(_ ticket: RequestTicket, _ reply: Reply) {
        server?.respond(ticket, closing: reply.isLast) { rendering, output, date in
            let body: [UInt8] = Array(reply.body.utf8)
            let good: Status = reply.isMissing ? .notFound : reply.isAccepted ? .accepted : .ok
            let writer = ResponseWriter(reply.isRefused ? .serviceUnavailable : good, rendering)
            writer.begin(&output, date: date)
            if reply.isRefused, let seconds = behaviour.retryAfterSeconds { writer.field(&output, "Retry-After", decimal: UInt64(seconds)) }
            writer.end(&output, body: body.span)
        }
    }

    private var waiting: [(due: UInt64, arrived: UInt64, ticket: RequestTicket, reply: Reply)] = []
    private lazy var timer = LoopTimer(loop: loop) { [unowned self] in release() }

    private func arm(_ now: UInt64) {
        guard let due = waiting.first?.due else { return }
        timer.arm(afterMicroseconds: due > now ? Int((due - now) / 1_000) : 0)
    }

    private func release() {
        while let first = waiting.first, first.due <= Clock.monotonicNanoseconds {
            waiting.removeFirst()
            answer(first.ticket, first.reply)
            let delay = Clock.monotonicNanoseconds - first.arrived
            log.seen.withLock { $0.delays.append(delay) }
        }
        arm(Clock.monotonicNanoseconds)
    }

    // MARK: Payments

    private var accepted: [String: UInt64] = [:]
    private var statusCount = 0

    private func payment(_ head: borrowing RequestHead, _ bytes: Span<UInt8>, _ settles: UInt64, _ now: UInt64, _ isAccepted: inout Bool)
        -> String
    {
        let path = Self.text(bytes[head.path])
        if path == "/v1/payments", let key = head.fields.first(.idempotencyKey) {
            isAccepted = true
            var hasher = Hasher()
            hasher.combine(behaviour.forgetsKeys ? "\(count)" : Self.text(bytes[key]))
            let digits = String(UInt64(bitPattern: Int64(hasher.finalize())), radix: 16)
            let id = String(repeating: "0", count: 32 - digits.count) + digits
            if accepted[id] == nil { accepted[id] = now }
            return "{\"id\":\"\(id)\",\"status\":\"processing\"}"
        }
        guard path.hasPrefix("/v1/payments/") else { return "{}" }
        let id = String(path.dropFirst("/v1/payments/".count))
        let isSettled = accepted[id].map { now - $0 >= settles * 1_000_000 } ?? false
        return "{\"id\":\"\(id)\",\"status\":\"\(isSettled ? "settled" : "processing")\"}"
    }

    private static func text(_ span: Span<UInt8>) -> String {
        var copy: [UInt8] = []
        copy.append(span)
        return String(decoding: copy, as: UTF8.self)
    }

    private func note(_ head: borrowing RequestHead, _ bytes: Span<UInt8>, _ body: Span<UInt8>, _ now: UInt64) {
        let path = Self.text(bytes[head.path])
        let key = head.fields.first(.idempotencyKey).map { Self.text(bytes[$0]) }
        let content = Self.text(body)
        log.seen.withLock { seen in
            seen.requests.append(path)
            seen.times.append(now)
            if !content.isEmpty { seen.bodies.append(content) }
            if let key { seen.keys.insert(key) }
        }
    }

    func writeBody(of refusal: Refusal, into body: inout [UInt8]) -> StaticString { "text/plain" }
}
