public import Loop
public import Pool
internal import Telemetry

/// Reads from several replicas over pipelined sessions on one loop; the primary helps out within a budget.
///
/// Only for queries that change nothing: one that is lost before its answer is repeated once on another server.
/// Everything is called on the loop's thread.
public final class ReplicaPool {
    public let metrics: ReplicaPoolMetrics

    private let loop: EventLoop
    private let limits: PoolMachine.Limits
    private let probeIntervalMilliseconds: Int
    private var machine: PoolMachine
    private var lag: LagTracker
    private var sessions: [[PostgresSession]] = []
    private var primary: PostgresSession?
    private var probing: [Bool]
    private var lastStates: [PoolMachine.ReplicaState]
    private var probeTimer: LoopTimer?
    private var asked = AskedExecutions()
    /// When each session was last asked to stop an execution.
    private var cancelledNanoseconds: [PoolMachine.Member: UInt64] = [:]
    /// What the metrics have of the machine's counts.
    private var published = (usedUp: 0, overShare: 0)

    /// Begins to connect.
    ///
    /// - Parameters:
    ///   - replicas: one configuration a replica, each naming one server. `cancelsAtDeadline` is on for all: reads can be cancelled safely.
    ///   - primary: also what the replicas' lag is measured against; without it their own word must do (see `LagTracker`).
    ///   - primaryBudgetPerSecond: reads that the primary may get from this pool.
    ///   - lagBoundMilliseconds: a replica further behind is left out until it is within half of it.
    ///   - sessionsPerReplica: connections to each replica.
    ///   - primaryInFlightMax: reads that the primary may be busy with at once.
    ///   - servesLateWithoutPrimary: while nothing fresh and no primary can be reached, late replicas answer rather than
    ///     nobody: balances may then be old, but a client that presents a revision is still not shown an older one.
    public init(
        loop: EventLoop, replicas: [PostgresConfiguration], primary: PostgresConfiguration?, primaryBudgetPerSecond: Int,
        lagBoundMilliseconds: Int, sessionsPerReplica: Int, primaryInFlightMax: Int = 32, probeIntervalMilliseconds: Int = 250,
        servesLateWithoutPrimary: Bool = true, metrics: ReplicaPoolMetrics? = nil
    ) {
        self.loop = loop
        self.probeIntervalMilliseconds = probeIntervalMilliseconds
        self.metrics = metrics ?? ReplicaPoolMetrics(replicas: replicas.count)
        precondition(self.metrics.states.count == replicas.count, "metrics of another number of replicas")
        self.metrics.primaryPerSecond.add(Int64(primary == nil ? 0 : primaryBudgetPerSecond))
        let probeAgeMax = 4 * probeIntervalMilliseconds
        limits = PoolMachine.Limits(
            replicas: replicas.count, sessionsPerReplica: sessionsPerReplica, hasPrimary: primary != nil,
            inFlightMax: replicas.map(\.inFlightMax).min() ?? 1, lagBoundMilliseconds: lagBoundMilliseconds,
            probeAgeMaxMilliseconds: probeAgeMax, primaryPerSecond: primaryBudgetPerSecond,
            primaryInFlightMax: primaryInFlightMax, servesLateWithoutPrimary: servesLateWithoutPrimary)
        machine = PoolMachine(limits: limits)
        lag = LagTracker(standbys: replicas.count, sampleAgeMaxMilliseconds: probeAgeMax)
        probing = Array(repeating: false, count: replicas.count + 1)
        lastStates = Array(repeating: .down, count: replicas.count)
        sessions = replicas.enumerated().map { server, configuration in
            (0..<sessionsPerReplica).map { makeSession(configuration, PoolMachine.Member(server: server, session: $0)) }
        }
        self.primary = primary.map { makeSession($0, PoolMachine.Member(server: replicas.count, session: 0)) }
        probeTimer = LoopTimer(loop: loop) { [unowned self] in probeAll() }
        probeTimer?.arm(afterMilliseconds: probeIntervalMilliseconds)
    }

