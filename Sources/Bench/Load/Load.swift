internal import CSystem
internal import Glibc
internal import Histogram
internal import Loop
internal import Telemetry

/// Sends a load to the API and measures it.
public enum Load {
    /// Runs on threads of its own and returns when all requests were answered or given up. Blocks its thread.
    ///
    /// - Parameters:
    ///   - options: without a `problem`.
    ///   - handlesSignals: whether SIGINT and SIGTERM end the sending, and the run with what there is. Only on the main
    ///     thread, before any other has started.
    ///   - everyMilliseconds: how often `onProgress` is called.
    public static func run(
        _ options: LoadOptions, handlesSignals: Bool = false, everyMilliseconds: Int = 1_000,
        onProgress: @escaping (LoadProgress) -> Void = { _ in }
    ) -> LoadReport {
        precondition(options.problem == nil, options.problem ?? "")
        // A connection each, and what the process has open anyhow.
        _ = sluice_descriptor_limit_raise()
        let loop = EventLoop()
        let board = LoadBoard(threads: options.threads)
        let signals =
            handlesSignals
            ? SignalWatch(loop: loop, signals: [SIGINT, SIGTERM]) { number in
                // Who asks twice does not want to wait for answers.
                if board.isStopped { exit(128 + number) }
                board.stop()
            } : nil
        let started = Clock.wallMicroseconds
        let cpuBefore = sluice_process_cpu_microseconds()
        let sum = Sum(options)
        let threads = start(options, board, sum)
        let done = MailboxReceiver(loop: loop, mailbox: sum.done) { _ in loop.stop() }
        let meter = ProgressMeter(options, board)
        var timer: LoopTimer?
        timer = LoopTimer(loop: loop) {
            onProgress(meter.next())
            timer?.arm(afterMilliseconds: everyMilliseconds)
        }
        timer?.arm(afterMilliseconds: everyMilliseconds)
        withExtendedLifetime((signals, done)) { loop.run() }
        timer = nil
        for thread in threads { thread.join() }
        let cpu = Double(sluice_process_cpu_microseconds() - cpuBefore) / 1e6
        return LoadReport(options, sum.total, cpuSeconds: cpu, startedMicroseconds: started)
    }

    /// Whether a TLS target's authorities can be read.
    public static func canTrust(_ target: LoadTarget) -> Bool {
        target.security.map { TLSContext($0) != nil } ?? true
    }

    private static func start(_ options: LoadOptions, _ board: LoadBoard, _ sum: Sum) -> [LoopThread] {
        let runID = String(UInt64.random(in: .min ... .max), radix: 16)
        return (0..<options.threads).map { thread in
            LoopThread(name: "bench-\(thread)") { loop in
                let tls = options.target.security.map { TLSContext($0) }
                if let tls { precondition(tls != nil, "the authorities cannot be read") }
                let generator = LoadGenerator(
                    loop: loop, options: options, thread: thread, runID: runID, tls: tls ?? nil, board: board)
                generator.run()
                sum.add(generator.counts)
            }
        }
    }
}

/// Where threads add what they have counted.
private final class Sum: Sendable {
    private struct State: Sendable {
        var counts: LoadCounts
        var missing: Int
    }
    private let state: Locked<State>
    /// Gets a message when all threads are done.
    let done = Mailbox<Void>(capacity: 1)

    init(_ options: LoadOptions) {
        let counts = LoadCounts(phases: options.phases.count, series: LoadSeries(seconds: options.seconds))
        state = Locked(State(counts: counts, missing: options.threads))
    }

    func add(_ other: LoadCounts) {
        let isLast = state.withLock { state in
            state.counts.add(other)
            state.missing -= 1
            return state.missing == 0
        }
        if isLast { _ = done.send(()) }
    }

    var total: LoadCounts { state.withLock { $0.counts } }
}

/// Makes moments of what the board shows.
private final class ProgressMeter {
    private let options: LoadOptions
    private let board: LoadBoard
    private let table: PhaseTable
    private var lastAnswered = 0
    private var lastTime = Clock.monotonicNanoseconds

    init(_ options: LoadOptions, _ board: LoadBoard) {
        self.options = options
        self.board = board
        table = PhaseTable(options.phases)
    }

    func next() -> LoadProgress {
        let (counts, recent) = board.take()
        let now = Clock.monotonicNanoseconds
        var progress = LoadProgress()
        progress.elapsedSeconds = Double(counts.elapsedNanoseconds) / 1e9
        progress.totalSeconds = options.seconds
        let index = table.index(at: counts.elapsedNanoseconds)
        progress.phase = options.phases[index].name
        if case .open(let perSecond, _) = options.pace {
            let phase = options.phases[index]
            let start = options.phases[..<index].reduce(0) { $0 + $1.seconds }
            let share = min(max((progress.elapsedSeconds - start) / phase.seconds, 0), 1)
            progress.askedPerSecond = perSecond * (phase.from + (phase.to - phase.from) * share)
        }
        progress.sent = counts.sent
        progress.answered = counts.answered
        progress.answersPerSecond = Double(counts.answered - lastAnswered) / (Double(max(now - lastTime, 1)) / 1e9)
        progress.failed = counts.failed
        progress.retries = counts.retries
        progress.dropped = counts.dropped
        progress.waiting = counts.waiting
        progress.generatorShare = counts.cpuShare
        if recent.totalCount > 0 {
            progress.p50 = Double(recent.valueAtPercentile(50)) / 1e3
            progress.p99 = Double(recent.valueAtPercentile(99)) / 1e3
            progress.max = Double(recent.max) / 1e3
        }
        (lastAnswered, lastTime) = (counts.answered, now)
        return progress
    }
}
