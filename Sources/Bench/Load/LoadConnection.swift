internal import Bytes
internal import HTTP1
internal import Loop
internal import Telemetry

/// One keep-alive connection that carries one request at a time. Lives on its loop's thread.
final class LoadConnection {
    enum Event {
        /// A connection that was opened with `open` is ready.
        case opened
        case answered(LoadAnswer)
        /// The request under way, or the opening, came to nothing; the connection is closed.
        case failed(LoadFailure)
        /// The server closed it between two requests.
        case closedIdle
    }

    /// A request under way: when it was sent, and when it is given up; monotonic nanoseconds.
    struct Request {
        let plan: RequestPlan
        let sent: UInt64
        let deadline: UInt64
    }

    private enum State { case closed, connecting, shaking, ready }

    private static let receiveBytes = 16 * 1024

    private let loop: EventLoop
    private let address: SocketAddress
    private let tlsContext: TLSContext?
    private let onEvent: (LoadConnection, Event) -> Void
    private let limits = RequestLimits()
    private(set) var request: Request?
    /// Whether a connect is under way.
    var isOpening: Bool { state == .connecting || state == .shaking }
    private var state = State.closed
    private var watch: DescriptorWatch?
    private var tls: TLSSession?
    /// The request in the clear, and what of it, or of its ciphertext, is to be sent.
    private var output: [UInt8] = []
    private var ciphertext: [UInt8] = []
    private var sent = 0
    /// Bytes as they came, where they are enciphered.
    private var received: [UInt8] = []
    private var input: [UInt8] = []
    private var parser = ResponseParser()
    private var head = ResponseHead()

    /// - Parameter tls: nil for a connection in the clear.
    init(loop: EventLoop, address: SocketAddress, tls: TLSContext?, onEvent: @escaping (LoadConnection, Event) -> Void) {
        self.loop = loop
        self.address = address
        tlsContext = tls
        self.onEvent = onEvent
    }

    deinit { close() }

    /// Connects, ahead of the first request. A failure that shows at once is returned, anything else becomes an event.
    func open() -> LoadFailure? {
        precondition(watch == nil)
        if let tlsContext {
            guard let session = TLSSession(tlsContext) else { return .handshakeFailed }
            tls = consume session
        }
        let descriptor: CInt
        do throws(SocketError) {
            descriptor = try Descriptors.connect(to: address)
        } catch {
            return .notConnected(error.code)
        }
        let watch = DescriptorWatch(loop: loop, descriptor: descriptor) { [unowned self] readiness in isReady(readiness) }
        self.watch = watch
        state = .connecting
        watch.interest = .write
        return nil
    }

    /// Sends the bytes that `write` appends; connects first where there is no connection. A failure that shows at once is
    /// returned and no event follows.
    func send(_ plan: RequestPlan, now: UInt64, deadline: UInt64, _ write: (inout [UInt8]) -> Void) -> LoadFailure? {
        precondition(request == nil, "a second request on a connection that has one")
        output.removeAll(keepingCapacity: true)
        write(&output)
        sent = 0
        request = Request(plan: plan, sent: now, deadline: deadline)
        let failure = state == .closed ? open() : (state == .ready ? beginSending() : nil)
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
        state = .closed
        tls = nil
        ciphertext.removeAll(keepingCapacity: true)
        received.removeAll(keepingCapacity: true)
        input.removeAll(keepingCapacity: true)
        parser = ResponseParser()
        Descriptors.close(watch.descriptor)
    }

    // MARK: Opening

    private func isReady(_ readiness: Readiness) {
        if readiness.contains(.write) { becameWritable() }
        if readiness.contains(.read), watch != nil { read() }
    }

    private func becameWritable() {
        guard let watch else { return }
        if state == .connecting {
            let code = Descriptors.connectError(watch.descriptor)
            guard code == 0 else { return fail(.notConnected(code)) }
            if tls != nil {
                state = .shaking
                return shake()
            }
            return becameReady()
        }
        if let failure = flush() { fail(failure) }
    }

    private func shake() {
        let progress = tls?.shake() ?? .failed
        tls?.take(into: &ciphertext)
        // A refusal is an alert that the server should see.
        let failure = flush()
        switch progress {
        case .failed: fail(tls?.distrust.map { .distrusted($0) } ?? .handshakeFailed)
        case .done where failure == nil: becameReady()
        default: if let failure { fail(failure) }
        }
    }

    private func becameReady() {
        state = .ready
        watch?.interest = .read
        guard request != nil else { return onEvent(self, .opened) }
        if let failure = beginSending() { fail(failure) }
    }

    // MARK: Sending