    /// Whether a read would find a server now, its load and the primary's budget aside.
    public var isReady: Bool {
        let now = loop.nowNanoseconds
        return primary?.isReady == true
            || (0..<limits.replicas).contains { index in
                switch machine.state(ofReplica: index, nowNanoseconds: now) {
                case .serving: true
                case .late, .unproven: limits.servesLateWithoutPrimary
                case .down, .suspended: false
                }
            }
    }

    /// Why a server has no connection, one that the server itself gives before others; nil when all have one, or none was tried yet.
    public var lastFailure: PostgresError? {
        let failures = (sessions.joined() + [primary].compactMap(\.self)).compactMap(\.lastFailure)
        return failures.first { if case .serverError = $0 { true } else { false } } ?? failures.first
    }

    /// For metrics and readiness.
    public func state(ofReplica index: Int) -> PoolMachine.ReplicaState {
        machine.state(ofReplica: index, nowNanoseconds: loop.nowNanoseconds)
    }

    /// As last measured, milliseconds.
    public func lagMilliseconds(ofReplica index: Int) -> Int { machine.lagMilliseconds(ofReplica: index) }

    /// An answer, and how new it is: every commit that was acknowledged before the instant given (monotonic nanoseconds) is in it. 0
    /// when that is not known, as for a replica that serves late.
    public typealias DatedCompletion = (Result<[Rows], PostgresError>, _ coveredNanoseconds: UInt64) -> Void

    /// Sends the queries to the best server, as one implicit transaction. The completion is called exactly once, later.
    ///
    /// - Parameters:
    ///   - asker: whose share of the primary's budget it is, should there be no replica; nil for ourselves.
    ///   - isWanted: looked at now and then until the answer comes. Once it is false the server is asked to stop, nothing is repeated, and
    ///     the failure is `.cancelled`. It is not called after the completion.
    /// - Returns: false, and nothing was sent, when no server can take it.
    public func execute(
        _ queries: [Query], for asker: SharedBudget.Asker = nil, isWanted: (() -> Bool)? = nil,
        completion: @escaping PostgresSession.Completion
    ) -> Bool {
        executeDated(queries, for: asker, isWanted: isWanted) { result, _ in completion(result) }
    }

    /// Sends the queries to the primary within its budget: for a read that no replica is fresh enough for. Not repeated.
    public func executeOnPrimary(
        _ queries: [Query], for asker: SharedBudget.Asker, isWanted: (() -> Bool)? = nil,
        completion: @escaping PostgresSession.Completion
    ) -> Bool {
        executeDatedOnPrimary(queries, for: asker, isWanted: isWanted) { result, _ in completion(result) }
    }

    /// As `execute`; for what is kept for others.
    public func executeDated(
        _ queries: [Query], for asker: SharedBudget.Asker, isWanted: (() -> Bool)? = nil, completion: @escaping DatedCompletion
    ) -> Bool {
        let sent = sendToBest(Ask(queries: queries, asker: asker, isWanted: isWanted, completion: completion), mayRetry: true)
        if !sent { metrics.refused.add() }
        return sent
    }

    /// As `executeOnPrimary`; for what is kept for others.
    public func executeDatedOnPrimary(
        _ queries: [Query], for asker: SharedBudget.Asker, isWanted: (() -> Bool)? = nil, completion: @escaping DatedCompletion
    ) -> Bool {
        let choice = machine.choosePrimary(for: asker, nowNanoseconds: loop.nowNanoseconds)
        let sent = send(Ask(queries: queries, asker: asker, isWanted: isWanted, completion: completion), to: choice, mayRetry: false)
        if !sent { metrics.refused.add() }
        return sent
    }

    /// Fails everything in flight with `.cancelled`, before it returns, and connects no more.
    public func close() {
        probeTimer?.cancel()
        for session in sessions.joined() { session.close() }
        primary?.close()
    }

    // MARK: Sessions

    private func makeSession(_ configuration: PostgresConfiguration, _ member: PoolMachine.Member) -> PostgresSession {
        var configuration = configuration
        configuration.cancelsAtDeadline = true
        return PostgresSession(loop: loop, configuration: configuration) { [unowned self] state in
            machine.sessionChanged(member, isReady: state == .ready)
            // At once, over whichever session stands: nothing is served by a replica that has proven nothing.
            probe(server: member.server)
        }
    }

