internal import Bytes
internal import Glibc
internal import HTTP1
internal import Loop
internal import Telemetry

/// One keep-alive connection that carries one request at a time. Lives on its loop's thread.
final class SubmitConnection {
    /// No answer for so long: longer than a gateway waits for an outcome.
    static let answerMillisecondsMax: UInt64 = 25_000
    private static let receiveBytes = 16 * 1024

    private let loop: EventLoop
    private let address: SocketAddress
    private let onAnswer: (SubmitConnection, SubmitAnswer) -> Void
    /// Not called for a connection that is closed between two requests.
    private let onLost: (SubmitConnection, String) -> Void

    /// What it is sent for; nil when it is free.
    var item: SubmitItem?
    private var watch: DescriptorWatch?
    private var isConnected = false
    private var output: [UInt8] = []
    private var sent = 0
    private var input: [UInt8] = []
    private var parser = ResponseParser()
    private var head = ResponseHead()
    private let limits = RequestLimits()
    private var deadline: UInt64 = 0
    /// Why there is no connection; told at the next sweep.
    private var connectFailure: SocketError?

    init(
        loop: EventLoop, address: SocketAddress, onAnswer: @escaping (SubmitConnection, SubmitAnswer) -> Void,
        onLost: @escaping (SubmitConnection, String) -> Void
    ) {
        self.loop = loop
        self.address = address
        self.onAnswer = onAnswer
        self.onLost = onLost
    }

    deinit { close() }

    /// Sends a request for `item`; connects first where there is no connection. The answer, or the loss, may be told only after
    /// this has returned.
    func send(_ item: SubmitItem, _ request: Span<UInt8>) {
        precondition(self.item == nil, "a second request on a connection that has one")
        self.item = item
        output.removeAll(keepingCapacity: true)
        output.append(request)
        sent = 0
        deadline = Clock.monotonicMilliseconds + Self.answerMillisecondsMax
        if let watch {
            watch.interest = [.read, .write]
        } else {
            connect()
        }
    }

    /// Gives a request up that is without an answer for too long; called many times a second.
    func sweep(now: UInt64) {
        if let failure = connectFailure {
            connectFailure = nil
            return fail("\(failure)")
        }
        if item != nil, now >= deadline { fail("no answer within \(Self.answerMillisecondsMax / 1_000) s") }
    }

    func close() {
        guard let watch else { return }
        watch.cancel()
        self.watch = nil
        isConnected = false
        input.removeAll()
        parser = ResponseParser()
        Descriptors.close(watch.descriptor)
    }

    private func connect() {
        let descriptor: CInt
        do throws(SocketError) {
            descriptor = try Descriptors.connect(to: address)
        } catch {
            connectFailure = error
            return
        }
        let watch = DescriptorWatch(loop: loop, descriptor: descriptor) { [unowned self] readiness in isReady(readiness) }
        self.watch = watch
        watch.interest = .write
    }

    private func isReady(_ readiness: Readiness) {
        if readiness.contains(.write) { write() }
        if readiness.contains(.read), watch != nil { read() }
    }

    private func write() {
        guard let watch else { return }
        if !isConnected {
            let code = Descriptors.connectError(watch.descriptor)
            guard code == 0 else { return fail("\(address): \(unsafe String(cString: strerror(code)))") }
            isConnected = true
        }
        while sent < output.count {
            switch Descriptors.send(watch.descriptor, output.span.extracting(sent...)) {
            case .transferred(let count): sent += count
            case .wouldBlock: return
            case .ended, .failed: return fail("the connection was lost")
            }
        }
        watch.interest = .read
    }

    private func read() {
        guard let watch else { return }
        switch Descriptors.receive(watch.descriptor, into: &input, limit: Self.receiveBytes) {
        case .wouldBlock: return
        case .ended, .failed: return fail("the connection was closed")
        case .transferred: parse()
        }
    }

    private func parse() {
        while !input.isEmpty {
            guard item != nil else { return close() }
            var bytes = input.mutableSpan
            do throws(ResponseError) {
                switch try parser.parse(&bytes, into: &head, isAnswerToHead: false, limits: limits) {
                case .incomplete(let consumed, let kept):
                    input.removeLast(input.count - consumed - kept)
                    input.removeFirst(consumed)
                    if consumed == 0 { return }
                case .complete(let body, let consumed):
                    let answer = answer(body)
                    input.removeFirst(consumed)
                    if !head.keepsAlive { close() }
                    // Unasked bytes behind an answer, or an answer before the request was sent whole: out of step.
                    if !input.isEmpty || sent < output.count { close() }
                    return onAnswer(self, answer)
                }
            } catch {
                return fail("the answer is not valid HTTP: \(error)")
            }
        }
    }

    private func answer(_ body: ByteRange) -> SubmitAnswer {
        var answer = SubmitAnswer(status: Int(head.status))
        if let range = head.fields.first(.retryAfter) {
            answer.retryAfterSeconds = Int(String(decoding: input[Int(range.start)..<range.end], as: UTF8.self))
        }
        answer.isReplayed = head.fields.first(.idempotencyReplayed) != nil
        answer.content = SubmitAnswer.content(of: Array(input[Int(body.start)..<body.end]))
        return answer
    }

    private func fail(_ reason: String) {
        close()
        if item != nil { onLost(self, reason) }
    }
}
