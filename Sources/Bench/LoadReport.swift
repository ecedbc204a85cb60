internal import Foundation
internal import Histogram

/// What came of a run. Latencies are milliseconds from the time a request should have been sent to its whole answer.
public struct LoadReport: Encodable, Sendable {
    public struct Latency: Encodable, Sendable, Equatable {
        public let count: Int
        public let mean: Double
        public let p50: Double
        public let p90: Double
        public let p99: Double
        public let p999: Double
        public let p9999: Double
        public let max: Double

        enum CodingKeys: String, CodingKey {
            case count, mean, p50, p90, p99, max
            case p999 = "p99_9"
            case p9999 = "p99_99"
        }
    }

    /// `open` or `closed`.
    public var mode: String
    /// `constant` or `poisson`; nil for a closed loop.
    public var arrivals: String?
    public var connections: Int
    public var threads: Int
    public var seed: UInt64
    /// How long requests were sent.
    public var seconds: Double
    /// Nil for a closed loop.
    public var askedPerSecond: Double?
    /// Answers of any status, over the time until the last of them.
    public var achievedPerSecond: Double
    public var sent: Int
    public var answered: Int
    /// Sent more than a millisecond after their time: no connection was free, or the generator itself was late.
    public var late: Int
    /// The latest of them, milliseconds.
    public var latestMilliseconds: Double
    /// Not sent at all, because they waited for the time-out.
    public var dropped: Int
    /// Requests without an answer, and connections that were not opened, by kind.
    public var errors: [String: Int]
    /// Answers by status.
    public var statuses: [String: Int]
    /// Connections that the server closed between two requests.
    public var closedIdle: Int
    /// CPU of this process, user and system.
    public var generatorCPUSeconds: Double
    /// Of all requests: answered, dropped (how long they waited) and failed (how old they were).
    public var all: Latency?
    /// Reads and writes that were answered with 2xx, and what was answered otherwise.
    public var reads: Latency?
    public var writes: Latency?
    public var refused: Latency?

    init(_ options: LoadOptions, _ counts: LoadCounts, cpuSeconds: Double) {
        switch options.pace {
        case .closed: mode = "closed"
        case .open(let perSecond, let arrivals):
            mode = "open"
            self.arrivals = arrivals.rawValue
            askedPerSecond = perSecond
        }
        connections = options.connections
        threads = options.threads
        seed = options.seed
        seconds = options.seconds
        let elapsed = Double(Swift.max(counts.elapsedNanoseconds, 1)) / 1e9
        achievedPerSecond = Double(counts.answered) / elapsed
        sent = counts.sent
        answered = counts.answered
        late = counts.late
        latestMilliseconds = Double(counts.latestNanoseconds) / 1e6
        dropped = counts.dropped
        errors = Dictionary(counts.failures.map { ($0.key.description, $0.value) }, uniquingKeysWith: +)
        statuses = Dictionary(uniqueKeysWithValues: counts.statuses.map { (String($0.key), $0.value) })
        closedIdle = counts.closedIdle
        generatorCPUSeconds = cpuSeconds
        var everything = counts.reads
        for other in [counts.writes, counts.refused, counts.unanswered] { everything.add(other) }
        all = Latency(everything)
        reads = Latency(counts.reads)
        writes = Latency(counts.writes)
        refused = Latency(counts.refused)
    }

    /// Whether every request was answered with 2xx.
    public var isClean: Bool { dropped == 0 && errors.isEmpty && refused == nil && answered > 0 }

    /// One JSON object, its members sorted.
    public var json: String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .prettyPrinted, .withoutEscapingSlashes]
        encoder.keyEncodingStrategy = .convertToSnakeCase
        // Only numbers, texts and maps: encoding cannot fail.
        guard let data = try? encoder.encode(self) else { preconditionFailure("a report that is no JSON") }
        return String(decoding: data, as: UTF8.self)
    }

    /// Lines for people.
    public var text: String {
        let asked = askedPerSecond.map { " of \(Self.decimals($0, 0)) asked (\(arrivals ?? ""))" } ?? " (closed loop)"
        var lines = [
            "answers/s  \(Self.decimals(achievedPerSecond, 0))\(asked), \(connections) connections, \(Self.decimals(seconds, 1)) s",
            "sent       \(sent), \(answered) answered, \(late) late (\(Self.decimals(latestMilliseconds, 1)) ms at most), \(dropped) dropped",
            "answers    " + Self.list(statuses),
        ]
        if !errors.isEmpty { lines.append("errors     " + Self.list(errors)) }
        if closedIdle > 0 { lines.append("closed     \(closedIdle) connections, between two requests") }
        let rows = [("all", all), ("reads", reads), ("writes", writes), ("refused", refused)]
        lines.append("\nms       " + ["count", "p50", "p90", "p99", "p99.9", "p99.99", "max"].map { Self.padded($0) }.joined())
        for case (let name, let latency?) in rows {
            let values = [latency.p50, latency.p90, latency.p99, latency.p999, latency.p9999, latency.max]
            let cells = [String(latency.count)] + values.map { Self.decimals($0, 2) }
            lines.append(name + String(repeating: " ", count: 9 - name.count) + cells.map { Self.padded($0) }.joined())
        }
        return lines.joined(separator: "\n")
    }

    private static func list(_ counts: [String: Int]) -> String {
        counts.isEmpty ? "none" : counts.sorted { $0.key < $1.key }.map { "\($0.key): \($0.value)" }.joined(separator: ", ")
    }

    private static func decimals(_ value: Double, _ digits: Int) -> String { String(format: "%.\(digits)f", value) }

    private static func padded(_ text: String) -> String { String(repeating: " ", count: max(0, 10 - text.count)) + text }
}

extension LoadReport.Latency {
    /// Of nanoseconds; nil for an empty histogram.
    init?(_ histogram: Histogram<UInt64>) {
        guard histogram.totalCount > 0 else { return nil }
        func milliseconds(_ percentile: Double) -> Double { Double(histogram.valueAtPercentile(percentile)) / 1e6 }
        self.init(
            count: Int(histogram.totalCount), mean: histogram.mean / 1e6, p50: milliseconds(50), p90: milliseconds(90),
            p99: milliseconds(99),
            p999: milliseconds(99.9), p9999: milliseconds(99.99), max: Double(histogram.max) / 1e6)
    }
}
