import Foundation
import Glibc
import Testing

@testable import Standalone

/// The driver with small shell scripts as its processes.
@Suite struct SupervisorTests {
    private static func shell(_ name: String, _ script: String, stage: Int = 0, kind: ProcessPlan.Kind = .service, in folder: String)
        -> ProcessPlan
    {
        ProcessPlan(
            name: name, kind: kind, stage: stage, executable: "/bin/sh", arguments: ["-c", script],
            environment: ["PATH": "/usr/bin:/bin", "WORD": "from the environment"], directory: folder,
            log: LogFile(path: "\(folder)/\(name).log"), stop: [.init(signal: SIGTERM, waitMilliseconds: 5000)])
    }

    /// Runs the plans until `body`, on another thread, has returned; then stops them.
    private static func supervise<Result: Sendable>(
        _ plans: [ProcessPlan], in folder: String, _ body: @escaping @Sendable () throws -> Result
    ) async throws -> (cause: SupervisorMachine.StopCause, result: Result) {
        let stop = StopPipe()
        let layout = Layout(data: folder, home: "/", executable: "/", uid: geteuid())
        async let cause = onThread {
            var supervisor = Supervisor(plans: plans, layout: layout) { _ in }
            return supervisor.run(stopRequests: stop.readEnd, isStop: StopPipe.drain)
        }
        let result = try await onThread {
            defer { stop.request() }
            return try body()
        }
        return (try await cause, result)
    }

    private static func status(_ folder: String, _ name: String) -> ProcessStatus? {
        StateFile.read(dataFolder: folder)?.records.first { $0.status.name == name }?.status
    }

    private static func temporaryFolder() throws -> String {
        let folder = "/tmp/sluice-test-\(UUID().uuidString.prefix(8))"
        try SystemCall.makeFolder(folder, mode: 0o700)
        return folder
    }

    @Test func `stages run in order, with environment, log and state, and nothing is left`() async throws {
        let folder = try Self.temporaryFolder()
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let plans = [
            Self.shell("task", "echo $WORD; echo one >> order", kind: .task, in: folder),
            Self.shell("service", "echo two >> order; echo to stderr >&2; exec sleep 60", stage: 1, in: folder),
        ]
        let (cause, pid) = try await Self.supervise(plans, in: folder) { () -> Int32 in
            try #require(eventually { StateFile.read(dataFolder: folder)?.phase == "running" })
            try #require(eventually { LogFile(path: "\(folder)/service.log").tail() == "to stderr" })
            let status = try #require(Self.status(folder, "service"))
            #expect(status.state == "healthy")
            #expect(StateFile.read(dataFolder: folder)?.records.count == 1, "tasks are not shown")
            return try #require(status.pid)
        }
        #expect(cause == .requested)
        #expect(ProcessTable.identity(pid) == nil)
        #expect(LogFile(path: "\(folder)/task.log").tail() == "from the environment")
        #expect(SystemCall.readFile("\(folder)/order") == "one\ntwo\n")
        #expect(StateFile.read(dataFolder: folder)?.phase == "stopped")
    }

    @Test func `a killed service is started again, and its orphans are killed first`() async throws {
        let folder = try Self.temporaryFolder()
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let plans = [Self.shell("service", "sleep 61 & echo $! > orphan.new; mv orphan.new orphan; wait", in: folder)]
        let (_, orphan) = try await Self.supervise(plans, in: folder) { () -> Int32 in
            // Its state is written after its start: the script may be faster.
            try #require(eventually { SystemCall.exists("\(folder)/orphan") && Self.status(folder, "service")?.pid != nil })
            let orphan = try #require(SystemCall.readFile("\(folder)/orphan").flatMap { Int32($0.dropLast()) })
            let first = try #require(Self.status(folder, "service")?.pid)
            #expect(kill(first, SIGKILL) == 0)
            try #require(eventually { Self.status(folder, "service").map { $0.restarts == 1 && $0.state == "healthy" } ?? false })
            #expect(Self.status(folder, "service")?.pid != first)
            return orphan
        }
        #expect(ProcessTable.identity(orphan) == nil)
        #expect(try run("/usr/bin/pgrep", ["-f", "sleep 61"]).output.isEmpty)
    }

