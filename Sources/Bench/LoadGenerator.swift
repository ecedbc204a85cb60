internal import Loop
internal import Telemetry

/// One thread's share of a run: opens its connections, sends at the times of its schedule, counts the answers.
///
/// Made and used on its loop's thread.
final class LoadGenerator {
    /// Connects under way at once: more would overflow a server's backlog.
    private static let openingMax = 64
    private static let tickMilliseconds = 10
    /// A connection that failed is left alone so long: a server that is gone is not worth a busy loop.
    private static let restNanoseconds: UInt64 = 100_000_000

    private let loop: EventLoop
    private let options: LoadOptions
    private let timeoutNanoseconds: UInt64
    private let durationNanoseconds: UInt64
    private var chance: Chance
    private var maker: RequestMaker
    /// Nil for a closed loop.
    private var schedule: ArrivalSchedule?
    private var connections: [LoadConnection] = []
    /// Used in turn, so that an open loop spreads over all of them.
    private var free = ConnectionQueue()
    private var resting: [(connection: LoadConnection, until: UInt64)] = []
    /// How many connections were begun to be opened, and how many of them are open or have failed.
    private var opening = 0
    private var opened = 0
    private var openingDeadline: UInt64 = 0
    private var busy = 0
    /// Monotonic nanoseconds; nil while connections are opened.
    private var start: UInt64?
    private var pace: LoopTimer?
    private var tick: LoopTimer?
    private(set) var counts = LoadCounts()

    /// - Parameter thread: which of the run's threads this is, from 0.
    init(loop: EventLoop, options: LoadOptions, thread: Int, runID: String) {
        self.loop = loop
        self.options = options
        timeoutNanoseconds = UInt64(options.timeoutSeconds * 1e9)
        durationNanoseconds = UInt64(options.seconds * 1e9)
        chance = Chance(seed: options.seed &+ UInt64(thread) &* 0x1_0000_0001)
        maker = RequestMaker(options, keyPrefix: "bench-\(runID)-\(thread)-")
        if case .open(let perSecond, let arrivals) = options.pace {
            schedule = ArrivalSchedule(
                perSecond: perSecond / Double(options.threads), arrivals: arrivals, phase: Double(thread) / Double(options.threads),
                chance: &chance)
        }
        for index in stride(from: thread, to: options.connections, by: options.threads) {
            let address = options.target.addresses[index % options.target.addresses.count]
            connections.append(LoadConnection(loop: loop, address: address) { [unowned self] in note($1, of: $0) })
        }
    }

    /// Returns when the time is over and every request was answered or given up.
    func run() {
        let pace = LoopTimer(loop: loop) { [unowned self] in pump() }
        let tick = LoopTimer(loop: loop) { [unowned self] in sweep() }
        self.pace = pace
        self.tick = tick
        openingDeadline = Clock.monotonicNanoseconds + timeoutNanoseconds
        tick.arm(afterMilliseconds: 0)
        loop.run()
        for connection in connections { connection.close() }
        self.pace = nil
        self.tick = nil
    }

    // MARK: Opening

    private func openMore() {
        while start == nil, opening < connections.count, opening - opened < Self.openingMax {
            let connection = connections[opening]
            opening += 1
            if let failure = connection.open() { openingFailed(connection, failure) }
        }
        if opened == connections.count { begin() }
    }

    private func openingFailed(_ connection: LoadConnection, _ failure: LoadFailure) {
        counts.failures[failure, default: 0] += 1
        opened += 1
        rest(connection)
    }

    private func begin() {
        guard start == nil else { return }
        start = Clock.monotonicNanoseconds
        for connection in connections[opening...] { free.add(connection) }
        pump()
    }

    // MARK: Sending