    private func beginSending() -> LoadFailure? {
        if tls != nil {
            guard tls?.write(output.span) == true else { return .handshakeFailed }
            tls?.take(into: &ciphertext)
        }
        return flush()
    }

    /// Whether all of the request, or of the ciphertext that there is, was sent.
    private var isFlushed: Bool { sent == (tls == nil ? output.count : ciphertext.count) }

    private func flush() -> LoadFailure? {
        guard let watch else { return nil }
        while !isFlushed {
            let result = tls == nil ? sendSome(of: output, watch) : sendSome(of: ciphertext, watch)
            switch result {
            case .transferred(let count): sent += count
            case .wouldBlock:
                watch.interest = [.read, .write]
                return nil
            case .ended: return .closed
            case .failed(let code): return .lost(code)
            }
        }
        if tls != nil {
            ciphertext.removeAll(keepingCapacity: true)
            sent = 0
        }
        watch.interest = .read
        return nil
    }

    private func sendSome(of bytes: [UInt8], _ watch: DescriptorWatch) -> TransferResult {
        Descriptors.send(watch.descriptor, bytes.span.extracting(sent...))
    }

    // MARK: Receiving

    private func read() {
        guard let watch else { return }
        if tls != nil { return readEnciphered(watch) }
        switch Descriptors.receive(watch.descriptor, into: &input, limit: Self.receiveBytes) {
        case .wouldBlock: return
        case .ended: fail(.closed)
        case .failed(let code): fail(.lost(code))
        case .transferred: parse()
        }
    }

    private func readEnciphered(_ watch: DescriptorWatch) {
        received.removeAll(keepingCapacity: true)
        switch Descriptors.receive(watch.descriptor, into: &received, limit: Self.receiveBytes) {
        case .wouldBlock: return
        case .ended: return fail(.closed)
        case .failed(let code): return fail(.lost(code))
        case .transferred: break
        }
        guard tls?.feed(received.span) == true else { return fail(.handshakeFailed) }
        if state == .shaking { return shake() }
        var progress = TLSSession.Read.more
        while progress == .more { progress = tls?.read(into: &input) ?? .failed }
        // The answer may stand before the close.
        if !input.isEmpty { parse() }
        // The answer may have been the connection's last, and the next request may have opened another one already.
        guard self.watch === watch else { return }
        switch progress {
        case .ended: fail(.closed)
        case .failed: fail(.handshakeFailed)
        case .more, .nothing: break
        }
    }

    private func parse() {
        while !input.isEmpty {
            // An answer that nobody asked for, or before the request was sent whole: out of step.
            guard let request, tls != nil || isFlushed else { return fail(.answerMalformed) }
            var bytes = input.mutableSpan
            do throws(ResponseError) {
                switch try parser.parse(&bytes, into: &head, isAnswerToHead: false, limits: limits) {
                case .incomplete(let consumed, let kept):
                    input.removeLast(input.count - consumed - kept)
                    input.removeFirst(consumed)
                    if consumed == 0 { return }
                case .complete(let body, let consumed):
                    let answer = answer(to: request.plan, body)
                    let isInStep = consumed == input.count
                    input.removeAll(keepingCapacity: true)
                    if !head.keepsAlive || !isInStep { close() }
                    return onEvent(self, .answered(answer))
                }
            } catch {
                return fail(.answerMalformed)
            }
        }
    }

    private func answer(to plan: RequestPlan, _ body: ByteRange) -> LoadAnswer {
        var answer = LoadAnswer(status: Int(head.status))
        if plan.kind.isWrite || plan.kind == .status { Self.read(input, body, into: &answer) }
        let retryAfter = answer.isForTheMoment ? head.fields.first(.retryAfter) : nil
        if let retryAfter { answer.retryAfterSeconds = Self.seconds(input, retryAfter) }
        return answer
    }

    private static func read(_ bytes: [UInt8], _ body: ByteRange, into answer: inout LoadAnswer) { answer.readPayment(bytes.span[body]) }

    /// Up to six digits; nil for a date or anything else.
    private static func seconds(_ buffer: [UInt8], _ field: ByteRange) -> Int? {
        let bytes = buffer.span[field]
        guard (1...6).contains(bytes.count) else { return nil }
        var value = 0
        for index in 0..<bytes.count {
            guard bytes[index] >= UInt8(ascii: "0"), bytes[index] <= UInt8(ascii: "9") else { return nil }
            value = value * 10 + Int(bytes[index] - UInt8(ascii: "0"))
        }
        return value
    }

    private func fail(_ failure: LoadFailure) {
        let wasIdle = state == .ready && request == nil
        close()
        onEvent(self, wasIdle ? .closedIdle : .failed(failure))
    }
}
