public import Loop
internal import Telemetry

/// One pipelined connection to Redis on one loop, for hot paths: commands of a turn leave in one write at its end,
/// and replies come back by token. Per command nothing is allocated in Swift.
///
/// Every token that `send` took is answered exactly once: with the reply, `.timedOut`, or `.lost`. A reply that
/// comes after its time-out is dropped. After a time-out the session takes no commands until the server has answered
/// a PING sent behind those in flight; without that answer it drops the connection. It reconnects for ever.
///
/// Made, used and released on the loop's thread; `close` it before the release, or tokens stay unanswered. All
/// handlers run on that thread and may call any method. SUBSCRIBE, MONITOR and other commands that have no reply or
/// several break the order of answers: they are not for a session.
public final class RedisSession {
    /// Whether `send` takes commands, but for the bound on those in flight.
    public private(set) var isReady = false

    private let loop: EventLoop
    private let onReply: (UInt64, RedisResult) -> Void
    private let onStateChange: (Bool) -> Void
    private let metrics: RedisMetrics
    private let inFlightMax: Int
    private let timeoutMilliseconds: Int
    private var inFlight: InFlightRing
    private var keeper: ConnectionKeeper?
    private var timer: LoopTimer?
    /// When commands of this turn are due; 0 before the first, so that the clock is read once a turn.
    private var turnDeadlineNanoseconds: UInt64 = 0
    private var turnCommands: UInt64 = 0
    private let reference = Reference()

    /// What closures that outlive the session hold of it. A weak reference would move its counts into a side table,
    /// and with them every retain on the hot path.
    private final class Reference {
        unowned var session: RedisSession?
    }

    /// Begins to connect at once; no handler is called before `init` returns.
    ///
    /// - Parameters:
    ///   - onReply: the answer to a token; a reply is lent for the call.
    ///   - onStateChange: readiness has changed. On the way down it is called before the tokens in flight are failed.
    public init(
        loop: EventLoop, configuration: RedisConfiguration, metrics: RedisMetrics = RedisMetrics(),
        onReply: @escaping (_ token: UInt64, _ result: RedisResult) -> Void,
        onStateChange: @escaping (_ ready: Bool) -> Void
    ) {
        self.loop = loop
        self.onReply = onReply
        self.onStateChange = onStateChange
        self.metrics = metrics
        inFlightMax = configuration.inFlightMax
        timeoutMilliseconds = configuration.commandTimeoutMilliseconds
        inFlight = InFlightRing(capacity: configuration.inFlightMax)
        reference.session = self
        keeper = ConnectionKeeper(
            loop: loop, configuration: configuration, metrics: metrics,
            handlers: ConnectionKeeper.Handlers(
                ready: { [reference] ready in reference.session?.readinessChanged(ready) },
                dropped: { [reference] error in reference.session?.connectionDropped(error) },
                reply: { [unowned self] reply in replyArrived(reply) }))
        timer = LoopTimer(loop: loop) { [unowned self] in withExtendedLifetime(self) { timerFired() } }
        loop.atTurnEnd { [reference] in reference.session?.endTurn() }
        keeper?.start()
    }

    // A frame below a handler that released the session still holds the keeper and its link: they end here.
    deinit {
        reference.session = nil
        keeper?.close()
    }

    /// Why the last connection, or attempt at one, ended; nil until one has.
    public var lastFailure: RedisError? { keeper?.lastFailure }

    /// Commands that wait for an answer, those given up on included.
    public var inFlightCount: Int { inFlight.count }

    /// Takes one complete command, to leave at the end of this turn.
    ///
    /// False: not ready, or too many in flight. Nothing was sent and no answer will come. A handler at the end of
    /// turns that sends must have been added to the loop before this session was made.
    public func send(_ command: borrowing CommandBuffer, token: UInt64) -> Bool {
        precondition(command.isComplete, "an argument of the command is missing")
        guard isReady, inFlight.count < inFlightMax, let keeper, let link = keeper.link, link.send(command.encoded) else {
            metrics.refused.add()
            return false
        }
        if turnDeadlineNanoseconds == 0 {
            turnDeadlineNanoseconds = loop.nowNanoseconds + UInt64(timeoutMilliseconds) * 1_000_000
        }
        inFlight.append(token: token, deadlineNanoseconds: turnDeadlineNanoseconds)
        turnCommands += 1
        return true
    }

    /// Ends for good. Tokens in flight are answered `.lost` before it returns; later sends are refused.
    public func close() { withExtendedLifetime(self) { keeper?.close() } }

    private func readinessChanged(_ ready: Bool) {
        isReady = ready
        onStateChange(ready)
    }

    private func replyArrived(_ reply: RedisReply) {
        guard let token = inFlight.takeAnswered() else { return metrics.lateReplies.add() }
        onReply(token, .reply(reply))
    }

    private func connectionDropped(_ error: RedisError) {
        let loss: RedisError.Loss =
            switch error {
            case .lost(let loss): loss
            case .timedOut: .silent
            case .refused, .unreachable, .rejected: .closedByServer
            }
        while let token = inFlight.takeLost() {
            metrics.lost.add()
            onReply(token, .failure(.lost(loss)))
        }
    }

    private func endTurn() {
        keeper?.link?.flush()
        turnDeadlineNanoseconds = 0
        if turnCommands > 0 {
            metrics.commands.add(turnCommands)
            turnCommands = 0
        }
        armTimer()
    }

    /// The timer is armed for the oldest command and not moved when that is answered: it fires about once a
    /// time-out while there is traffic, instead of being set for every reply.
    private func armTimer() {
        guard let timer, !timer.isArmed, let deadline = inFlight.firstDeadlineNanoseconds else { return }
        let now = loop.nowNanoseconds
        timer.arm(afterMilliseconds: deadline > now ? Int((deadline - now + 999_999) / 1_000_000) : 0)
    }

    private func timerFired() {
        // When it was this loop that was held up, the answers are waiting on the socket: they count.
        var taken = -1
        while isDue, inFlight.count != taken {
            taken = inFlight.count
            keeper?.link?.readNow()
        }
        guard isDue else { return }
        keeper?.commandTimedOut()
        let now = loop.nowNanoseconds
        while let token = inFlight.takeLate(nowNanoseconds: now) {
            metrics.timedOut.add()
            onReply(token, .failure(.timedOut(afterMilliseconds: timeoutMilliseconds)))
        }
    }

    private var isDue: Bool {
        guard let deadline = inFlight.firstDeadlineNanoseconds else { return false }
        return deadline <= loop.nowNanoseconds
    }
}
