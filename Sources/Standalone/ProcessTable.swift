import Foundation
import Glibc

/// A process named so that a pid given to another process later is not mistaken for it.
struct ProcessIdentity: Sendable, Equatable, Codable {
    let pid: Int32
    /// Field 22 of `/proc/PID/stat`: clock ticks from boot to the start of the process.
    let startTicks: UInt64
}

/// What `/proc` says of processes.
enum ProcessTable {
    /// The identity of a live process; nil when there is none, or only a zombie waits for its parent.
    static func identity(_ pid: Int32) -> ProcessIdentity? {
        guard pid > 0, let text = SystemCall.readFile("/proc/\(pid)/stat"), let fields = parse(stat: text),
            fields.state != "Z", fields.state != "X"
        else { return nil }
        return ProcessIdentity(pid: pid, startTicks: fields.startTicks)
    }

    /// Whether exactly this process still runs.
    static func isAlive(_ identity: ProcessIdentity) -> Bool {
        ProcessTable.identity(identity.pid) == identity
    }

    /// State and start time. The command's name, in parentheses, may itself hold spaces and
    /// parentheses: everything after the last `)` is safe to split (proc(5)).
    static func parse(stat text: String) -> (state: Substring, startTicks: UInt64)? {
        guard let close = text.lastIndex(of: ")") else { return nil }
        let fields = text[text.index(after: close)...].split(whereSeparator: \.isWhitespace)
        guard fields.count > 19, let start = UInt64(fields[19]) else { return nil }
        return (fields[0], start)
    }

    /// The live processes that work in this folder, which for PostgreSQL are the postmaster and its
    /// children. Processes of other users are invisible to an ordinary user.
    static func processes(workingIn folder: String) -> [Int32] {
        // /proc shows paths without symbolic links.
        guard let resolved = unsafe realpath(folder, nil) else { return [] }
        defer { unsafe free(resolved) }
        let folder = unsafe String(cString: resolved)
        let names = (try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? []
        return names.compactMap { Int32($0) }.filter { pid in
            guard let working = try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/\(pid)/cwd") else { return false }
            return working == folder && identity(pid) != nil
        }
    }
}
