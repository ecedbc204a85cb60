import CSystem
import Foundation
import Glibc

/// The whole of Sluice on one machine: `sluice up`, `down` and `status`. Each function blocks.
public enum Standalone {
    /// How long `down` waits for an orderly stop. It covers every part's own bound, one after the other.
    public static let stopMillisecondsMax: UInt64 = 180_000

    /// Brings everything up, keeps it up, and returns after SIGINT, SIGTERM or SIGHUP when all is stopped.
    ///
    /// Call it on the main thread while no other thread exists (checked): it blocks those signals for the
    /// thread and those that come after, and the children live only as long as the thread.
    /// - Parameter print: is given lines for people.
    public static func up(_ options: StandaloneOptions, print: @escaping (String) -> Void) throws(StandaloneError) {
        let threads = (try? FileManager.default.contentsOfDirectory(atPath: "/proc/self/task").count) ?? 0
        precondition(threads == 1, "a signal would end the process through a thread that does not block it")
        let signals = [SIGINT, SIGTERM, SIGHUP, SIGCHLD]
        let descriptor = unsafe sluice_signalfd_open(signals, signals.count)
        guard descriptor >= 0 else { throw .system(call: "signalfd", subject: "", code: -descriptor) }
        defer { close(descriptor) }
        try up(options, stopRequests: descriptor, isStop: drainSignals, broker: EmbeddedBroker(), print: print)
    }

    /// Starts `up` in the background and returns when all is ready.
    /// - Parameter arguments: those of `sluice` that lead to `up` with the same options, without `--detach`.
    public static func upDetached(
        _ options: StandaloneOptions, arguments: [String], print: (String) -> Void
    ) throws(StandaloneError) {
        let layout = try prepared(options)
        if let pid = FolderLock.holder(dataFolder: layout.data) { throw .alreadyRunning(pid: pid, dataFolder: layout.data) }
        let log = layout.log("supervisor")
        try log.rotateAtStart()
        let plan = ProcessPlan(
            name: "supervisor", stage: 0, executable: try Home.executable(), arguments: arguments,
            environment: ProcessInfo.processInfo.environment, directory: FileManager.default.currentDirectoryPath, log: log,
            parentDeathSignal: 0)
        let pid = try ChildProcess.spawn(plan)
        while true {
            usleep(100_000)
            if let status = ChildProcess.reap(pid) {
                throw .startFailed(process: "sluice up", reason: "\(status)", logPath: log.path, logTail: log.tail(lines: 30))
            }
            if let state = StateFile.read(dataFolder: layout.data), state.supervisor.pid == pid, state.phase == "running" { break }
        }
        print(log.tail(lines: 40))
    }

    /// Stops the system of a data folder; `false` when nothing of it ran.
    public static func down(dataFolder: String, print: (String) -> Void) throws(StandaloneError) -> Bool {
        var options = StandaloneOptions()
        options.dataFolder = dataFolder
        let data = options.dataFolderAbsolute
        guard let pid = FolderLock.holder(dataFolder: data) else {
            // Nobody supervises: stop what a killed supervisor may have left.
            guard let state = StateFile.read(dataFolder: data) else { return false }
            let stopped = try Leftovers.stop(state)
            if !stopped.isEmpty { print("stopped what a killed sluice up had left: \(stopped.joined(separator: ", "))") }
            return !stopped.isEmpty
        }
        guard let identity = ProcessTable.identity(pid) else { return false }
        guard kill(pid, SIGTERM) == 0 else { throw .system(call: "kill", subject: "\(pid)", code: errno) }
        guard Leftovers.waitForEnd(identity, milliseconds: stopMillisecondsMax) else {
            throw .notStopped(["sluice up (pid \(pid))"])
        }
        print("stopped")
        return true
    }

    /// What runs in a data folder.
    public static func status(dataFolder: String) -> SystemStatus {
        var options = StandaloneOptions()
        options.dataFolder = dataFolder
        let data = options.dataFolderAbsolute
        guard let state = StateFile.read(dataFolder: data) else { return SystemStatus(phase: "not running", processes: []) }
        let isSupervised = FolderLock.holder(dataFolder: data) != nil
        var processes = state.records.map { record in
            var status = record.status
            if let pid = status.pid, let start = record.startTicks,
                !ProcessTable.isAlive(ProcessIdentity(pid: pid, startTicks: start))
            {
                status.pid = nil
                status.state = "stopped"
            } else if !isSupervised {
                status.state = status.pid == nil ? "stopped" : "unsupervised"
            }
            return status
        }
        if !isSupervised, processes.allSatisfy({ $0.pid == nil }) { processes = [] }
        return SystemStatus(phase: isSupervised ? state.phase : "not running", processes: processes)
    }

