internal import Histogram

/// What one thread has seen; those of several threads are added up.
struct LoadCounts: Sendable {
    /// A send that comes so long after its time counts as late, nanoseconds.
    static let lateNanosecondsMin: UInt64 = 1_000_000
    /// Latencies above it count as it, nanoseconds.
    static let latencyNanosecondsMax: UInt64 = 3_600_000_000_000

    /// From the time a request should have been sent to its whole answer, nanoseconds, of those answered with 2xx.
    var reads = Self.histogram()
    var writes = Self.histogram()
    /// The same of those answered otherwise.
    var refused = Self.histogram()
    /// How long requests had waited that were dropped or got no answer: what cannot be seen in the others must not flatter them.
    var unanswered = Self.histogram()

    var sent = 0
    var late = 0
    var latestNanoseconds: UInt64 = 0
    /// Not sent within the time-out.
    var dropped = 0
    var statuses: [Int: Int] = [:]
    var failures: [LoadFailure: Int] = [:]
    /// Connections that the server closed between two requests.
    var closedIdle = 0
    /// From the start until the last answer, or the end of sending where that is later.
    var elapsedNanoseconds: UInt64 = 0

    var answered: Int { statuses.values.reduce(0, +) }

    static func histogram() -> Histogram<UInt64> {
        Histogram(highestTrackableValue: latencyNanosecondsMax, numberOfSignificantValueDigits: .three)
    }

    mutating func noteSent(afterNanoseconds delay: UInt64) {
        sent += 1
        if delay >= Self.lateNanosecondsMin { late += 1 }
        latestNanoseconds = max(latestNanoseconds, delay)
    }

    mutating func noteAnswer(_ kind: RequestKind, status: Int, afterNanoseconds latency: UInt64) {
        statuses[status, default: 0] += 1
        let value = min(latency, Self.latencyNanosecondsMax)
        if !(200..<300).contains(status) {
            refused.record(value)
        } else if kind == .read {
            reads.record(value)
        } else {
            writes.record(value)
        }
    }

    mutating func noteFailure(_ failure: LoadFailure, afterNanoseconds age: UInt64) {
        failures[failure, default: 0] += 1
        unanswered.record(min(age, Self.latencyNanosecondsMax))
    }

    mutating func noteDrop(afterNanoseconds age: UInt64) {
        dropped += 1
        unanswered.record(min(age, Self.latencyNanosecondsMax))
    }

    mutating func add(_ other: LoadCounts) {
        reads.add(other.reads)
        writes.add(other.writes)
        refused.add(other.refused)
        unanswered.add(other.unanswered)
        sent += other.sent
        late += other.late
        latestNanoseconds = max(latestNanoseconds, other.latestNanoseconds)
        dropped += other.dropped
        statuses.merge(other.statuses, uniquingKeysWith: +)
        failures.merge(other.failures, uniquingKeysWith: +)
        closedIdle += other.closedIdle
        elapsedNanoseconds = max(elapsedNanoseconds, other.elapsedNanoseconds)
    }
}