    private func session(_ member: PoolMachine.Member) -> PostgresSession? {
        member.server == machine.primaryServer ? primary : sessions[member.server][member.session]
    }

    /// What is asked, and who is told.
    private struct Ask {
        let queries: [Query]
        let asker: SharedBudget.Asker
        let isWanted: (() -> Bool)?
        let completion: DatedCompletion
    }

    /// A session may be broken and be found out only by what is sent over it: then the next best is asked, and nobody else meets it.
    ///
    /// - Parameter failed: a server that has just failed this.
    private func sendToBest(_ ask: Ask, excluding failed: Int? = nil, mayRetry: Bool) -> Bool {
        while true {
            let choice = machine.choose(for: ask.asker, excluding: failed, nowNanoseconds: loop.nowNanoseconds)
            guard case .member(let member, _) = choice else { return false }
            if send(ask, to: choice, mayRetry: mayRetry) { return true }
            guard session(member)?.isReady == false else { return false }
            machine.sessionChanged(member, isReady: false)
        }
    }

    private func send(_ ask: Ask, to choice: PoolMachine.Choice, mayRetry: Bool) -> Bool {
        guard case .member(let member, let isLate) = choice, let session = session(member) else { return false }
        let covered = machine.coveredNanoseconds(ofServer: member.server, nowNanoseconds: loop.nowNanoseconds)
        let number = session.executionCount + 1
        // Known before the answer can come, which is in a later turn.
        let key = ask.isWanted.map { asked.add(member, number: number, isWanted: $0) }
        let sent = session.execute(ask.queries) { [unowned self] result in
            let isCancelled = key.map { asked.remove($0) } ?? false
            finish(ask, member, result, coveredNanoseconds: covered, mayRetry: mayRetry, isCancelled: isCancelled)
        }
        guard sent else {
            if let key { _ = asked.remove(key) }
            return false
        }
        machine.started(member)
        (isLate ? metrics.onLate : member.server == machine.primaryServer ? metrics.onPrimary : metrics.onReplicas).add()
        return true
    }

    private func finish(
        _ ask: Ask, _ member: PoolMachine.Member, _ result: Result<[Rows], PostgresError>, coveredNanoseconds: UInt64, mayRetry: Bool,
        isCancelled: Bool
    ) {
        machine.finished(member, Self.outcome(result))
        guard case .failure(let error) = result else { return ask.completion(result, coveredNanoseconds) }
        if isCancelled || ask.isWanted?() == false { return ask.completion(.failure(.cancelled), coveredNanoseconds) }
        // What was hit in place of another says nothing about its server, and has not had its try.
        if wasHitByCancel(error, member), send(ask, to: .member(member, isLate: false), mayRetry: mayRetry) { return metrics.retried.add() }
        guard mayRetry, Self.isWorthRepeating(error) else { return ask.completion(result, coveredNanoseconds) }
        guard sendToBest(ask, excluding: member.server, mayRetry: false) else { return ask.completion(result, coveredNanoseconds) }
        metrics.retried.add()
    }

    // MARK: Cancelling

    /// Above the time that a request to stop may wait to be sent (`Canceller`).
    private static let cancelHitNanoseconds: UInt64 = 2_000_000_000

    /// Asks servers to stop what nobody waits for any more.
    private func cancelUnwanted() {
        for (key, execution) in asked.unwanted() where session(execution.member)?.cancel(execution: execution.number) == true {
            asked.cancelled(key)
            cancelledNanoseconds[execution.member] = loop.nowNanoseconds
            metrics.cancelled.add()
        }
    }

    /// Whether a request to stop another execution, just sent, is why this one was stopped.
    private func wasHitByCancel(_ error: PostgresError, _ member: PoolMachine.Member) -> Bool {
        guard case .serverError("57014", _, _) = error, let sent = cancelledNanoseconds[member] else { return false }
        return loop.nowNanoseconds - sent < Self.cancelHitNanoseconds
    }

