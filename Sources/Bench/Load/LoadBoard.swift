internal import Histogram
internal import Synchronization
internal import Telemetry

/// What a run's threads tell whoever watches it, ten times a second, and how they are told to stop.
final class LoadBoard: Sendable {
    struct Counts: Sendable {
        var sent = 0
        var answered = 0
        var failed = 0
        var retries = 0
        var dropped = 0
        var waiting = 0
        var elapsedNanoseconds: UInt64 = 0
        var cpuShare = 0.0

        init() {}

        init(_ counts: LoadCounts, elapsed: UInt64, waiting: Int) {
            sent = counts.sent
            answered = counts.answered
            failed = counts.failures.values.reduce(0, +)
            for (status, count) in counts.statuses where !(200..<300).contains(status) && status != 402 { failed += count }
            retries = counts.retries
            dropped = counts.dropped
            self.waiting = waiting
            elapsedNanoseconds = elapsed
            cpuShare = counts.busiestThreadShare
        }
    }

    private struct State: Sendable {
        var threads: [Counts]
        var recent = LoadSeries.histogram()
    }

    private let state: Locked<State>
    private let stopped = Atomic(false)

    init(threads: Int) { state = Locked(State(threads: [Counts](repeating: Counts(), count: threads))) }

    var isStopped: Bool { stopped.load(ordering: .relaxed) }
    func stop() { stopped.store(true, ordering: .relaxed) }

    func publish(_ thread: Int, _ counts: Counts, _ recent: Histogram<UInt32>) {
        state.withLock { state in
            state.threads[thread] = counts
            state.recent.add(recent)
        }
    }

    /// All threads together, and the latencies since the last call.
    func take() -> (Counts, Histogram<UInt32>) {
        state.withLock { state in
            var sum = Counts()
            for counts in state.threads {
                sum.sent += counts.sent
                sum.answered += counts.answered
                sum.failed += counts.failed
                sum.retries += counts.retries
                sum.dropped += counts.dropped
                sum.waiting += counts.waiting
                sum.elapsedNanoseconds = max(sum.elapsedNanoseconds, counts.elapsedNanoseconds)
                sum.cpuShare = max(sum.cpuShare, counts.cpuShare)
            }
            defer { state.recent.reset() }
            return (sum, state.recent)
        }
    }
}

/// A moment of a run, for a live view.
public struct LoadProgress: Sendable {
    public var elapsedSeconds = 0.0
    public var totalSeconds = 0.0
    /// The phase it is in.
    public var phase = ""
    public var sent = 0
    public var answered = 0
    /// Answers since the last moment, a second; and what was asked for at this one. Nil in a closed loop.
    public var answersPerSecond = 0.0
    public var askedPerSecond: Double?
    /// Refusals and requests without an answer, of every try.
    public var failed = 0
    public var retries = 0
    public var dropped = 0
    /// On connections, without an answer yet.
    public var waiting = 0
    /// Of the answers since the last moment; nil when there were none. Milliseconds.
    public var p50: Double?
    public var p99: Double?
    public var max: Double?
    /// The share of its time that the busiest thread of the generator was computing.
    public var generatorShare = 0.0
}
