/// Decides what the supervisor does: order of start and stop, deadlines, restarts. Pure: time and
/// events are passed in, actions come out, and every event is accepted in every state.
struct SupervisorMachine: Sendable {
    /// Times in milliseconds.
    struct Settings: Sendable, Equatable {
        var probeWhileStarting: UInt64 = 100
        var probeWhileRunning: UInt64 = 2_000
        /// One lost probe on a busy machine is not an outage.
        var failedProbesMax = 2
        var backoffFirst: UInt64 = 200
        var backoffMax: UInt64 = 10_000
        /// Healthy for this long, the next death counts as the first again.
        var stableAfter: UInt64 = 30_000
        /// How long a killed process may take to vanish before the stop goes on without it.
        var killWait: UInt64 = 5_000
    }

    enum State: Sendable, Equatable {
        case waiting
        /// The start was put off, because something of the last run is still going away.
        case deferred(until: UInt64, deadline: UInt64)
        case starting(nextProbe: UInt64, deadline: UInt64)
        case healthy(nextProbe: UInt64, since: UInt64, failedProbes: Int)
        case unhealthy(nextProbe: UInt64)
        case backingOff(until: UInt64)
        /// `step` counts the signals already sent.
        case stopping(step: Int, until: UInt64)
        case stopped
        /// A task that succeeded.
        case done
        /// Did not vanish after SIGKILL.
        case stuck
    }

    enum Phase: Sendable, Equatable {
        case idle
        case starting(stage: Int)
        case running
        case stopping(StopCause)
        case finished(StopCause)
    }

    enum StopCause: Sendable, Equatable {
        case requested
        case startFailed(process: Int, reason: String)
    }

    enum Event: Sendable, Equatable {
        case begin
        case tick
        case spawned(Int, pid: Int32)
        case deferred(Int)
        case failed(Int, reason: String)
        case exited(Int, ExitStatus)
        case probed(Int, ready: Bool)
        case stop
    }

    enum Action: Sendable, Equatable {
        /// Run the steps before the start and start it; answer with `spawned`, `deferred`, `failed`, or
        /// for a task that is already done with `exited(code: 0)`.
        case spawn(Int)
        case probe(Int)
        case signal(Int, Int32)
        /// SIGKILL to everything in the process's session.
        case kill(Int)
        /// All are ready, for the first time.
        case ready
        case finished
    }

    struct Entry: Sendable, Equatable {
        let plan: ProcessPlan
        var state = State.waiting
        var pid: Int32?
        /// Restarts since the supervisor began.
        var restarts = 0
        /// Deaths in a row without a stable time between them.
        var deaths = 0
        /// Ready, or for a task done, at least once: the next stage no longer waits for it.
        var wasReady = false
    }

    private(set) var entries: [Entry]
    private(set) var phase = Phase.idle
    private let settings: Settings

    init(plans: [ProcessPlan], settings: Settings = Settings()) {
        precondition(!plans.isEmpty, "a system has at least one process")
        entries = plans.map { Entry(plan: $0) }
        self.settings = settings
    }

    /// - Parameter now: monotonic milliseconds.
    mutating func handle(_ event: Event, now: UInt64) -> [Action] {
        switch event {
        case .begin:
            guard phase == .idle else { return [] }
            return start(stage: entries.map(\.plan.stage).min()!)
        case .tick:
            return entries.indices.flatMap { tick($0, now: now) }
        case .spawned(let index, let pid):
            return spawned(index, pid: pid, now: now)
        case .deferred(let index):
            if case .deferred(_, let deadline) = entries[index].state {
                // A deadline of 0 was given by `spawn`, which knows no time.
                let deadline = deadline == 0 ? now + entries[index].plan.startDeadlineMilliseconds : deadline
                entries[index].state = .deferred(until: now + settings.probeWhileStarting, deadline: deadline)
            }
            return []
        case .failed(let index, let reason):
            return failed(index, reason: reason, now: now)
        case .exited(let index, let status):
            return exited(index, status, now: now)
        case .probed(let index, let ready):
            return probed(index, ready: ready, now: now)
        case .stop:
            return stop(.requested, now: now)
        }
    }

    /// Whether the system is on its way down, or is down.
    var isStopping: Bool {
        switch phase {
        case .stopping, .finished: true
        case .idle, .starting, .running: false
        }
    }

