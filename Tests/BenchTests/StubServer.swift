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
    /// Requests are never answered.
    var isSilent = false
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
    private let behaviour: StubBehaviour
    private let log: StubLog
    private var first: UInt64?
    private var isFrozen = false
    private var count = 0

    init(_ loop: EventLoop, _ address: SocketAddress, _ behaviour: StubBehaviour, _ log: StubLog) throws {
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
        let isRefused = behaviour.refusesEvery.map { count.isMultiple(of: $0) } ?? false
        let isLast = behaviour.closesEvery.map { count.isMultiple(of: $0) } ?? false
        server?.respond(ticket, closing: isLast) { rendering, output, date in
            let body: [UInt8] = Array("{}".utf8)
            ResponseWriter(isRefused ? .serviceUnavailable : .ok, rendering)
                .write(&output, date: date, contentType: "application/json", body: body.span)
        }
    }

    private func note(_ head: borrowing RequestHead, _ bytes: Span<UInt8>, _ body: Span<UInt8>, _ now: UInt64) {
        func text(_ span: Span<UInt8>) -> String {
            var copy: [UInt8] = []
            copy.append(span)
            return String(decoding: copy, as: UTF8.self)
        }
        let path = text(bytes[head.path])
        let key = head.fields.first(.idempotencyKey).map { text(bytes[$0]) }
        let content = text(body)
        log.seen.withLock { seen in
            seen.requests.append(path)
            seen.times.append(now)
            if !content.isEmpty { seen.bodies.append(content) }
            if let key { seen.keys.insert(key) }
        }
    }

    func writeBody(of refusal: Refusal, into body: inout [UInt8]) -> StaticString { "text/plain" }
}
