internal import Bytes
internal import Glibc
internal import HTTP1
internal import Loop

/// Why a request has no answer.
enum LoadFailure: Hashable, Sendable, CustomStringConvertible {
    /// An errno.
    case notConnected(CInt)
    /// By the server, before the answer was whole.
    case closed
    case timedOut
    case answerMalformed

    var description: String {
        switch self {
        case .notConnected(let code): "not connected: \(unsafe String(cString: strerror(code)))"
        case .closed: "closed before the answer"
        case .timedOut: "timed out"
        case .answerMalformed: "answer malformed"
        }
    }
}

/// One keep-alive connection that carries one request at a time. Lives on its loop's thread.
final class LoadConnection {
    enum Event {
        /// A connection that was opened with `open` is ready.
        case opened
        case answered(status: Int)
        /// The request under way, or the opening, came to nothing; the connection is closed.
        case failed(LoadFailure)
        /// The server closed it between two requests.
        case closedIdle
    }

    /// A request under way: when it should have been sent, and when it is given up; monotonic nanoseconds.
    struct Request {
        let kind: RequestKind
        let intended: UInt64
        let deadline: UInt64
    }

    private static let receiveBytes = 16 * 1024

    private let loop: EventLoop
    private let address: SocketAddress
    private let onEvent: (LoadConnection, Event) -> Void
    private let limits = RequestLimits()
    private(set) var request: Request?
    /// Whether a connect is under way.
    var isOpening: Bool { watch != nil && !isConnected }
    private var watch: DescriptorWatch?
    private var isConnected = false
    private var output: [UInt8] = []
    private var sent = 0
    private var input: [UInt8] = []
    private var parser = ResponseParser()
    private var head = ResponseHead()

    init(loop: EventLoop, address: SocketAddress, onEvent: @escaping (LoadConnection, Event) -> Void) {
        self.loop = loop
        self.address = address
        self.onEvent = onEvent
    }

    deinit { close() }

    /// Connects, ahead of the first request. A failure that shows at once is returned, anything else becomes an event.
    func open() -> LoadFailure? {
        precondition(watch == nil)
        let descriptor: CInt
        do throws(SocketError) {
            descriptor = try Descriptors.connect(to: address)
        } catch {
            return .notConnected(error.code)
        }
        let watch = DescriptorWatch(loop: loop, descriptor: descriptor) { [unowned self] readiness in isReady(readiness) }
        self.watch = watch
        watch.interest = .write
        return nil
    }

    /// Sends the bytes that `write` appends; connects first where there is no connection. A failure that shows at once is
    /// returned and no event follows.
    func send(intended: UInt64, deadline: UInt64, _ write: (inout [UInt8]) -> RequestKind) -> LoadFailure? {
        precondition(request == nil, "a second request on a connection that has one")
        output.removeAll(keepingCapacity: true)
        sent = 0
        request = Request(kind: write(&output), intended: intended, deadline: deadline)
        let failure = watch == nil ? open() : (isConnected ? flush() : nil)
        if failure != nil { close() }
        return failure
    }

    /// Forgets the request, which was answered or failed.
    func finish() { request = nil }

    /// Gives up a request whose time is over.
    func sweep(now: UInt64) {
        if let request, now >= request.deadline { fail(.timedOut) }
    }

    func close() {
        guard let watch else { return }
        watch.cancel()
        self.watch = nil
        isConnected = false
        input.removeAll(keepingCapacity: true)
        parser = ResponseParser()
        Descriptors.close(watch.descriptor)
    }

    private func isReady(_ readiness: Readiness) {
        if readiness.contains(.write) { becameWritable() }
        if readiness.contains(.read), watch != nil { read() }
    }

    private func becameWritable() {
        guard let watch else { return }
        if !isConnected {
            let code = Descriptors.connectError(watch.descriptor)
            guard code == 0 else { return fail(.notConnected(code)) }
            isConnected = true
            if request == nil {
                watch.interest = .read
                return onEvent(self, .opened)
            }
        }
        if let failure = flush() { fail(failure) }
    }

    private func flush() -> LoadFailure? {
        guard let watch else { return nil }
        while sent < output.count {
            switch Descriptors.send(watch.descriptor, output.span.extracting(sent...)) {
            case .transferred(let count): sent += count
            case .wouldBlock:
                watch.interest = [.read, .write]
                return nil
            case .ended, .failed: return .closed
            }
        }
        watch.interest = .read
        return nil
    }

    private func read() {
        guard let watch else { return }
        switch Descriptors.receive(watch.descriptor, into: &input, limit: Self.receiveBytes) {
        case .wouldBlock: return
        case .ended, .failed: fail(.closed)
        case .transferred: parse()
        }
    }

    private func parse() {
        while !input.isEmpty {
            // An answer that nobody asked for, or before the request was sent whole: out of step.
            guard request != nil, sent == output.count else { return fail(.answerMalformed) }
            var bytes = input.mutableSpan
            do throws(ResponseError) {
                switch try parser.parse(&bytes, into: &head, isAnswerToHead: false, limits: limits) {
                case .incomplete(let consumed, let kept):
                    input.removeLast(input.count - consumed - kept)
                    input.removeFirst(consumed)
                    if consumed == 0 { return }
                case .complete(_, let consumed):
                    let isInStep = consumed == input.count
                    input.removeAll(keepingCapacity: true)
                    if !head.keepsAlive || !isInStep { close() }
                    return onEvent(self, .answered(status: Int(head.status)))
                }
            } catch {
                return fail(.answerMalformed)
            }
        }
    }

    private func fail(_ failure: LoadFailure) {
        let wasIdle = isConnected && request == nil
        close()
        onEvent(self, wasIdle ? .closedIdle : .failed(failure))
    }
}
