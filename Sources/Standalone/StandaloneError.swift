/// Why the system on one machine could not be brought up, found or stopped. Every case prints as a
/// sentence that says what to change.
public enum StandaloneError: Error, CustomStringConvertible, Sendable, Equatable {
    /// An option's value cannot be used; the text names the option.
    case invalidOption(String)
    /// Something on this machine is missing or in the way; the text says what to do about it.
    case brokenSetup(String)
    /// A system call on a file, socket or process failed.
    case system(call: String, subject: String, code: Int32)
    /// Another supervisor holds the data folder.
    case alreadyRunning(pid: Int32, dataFolder: String)
    /// A process was not ready in time, or ended; `logTail` is the end of its log.
    case startFailed(process: String, reason: String, logPath: String, logTail: String)
    /// Processes that would not go, by name and pid.
    case notStopped([String])

    public var description: String {
        switch self {
        case .invalidOption(let text), .brokenSetup(let text):
            text
        case .system(let call, let subject, let code):
            "\(call) \(subject): \(SystemCall.message(code))"
        case .alreadyRunning(let pid, let dataFolder):
            "\(dataFolder) is in use by sluice up with pid \(pid); stop it with: sluice down --data \(dataFolder)"
        case .startFailed(let process, let reason, let logPath, let logTail):
            "\(process) \(reason)\n" + (logTail.isEmpty ? "its log is empty: \(logPath)" : "the end of \(logPath):\n\(logTail)")
        case .notStopped(let names):
            "still running after SIGKILL: \(names.joined(separator: ", "))"
        }
    }
}
