internal import Foundation
internal import Glibc

/// Where a run was made: figures of two machines are not comparable, and who reads them later must be able to tell.
public struct BenchEnvironment: Codable, Sendable, Equatable {
    public var cores: Int
    public var processor: String
    public var memoryGigabytes: Double
    public var system: String
    public var kernel: String
    /// Over one, five and fifteen minutes, when the run had ended.
    public var load: String
    /// What the runner adds: versions, the commit, the set-up.
    public var notes: [String: String]

    static func current() -> BenchEnvironment {
        let processor = line(of: "/proc/cpuinfo", after: "model name").map(colonTrimmed) ?? "unknown"
        let system = line(of: "/etc/os-release", after: "PRETTY_NAME=")?.trimmingCharacters(in: ["\""]) ?? "unknown"
        let load = text("/proc/loadavg").split(separator: " ").prefix(3).joined(separator: " ")
        return BenchEnvironment(
            cores: ProcessInfo.processInfo.activeProcessorCount, processor: processor,
            memoryGigabytes: (Double(ProcessInfo.processInfo.physicalMemory) / 1e8).rounded() / 10, system: system,
            kernel: text("/proc/sys/kernel/osrelease").trimmingCharacters(in: .whitespacesAndNewlines), load: load, notes: [:])
    }

    /// Of a file of /proc or /etc; empty when it cannot be read.
    private static func text(_ path: String) -> String { (try? String(contentsOfFile: path, encoding: .utf8)) ?? "" }

    private static func line(of path: String, after prefix: String) -> String? {
        text(path).split(separator: "\n").first { $0.hasPrefix(prefix) }.map { String($0.dropFirst(prefix.count)) }
    }

    private static func colonTrimmed(_ text: String) -> String {
        text.trimmingCharacters(in: CharacterSet(charactersIn: ": \t"))
    }
}

/// What an audit after a run said of the money.
public struct BenchVerdict: Codable, Sendable, Equatable {
    public enum Word: String, Codable, Sendable {
        case clean
        /// Money is not as promised.
        case wrong
        /// Nobody could look, or not everything was decided.
        case unknown
    }

    public struct Check: Codable, Sendable, Equatable {
        public var name: String
        public var claim: String
        public var looked: Int
        public var findings: Int
        /// The first of them.
        public var shown: [String]

        public init(name: String, claim: String, looked: Int, findings: Int, shown: [String]) {
            self.name = name
            self.claim = claim
            self.looked = looked
            self.findings = findings
            self.shown = shown
        }
    }

    public var word: Word
    /// What it rests on, or why there is none.
    public var sentence: String
    /// From the last answer until everything accepted was decided and published.
    public var drainSeconds: Double
    public var checks: [Check]

    public init(word: Word, sentence: String, drainSeconds: Double, checks: [Check] = []) {
        self.word = word
        self.sentence = sentence
        self.drainSeconds = drainSeconds
        self.checks = checks
    }

    /// Lines for people.
    public var text: String {
        var lines = ["audit      \(word == .wrong ? "WRONG" : word.rawValue): \(sentence)"]
        for check in checks where check.findings > 0 {
            lines.append("  FOUND    \(check.name): \(check.findings) against `\(check.claim)`")
            lines += check.shown.map { "           \($0)" }
        }
        return lines.joined(separator: "\n")
    }
}