    @Test func `a service that ignores its signal is killed with its children`() async throws {
        let folder = try Self.temporaryFolder()
        defer { try? FileManager.default.removeItem(atPath: folder) }
        var plan = Self.shell("stubborn", "trap '' TERM; while :; do sleep 62; done", in: folder)
        plan.stop = [.init(signal: SIGTERM, waitMilliseconds: 100)]
        let (cause, pid) = try await Self.supervise([plan], in: folder) { () -> Int32 in
            try #require(eventually { StateFile.read(dataFolder: folder)?.phase == "running" })
            usleep(200_000)
            return try #require(Self.status(folder, "stubborn")?.pid)
        }
        #expect(cause == .requested)
        #expect(ProcessTable.identity(pid) == nil)
        #expect(try run("/usr/bin/pgrep", ["-f", "sleep 62"]).output.isEmpty)
    }

    @Test func `a program that is missing, and a task that fails, end the start`() async throws {
        let folder = try Self.temporaryFolder()
        defer { try? FileManager.default.removeItem(atPath: folder) }
        var missing = Self.shell("missing", "", in: folder)
        missing.executable = "/nowhere/program"
        let (cause, _) = try await Self.supervise([missing], in: folder) {
            eventually { StateFile.read(dataFolder: folder)?.phase == "failed" }
        }
        guard case .startFailed(0, let reason) = cause else {
            Issue.record("\(cause)")
            return
        }
        #expect(reason == "could not be started: start /nowhere/program: No such file or directory")
        try SystemCall.remove(StateFile.path(folder))
        let failing = Self.shell("failing", "echo because; exit 3", kind: .task, in: folder)
        let (second, _) = try await Self.supervise([failing], in: folder) {
            eventually { StateFile.read(dataFolder: folder)?.phase == "failed" }
        }
        #expect(failing.log.tail() == "because")
        #expect(second == .startFailed(process: 0, reason: "ended with exit code 3 before it was ready"))
    }

    @Test func `a task's result appears only when it is complete, and is not made twice`() async throws {
        let folder = try Self.temporaryFolder()
        defer { try? FileManager.default.removeItem(atPath: folder) }
        var task = Self.shell("make", "echo run >> runs; mkdir result.new", kind: .task, in: folder)
        task.doneWhenExists = folder + "/result"
        task.before = [.remove(folder + "/result.new")]
        task.after = [.createEmptyFile(folder + "/result.new/mark"), .rename(from: folder + "/result.new", to: folder + "/result")]
        // What a run cut short leaves.
        try SystemCall.makeFolder(folder + "/result.new", mode: 0o700)
        for _ in 0..<2 {
            let (cause, _) = try await Self.supervise([task], in: folder) {
                try #require(
                    eventually { StateFile.read(dataFolder: folder)?.phase == "running" || SystemCall.exists(folder + "/result/mark") })
            }
            #expect(cause == .requested)
        }
        #expect(SystemCall.exists(folder + "/result/mark"))
        #expect(SystemCall.readFile(folder + "/runs") == "run\n")
    }

    @Test func `what a killed supervisor left is stopped by pid and start time, and no other process is`() async throws {
        let folder = try Self.temporaryFolder()
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let left = try await onThread { try ChildProcess.spawn(Self.shell("left", "exec sleep 63", in: folder).withoutParentDeath) }
        let other = try await onThread { try ChildProcess.spawn(Self.shell("other", "exec sleep 63", in: folder).withoutParentDeath) }
        let identity = try #require(ProcessTable.identity(left))
        let otherIdentity = try #require(ProcessTable.identity(other))
        func record(_ name: String, _ pid: Int32, _ start: UInt64) -> StateFile.Record {
            let status = ProcessStatus(name: name, pid: pid, address: "", admin: nil, state: "healthy", restarts: 0)
            return StateFile.Record(status: status, startTicks: start, stopSignal: SIGTERM)
        }
        // The other has the pid of a recorded process that started at another time.
        let state = StateFile(
            phase: "running", supervisor: identity, runFolder: folder,
            records: [record("left", left, identity.startTicks), record("other", other, otherIdentity.startTicks + 1)])
        let stopped = try await onThread { try Leftovers.stop(state) }
        #expect(stopped == ["left"])
        #expect(ProcessTable.isAlive(otherIdentity))
        kill(other, SIGKILL)
        #expect(eventually { ChildProcess.reap(other) != nil })
        #expect(ChildProcess.reap(left) == .signal(SIGTERM))
    }
}

extension ProcessPlan {
    /// Outlives the thread that starts it.
    fileprivate var withoutParentDeath: ProcessPlan {
        var plan = self
        plan.parentDeathSignal = 0
        return plan
    }
}
