public import Loop
internal import Telemetry

/// One pipelined, non-blocking connection to PostgreSQL on one loop, made again whenever it is lost.
///
/// Any number of executions may be in flight; each is one implicit transaction and one round trip, and is answered
/// exactly once, in order. Everything is called on the loop's thread. The owner closes the session before it lets go of
/// it: released without, it hands out at most what has already arrived, and what is in flight is never answered.
public final class PostgresSession {
    public enum State: Equatable, Sendable { case connecting, ready, waitingToReconnect, closed }

    /// The answers in the order of the queries, or why none of them had an effect, or is known to have had one.
    public typealias Completion = (Result<[Rows], PostgresError>) -> Void

    enum Ticket {
        case execute(Completion)
        case prepare(Statement)
        case setUp
        case setUpLast
    }

    /// Why there was no connection the last time; nil once it is ready.
    public private(set) var lastFailure: PostgresError?

    private let loop: EventLoop
    private let configuration: PostgresConfiguration
    private let target: Result<ConnectionTarget, PostgresError>
    private let onStateChange: (State) -> Void
    private var machine = SessionMachine()
    private var notified = State.waitingToReconnect
    private var isBrokenWhileSending = false
    /// What the log was told last; nil once there was a connection again.
    private var loggedLoss: PostgresError?
    private var pipeline = Pipeline<Ticket, Rows>()
    private var preparedNames = PreparedNames()
    private var attempt: ConnectAttempt?
    private var connection: ConnectionHandle?
    private var watch: DescriptorWatch?
    private var timer: LoopTimer?
    private var deadlineTimer: LoopTimer?

    /// Begins to connect in the loop's next turn. `onStateChange` is called on each change, never from within a call
    /// other than `close`.
    public init(loop: EventLoop, configuration: PostgresConfiguration, onStateChange: @escaping (State) -> Void = { _ in }) {
        precondition(configuration.inFlightMax > 0 && configuration.queryDeadlineMilliseconds > 0)
        self.loop = loop
        self.configuration = configuration
        self.onStateChange = onStateChange
        target = Result { () throws(PostgresError) in try ConnectionTarget(configuration.connectionString) }
        timer = LoopTimer(loop: loop) { [unowned self] in handle(isBrokenWhileSending ? .failed : .timerFired) }
        deadlineTimer = LoopTimer(loop: loop) { [unowned self] in checkDeadline() }
        timer?.arm(afterMilliseconds: 0)
    }

    deinit { watch?.cancel() }

    public var state: State {
        switch machine.state {
        case .connecting, .settingUp: .connecting
        case .ready: .ready
        case .waiting: .waitingToReconnect
        case .closed: .closed
        }
    }

    public var isReady: Bool { machine.state == .ready && !isBrokenWhileSending }

    /// Executions sent and not answered.
    public private(set) var inFlight = 0

    /// Executions sent since the session was made; the last one sent has this number.
    private(set) var executionCount: UInt64 = 0

    /// What the server last said of itself: true on a standby, false on a primary or without a connection.
    public var isStandby: Bool { isReady && connection?.isStandby == true }

    /// Sends the queries as one implicit transaction: committed when all succeed, without effect when one fails.
    ///
    /// The completion is called exactly once, later, on the loop. The parameters are copied before this returns.
    /// - Returns: false, and nothing was sent, when not ready or when `inFlightMax` are in flight.
    public func execute(_ queries: [Query], completion: @escaping Completion) -> Bool {
        inFlight < configuration.inFlightMax && executeUnbounded(queries, completion: completion)
    }

    /// For what must get through when a flood of executions fills the bound: lag probes.
    func executeUnbounded(_ queries: [Query], completion: @escaping Completion) -> Bool {
        precondition(!queries.isEmpty, "nothing to execute")
        guard isReady, let connection else { return false }
        let sent = prepare(queries, on: connection) && queries.allSatisfy { send($0, on: connection) } && connection.sendSync()
        guard sent else {
            // Without its synchronisation nothing of it can be committed. The loss itself is handled in a turn of its own.
            Log.warning("a PostgreSQL query could not be sent", .text("reason", connection.message))
            isBrokenWhileSending = true
            timer?.arm(afterMilliseconds: 0)
            return false
        }
        track(.execute(completion), queries: queries.count)
        inFlight += 1
        executionCount += 1
        return true
    }

    /// Asks the server to stop what it works on, if that is the execution with this number. It is answered all the same, with SQLSTATE
    /// 57014 or, when it was faster, as ever; then the request may hit the execution behind it.
    ///
    /// - Returns: false, and nothing was asked, while others are before it.
    func cancel(execution number: UInt64) -> Bool {
        guard isReady, inFlight > 0, number == executionCount - UInt64(inFlight) + 1, let request = connection?.cancelRequest() else {
            return false
        }
        Canceller.send(request)
        return true
    }

