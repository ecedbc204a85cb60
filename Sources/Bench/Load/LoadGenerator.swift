internal import CSystem
internal import Histogram
internal import Loop
internal import Telemetry

/// One thread's share of a run: opens its connections, sends at the times of its schedule, counts the answers.
///
/// Made and used on its loop's thread.
final class LoadGenerator {
    /// Connections under way at once: more would overflow a server's backlog.
    private static let openingMax = 64
    private static let tickMilliseconds = 10
    /// Deadlines are looked at, and the board is told, at every so many ticks.
    private static let ticksPerSweep = 10
    /// A connection that failed is left alone so long: a server that is gone is not worth a busy loop.
    static let restNanoseconds: UInt64 = 100_000_000

    private let loop: EventLoop
    let options: LoadOptions
    private let board: LoadBoard
    private let thread: Int
    private let timeoutNanoseconds: UInt64
    private let table: PhaseTable
    var chance: Chance
    var maker: RequestMaker
    /// Nil for a closed loop.
    private var schedule: ArrivalSchedule?
    var retries = RetryQueue()
    var follower: Follower?
    private var connections: [LoadConnection] = []
    /// Used in turn, so that an open loop spreads over all of them.
    var free = ConnectionQueue()
    var resting: [(connection: LoadConnection, until: UInt64)] = []
    /// How many connections were begun to be opened, and how many of them are open or have failed.
    private var opening = 0
    var opened = 0
    private var openingDeadline: UInt64 = 0
    var busy = 0
    /// Whether a request that was due found no connection, and until when that was so, nanoseconds after the start.
    private var isStarved = false
    private var starvedUntil: UInt64 = 0
    /// Monotonic nanoseconds; nil while connections are opened.
    var start: UInt64?
    /// Nanoseconds after the start at which sending ends: that of the phases, or earlier when the run is stopped.
    private var end: UInt64
    private var ticks = 0
    private var cpuAtStart: Int64 = 0
    private var pace: LoopTimer?
    private var tick: LoopTimer?
    var counts: LoadCounts
    var recent = LoadSeries.histogram()

    /// - Parameters:
    ///   - thread: which of the run's threads this is, from 0.
    ///   - tls: nil for connections in the clear.
    init(loop: EventLoop, options: LoadOptions, thread: Int, runID: String, tls: TLSContext?, board: LoadBoard) {
        self.loop = loop
        self.options = options
        self.board = board
        self.thread = thread
        timeoutNanoseconds = UInt64(options.timeoutSeconds * 1e9)
        table = PhaseTable(options.phases)
        end = table.end
        chance = Chance(seed: options.seed &+ UInt64(thread) &* 0x1_0000_0001)
        maker = RequestMaker(options, keyPrefix: "bench-\(runID)-\(thread)-")
        counts = LoadCounts(phases: options.phases.count, series: LoadSeries(seconds: options.seconds))
        if case .open(let perSecond, let arrivals) = options.pace {
            schedule = ArrivalSchedule(
                perSecond: perSecond / Double(options.threads), phases: options.phases, arrivals: arrivals,
                phase: Double(thread) / Double(options.threads), chance: &chance)
        }
        for index in stride(from: thread, to: options.connections, by: options.threads) {
            let address = options.target.addresses[index % options.target.addresses.count]
            connections.append(LoadConnection(loop: loop, address: address, tls: tls) { [unowned self] in note($1, of: $0) })
        }
        if options.followShare > 0 {
            follower = Follower(loop: loop, address: options.target.addresses[thread % options.target.addresses.count], tls: tls)
        }
    }

    /// Returns when the time is over and every request was answered or given up.
    func run() {
        let pace = LoopTimer(loop: loop) { [unowned self] in pump() }
        let tick = LoopTimer(loop: loop) { [unowned self] in beat() }
        self.pace = pace
        self.tick = tick
        openingDeadline = Clock.monotonicNanoseconds + timeoutNanoseconds
        tick.arm(afterMilliseconds: 0)
        loop.run()
        for connection in connections { connection.close() }
        if let follower {
            follower.close()
            counts.settling.add(follower.settling)
            counts.notFollowed = follower.notFollowed
            counts.neverFinal = follower.neverFinal
        }
        self.pace = nil
        self.tick = nil
    }

    // MARK: Opening

    func openMore() {
        while start == nil, opening < connections.count, opening - opened < Self.openingMax {
            let connection = connections[opening]
            opening += 1
            if let failure = connection.open() { openingFailed(connection, failure) }
        }
        if opened == connections.count { begin() }
    }

    func openingFailed(_ connection: LoadConnection, _ failure: LoadFailure) {
        counts.failures[failure, default: 0] += 1
        opened += 1
        rest(connection)
    }

    private func begin() {
        guard start == nil else { return }
        start = Clock.monotonicNanoseconds
        cpuAtStart = sluice_thread_cpu_microseconds()
        for connection in connections[opening...] { free.add(connection) }
        pump()
    }

