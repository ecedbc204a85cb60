public import Loop

/// A connection that listens to channels, on one loop. It subscribes anew after every reconnect; what was published
/// in between is lost, as Redis's pub/sub keeps nothing.
///
/// Every `subscriberProbeMilliseconds` it repeats the first SUBSCRIBE: the answer proves that the connection lives
/// and that the server still holds the subscription. Without one by the next time the connection is dropped, for one
/// that died silently would look like channels on which nothing happens.
///
/// Made, used and released on the loop's thread; all handlers run on it and may call any method.
public final class RedisSubscriber {
    /// Whether every channel is subscribed to. What was published before it turned true may have been missed.
    public private(set) var isReady = false
    /// The server's id of this connection (`CLIENT ID`) while ready: for `CLIENT TRACKING ... REDIRECT` on a session.
    public private(set) var clientIdentifier: Int64?

    private let configuration: RedisConfiguration
    private let channels: [String]
    private let onMessage: (Span<UInt8>, Span<UInt8>) -> Void
    private let onStateChange: (Bool) -> Void
    private var keeper: ConnectionKeeper?
    private var timer: LoopTimer?
    private var confirmationsLeft = 0
    private var hasHeard = false

    /// Begins to connect at once; no handler is called before `init` returns.
    ///
    /// - Parameters:
    ///   - channels: 1 to 1,000 names.
    ///   - onMessage: channel and payload, lent for the call. A payload that is an array (the keys of client
    ///     tracking's `__redis__:invalidate`) is handed over element by element, a null one (everything) as empty.
    ///   - onStateChange: readiness has changed.
    public init(
        loop: EventLoop, configuration: RedisConfiguration, channels: [String], metrics: RedisMetrics = RedisMetrics(),
        onMessage: @escaping (_ channel: Span<UInt8>, _ payload: Span<UInt8>) -> Void,
        onStateChange: @escaping (_ ready: Bool) -> Void
    ) {
        precondition((1...1_000).contains(channels.count), "a subscriber has 1 to 1,000 channels")
        self.configuration = configuration
        self.channels = channels
        self.onMessage = onMessage
        self.onStateChange = onStateChange
        keeper = ConnectionKeeper(
            loop: loop, configuration: configuration, metrics: metrics,
            handlers: ConnectionKeeper.Handlers(
                ready: { [weak self] ready in if ready { self?.subscribe() } else { self?.announce(false) } },
                dropped: { [weak self] _ in self?.timer?.cancel() },
                reply: { [unowned self] reply in replyArrived(reply) }))
        timer = LoopTimer(loop: loop) { [unowned self] in withExtendedLifetime(self) { probe() } }
        loop.atTurnEnd { [weak self] in self?.keeper?.link?.flush() }
        keeper?.start()
    }

    // A frame below a handler that released the subscriber still holds the keeper and its link: they end here.
    deinit { keeper?.close() }

    /// Why the last connection, or attempt at one, ended; nil until one has.
    public var lastFailure: RedisError? { keeper?.lastFailure }

    /// Ends for good: no message comes after it.
    public func close() { withExtendedLifetime(self) { keeper?.close() } }

    private func subscribe() {
        confirmationsLeft = channels.count
        hasHeard = false
        send(["CLIENT", "ID"])
        send(["SUBSCRIBE"] + channels)
        timer?.arm(afterMilliseconds: configuration.subscriberProbeMilliseconds)
    }

    private func probe() {
        guard hasHeard else {
            keeper?.fail(.timedOut(afterMilliseconds: configuration.subscriberProbeMilliseconds))
            return
        }
        hasHeard = false
        send(["SUBSCRIBE", channels[0]])
        timer?.arm(afterMilliseconds: configuration.subscriberProbeMilliseconds)
    }

    private func replyArrived(_ reply: RedisReply) {
        guard reply.kind == .array, reply.count == 3 else {
            // The answer to CLIENT ID; a user without the right to it subscribes without an id.
            clientIdentifier = reply.integer
            return
        }
        hasHeard = true
        if reply[0].bytes.elementsEqual("message") {
            deliver(reply[2], from: reply[1].bytes)
        } else if confirmationsLeft > 0 {
            confirmationsLeft -= 1
            if confirmationsLeft == 0 { announce(true) }
        }
    }

    private func deliver(_ payload: RedisReply, from channel: Span<UInt8>) {
        guard payload.kind == .array else { return onMessage(channel, payload.bytes) }
        for index in 0..<payload.count where keeper?.link != nil { onMessage(channel, payload[index].bytes) }
    }

    private func announce(_ ready: Bool) {
        if !ready { clientIdentifier = nil }
        guard ready != isReady else { return }
        isReady = ready
        onStateChange(ready)
    }

    private func send(_ arguments: [String]) {
        var command = CommandBuffer()
        command.encode(arguments)
        // False only when the connection has ended, which the keeper hears of.
        _ = keeper?.link?.send(command.encoded)
    }
}

extension Span<UInt8> {
    fileprivate func elementsEqual(_ text: StaticString) -> Bool {
        guard count == text.utf8CodeUnitCount else { return false }
        for index in indices where unsafe self[index] != text.utf8Start[index] { return false }
        return true
    }
}
