internal import Loop
internal import Telemetry

/// Keeps one connection up: runs what `SessionMachine` decides, with one timer and one `RedisLink` at a time.
/// What goes over a ready connection is the session's or the subscriber's business.
final class ConnectionKeeper {
    /// Who is told. Any of them may close the keeper or release its owner, whose `deinit` closes it.
    struct Handlers {
        /// Commands are taken, or not any more.
        var ready: (Bool) -> Void
        /// The connection is gone with everything in flight.
        var dropped: (RedisError) -> Void
        var reply: (RedisReply) -> Void
    }

    private(set) var link: RedisLink?
    /// Why the last connection or attempt ended; nil until one has.
    private(set) var lastFailure: RedisError?
    private let loop: EventLoop
    private let configuration: RedisConfiguration
    private let handlers: Handlers
    private let metrics: RedisMetrics
    private var machine: SessionMachine
    private var timer: LoopTimer?
    private var setUpRepliesLeft = 0
    private var wasReady = false

    init(loop: EventLoop, configuration: RedisConfiguration, metrics: RedisMetrics, handlers: Handlers) {
        configuration.validate()
        self.loop = loop
        self.configuration = configuration
        self.handlers = handlers
        self.metrics = metrics
        machine = SessionMachine(configuration, seed: UInt64.random(in: 0...UInt64.max))
        timer = LoopTimer(loop: loop) { [unowned self] in withExtendedLifetime(self) { timerFired() } }
    }

    /// Begins to connect; may call no handler.
    func start() { handle(.start) }

    /// A command was given up on: find out whether the connection still answers.
    func commandTimedOut() { handle(.commandTimedOut) }

    /// Ends the connection and tries again.
    func fail(_ error: RedisError) {
        lastFailure = error
        handle(.failed)
    }

    /// Ends for good.
    func close() {
        lastFailure = .lost(.closed)
        handle(.close)
    }

    private func timerFired() {
        switch machine.state {
        case .connecting, .settingUp: lastFailure = .timedOut(afterMilliseconds: configuration.connectTimeoutMilliseconds)
        case .suspect: lastFailure = .timedOut(afterMilliseconds: configuration.probeTimeoutMilliseconds)
        default: break
        }
        handle(.timerFired)
    }

    private func handle(_ event: SessionMachine.Event) {
        switch machine.handle(event) {
        case .nothing: break
        case .connect(let timeout): connect(timeoutMilliseconds: timeout)
        case .setUp: setUp()
        case .becomeReady: becomeReady()
        case .probe(let timeout): probe(timeoutMilliseconds: timeout)
        case .retry(let wait):
            timer?.arm(afterMilliseconds: wait)
            endConnection()
        case .close:
            timer?.cancel()
            endConnection()
        }
    }

    private func connect(timeoutMilliseconds: Int) {
        timer?.arm(afterMilliseconds: timeoutMilliseconds)
        let link = RedisLink(
            loop: loop, metrics: metrics,
            handlers: RedisLink.Handlers(
                connected: { [unowned self] in handle(.connected) },
                ended: { [unowned self] error in fail(error) },
                commandReply: handlers.reply,
                serviceReply: { [unowned self] reply in serviceReply(reply) }))
        self.link = link
        if let error = link.open(configuration.endpoint) { fail(error) }
    }

    private func setUp() {
        let commands = configuration.greeting
        setUpRepliesLeft = commands.count
        for command in commands { sendService(command) }
    }

    private func becomeReady() {
        timer?.cancel()
        announce(true)
    }

    private func probe(timeoutMilliseconds: Int) {
        timer?.arm(afterMilliseconds: timeoutMilliseconds)
        sendService(["PING"])
        announce(false)
    }

    private func endConnection() {
        let error = lastFailure ?? .lost(.closed)
        link?.drop()
        link = nil
        announce(false)
        handlers.dropped(error)
    }

    private func announce(_ ready: Bool) {
        guard ready != wasReady else { return }
        wasReady = ready
        handlers.ready(ready)
    }

    private func serviceReply(_ reply: RedisReply) {
        guard machine.state == .settingUp else { return handle(.probeAnswered) }
        guard reply.kind != .error else { return fail(.rejected(reply.text)) }
        setUpRepliesLeft -= 1
        guard setUpRepliesLeft == 0 else { return }
        metrics.connections.add()
        handle(.setUpDone)
    }

    private func sendService(_ arguments: [String]) {
        var command = CommandBuffer()
        command.encode(arguments)
        // False only when the connection has ended, which its handler tells.
        _ = link?.sendService(command.encoded)
    }
}