    /// Sends what is due, as far as connections are free, and sets the timer for what comes next.
    private func pump() {
        guard let start else { return }
        guard schedule != nil else { return pumpClosed(start) }
        var elapsed = Clock.monotonicNanoseconds - start
        while let due = schedule?.next, due < durationNanoseconds {
            if due > elapsed { elapsed = Clock.monotonicNanoseconds - start }
            guard due <= elapsed else {
                // Rounded up: a timer that fires too early would be set again for nothing.
                pace?.arm(afterMicroseconds: Int((due - elapsed + 999) / 1_000))
                return
            }
            if elapsed - due >= timeoutNanoseconds {
                counts.noteDrop(afterNanoseconds: elapsed - due)
                schedule?.advance(&chance)
                continue
            }
            // The next answer comes back here.
            guard let connection = free.next() else { return }
            schedule?.advance(&chance)
            send(on: connection, intended: start + due)
        }
    }

    private func pumpClosed(_ start: UInt64) {
        // A failure that shows at once puts its connection aside, so this ends.
        while Clock.monotonicNanoseconds - start < durationNanoseconds, let connection = free.next() {
            send(on: connection, intended: Clock.monotonicNanoseconds)
        }
    }

    private func send(on connection: LoadConnection, intended: UInt64) {
        let now = Clock.monotonicNanoseconds
        busy += 1
        counts.noteSent(afterNanoseconds: now - intended)
        let failure = connection.send(intended: intended, deadline: now + timeoutNanoseconds) { maker.write(to: &$0, &chance) }
        if let failure { failed(connection, failure) }
    }

    // MARK: What comes back

    private func note(_ event: LoadConnection.Event, of connection: LoadConnection) {
        switch event {
        case .opened:
            // Past the deadline for opening it is among the free ones already.
            guard start == nil else { return }
            opened += 1
            free.add(connection)
            openMore()
        case .answered(let status):
            guard let request = connection.request else { return }
            let now = Clock.monotonicNanoseconds
            counts.noteAnswer(request.kind, status: status, afterNanoseconds: now - request.intended)
            if let start { counts.elapsedNanoseconds = now - start }
            release(connection)
            free.add(connection)
            pump()
        case .failed(let failure):
            if connection.request != nil {
                failed(connection, failure)
            } else if start == nil {
                openingFailed(connection, failure)
                openMore()
            }
        case .closedIdle: counts.closedIdle += 1
        }
    }

    private func failed(_ connection: LoadConnection, _ failure: LoadFailure) {
        guard let request = connection.request else { return }
        counts.noteFailure(failure, afterNanoseconds: Clock.monotonicNanoseconds - request.intended)
        release(connection)
        rest(connection)
    }

    private func release(_ connection: LoadConnection) {
        connection.finish()
        busy -= 1
    }

    private func rest(_ connection: LoadConnection) {
        resting.append((connection, Clock.monotonicNanoseconds + Self.restNanoseconds))
    }

    // MARK: Time

    private func sweep() {
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
        for connection in connections { connection.sweep(now: now) }
        pump()
        if isDone(now) { loop.stop() } else { tick?.arm(afterMilliseconds: Self.tickMilliseconds) }
    }

    private func isDone(_ now: UInt64) -> Bool {
        guard let start, busy == 0 else { return false }
        let isAllSent = schedule.map { $0.next >= durationNanoseconds } ?? true
        guard isAllSent, now - start >= durationNanoseconds else { return false }
        counts.elapsedNanoseconds = max(counts.elapsedNanoseconds, durationNanoseconds)
        return true
    }
}

/// Connections in the order in which they became free.
private struct ConnectionQueue {
    private var items: [LoadConnection] = []
    private var head = 0

    mutating func add(_ connection: LoadConnection) {
        // Only when half of it is used up, so that each connection is moved once at most.
        if head >= 64, head * 2 >= items.count {
            items.removeFirst(head)
            head = 0
        }
        items.append(connection)
    }

    mutating func next() -> LoadConnection? {
        guard head < items.count else { return nil }
        defer { head += 1 }
        return items[head]
    }
}