    /// Fails everything in flight with `.cancelled` and connects anew: there is no other way to be sure that no answer comes.
    public func cancelAll() {
        guard isReady, inFlight > 0 else { return }
        handle(.failed, answeringAll: .cancelled)
    }

    /// Fails everything in flight with `.cancelled`, before it returns, and connects no more.
    public func close() { handle(.close) }

    // MARK: Sending

    /// Prepares what this connection has not seen, in a segment of its own before the queries: a failing execution then
    /// cannot undo it, and it costs no round trip.
    private func prepare(_ queries: [Query], on connection: ConnectionHandle) -> Bool {
        for query in queries where preparedNames[query.statement] == nil {
            let name = preparedNames.add(query.statement)
            guard connection.sendPrepare(name: name, sql: query.statement.sql), connection.sendSync() else { return false }
            track(.prepare(query.statement), queries: 1)
        }
        return true
    }

    private func send(_ query: Query, on connection: ConnectionHandle) -> Bool {
        connection.send(prepared: preparedNames[query.statement]!, query.parameters)
    }

    private func track(_ ticket: Ticket, queries: Int) {
        let deadline = loop.nowNanoseconds + UInt64(configuration.queryDeadlineMilliseconds) * 1_000_000
        pipeline.sent(ticket, queries: queries, deadlineNanoseconds: deadline)
        if deadlineTimer?.isArmed == false { deadlineTimer?.arm(afterMilliseconds: configuration.queryDeadlineMilliseconds) }
        flush()
    }

    /// Writes what libpq has queued; what the socket does not take now follows when it is writable.
    private func flush() {
        guard let connection, let watch else { return }
        watch.interest = connection.flush() == .flushed ? .read : [.read, .write]
    }

    // MARK: Receiving

    private func isReady(_ readiness: Readiness) {
        guard let connection else { return }
        if readiness.contains(.write) { flush() }
        guard readiness.contains(.read) else { return }
        let alive = connection.consumeInput()
        takeResults(of: connection)
        guard !alive || connection.isBroken, self.connection === connection else { return }
        lastFailure = .connectFailed(message: connection.message)
        handle(.failed)
    }

    /// Hands out every result that is complete. A completion may close the session, so the connection is compared each time.
    private func takeResults(of connection: ConnectionHandle) {
        var nulls = 0
        while self.connection === connection, !connection.isBusy {
            guard let result = connection.nextResult() else {
                // One null ends each query's results; two in a row mean that there is nothing more.
                nulls += 1
                if nulls > 1 { break }
                continue
            }
            nulls = 0
            take(result)
        }
    }

    private func take(_ result: ResultHandle) {
        let event: Pipeline<Ticket, Rows>.Event
        switch result.status {
        case .rows, .done: event = .answered(Rows(result))
        case .failed: event = .failed(result.error)
        case .aborted: event = .aborted
        case .synchronised: event = .synchronised
        // A COPY: libpq would hand out this same result for ever, and the synchronisation never comes.
        case .unexpected:
            lastFailure = result.error
            return handle(.failed, answeringFirst: result.error)
        }
        switch pipeline.handle(event) {
        case .none: break
        case .finished(let ticket, let result): finish(ticket, result)
        case .violated:
            lastFailure = .unexpectedAnswer(message: "an answer to nothing that was asked")
            handle(.failed)
        }
    }

    private func finish(_ ticket: Ticket, _ result: Result<[Rows], PostgresError>) {
        switch ticket {
        case .execute(let completion):
            inFlight -= 1
            completion(result.mapError { preparedNames.answer(for: $0) })
        case .prepare(let statement):
            if case .failure(let error) = result { preparedNames.refuse(statement, error) }
        case .setUp, .setUpLast:
            if case .failure(let error) = result {
                lastFailure = error
                handle(.failed)
            } else if case .setUpLast = ticket {
                handle(.setUpFinished)
            }
        }
    }

    private func checkDeadline() {
        guard let deadline = pipeline.firstDeadlineNanoseconds else { return }
        let now = loop.nowNanoseconds
        guard now >= deadline else {
            deadlineTimer?.arm(afterMilliseconds: Int((deadline - now) / 1_000_000) + 1)
            return
        }
        handle(.deadlinePassed)
    }

    // MARK: Connecting

