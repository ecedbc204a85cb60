internal import Foundation

/// What an audit found.
public struct AuditReport: Codable, Sendable {
    /// Findings that a check shows; all are counted.
    static let findingsShownMax = 20

    public struct Finding: Codable, Sendable, Equatable {
        /// An account, a payment, a place in the log, a key in Redis.
        public let subject: String
        public let problem: String
    }

    public struct Check: Codable, Sendable {
        public let name: String
        /// The sentence that was tested.
        public let claim: String
        /// How many entries, payments, records or values it looked at.
        public internal(set) var looked = 0
        public internal(set) var milliseconds = 0
        public internal(set) var findings = 0
        /// The first `findingsShownMax`.
        public internal(set) var first: [Finding] = []
        /// What limits what was said, and what is worth knowing.
        public internal(set) var notes: [String] = []

        init(_ name: String, _ claim: String) {
            self.name = name
            self.claim = claim
        }

        mutating func find(_ subject: String, _ problem: String) {
            findings += 1
            if first.count < findingsShownMax { first.append(Finding(subject: subject, problem: problem)) }
        }
    }

    /// A partition of `payments.commands` at the time of the audit.
    public struct Partition: Codable, Sendable, Equatable {
        public let partition: Int32
        /// The oldest offset that the log still has, and the one its next record gets.
        public let low: Int64
        public let high: Int64
        public let nextOffset: Int64
        public let publishedOffset: Int64
        public let incarnation: String?
    }

    /// Nil when all tenants were looked at.
    public var tenant: String?
    public var isClean: Bool { checks.allSatisfy { $0.findings == 0 } }
    public internal(set) var checks: [Check] = []
    /// The log's identity and partitions; nil when the log was left out.
    public internal(set) var incarnation: String?
    public internal(set) var partitions: [Partition]?
    /// Commands that are in the log and not decided yet: lag, not a failure.
    public internal(set) var undecided: Int64?
    public internal(set) var deadLetters: Int64 = 0
    public internal(set) var seconds = 0.0

    init(tenant: String?) { self.tenant = tenant }

    /// One JSON object, its members sorted.
    public var json: String {
        struct Shown: Encodable {
            let report: AuditReport
            enum Keys: String, CodingKey { case verdict }
            func encode(to encoder: any Encoder) throws {
                try report.encode(to: encoder)
                var container = encoder.container(keyedBy: Keys.self)
                try container.encode(report.isClean ? "clean" : "findings", forKey: .verdict)
            }
        }
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .prettyPrinted, .withoutEscapingSlashes]
        encoder.keyEncodingStrategy = .convertToSnakeCase
        // Only numbers, texts and lists: encoding cannot fail.
        guard let data = try? encoder.encode(Shown(report: self)) else { preconditionFailure("a report that is no JSON") }
        return String(decoding: data, as: UTF8.self)
    }

    /// Reads a file that has what `json` gave.
    public static func read(path: String) throws(OperateError) -> AuditReport {
        do {
            let decoder = JSONDecoder()
            decoder.keyDecodingStrategy = .convertFromSnakeCase
            return try decoder.decode(AuditReport.self, from: Data(contentsOf: URL(filePath: path)))
        } catch {
            throw .file(path: path, reason: "cannot be read as the report of `sluice audit --json`")
        }
    }

    /// For Prometheus, and for the live page of a gateway that is told of the file.
    public func writeMetrics(path: String) throws(OperateError) {
        let figures: [(name: String, help: String, value: String)] = [
            ("sluice_audit_findings", "Findings of the last audit.", "\(checks.reduce(0) { $0 + $1.findings })"),
            ("sluice_audit_timestamp_seconds", "When the last audit ended.", "\(Int(Date().timeIntervalSince1970))"),
            ("sluice_audit_duration_seconds", "How long the last audit took.", "\(seconds)"),
        ]
        let text = figures.map { "# HELP \($0.name) \($0.help)\n# TYPE \($0.name) gauge\n\($0.name) \($0.value)\n" }.joined()
        do {
            // Renamed into place: a reader never sees half of it.
            try text.write(toFile: path, atomically: true, encoding: .utf8)
        } catch {
            throw .file(path: path, reason: "cannot be written")
        }
    }

    /// A table, the findings and the verdict, for people.
    public var text: String {
        var table = TextTable(["CHECK", "LOOKED AT", "TIME", "FINDINGS", ""])
        for check in checks {
            table.add([
                check.name, "\(check.looked)", String(format: "%.2f s", Double(check.milliseconds) / 1_000), "\(check.findings)",
                check.claim,
            ])
        }
        var lines = [table.text]
        for check in checks {
            for note in check.notes { lines.append("\(check.name): \(note)") }
            for finding in check.first { lines.append("FOUND  \(check.name): \(finding.subject): \(finding.problem)") }
            if check.findings > check.first.count { lines.append("FOUND  \(check.name): and \(check.findings - check.first.count) more") }
        }
        if let undecided { lines.append("not decided yet: \(undecided) commands") }
        if deadLetters > 0 { lines.append("dead letters: \(deadLetters)") }
        lines.append(isClean ? "verdict: clean" : "verdict: NOT clean")
        return lines.joined(separator: "\n")
    }
}