    /// A time-out as well: the server that did not answer is left out from now on, so those who asked it before that was known are
    /// answered late instead of not at all.
    private static func isWorthRepeating(_ error: PostgresError) -> Bool {
        error.recovery == .retry && error != .cancelled
    }

    private static func outcome(_ result: Result<[Rows], PostgresError>) -> PoolMachine.Outcome {
        guard case .failure(let error) = result else { return .answered }
        switch error {
        case .serverError("57014", _, _): return .answered
        case .serverError(let state, _, _):
            switch state.errorClass {
            case "53", "57", "58", "XX": return .fault
            default: return .answered
            }
        case .timedOut: return .timedOut
        case .lost, .notReady, .cancelled, .connectFailed, .unexpectedAnswer: return .lost
        }
    }

    // MARK: Probing

    private func probeAll() {
        probeTimer?.arm(afterMilliseconds: probeIntervalMilliseconds)
        for server in 0...limits.replicas { probe(server: server) }
        cancelUnwanted()
        publishStates()
    }

    /// One question a server at a time: while it is not answered, the last answer grows old by itself.
    private func probe(server: Int) {
        guard !probing[server] else { return }
        let isPrimary = server == machine.primaryServer
        let ready = isPrimary ? primary : sessions[server].min { $0.probeOrder < $1.probeOrder }
        guard let ready, ready.isReady else { return }
        let asked = loop.nowNanoseconds
        let query = Query(isPrimary ? ReplicaProbe.primary : ReplicaProbe.standby)
        probing[server] = ready.executeUnbounded([query]) { [unowned self] result in
            probing[server] = false
            if isPrimary { primaryAnswered(result, askedNanoseconds: asked) } else { replicaAnswered(server, result) }
        }
    }

    private func primaryAnswered(_ result: Result<[Rows], PostgresError>, askedNanoseconds: UInt64) {
        guard case .success(let rows) = result, let position = ReplicaProbe.primaryPosition(rows[0]) else { return }
        lag.primaryWasAt(position, askedNanoseconds: askedNanoseconds)
    }

    private func replicaAnswered(_ server: Int, _ result: Result<[Rows], PostgresError>) {
        switch result {
        case .success(let rows):
            let now = loop.nowNanoseconds
            let answer = ReplicaProbe.standby(rows[0])
            let milliseconds = lag.lagMilliseconds(ofStandby: server, answer, nowNanoseconds: now)
            machine.measured(
                replica: server, lagMilliseconds: milliseconds, coveredNanoseconds: lag.coveredNanoseconds(answer), nowNanoseconds: now)
        // A connection that broke says nothing about the others to that server.
        case .failure(.cancelled), .failure(.lost): break
        // Stopped in place of what was to be stopped, or by `statement_timeout`: then no later probe answers either.
        case .failure(.serverError("57014", _, _)): break
        case .failure: machine.probeFailed(replica: server)
        }
    }

    private func publishStates() {
        let now = loop.nowNanoseconds
        metrics.primaryUsedUp.add(UInt64(machine.usedUpCount - published.usedUp))
        metrics.primaryOverShare.add(UInt64(machine.overShareCount - published.overShare))
        published = (machine.usedUpCount, machine.overShareCount)
        for index in 0..<limits.replicas {
            let state = machine.state(ofReplica: index, nowNanoseconds: now)
            metrics.states[index].set(Int64(state.rawValue))
            metrics.lagMilliseconds[index].set(Int64(machine.lagMilliseconds(ofReplica: index)))
            guard state != lastStates[index] else { continue }
            if lastStates[index] == .serving {
                metrics.ejections.add()
                Log.warning("a replica serves no reads", .integer("replica", index), .text("state", "\(state)"))
            } else if state == .serving {
                Log.info("a replica serves reads", .integer("replica", index))
            }
            lastStates[index] = state
        }
    }
}

extension PostgresSession {
    /// Lowest for the one to probe over: ready and least busy.
    fileprivate var probeOrder: Int { isReady ? inFlight : .max }
}
