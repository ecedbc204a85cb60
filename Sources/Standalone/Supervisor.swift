import CSystem
import Glibc

/// Runs a `SupervisorMachine`: one thread that waits for signals, deaths and deadlines, and acts.
///
/// Everything happens on the thread that calls `run`, which must outlive the children (see
/// `ChildProcess.spawn`); it returns when none is left.
struct Supervisor: ~Copyable {
    /// What the caller may tell its user.
    enum Progress: Sendable, Equatable {
        case ready(name: String, address: String, afterMilliseconds: UInt64)
        case running
        case changed(name: String, state: String)
        case stopping
        /// The state file could not be written, such as on a full disk: supervision goes on without it.
        case degraded(String)
    }

    private var machine: SupervisorMachine
    private let layout: Layout
    private let identity: ProcessIdentity
    private let report: (Progress) -> Void
    private var published: StateFile?
    private var identities: [Int32: ProcessIdentity] = [:]
    private var spawnedAt: [Int: UInt64] = [:]
    private var names: [String]
    private var nextLogCheck: UInt64 = 0

    /// A death that no signal announced, because another thread swallowed it, is seen this late.
    static let pollMillisecondsMax: UInt64 = 250
    static let logCheckMilliseconds: UInt64 = 30_000

    init(plans: [ProcessPlan], layout: Layout, settings: SupervisorMachine.Settings = .init(), report: @escaping (Progress) -> Void) {
        machine = SupervisorMachine(plans: plans, settings: settings)
        self.layout = layout
        self.report = report
        names = plans.map { _ in "waiting" }
        guard let identity = ProcessTable.identity(getpid()) else { preconditionFailure("/proc shows this process") }
        self.identity = identity
    }

    /// Monotonic milliseconds.
    static func now() -> UInt64 { sluice_clock_monotonic_nanoseconds() / 1_000_000 }

    /// Brings the processes up, keeps them up, and returns when all have been stopped.
    /// - Parameter stopRequests: readable when the system shall stop or a child has ended; drained by
    ///   `isStop`, which says whether it was a request to stop.
    mutating func run(stopRequests: CInt, isStop: (CInt) -> Bool) -> SupervisorMachine.StopCause {
        for entry in machine.entries {
            do { try entry.plan.log.rotateAtStart() } catch { report(.degraded("\(error)")) }
        }
        perform(machine.handle(.begin, now: Supervisor.now()))
        while true {
            publish()
            if case .finished(let cause) = machine.phase { return cause }
            let now = Supervisor.now()
            let due = machine.nextTick.map { $0 > now ? $0 - now : 0 } ?? Supervisor.pollMillisecondsMax
            var entry = pollfd(fd: stopRequests, events: Int16(POLLIN), revents: 0)
            let count = unsafe poll(&entry, 1, Int32(min(due, Supervisor.pollMillisecondsMax)))
            if count == 1, isStop(stopRequests) {
                if case .stopping = machine.phase {} else { report(.stopping) }
                perform(machine.handle(.stop, now: Supervisor.now()))
            }
            reapAll()
            perform(machine.handle(.tick, now: Supervisor.now()))
            boundLogs()
        }
    }

    private mutating func reapAll() {
        for (index, entry) in machine.entries.enumerated() {
            guard let pid = entry.pid, let status = ChildProcess.reap(pid) else { continue }
            identities[pid] = nil
            feedExit(index, status)
        }
    }

    private mutating func feedExit(_ index: Int, _ status: ExitStatus) {
        let plan = machine.entries[index].plan
        if plan.kind == .task, status == .code(0) {
            do { _ = try steps(plan.after) } catch {
                return perform(machine.handle(.failed(index, reason: "succeeded, but then: \(error)"), now: Supervisor.now()))
            }
        }
        perform(machine.handle(.exited(index, status), now: Supervisor.now()))
    }

    private mutating func perform(_ actions: [SupervisorMachine.Action]) {
        for action in actions { perform(action) }
    }