    /// `answeringFirst`, `answeringAll`: what the oldest, or all, in flight get in place of "lost" or "timed out".
    private func handle(
        _ event: SessionMachine.Event, answeringFirst first: PostgresError? = nil, answeringAll all: PostgresError? = nil
    ) {
        var unanswered: [(ticket: Ticket, error: PostgresError)] = []
        switch machine.handle(event, jitter: .random(in: 0...UInt64.max)) {
        case .none: return
        case .connect(let rotation): connect(rotation: rotation)
        case .setUp: setUp()
        case .announceReady: announceReady()
        case .dropAndWait(let milliseconds, let reason):
            logLoss(reason, event)
            unanswered = release(answering: all, cancels: event == .deadlinePassed && configuration.cancelsAtDeadline)
            if let first, !unanswered.isEmpty { unanswered[0].error = first }
            timer?.arm(afterMilliseconds: milliseconds)
        case .drop:
            unanswered = release(answering: .cancelled, cancels: false)
            timer?.cancel()
        }
        if state != notified {
            notified = state
            onStateChange(state)
        }
        // Last, because a completion may execute again or close.
        for (ticket, error) in unanswered {
            if case .execute(let completion) = ticket { completion(.failure(error)) }
        }
    }

    private func connect(rotation: Int) {
        timer?.arm(afterMilliseconds: configuration.connectTimeoutMilliseconds)
        switch target {
        case .failure(let error):
            lastFailure = error
            handle(.failed)
        case .success(let target):
            let options = target.options(rotation: rotation, defaults: configuration.connectDefaults)
            let attempt = ConnectAttempt(loop: loop, options: options) { [unowned self] in attemptEnded($0) }
            self.attempt = attempt
            attempt.start()
        }
    }

    private func attemptEnded(_ progress: ConnectionHandle.ConnectProgress) {
        guard progress == .connected, let attempt else { return connectFailed(attempt?.connection) }
        connection = attempt.connection
        self.attempt = nil
        handle(.connected)
    }

    private func connectFailed(_ connection: ConnectionHandle?) {
        lastFailure = .connectFailed(message: connection?.message ?? "no connection")
        handle(.failed)
    }

    /// The session's commands and the declared statements, as two transactions in one round trip.
    private func setUp() {
        guard let connection, connection.enterPipeline() else { return connectFailed(connection) }
        let watch = DescriptorWatch(loop: loop, descriptor: connection.socket) { [unowned self] in isReady($0) }
        watch.interest = .read
        self.watch = watch
        let commands = configuration.setUpCommands
        if !commands.isEmpty {
            guard commands.allSatisfy(connection.send(command:)), connection.sendSync() else { return connectFailed(connection) }
            track(.setUp, queries: commands.count)
        }
        for statement in configuration.statements {
            guard connection.sendPrepare(name: preparedNames.add(statement), sql: statement.sql) else { return connectFailed(connection) }
        }
        guard connection.sendSync() else { return connectFailed(connection) }
        track(.setUpLast, queries: configuration.statements.count)
    }

    private func announceReady() {
        timer?.cancel()
        lastFailure = nil
        if loggedLoss != nil { Log.info("PostgreSQL is back", .text("application", configuration.applicationName)) }
        loggedLoss = nil
    }

    /// The first loss of a row of them, as the reconnects that fail the same way would only repeat it; and what the server itself says of
    /// why it cannot be used, whatever was before.
    private func logLoss(_ reason: SessionMachine.DropReason, _ event: SessionMachine.Event) {
        if reason == .timedOut {
            lastFailure = event == .deadlinePassed ? .timedOut : .connectFailed(message: "no connection within the time allowed")
        }
        let failure = lastFailure ?? .lost(afterSending: inFlight > 0)
        if let loggedLoss {
            guard case .serverError = failure, failure != loggedLoss else { return }
        }
        loggedLoss = failure
        Log.warning(
            "PostgreSQL is lost", .text("application", configuration.applicationName),
            .text("reason", lastFailure?.description ?? ""), .integer("in_flight", inFlight))
    }

    /// Lets go of the connection. Returns what was in flight, oldest first, and what to answer it.
    private func release(answering answer: PostgresError?, cancels: Bool) -> [(ticket: Ticket, error: PostgresError)] {
        if cancels, let request = connection?.cancelRequest() { Canceller.send(request) }
        watch?.cancel()
        watch = nil
        attempt = nil
        connection = nil
        deadlineTimer?.cancel()
        inFlight = 0
        isBrokenWhileSending = false
        preparedNames.removeAll()
        let now = loop.nowNanoseconds
        return pipeline.removeAll().map { ticket, deadline in
            (ticket, answer ?? (deadline <= now ? .timedOut : .lost(afterSending: true)))
        }
    }
}
