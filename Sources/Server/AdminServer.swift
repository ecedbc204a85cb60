internal import Bytes
internal import HTTP1
public import Loop
internal import Synchronization

/// Health, readiness and metrics of a process, on a listener and a thread of their own: they answer while the data
/// path is busy, and their cost is not on it.
///
/// `GET /livez` (also `/healthz`): 200 as long as the process runs. `GET /readyz`: 200, or 503 with the reasons.
/// `GET /metrics`: Prometheus's text format. `GET /`: a page that shows them as they change, for people; its style and script are served beside
/// it, and nothing comes from elsewhere. It reads the metrics of the processes that `GET /sources` names: here this one, behind a proxy several.
public final class AdminServer: Sendable {
    /// Where it listens, with the port the system chose.
    public let address: SocketAddress
    private let stop: Mailbox<Void>
    private let thread: LoopThread

    /// - Parameters:
    ///   - name: what the page calls this process.
    ///   - problems: why the process is not ready, one sentence each; empty when it is. Called on the admin thread.
    ///   - metrics: the page for Prometheus. Called on the admin thread.
    /// - Throws: the address cannot be listened on.
    public init(
        address: SocketAddress, name: String = "this process", problems: @escaping @Sendable () -> [String],
        metrics: @escaping @Sendable () -> String
    ) throws(SocketError) {
        let stop = Mailbox<Void>(capacity: 1)
        let started = Mailbox<Result<SocketAddress, SocketError>>(capacity: 1)
        self.stop = stop
        thread = LoopThread(name: "admin") { loop in
            let handler = AdminHandler(name: name, problems: problems, metrics: metrics)
            do throws(SocketError) {
                try handler.listen(on: address, loop: loop)
            } catch {
                _ = started.send(.failure(error))
                return
            }
            _ = started.send(.success(handler.address ?? address))
            let receiver = MailboxReceiver(loop: loop, mailbox: stop) { loop.stop() }
            withExtendedLifetime((receiver, handler)) { loop.run() }
        }
        let result = Self.wait(for: started)
        if case .failure = result { thread.join() }
        self.address = try result.get()
    }

    /// Ends the listener and its thread.
    public func close() {
        _ = stop.send(())
        thread.join()
    }

    /// Blocks until the thread has told how it went.
    private static func wait(for started: Mailbox<Result<SocketAddress, SocketError>>) -> Result<SocketAddress, SocketError> {
        let loop = EventLoop()
        var result: Result<SocketAddress, SocketError>?
        let receiver = MailboxReceiver(loop: loop, mailbox: started) { message in
            result = message
            loop.stop()
        }
        withExtendedLifetime(receiver) { loop.run() }
        guard let result else { preconditionFailure("the loop ended without a message") }
        return result
    }
}

private final class AdminHandler: RequestHandler {
    private let name: String
    private let problems: @Sendable () -> [String]
    private let metrics: @Sendable () -> String
    private var server: HTTPServer<AdminHandler>?

    init(name: String, problems: @escaping @Sendable () -> [String], metrics: @escaping @Sendable () -> String) {
        self.name = name
        self.problems = problems
        self.metrics = metrics
    }

    var address: SocketAddress? { server?.addresses.first }

    func listen(on address: SocketAddress, loop: EventLoop) throws(SocketError) {
        var limits = HTTPServer<AdminHandler>.Limits()
        limits.connectionsMax = 64
        server = try HTTPServer(loop: loop, addresses: [address], limits: limits, counters: ServerCounters(), handler: self)
    }

    func handle(_ head: borrowing RequestHead, bytes: Span<UInt8>, body: Span<UInt8>, ticket: RequestTicket) {
        guard head.method == .get || head.method == .head else {
            return respond(ticket, .methodNotAllowed, "text/plain; charset=utf-8", "only GET and HEAD are served here\n", allow: true)
        }
        let path = bytes[head.path]
        if path.equals("/livez") || path.equals("/healthz") {
            respond(ticket, .ok, "application/json", "{\"live\":true}\n")
        } else if path.equals("/readyz") {
            let problems = problems()
            respond(ticket, problems.isEmpty ? .ok : .serviceUnavailable, "application/json", Self.readiness(problems))
        } else if path.equals("/metrics") {
            respond(ticket, .ok, "text/plain; version=0.0.4; charset=utf-8", metrics())
        } else if path.equals("/") {
            respond(ticket, .ok, "text/html; charset=utf-8", PackageResources.live_html)
        } else if path.equals("/live.css") {
            respond(ticket, .ok, "text/css; charset=utf-8", PackageResources.live_css)
        } else if path.equals("/live.js") {
            respond(ticket, .ok, "text/javascript; charset=utf-8", PackageResources.live_js)
        } else if path.equals("/sources") {
            respond(ticket, .ok, "application/json", "[{\"name\":\(Self.quoted(name)),\"path\":\"metrics\"}]\n")
        } else {
            respond(ticket, .notFound, "text/plain; charset=utf-8", "there are /, /livez, /readyz and /metrics\n")
        }
    }

    func writeBody(of refusal: Refusal, into body: inout [UInt8]) -> StaticString {
        body.append(refusal.reason)
        return "text/plain; charset=utf-8"
    }

    private func respond(_ ticket: RequestTicket, _ status: Status, _ contentType: StaticString, _ text: String, allow: Bool = false) {
        respond(ticket, status, contentType, Array(text.utf8), allow: allow)
    }

    private func respond(_ ticket: RequestTicket, _ status: Status, _ contentType: StaticString, _ body: [UInt8], allow: Bool = false) {
        server?.respond(ticket) { rendering, output, date in
            let writer = ResponseWriter(status, rendering)
            writer.begin(&output, date: date)
            writer.field(&output, "Content-Type", contentType)
            writer.field(&output, "Cache-Control", "no-store")
            writer.field(&output, "X-Content-Type-Options", "nosniff")
            // The page runs its own script and no other, and is shown in no frame.
            writer.field(
                &output, "Content-Security-Policy",
                "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; base-uri 'none'; frame-ancestors 'none'")
            if allow { writer.field(&output, "Allow", "GET, HEAD") }
            writer.end(&output, body: body.span)
        }
    }

    private static func readiness(_ problems: [String]) -> String {
        "{\"ready\":\(problems.isEmpty),\"problems\":[\(problems.map(quoted).joined(separator: ","))]}\n"
    }

    private static func quoted(_ sentence: String) -> String {
        var text = "\""
        for scalar in sentence.unicodeScalars {
            switch scalar {
            case "\"", "\\": text += "\\\(scalar)"
            case _ where scalar.value < 0x20: text += " "
            default: text.unicodeScalars.append(scalar)
            }
        }
        return text + "\""
    }
}

extension Span<UInt8> {
    /// Whether the bytes are exactly this text.
    fileprivate func equals(_ text: StaticString) -> Bool {
        guard count == text.utf8CodeUnitCount else { return false }
        for index in 0..<count where unsafe self[index] != text.utf8Start[index] { return false }
        return true
    }
}
