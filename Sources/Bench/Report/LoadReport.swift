internal import Foundation
internal import Histogram

/// What came of a run: what `--json` writes and everything else is made of. Latencies are milliseconds.
public struct LoadReport: Codable, Sendable {
    /// From the time a request should have been sent to its whole answer, unless something else is said.
    public struct Latency: Codable, Sendable, Equatable {
        public var count: Int
        public var mean: Double
        public var p50: Double
        public var p90: Double
        public var p99: Double
        public var p999: Double
        public var p9999: Double
        public var max: Double

        enum CodingKeys: String, CodingKey {
            case count, mean, p50, p90, p99, max
            case p999 = "p99_9"
            case p9999 = "p99_99"
        }
    }

    /// One kind of request, of those answered with 2xx or declined.
    public struct Kind: Codable, Sendable {
        public var name: String
        public var latency: Latency
        /// From the sending of the last try to its answer: what a closed loop would have called latency.
        public var service: Latency
    }

    public struct Phase: Codable, Sendable {
        public var name: String
        public var startSecond: Double
        public var seconds: Double
        /// Requests a second at its start and end; nil in a closed loop.
        public var from: Double?
        public var to: Double?
        public var isWarmUp: Bool
        /// Of all its requests, answered or not; nil for warming up.
        public var latency: Latency?
        /// Of its reads and its writes; nil where there were none, and in a report from before there was this.
        public var reads: Latency?
        public var writes: Latency?
    }

    /// A point of the time series: requests that should have been sent then.
    public struct Point: Codable, Sendable {
        public var second: Double
        public var succeeded: Int
        public var failed: Int
        public var p50: Double?
        public var p99: Double?
        public var max: Double?
    }

    /// Latency by percentile, for a chart: each point is a percentile (0 to 100) and milliseconds.
    public struct Curve: Codable, Sendable {
        public var name: String
        public var points: [[Double]]
    }

    /// How the generator itself did.
    public struct Generator: Codable, Sendable {
        /// CPU of this process, user and system.
        public var cpuSeconds: Double
        public var cpuMicrosecondsPerRequest: Double
        /// The share of its time that the busiest thread was computing.
        public var busiestThreadShare: Double
        /// Sends more than a millisecond late although a connection was free, and the latest of them, milliseconds.
        public var lateByItself: Int
        public var latestByItself: Double
        public var warnings: [String]
        /// Whether the figures may be the generator's own.
        public var isLimit: Bool
    }

    static let formatOfThisBuild = "sluice-bench-1"

    /// The format's name and version.
    public var format = LoadReport.formatOfThisBuild
    public var name: String
    /// RFC 3339.
    public var startedAt: String
    /// `open` or `closed`.
    public var mode: String
    /// `constant` or `poisson`; nil for a closed loop.
    public var arrivals: String?
    public var connections: Int
    public var threads: Int
    public var seed: UInt64
    /// What else was set, as text.
    public var settings: [String: String]
    /// How long requests were sent.
    public var seconds: Double
    /// Over all phases; nil for a closed loop.
    public var askedPerSecond: Double?
    /// Answers of any status, over the time until the last of them.
    public var achievedPerSecond: Double
    /// First tries; retries are counted apart.
    public var sent: Int
    public var answered: Int
    /// Of the payments that were answered, those declined: an outcome, not a failure.
    public var declined: Int
    public var retries: Int
    /// Requests that failed although they were tried as often as was allowed.
    public var gaveUp: Int
    /// Payments accepted by a later try than the first.
    public var acceptedLater: Int
    /// Repeats that were answered with another payment than the first: one key, two payments.
    public var duplicatesWrong: Int
    /// Sent more than a millisecond after their time: no connection was free, or the generator itself was late.
    public var late: Int
    /// The latest of them, milliseconds.
    public var latestMilliseconds: Double
    /// Not sent at all, because they waited for the time-out.
    public var dropped: Int
    /// Answered, and left out of the latencies.
    public var warmUps: Int
    /// Tries of reads that were not answered with 2xx, or not at all; nil in a report from before there was this.
    public var readTriesFailed: Int?
    /// Whether somebody stopped it.
    public var stoppedEarly: Bool
    /// Tries without an answer, and connections that were not opened, by kind.
    public var errors: [String: Int]
    /// Answers by status, of every try.
    public var statuses: [String: Int]
    /// Connections that the server closed between two requests.
    public var closedIdle: Int
    /// CPU of this process, user and system.
    public var generatorCPUSeconds: Double
    /// Of all requests: answered, dropped (how long they waited) and failed (how old they were).
    public var all: Latency?
    /// Reads and writes that were answered with 2xx or declined, and what was answered otherwise.
    public var reads: Latency?
    public var writes: Latency?
    public var refused: Latency?
    public var kinds: [Kind]
    /// From a payment's acceptance to the answer that shows it decided, of those followed; and of how many this was not seen.
    public var timeToFinal: Latency?
    public var notFollowed: Int
    public var neverFinal: Int
    public var phases: [Phase]
    public var intervalSeconds: Double
    public var series: [Point]
    public var curves: [Curve]
    public var generator: Generator
    public var environment: BenchEnvironment
    /// The steps of a search for the knee, and what it found, requests a second.
    public var search: [KneeSearch.Step]?
    public var capacityPerSecond: Double?
    /// Nil when nobody looked.
    public var verdict: BenchVerdict?

    /// Payments that were accepted in this run, for the audit; empty in a report that was read.
    public var acknowledged: [PaymentID] = []
    public var acknowledgedNotKept = 0
    var histograms: [(name: String, histogram: Histogram<UInt64>)] = []

    enum CodingKeys: String, CodingKey {
        case format, name, startedAt, mode, arrivals, connections, threads, seed, settings, seconds, askedPerSecond, achievedPerSecond
        case sent, answered, declined, retries, gaveUp, acceptedLater, duplicatesWrong, late, latestMilliseconds, dropped, warmUps
        case readTriesFailed, stoppedEarly, errors, statuses, closedIdle
        case generatorCPUSeconds = "generator_cpu_seconds"
        case all, reads, writes, refused, kinds, timeToFinal, notFollowed, neverFinal, phases, intervalSeconds, series, curves, generator
        case environment, search, capacityPerSecond, verdict
    }

    /// Whether every request was answered with 2xx or declined, at last.
    public var isClean: Bool { dropped == 0 && unanswered == 0 && refused == nil && duplicatesWrong == 0 && answered > 0 }

    /// Requests that have no answer at all, and were sent.
    public var unanswered: Int { max(0, sent - answered) }

    /// The share of requests that failed: refused, dropped or without an answer.
    public var failedShare: Double {
        let failed = dropped + unanswered + (refused?.count ?? 0)
        return Double(failed) / Double(max(1, sent + dropped))
    }
}

extension LoadReport.Latency {
    /// Of nanoseconds; nil for an empty histogram.
    init?(_ histogram: Histogram<UInt64>) {
        guard histogram.totalCount > 0 else { return nil }
        func milliseconds(_ percentile: Double) -> Double { Double(histogram.valueAtPercentile(percentile)) / 1e6 }
        self.init(
            count: Int(histogram.totalCount), mean: histogram.mean / 1e6, p50: milliseconds(50), p90: milliseconds(90),
            p99: milliseconds(99), p999: milliseconds(99.9), p9999: milliseconds(99.99), max: Double(histogram.max) / 1e6)
    }
}
