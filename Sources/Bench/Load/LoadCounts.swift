internal import Histogram

/// What one thread has seen; those of several threads are added up.
struct LoadCounts: Sendable {
    /// A send that comes so long after its time counts as late, nanoseconds.
    static let lateNanosecondsMin: UInt64 = 1_000_000
    /// Latencies above it count as it, nanoseconds.
    static let latencyNanosecondsMax: UInt64 = 3_600_000_000_000

    /// By kind, of those answered with 2xx or declined: from the time a request should have been sent to its whole answer,
    /// nanoseconds, whatever tries lay between; and the last try alone, from its sending.
    var latency = RequestKind.allCases.map { _ in Self.histogram() }
    var service = RequestKind.allCases.map { _ in Self.histogram() }
    /// Of those answered otherwise, at last.
    var refused = Self.histogram()
    /// How long requests had waited that were dropped or got no answer: what cannot be seen in the others must not flatter them.
    var unanswered = Self.histogram()
    /// From a payment's acceptance to the answer that shows it decided.
    var settling = Self.histogram()
    /// By phase, of all requests, answered or not.
    struct Phase: Sendable {
        var reads = LoadCounts.histogram()
        var writes = LoadCounts.histogram()
        var all: Histogram<UInt64> { LoadCounts.sum([reads, writes]) }

        mutating func record(_ value: UInt64, _ kind: RequestKind) {
            if kind.isWrite { writes.record(value) } else { reads.record(value) }
        }
    }
    var phases: [Phase]
    var series: LoadSeries

    /// First tries.
    var sent = 0
    /// Requests that have come to an answer, of any status.
    var answered = 0
    var declined = 0
    /// Tries after the first, and requests that were not tried again any more.
    var retries = 0
    var gaveUp = 0
    /// Payments that were accepted after a first try that was not.
    var acceptedLater = 0
    /// Repeats of a payment that were answered with another payment: one key, two payments.
    var duplicatesWrong = 0
    var late = 0
    var latestNanoseconds: UInt64 = 0
    /// Of these, where a connection was free: the generator itself was late.
    var lateByItself = 0
    var latestByItselfNanoseconds: UInt64 = 0
    /// Not sent within the time-out.
    var dropped = 0
    /// Left out of the latencies.
    var warmUps = 0
    /// Tries of reads that were not answered with 2xx, or not at all.
    var readTriesFailed = 0
    /// Of every try.
    var statuses: [Int: Int] = [:]
    var failures: [LoadFailure: Int] = [:]
    /// Connections that the server closed between two requests.
    var closedIdle = 0
    /// Payments that were to be followed and were not, because too many were; and those whose end was not seen.
    var notFollowed = 0
    var neverFinal = 0
    /// From the start until the last answer, or the end of sending where that is later.
    var elapsedNanoseconds: UInt64 = 0
    var stoppedEarly = false
    /// The share of each thread's time that it was computing, highest.
    var busiestThreadShare = 0.0
    /// Payments that were accepted, for the audit; `acknowledgedMax` at most on each thread.
    var acknowledged: [PaymentID] = []
    var acknowledgedNotKept = 0

    init(phases: Int, series: LoadSeries) {
        self.phases = (0..<phases).map { _ in Phase() }
        self.series = series
    }

    static func histogram() -> Histogram<UInt64> {
        Histogram(highestTrackableValue: latencyNanosecondsMax, numberOfSignificantValueDigits: .three)
    }

    /// - Parameters:
    ///   - delay: nanoseconds after its time.
    ///   - own: of these, how long a connection was free.
    mutating func noteSent(afterNanoseconds delay: UInt64, byItself own: UInt64) {
        sent += 1
        if delay >= Self.lateNanosecondsMin { late += 1 }
        if own >= Self.lateNanosecondsMin { lateByItself += 1 }
        latestNanoseconds = max(latestNanoseconds, delay)
        latestByItselfNanoseconds = max(latestByItselfNanoseconds, own)
    }

    /// A request's last answer.
    mutating func noteAnswer(_ plan: RequestPlan, _ answer: LoadAnswer, latency: UInt64, service: UInt64, isMeasured: Bool) {
        answered += 1
        if answer.isDeclined { declined += 1 }
        series.note(plan, afterNanoseconds: latency, isSuccess: answer.isSuccess)
        guard isMeasured else { return }
        let value = min(latency, Self.latencyNanosecondsMax)
        phases[plan.phase].record(value, plan.kind)
        if answer.isSuccess {
            self.latency[plan.kind.rawValue].record(value)
            self.service[plan.kind.rawValue].record(min(service, Self.latencyNanosecondsMax))
        } else {
            refused.record(value)
        }
    }

    /// A request that has no answer, or was not sent at all.
    mutating func noteUnanswered(_ plan: RequestPlan, afterNanoseconds age: UInt64, isMeasured: Bool) {
        series.note(plan, afterNanoseconds: age, isSuccess: false)
        guard isMeasured else { return }
        let value = min(age, Self.latencyNanosecondsMax)
        phases[plan.phase].record(value, plan.kind)
        unanswered.record(value)
    }

    mutating func noteAcknowledged(_ id: PaymentID) {
        if acknowledged.count < BenchLimits.acknowledgedMax { acknowledged.append(id) } else { acknowledgedNotKept += 1 }
    }

    mutating func add(_ other: LoadCounts) {
        for index in latency.indices {
            latency[index].add(other.latency[index])
            service[index].add(other.service[index])
        }
        for index in phases.indices {
            phases[index].reads.add(other.phases[index].reads)
            phases[index].writes.add(other.phases[index].writes)
        }
        refused.add(other.refused)
        unanswered.add(other.unanswered)
        settling.add(other.settling)
        series.add(other.series)
        for count: WritableKeyPath<LoadCounts, Int> in Self.sums { self[keyPath: count] += other[keyPath: count] }
        latestNanoseconds = max(latestNanoseconds, other.latestNanoseconds)
        latestByItselfNanoseconds = max(latestByItselfNanoseconds, other.latestByItselfNanoseconds)
        statuses.merge(other.statuses, uniquingKeysWith: +)
        failures.merge(other.failures, uniquingKeysWith: +)
        elapsedNanoseconds = max(elapsedNanoseconds, other.elapsedNanoseconds)
        stoppedEarly = stoppedEarly || other.stoppedEarly
        busiestThreadShare = max(busiestThreadShare, other.busiestThreadShare)
        acknowledged += other.acknowledged
    }

    private static var sums: [WritableKeyPath<LoadCounts, Int>] {
        [
            \.sent, \.answered, \.declined, \.retries, \.gaveUp, \.acceptedLater, \.duplicatesWrong, \.late, \.lateByItself, \.dropped,
            \.warmUps, \.readTriesFailed, \.closedIdle, \.notFollowed, \.neverFinal, \.acknowledgedNotKept,
        ]
    }

    /// Those of some kinds together.
    func latency(of kinds: [RequestKind]) -> Histogram<UInt64> { Self.sum(kinds.map { latency[$0.rawValue] }) }
    func service(of kinds: [RequestKind]) -> Histogram<UInt64> { Self.sum(kinds.map { service[$0.rawValue] }) }
    /// Of all requests, answered or not.
    var all: Histogram<UInt64> { Self.sum(latency + [refused, unanswered]) }

    private static func sum(_ histograms: [Histogram<UInt64>]) -> Histogram<UInt64> {
        var sum = histogram()
        for histogram in histograms { sum.add(histogram) }
        return sum
    }
}
