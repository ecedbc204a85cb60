import Foundation
import Glibc

/// Processes as /proc shows them.
enum ProcessTree {
    static var all: [pid_t] { ((try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? []).compactMap { pid_t($0) } }

    /// A process and all that descend from it, the process first. Not by session: a PostgreSQL server's children make their own.
    static func family(of pid: pid_t) -> [pid_t] {
        var children: [pid_t: [pid_t]] = [:]
        for other in all { if let parent = parent(of: other) { children[parent, default: []].append(other) } }
        var found = [pid]
        var index = 0
        while index < found.count {
            found += children[found[index]] ?? []
            index += 1
        }
        return found
    }

    /// SIGSTOP to a process first, so that it starts no more children, then to those it has.
    static func freeze(_ pid: pid_t) {
        var stopped: Set<pid_t> = []
        while true {
            let running = family(of: pid).filter { !stopped.contains($0) }
            if running.isEmpty { return }
            for member in running { kill(member, SIGSTOP) }
            stopped.formUnion(running)
        }
    }

    static func thaw(_ pid: pid_t) {
        for member in family(of: pid).reversed() { kill(member, SIGCONT) }
    }

    /// The descendants of a process whose command line holds `text`.
    static func descendants(of pid: pid_t, named text: String) -> [pid_t] {
        family(of: pid).dropFirst().filter { contents("/proc/\($0)/cmdline").contains(text) }
    }

    /// Whoever has `text` in the command line or the environment; zombies have neither.
    static func mentioning(_ text: String) -> [String] {
        all.filter { $0 != getpid() }.compactMap { pid in
            let commandLine = contents("/proc/\(pid)/cmdline")
            guard commandLine.contains(text) || contents("/proc/\(pid)/environ").contains(text) else { return nil }
            return "\(pid): " + commandLine.replacingOccurrences(of: "\0", with: " ")
        }
    }

    private static func parent(of pid: pid_t) -> pid_t? {
        // The program's name, in parentheses, may hold anything; the state and the parent follow the last one.
        let status = contents("/proc/\(pid)/stat")
        guard let end = status.lastIndex(of: ")") else { return nil }
        let fields = status[end...].split(separator: " ")
        return fields.count > 2 ? pid_t(fields[2]) : nil
    }

    private static func contents(_ path: String) -> String {
        // A file of /proc says it is empty: it is to be read to its end.
        guard let handle = FileHandle(forReadingAtPath: path), let data = try? handle.readToEnd() else { return "" }
        return String(decoding: data, as: UTF8.self)
    }
}