    // MARK: Inside

    private static func prepared(_ options: StandaloneOptions) throws(StandaloneError) -> Layout {
        try options.validate()
        let data = options.dataFolderAbsolute
        try StandaloneOptions.validate(path: data, option: "--data")
        let executable = if let given = options.executable { absolute(given) } else { try Home.executable() }
        let home = if let given = options.home { absolute(given) } else { try Home.find(executable: executable) }
        try StandaloneOptions.validate(path: home, option: "--home")
        let layout = Layout(data: data, home: home, executable: executable, uid: geteuid())
        try layout.prepare(ServiceUsers.current())
        return layout
    }

    private static func absolute(_ path: String) -> String { URL(fileURLWithPath: path).standardizedFileURL.path }

    /// `up` with the source of stop requests and the broker given, for tests.
    static func up(
        _ options: StandaloneOptions, stopRequests: CInt, isStop: (CInt) -> Bool, broker: some BrokerProgram,
        print: @escaping (String) -> Void
    ) throws(StandaloneError) {
        let layout = try prepared(options)
        let lock = try FolderLock(dataFolder: layout.data)
        try lock.whileHeld { () throws(StandaloneError) in
            try upAlone(options, layout, stopRequests: stopRequests, isStop: isStop, broker: broker, print: print)
        }
    }

    /// `up` once the data folder is ours.
    private static func upAlone(
        _ options: StandaloneOptions, _ layout: Layout, stopRequests: CInt, isStop: (CInt) -> Bool, broker: some BrokerProgram,
        print: @escaping (String) -> Void
    ) throws(StandaloneError) {
        if let previous = StateFile.read(dataFolder: layout.data) {
            let stopped = try Leftovers.stop(previous)
            if !stopped.isEmpty { print("stopped what a killed sluice up had left: \(stopped.joined(separator: ", "))") }
        }
        let ports = try choosePorts(options, layout)
        let plan = try SystemPlan.make(options, layout: layout, ports: ports, users: ServiceUsers.current(), broker: broker)
        var supervisor = Supervisor(plans: plan.processes, layout: layout) { tell($0, options, layout, ports, print) }
        let cause = supervisor.run(stopRequests: stopRequests, isStop: isStop)
        if layout.isRunOutside { try SystemCall.remove(layout.run) }
        guard case .startFailed(let index, let reason) = cause else { return print("stopped") }
        let failed = supervisor.plan(index)
        throw .startFailed(process: failed.name, reason: reason, logPath: failed.log.path, logTail: failed.log.tail())
    }

    private static func choosePorts(_ options: StandaloneOptions, _ layout: Layout) throws(StandaloneError) -> Ports {
        let path = layout.data + "/ports.json"
        let remembered = SystemCall.readFile(path).flatMap { try? JSONDecoder().decode(Ports.self, from: Data($0.utf8)) }
        let ports = try Ports.choose(
            base: options.portBase, remembered: remembered, seed: Int.random(in: 0..<Ports.freeRange.count), isFree: Ports.isFree)
        try ports.requireFree(SystemPlan.ports(of: options.components))
        try SystemCall.writeFile(path, JSONText.encode(ports), mode: 0o644)
        return ports
    }

    private static func drainSignals(_ descriptor: CInt) -> Bool {
        var isStop = false
        while case let number = sluice_signalfd_read(descriptor), number > 0 {
            if number != SIGCHLD { isStop = true }
        }
        return isStop
    }

    private static func tell(
        _ progress: Supervisor.Progress, _ options: StandaloneOptions, _ layout: Layout, _ ports: Ports, _ print: (String) -> Void
    ) {
        switch progress {
        case .ready(let name, let address, let milliseconds):
            let seconds = String(format: "%.1f s", Double(milliseconds) / 1000)
            print("  " + name.padding(toLength: 26, withPad: " ", startingAt: 0) + seconds + (address.isEmpty ? "" : "  " + address))
        case .changed(let name, let state): print("\(name) is \(state)")
        case .stopping: print("stopping")
        case .degraded(let text): print("warning: \(text)")
        case .running: print(SystemStatus.welcome(options, layout, ports))
        }
    }
}
