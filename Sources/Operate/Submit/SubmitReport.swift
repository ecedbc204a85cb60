internal import Foundation
internal import Histogram

/// What came of a file.
public struct SubmitReport: Encodable, Sendable {
    /// Lines that are wrong in themselves or were not accepted: what is shown of them.
    static let problemsMax = 50

    public struct Counts: Encodable, Sendable {
        /// Valid lines.
        public var lines = 0
        /// Durable in the log, now or in an earlier run.
        public var accepted = 0
        /// Of the accepted ones: accepted before, under the same key.
        public var replayed = 0
        /// Refused for good, by the problem's code.
        public var refused: [String: Int] = [:]
        /// Given up: whether they were accepted is not known, or they never were. Submit the file again.
        public var failed = 0
        /// Held back, because they come after one that failed. Submit the file again.
        public var notSent = 0
    }

    public struct Outcomes: Encodable, Sendable {
        public var settled = 0
        /// By reason.
        public var declined: [String: Int] = [:]
        /// Records that the worker could not apply.
        public var quarantined = 0
        /// Accepted, and not decided within the time.
        public var undecided = 0
    }

    public struct Latency: Encodable, Sendable {
        public let count: Int
        public let p50: Double
        public let p90: Double
        public let p99: Double
        public let max: Double
    }

    public struct Problem: Encodable, Sendable, Equatable {
        public let line: Int
        public let problem: String
    }

    public var file: String
    public var seconds = 0.0
    public var accounts = Counts()
    public var payments = Counts()
    /// Lines that no request can be made of.
    public var malformed = 0
    /// Nil unless payments were followed.
    public var outcomes: Outcomes?
    /// Answers by HTTP status.
    public var statuses: [String: Int] = [:]
    /// Requests that were repeated.
    public var retries = 0
    /// From the first request to the answer that it is accepted, milliseconds; nil when there was none.
    public var acceptMilliseconds: Latency?
    /// From the request to the final outcome, milliseconds, of the payments that waited for it; nil when there was none.
    public var finalMilliseconds: Latency?
    /// The first ones, by line.
    public var problems: [Problem] = []
    /// Why it ended early; nil when the file was read to its end.
    public var stopped: String?

    init(file: String) { self.file = file }

    /// Every line was accepted, and every payment decided if they were followed.
    public var isComplete: Bool {
        let counts = [accounts, payments]
        return malformed == 0 && stopped == nil && counts.allSatisfy { $0.accepted == $0.lines }
            && (outcomes.map { $0.quarantined == 0 && $0.undecided == 0 } ?? true)
    }

    /// One JSON object, its members sorted.
    public var json: String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .prettyPrinted, .withoutEscapingSlashes]
        encoder.keyEncodingStrategy = .convertToSnakeCase
        // Only numbers, texts and lists: encoding cannot fail.
        guard let data = try? encoder.encode(self) else { preconditionFailure("a report that is no JSON") }
        return String(decoding: data, as: UTF8.self)
    }

    /// Lines for people.
    public var text: String {
        var lines: [String] = []
        if accounts.lines > 0 { lines.append("accounts   " + Self.text(accounts)) }
        if payments.lines > 0 { lines.append("payments   " + Self.text(payments)) }
        if let outcomes {
            var parts = ["\(outcomes.settled) settled"]
            parts += outcomes.declined.sorted { $0.key < $1.key }.map { "\($0.value) declined \($0.key)" }
            if outcomes.quarantined > 0 { parts.append("\(outcomes.quarantined) quarantined") }
            if outcomes.undecided > 0 { parts.append("\(outcomes.undecided) not decided yet") }
            lines.append("outcomes   " + parts.joined(separator: ", "))
        }
        if malformed > 0 { lines.append("malformed  \(malformed)") }
        if let latency = acceptMilliseconds { lines.append("accept     " + Self.text(latency)) }
        if let latency = finalMilliseconds { lines.append("final      " + Self.text(latency)) }
        let answers = statuses.sorted { $0.key < $1.key }.map { "\($0.key): \($0.value)" }.joined(separator: ", ")
        lines.append("answers    \(answers.isEmpty ? "none" : answers)" + (retries > 0 ? ", \(retries) retries" : ""))
        lines.append("time       \(Self.decimals(seconds)) s")
        if let stopped { lines.append("stopped    \(stopped)") }
        return lines.joined(separator: "\n")
    }

    private static func text(_ counts: Counts) -> String {
        var parts = ["\(counts.accepted) of \(counts.lines) accepted"]
        if counts.replayed > 0 { parts.append("\(counts.replayed) of them before") }
        parts += counts.refused.sorted { $0.key < $1.key }.map { "\($0.value) refused \($0.key)" }
        if counts.failed > 0 { parts.append("\(counts.failed) failed") }
        if counts.notSent > 0 { parts.append("\(counts.notSent) not sent") }
        return parts.joined(separator: ", ")
    }

    private static func text(_ latency: Latency) -> String {
        "p50 \(decimals(latency.p50)) ms, p90 \(decimals(latency.p90)) ms, p99 \(decimals(latency.p99)) ms, max \(decimals(latency.max)) ms"
    }

    private static func decimals(_ value: Double) -> String { String(format: "%.1f", value) }
}

extension SubmitReport.Latency {
    /// Of nanoseconds; nil for an empty histogram.
    init?(_ histogram: Histogram<UInt64>) {
        guard histogram.totalCount > 0 else { return nil }
        func milliseconds(_ percentile: Double) -> Double { Double(histogram.valueAtPercentile(percentile)) / 1e6 }
        self.init(
            count: Int(histogram.totalCount), p50: milliseconds(50), p90: milliseconds(90), p99: milliseconds(99),
            max: Double(histogram.max) / 1e6)
    }
}
