import CSystem
import Glibc

/// Starting, signalling and reaping of child processes.
enum ChildProcess {
    /// Starts a plan's process, its output appended to its log.
    ///
    /// The kernel sends the parent-death signal when the *thread* that called this ends, not the
    /// process (prctl(2)): call it only on a thread that lives as long as the supervisor.
    static func spawn(_ plan: ProcessPlan) throws(StandaloneError) -> Int32 {
        let log = try plan.log.openForAppending()
        defer { close(log) }
        let result: Int32 = unsafe withStrings([plan.executable] + plan.arguments) { arguments in
            unsafe withStrings(plan.environment.map { "\($0)=\($1)" }.sorted()) { environment in
                unsafe withOptionalString(plan.directory) { directory in
                    unsafe plan.executable.withCString { path in
                        // Its own session: a terminal's Ctrl-C reaches the supervisor only, which stops
                        // in order; and the session's id names the process's children to `kill`.
                        var request = unsafe sluice_spawn_request(
                            path: path, argv: arguments, envp: environment, directory: directory, standard_input: -1,
                            standard_output: log, standard_error: log, change_user: plan.user != nil,
                            uid: plan.user?.uid ?? 0, gid: plan.user?.gid ?? 0,
                            parent_death_signal: plan.parentDeathSignal, new_session: true)
                        return unsafe sluice_process_spawn(&request)
                    }
                }
            }
        }
        guard result > 0 else { throw .system(call: "start", subject: plan.executable, code: -result) }
        return result
    }

    /// Reaps a child that has ended; nil while it runs. What is left of its session, such as the workers
    /// of a killed nginx, is killed before the pid is given back, so the number cannot name another.
    static func reap(_ pid: Int32) -> ExitStatus? {
        var information = unsafe siginfo_t()
        guard unsafe waitid(P_PID, id_t(pid), &information, WEXITED | WNOHANG | WNOWAIT) == 0 else {
            // ECHILD: someone else in this process reaped it; it is gone all the same.
            return .code(-1)
        }
        guard unsafe information.si_signo == SIGCHLD else { return nil }
        kill(-pid, SIGKILL)
        var status: Int32 = 0
        guard unsafe waitpid(pid, &status, 0) == pid else { return .code(-1) }
        return ExitStatus(wait: status)
    }

    /// A C array of strings that ends with NULL, alive during the call.
    private static func withStrings<Result>(
        _ strings: [String], _ body: (UnsafePointer<UnsafeMutablePointer<CChar>?>) -> Result
    ) -> Result {
        var pointers = unsafe strings.map { unsafe strdup($0) }
        unsafe pointers.append(nil)
        defer { for index in unsafe pointers.indices { unsafe free(pointers[index]) } }
        return unsafe pointers.withUnsafeBufferPointer { unsafe body($0.baseAddress!) }
    }

    private static func withOptionalString<Result>(_ string: String?, _ body: (UnsafePointer<CChar>?) -> Result) -> Result {
        if let string { unsafe string.withCString { unsafe body($0) } } else { body(nil) }
    }
}
