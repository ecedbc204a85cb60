internal import Foundation

/// What `sluice doctor` found.
public struct DoctorReport: Encodable, Sendable {
    public enum Level: String, Encodable, Comparable, Sendable {
        case ok, warning, failure

        public static func < (left: Level, right: Level) -> Bool { left.rank < right.rank }
        private var rank: Int {
            switch self {
            case .ok: 0
            case .warning: 1
            case .failure: 2
            }
        }
    }

    /// One thing that was looked at.
    public struct Finding: Encodable, Sendable {
        public let level: Level
        /// Which it is, the same in every release: `ledger.fsync`.
        public let check: String
        /// What was seen.
        public let seen: String
        /// What may happen; nil when it is well.
        public let risk: String?
        /// The setting that mends it; nil when it is well.
        public let mend: String?
    }

    /// Latencies, milliseconds.
    public struct Latency: Encodable, Sendable, Equatable {
        public let p50: Double
        public let p99: Double
        public let max: Double
    }

    /// What the probe topic showed.
    public struct Probe: Encodable, Sendable {
        public let topic: String
        public let partitions: Int
        public let copies: Int
        public let records: Int
        public let lost: Int
        public let doubled: Int
        public let disordered: Int
        /// From handing a record over to its delivery report, and to the moment a consumer had it.
        public let produceToReport: Latency?
        public let produceToConsume: Latency?
    }

    public internal(set) var findings: [Finding] = []
    public internal(set) var probe: Probe?

    public init() {}

    public var worst: Level { findings.map(\.level).max() ?? .ok }
    public var failures: Int { findings.count { $0.level == .failure } }
    public var warnings: Int { findings.count { $0.level == .warning } }

    /// Notes something that is either well or not.
    ///
    /// - Parameters:
    ///   - check: its name: what is looked at, then what of it.
    ///   - level: when it is not well.
    mutating func judge(_ check: String, _ isWell: Bool, level: Level = .failure, seen: String, risk: String, mend: String) {
        findings.append(
            isWell
                ? Finding(level: .ok, check: check, seen: seen, risk: nil, mend: nil)
                : Finding(level: level, check: check, seen: seen, risk: risk, mend: mend))
    }

    mutating func fail(_ check: String, seen: String, risk: String, mend: String) {
        judge(check, false, seen: seen, risk: risk, mend: mend)
    }

    mutating func warn(_ check: String, seen: String, risk: String, mend: String) {
        judge(check, false, level: .warning, seen: seen, risk: risk, mend: mend)
    }

    /// One JSON object, its members sorted.
    public var json: String {
        struct Shown: Encodable {
            let verdict: Level
            let failures: Int
            let warnings: Int
            let findings: [Finding]
            let probe: Probe?
        }
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .prettyPrinted, .withoutEscapingSlashes]
        encoder.keyEncodingStrategy = .convertToSnakeCase
        let shown = Shown(verdict: worst, failures: failures, warnings: warnings, findings: findings, probe: probe)
        // Only numbers, texts and lists: encoding cannot fail.
        guard let data = try? encoder.encode(shown) else { preconditionFailure("a report that is no JSON") }
        return String(decoding: data, as: UTF8.self)
    }

    /// For people: what is well in a line each, then what is not with its risk and its mend.
    public var text: String {
        var lines: [String] = []
        for finding in findings {
            lines.append("\(Self.mark(finding.level)) \(finding.check): \(finding.seen)")
            if let risk = finding.risk { lines.append("        at risk: \(risk)") }
            if let mend = finding.mend { lines.append("        mend:    \(mend)") }
        }
        if let probe {
            lines.append("probe: \(probe.records) records over \(probe.partitions) partitions with \(probe.copies) copies each")
            if let latency = probe.produceToReport { lines.append("       produce to report:  \(Self.show(latency))") }
            if let latency = probe.produceToConsume { lines.append("       produce to consume: \(Self.show(latency))") }
        }
        lines.append("verdict: \(failures) failures, \(warnings) warnings, \(findings.count - failures - warnings) ok")
        return lines.joined(separator: "\n")
    }

    private static func mark(_ level: Level) -> String {
        switch level {
        case .ok: "ok     "
        case .warning: "WARNING"
        case .failure: "FAILURE"
        }
    }

    private static func show(_ latency: Latency) -> String {
        String(format: "p50 %.2f ms, p99 %.2f ms, max %.2f ms", latency.p50, latency.p99, latency.max)
    }
}