    private mutating func perform(_ action: SupervisorMachine.Action) {
        switch action {
        case .spawn(let index): spawn(index)
        case .probe(let index):
            let ready = Probe.isReady(machine.entries[index].plan.readiness)
            perform(machine.handle(.probed(index, ready: ready), now: Supervisor.now()))
        case .signal(let index, let number):
            if let pid = machine.entries[index].pid { kill(pid, number) }
        case .kill(let index):
            if let pid = machine.entries[index].pid {
                kill(-pid, SIGKILL)
                kill(pid, SIGKILL)
            }
        case .ready: report(.running)
        case .finished: break
        }
    }

    private mutating func spawn(_ index: Int) {
        let plan = machine.entries[index].plan
        spawnedAt[index] = Supervisor.now()
        if let path = plan.doneWhenExists, SystemCall.exists(path) {
            return perform(machine.handle(.exited(index, .code(0)), now: Supervisor.now()))
        }
        do {
            guard try steps(plan.before) else { return perform(machine.handle(.deferred(index), now: Supervisor.now())) }
            let pid = try ChildProcess.spawn(plan)
            identities[pid] = ProcessTable.identity(pid)
            perform(machine.handle(.spawned(index, pid: pid), now: Supervisor.now()))
        } catch {
            perform(machine.handle(.failed(index, reason: "could not be started: \(error)"), now: Supervisor.now()))
        }
    }

    /// `false`: not yet.
    private func steps(_ steps: [ProcessPlan.Step]) throws(StandaloneError) -> Bool {
        for step in steps {
            switch step {
            case .remove(let path): try SystemCall.remove(path)
            case .rename(let from, let to):
                guard unsafe rename(from, to) == 0 else { throw .system(call: "rename", subject: from, code: errno) }
            case .createEmptyFile(let path):
                let descriptor = unsafe open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0o600)
                guard descriptor >= 0 else { throw .system(call: "open", subject: path, code: errno) }
                close(descriptor)
            case .clearStalePostgres(let dataDirectory, let socketFolder, let port):
                guard try PostgresLocks.clear(dataDirectory: dataDirectory, socketFolder: socketFolder, port: port) else { return false }
            }
        }
        return true
    }

    private mutating func boundLogs() {
        let now = Supervisor.now()
        guard now >= nextLogCheck else { return }
        nextLogCheck = now + Supervisor.logCheckMilliseconds
        for entry in machine.entries { entry.plan.log.cutWhenLarge() }
    }

    // MARK: What others see

    private mutating func publish() {
        for (index, entry) in machine.entries.enumerated() where entry.stateName != names[index] {
            announce(index, entry, previous: names[index])
            names[index] = entry.stateName
        }
        let state = snapshot()
        guard state != published else { return }
        do { try state.write(dataFolder: layout.data) } catch { report(.degraded("\(error)")) }
        published = state
    }

    private func announce(_ index: Int, _ entry: SupervisorMachine.Entry, previous: String) {
        let isRunning = machine.phase == .running
        if case .starting = machine.phase, entry.stateName == "healthy" || (entry.stateName == "done" && spawnedAt[index] != nil) {
            report(.ready(name: entry.plan.name, address: entry.plan.address, afterMilliseconds: Supervisor.now() - spawnedAt[index]!))
        } else if isRunning && !(previous == "starting" && entry.restarts == 0) {
            report(.changed(name: entry.plan.name, state: entry.stateName))
        }
    }

    private func snapshot() -> StateFile {
        let phase =
            switch machine.phase {
            case .idle, .starting: "starting"
            case .running: "running"
            case .stopping: "stopping"
            case .finished(.requested): "stopped"
            case .finished(.startFailed): "failed"
            }
        let records = machine.entries.filter { $0.plan.kind == .service }.map { entry in
            StateFile.Record(
                status: ProcessStatus(
                    name: entry.plan.name, pid: entry.pid, address: entry.plan.address, admin: entry.plan.admin,
                    state: entry.stateName, restarts: entry.restarts),
                startTicks: entry.pid.flatMap { identities[$0]?.startTicks },
                stopSignal: entry.plan.stop.first?.signal ?? SIGTERM)
        }
        return StateFile(phase: phase, supervisor: identity, runFolder: layout.run, records: records)
    }

    /// The plan's name and log, for the sentence that says why the start failed.
    func plan(_ index: Int) -> ProcessPlan { machine.entries[index].plan }
}