    /// When the next `tick` is due; nil when only an event can change anything.
    var nextTick: UInt64? {
        entries.compactMap { entry -> UInt64? in
            switch entry.state {
            case .starting where isStopping, .healthy where isStopping, .unhealthy where isStopping: nil
            case .deferred(let until, let deadline): deadline == 0 ? nil : min(until, deadline)
            case .starting(let nextProbe, let deadline): entry.plan.kind == .task ? deadline : min(nextProbe, deadline)
            case .healthy(let nextProbe, _, _), .unhealthy(let nextProbe): nextProbe
            case .backingOff(let until), .stopping(_, let until): until
            case .waiting, .stopped, .done, .stuck: nil
            }
        }.min()
    }

    // MARK: Start

    private mutating func start(stage: Int) -> [Action] {
        phase = .starting(stage: stage)
        return entries.indices.filter { entries[$0].plan.stage == stage }.map { spawn($0) }
    }

    private mutating func spawn(_ index: Int) -> Action {
        if case .deferred = entries[index].state {} else { entries[index].state = .deferred(until: 0, deadline: 0) }
        return .spawn(index)
    }

    private mutating func spawned(_ index: Int, pid: Int32, now: UInt64) -> [Action] {
        guard case .deferred(_, let deadline) = entries[index].state else { return [] }
        entries[index].pid = pid
        let limit = deadline == 0 ? now + entries[index].plan.startDeadlineMilliseconds : deadline
        entries[index].state = .starting(nextProbe: now, deadline: limit)
        guard entries[index].plan.kind == .service, entries[index].plan.readiness == .none else { return [] }
        return becameReady(index, now: now)
    }

    private mutating func becameReady(_ index: Int, now: UInt64) -> [Action] {
        entries[index].state =
            entries[index].plan.kind == .task
            ? .done : .healthy(nextProbe: now + settings.probeWhileRunning, since: now, failedProbes: 0)
        entries[index].wasReady = true
        guard case .starting(let stage) = phase else { return [] }
        guard entries.allSatisfy({ $0.plan.stage != stage || $0.wasReady }) else { return [] }
        if let next = entries.map(\.plan.stage).filter({ $0 > stage }).min() { return start(stage: next) }
        phase = .running
        return [.ready]
    }

    private mutating func failed(_ index: Int, reason: String, now: UInt64) -> [Action] {
        switch entries[index].state {
        case .deferred, .starting: break
        default: return []
        }
        entries[index].pid = nil
        if startsStage(of: index) { return stop(.startFailed(process: index, reason: reason), now: now) }
        backOff(index, now: now)
        return []
    }

    /// Whether this process is one that the start is waiting for now.
    private func startsStage(of index: Int) -> Bool {
        if case .starting(let stage) = phase { stage == entries[index].plan.stage && !entries[index].wasReady } else { false }
    }

    // MARK: Life

    private mutating func tick(_ index: Int, now: UInt64) -> [Action] {
        let kind = entries[index].plan.kind
        switch entries[index].state {
        // Nobody waits for its readiness any more, and a probe of a frozen service would hold the stop up.
        case .starting where isStopping, .healthy where isStopping, .unhealthy where isStopping:
            return []
        case .deferred(let until, let deadline) where deadline != 0:
            if now >= deadline { return failed(index, reason: "could not be started in time: its last run has not ended", now: now) }
            return now >= until ? [spawn(index)] : []
        case .starting(_, let deadline) where now >= deadline:
            if startsStage(of: index) {
                let seconds = entries[index].plan.startDeadlineMilliseconds / 1000
                let reason = kind == .task ? "did not finish within \(seconds) s" : "was not ready within \(seconds) s"
                return stop(.startFailed(process: index, reason: reason), now: now)
            }
            // It was ready once: it stays and is shown as unhealthy, because what it waits for may be
            // the part that is really broken, and killing it would lose the reason.
            entries[index].state = .unhealthy(nextProbe: now)
            return tick(index, now: now)
        case .starting(let nextProbe, let deadline) where kind == .service && now >= nextProbe:
            entries[index].state = .starting(nextProbe: now + settings.probeWhileStarting, deadline: deadline)
            return [.probe(index)]
        case .healthy(let nextProbe, let since, let failedProbes) where now >= nextProbe:
            entries[index].state = .healthy(nextProbe: now + settings.probeWhileRunning, since: since, failedProbes: failedProbes)
            return [.probe(index)]
        case .unhealthy(let nextProbe) where now >= nextProbe:
            entries[index].state = .unhealthy(nextProbe: now + settings.probeWhileRunning)
            return [.probe(index)]
        case .backingOff(let until) where now >= until:
            entries[index].restarts += 1
            return [spawn(index)]
        case .stopping(let step, let until) where now >= until:
            return escalate(index, step: step, now: now)
        default:
            return []
        }
    }