    // MARK: Sending

    /// Sends what is due, as far as connections are free, and sets the timer for what comes next.
    func pump() {
        guard let start else { return }
        sendRetries()
        guard schedule != nil else { return pumpClosed(start) }
        var elapsed = Clock.monotonicNanoseconds - start
        if isStarved {
            isStarved = false
            starvedUntil = elapsed
        }
        while let due = schedule?.next, due < end {
            if due > elapsed { elapsed = Clock.monotonicNanoseconds - start }
            guard due <= elapsed else {
                // Rounded up: a timer that fires too early would be set again for nothing.
                pace?.arm(afterMicroseconds: Int((due - elapsed + 999) / 1_000))
                return
            }
            if elapsed - due >= timeoutNanoseconds {
                drop(due, start: start, elapsed: elapsed)
                continue
            }
            // The next answer comes back here.
            guard let connection = free.next() else {
                isStarved = true
                return
            }
            var plan = maker.draw(&chance)
            place(&plan, at: due, start: start)
            schedule?.advance(&chance)
            let now = Clock.monotonicNanoseconds
            let delay = now - plan.intended
            counts.noteSent(afterNanoseconds: delay, byItself: delay - min(delay, starvedUntil - min(starvedUntil, due)))
            send(plan, on: connection, now: now)
        }
    }

    private func drop(_ due: UInt64, start: UInt64, elapsed: UInt64) {
        var plan = RequestPlan(kind: .balance)
        place(&plan, at: due, start: start)
        counts.dropped += 1
        counts.noteUnanswered(plan, afterNanoseconds: elapsed - due, isMeasured: isMeasured(plan))
        schedule?.advance(&chance)
    }

    private func pumpClosed(_ start: UInt64) {
        // A failure that shows at once puts its connection aside, so this ends.
        while true {
            let now = Clock.monotonicNanoseconds
            guard now - start < end, let connection = free.next() else { return }
            var plan = maker.draw(&chance)
            place(&plan, at: now - start, start: start)
            counts.noteSent(afterNanoseconds: 0, byItself: 0)
            send(plan, on: connection, now: now)
        }
    }

    private func place(_ plan: inout RequestPlan, at due: UInt64, start: UInt64) {
        plan.intended = start + due
        plan.phase = table.index(at: due)
        plan.interval = counts.series.index(at: due)
        if table.isWarmUp[plan.phase] { counts.warmUps += 1 }
    }

    func isMeasured(_ plan: RequestPlan) -> Bool { !table.isWarmUp[plan.phase] }

    private func sendRetries() {
        guard retries.count > 0 else { return }
        let now = Clock.monotonicNanoseconds
        while let due = retries.next, due <= now, let connection = free.next() {
            guard let plan = retries.take() else { return }
            counts.retries += 1
            send(plan, on: connection, now: now)
        }
    }

    private func send(_ plan: RequestPlan, on connection: LoadConnection, now: UInt64) {
        busy += 1
        let failure = connection.send(plan, now: now, deadline: now + timeoutNanoseconds) { maker.write(plan, to: &$0) }
        if let failure { failed(connection, failure) }
    }

    // MARK: Time

    private func beat() {
        let now = Clock.monotonicNanoseconds
        if start == nil, now >= openingDeadline {
            // Those still being opened are not waited for: a request that falls on one waits with it.
            for connection in connections[..<opening] where connection.isOpening { free.add(connection) }
            begin()
        }
        openMore()
        while let first = resting.first, first.until <= now {
            resting.removeFirst()
            free.add(first.connection)
        }
        ticks += 1
        if ticks.isMultiple(of: Self.ticksPerSweep) { sweep(now) }
        pump()
        if isDone(now) { loop.stop() } else { tick?.arm(afterMilliseconds: Self.tickMilliseconds) }
    }

    private func sweep(_ now: UInt64) {
        for connection in connections { connection.sweep(now: now) }
        follower?.sweep(now)
        if board.isStopped { stopEarly(now) }
        publish(now)
    }

    private func stopEarly(_ now: UInt64) {
        counts.stoppedEarly = true
        retries.removeAll()
        follower?.close()
        if let start { end = min(end, now - start) } else { loop.stop() }
    }

    private func publish(_ now: UInt64) {
        guard let start else { return }
        if now > start {
            let used = Double(sluice_thread_cpu_microseconds() - cpuAtStart) * 1_000
            counts.busiestThreadShare = used / Double(now - start)
        }
        board.publish(thread, LoadBoard.Counts(counts, elapsed: now - start, waiting: busy), recent)
        recent.reset()
    }

    private func isDone(_ now: UInt64) -> Bool {
        guard let start, busy == 0, retries.count == 0 else { return false }
        let isAllSent = schedule.map { $0.next >= end } ?? true
        guard isAllSent, now - start >= end else { return false }
        publish(now)
        counts.elapsedNanoseconds = max(counts.elapsedNanoseconds, end)
        return follower?.isIdle ?? true
    }
}
