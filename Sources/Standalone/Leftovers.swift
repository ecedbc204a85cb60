import Glibc

/// What a killed supervisor left behind: parts that have not yet followed their parent-death signal,
/// or could not.
enum Leftovers {
    /// Stops every recorded process that still runs, in reverse order of start, each at most `waitMilliseconds`
    /// after its own signal and as long again after SIGKILL.
    /// - Returns: the names of those that ran.
    static func stop(_ state: StateFile, waitMilliseconds: UInt64 = 20_000) throws(StandaloneError) -> [String] {
        var stopped: [String] = []
        var stuck: [String] = []
        for record in state.records.reversed() {
            guard let pid = record.status.pid, let startTicks = record.startTicks else { continue }
            let identity = ProcessIdentity(pid: pid, startTicks: startTicks)
            guard ProcessTable.isAlive(identity) else { continue }
            stopped.append(record.status.name)
            kill(pid, record.stopSignal)
            if waitForEnd(identity, milliseconds: waitMilliseconds) { continue }
            // Its session: it was started as the leader of one.
            kill(-pid, SIGKILL)
            kill(pid, SIGKILL)
            if !waitForEnd(identity, milliseconds: waitMilliseconds) { stuck.append("\(record.status.name) (pid \(pid))") }
        }
        guard stuck.isEmpty else { throw .notStopped(stuck) }
        return stopped
    }

    static func waitForEnd(_ identity: ProcessIdentity, milliseconds: UInt64) -> Bool {
        let deadline = Supervisor.now() + milliseconds
        while ProcessTable.isAlive(identity) {
            // Not our child: the kernel tells us nothing, so it is asked now and then.
            guard Supervisor.now() < deadline else { return false }
            usleep(50_000)
        }
        return true
    }
}