    private mutating func probed(_ index: Int, ready: Bool, now: UInt64) -> [Action] {
        switch (entries[index].state, ready) {
        case (.starting, true), (.unhealthy, true):
            return entries[index].plan.kind == .service ? becameReady(index, now: now) : []
        case (.healthy(let nextProbe, let since, _), true):
            entries[index].state = .healthy(nextProbe: nextProbe, since: since, failedProbes: 0)
        case (.healthy(let nextProbe, let since, let failedProbes), false):
            entries[index].state =
                failedProbes + 1 >= settings.failedProbesMax
                ? .unhealthy(nextProbe: nextProbe) : .healthy(nextProbe: nextProbe, since: since, failedProbes: failedProbes + 1)
        default: break
        }
        return []
    }

    private mutating func exited(_ index: Int, _ status: ExitStatus, now: UInt64) -> [Action] {
        let entry = entries[index]
        switch entry.state {
        case .stopping, .stuck:
            entries[index].pid = nil
            entries[index].state = .stopped
            return advanceStop(now: now)
        case .deferred where entry.plan.kind == .task && status == .code(0), .starting where entry.plan.kind == .task && status == .code(0):
            entries[index].pid = nil
            return becameReady(index, now: now)
        case .starting:
            entries[index].pid = nil
            if startsStage(of: index) {
                return stop(.startFailed(process: index, reason: "\(status) before it was ready"), now: now)
            }
            backOff(index, now: now)
        case .healthy(_, let since, _):
            entries[index].pid = nil
            if now - since >= settings.stableAfter { entries[index].deaths = 0 }
            backOff(index, now: now)
        case .unhealthy:
            entries[index].pid = nil
            backOff(index, now: now)
        case .waiting, .deferred, .backingOff, .stopped, .done:
            break
        }
        return []
    }

    private mutating func backOff(_ index: Int, now: UInt64) {
        let delay = min(settings.backoffMax, settings.backoffFirst << UInt64(min(entries[index].deaths, 20)))
        entries[index].deaths += 1
        entries[index].state = .backingOff(until: now + delay)
    }

    // MARK: Stop

    private mutating func stop(_ cause: StopCause, now: UInt64) -> [Action] {
        if isStopping { return [] }
        phase = .stopping(cause)
        for index in entries.indices where entries[index].pid == nil && entries[index].state != .done {
            entries[index].state = .stopped
        }
        return advanceStop(now: now)
    }

    /// Signals the highest stage that still runs; finishes when none does.
    private mutating func advanceStop(now: UInt64) -> [Action] {
        guard case .stopping(let cause) = phase else { return [] }
        guard let stage = entries.filter({ $0.pid != nil && $0.state != .stuck }).map(\.plan.stage).max() else {
            phase = .finished(cause)
            return [.finished]
        }
        return entries.indices.flatMap { index -> [Action] in
            guard entries[index].plan.stage == stage, entries[index].pid != nil else { return [] }
            switch entries[index].state {
            case .stopping, .stuck: return []
            default: return escalate(index, step: 0, now: now)
            }
        }
    }

    private mutating func escalate(_ index: Int, step: Int, now: UInt64) -> [Action] {
        let steps = entries[index].plan.stop
        if step < steps.count {
            entries[index].state = .stopping(step: step + 1, until: now + steps[step].waitMilliseconds)
            return [.signal(index, steps[step].signal)]
        }
        if step == steps.count {
            entries[index].state = .stopping(step: step + 1, until: now + settings.killWait)
            return [.kill(index)]
        }
        entries[index].state = .stuck
        return advanceStop(now: now)
    }
}

extension SupervisorMachine.Entry {
    /// The word `status` shows.
    var stateName: String {
        switch state {
        case .waiting: "waiting"
        case .deferred, .starting: "starting"
        case .healthy: "healthy"
        case .unhealthy: "unhealthy"
        case .backingOff: "backing-off"
        case .stopping: "stopping"
        case .stopped: "stopped"
        case .done: "done"
        case .stuck: "stuck"
        }
    }
}
