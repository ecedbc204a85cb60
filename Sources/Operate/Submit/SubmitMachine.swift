internal import Histogram
internal import Ledger

/// Decides what is sent when, what is repeated, and what is counted. Pure: time and chance are passed in.
struct SubmitMachine {
    /// The first pause before a repetition; it doubles up to the longest. Each is drawn between half of it and all of it.
    static let pauseMinMilliseconds: UInt64 = 100
    static let pauseMaxMilliseconds: UInt64 = 5_000
    /// Between two looks at a payment that is not decided, when the server did not make the first one wait.
    static let followPauseMilliseconds: UInt64 = 100

    /// What took longer counts as this long: an hour.
    private static let latencyNanosecondsMax: UInt64 = 3_600_000_000_000

    private static func histogram() -> Histogram<UInt64> {
        Histogram(highestTrackableValue: latencyNanosecondsMax, numberOfSignificantValueDigits: .two)
    }

    private(set) var report: SubmitReport
    /// Lines taken in and not finished.
    private(set) var unfinished = 0
    /// When something was last accepted or refused for good, monotonic milliseconds.
    private(set) var lastProgressMilliseconds: UInt64

    private let options: SubmitOptions
    private var order: AccountOrder
    private var ready = ItemQueue()
    /// Payments that are accepted and looked after: behind everything that is to be sent.
    private var following = ItemQueue()
    private var delayed: [SubmitItem] = []
    /// Nanoseconds.
    private var accept = Self.histogram()
    private var final = Self.histogram()

    init(_ options: SubmitOptions, external: Set<AccountID> = [], now: UInt64) {
        self.options = options
        order = AccountOrder(options.order, external: external)
        report = SubmitReport(file: options.path)
        if options.follows { report.outcomes = SubmitReport.Outcomes() }
        lastProgressMilliseconds = now
    }

    var wantsMore: Bool { unfinished < options.windowLinesMax }

    /// Told by the file's accounts, before the first payment is added.
    mutating func setExternal(_ accounts: Set<AccountID>) { order = AccountOrder(options.order, external: accounts) }

    mutating func addMalformed(line: Int, _ reason: String) {
        report.malformed += 1
        note(line, reason)
    }

    mutating func add(_ item: SubmitItem) {
        unfinished += 1
        count(item) { $0.lines += 1 }
        if order.enter(item) { ready.append(item) }
    }

    /// What is to be sent now; nil for nothing.
    ///
    /// - Parameter now: monotonic milliseconds.
    mutating func next(now: UInt64) -> SubmitItem? {
        while let item = ready.removeFirst() {
            guard item.step == .submit, item.firstSentMilliseconds == 0, order.isBroken(item) else { return begun(item, now) }
            count(item) { $0.notSent += 1 }
            finish(item, isKnown: false)
        }
        return following.removeFirst().map { begun($0, now) }
    }

    private func begun(_ item: SubmitItem, _ now: UInt64) -> SubmitItem {
        if item.firstSentMilliseconds == 0 { item.firstSentMilliseconds = max(now, 1) }
        return item
    }

    /// Brings back what has paused for long enough; called many times a second.
    mutating func tick(now: UInt64) {
        guard delayed.contains(where: { $0.dueMilliseconds <= now }) else { return }
        for item in delayed where item.dueMilliseconds <= now {
            if item.step == .submit { ready.append(item) } else { following.append(item) }
        }
        delayed.removeAll { $0.dueMilliseconds <= now }
    }

    /// - Parameters:
    ///   - elapsedNanoseconds: since the item's first request was sent.
    ///   - chance: 0 to 1.
    mutating func answered(_ item: SubmitItem, _ answer: SubmitAnswer, elapsedNanoseconds: UInt64, now: UInt64, chance: Double) {
        report.statuses["\(answer.status)", default: 0] += 1
        switch (item.step, answer.verdict) {
        case (_, .retry(let reason)):
            again(item, reason, afterSeconds: answer.retryAfterSeconds, now, chance)
        case (.submit, .refused(let code, let detail)):
            count(item) { $0.refused[code, default: 0] += 1 }
            note(item.line, "\(answer.status) \(code)" + (detail.isEmpty ? "" : ": \(detail)"))
            lastProgressMilliseconds = now
            finish(item, isKnown: true)
        case (.follow, .refused(let code, _)):
            undecided(item, "accepted, but its outcome cannot be read: \(answer.status) \(code)")
        case (.submit, .accepted(let id, let outcome)):
            lastProgressMilliseconds = now
            count(item) {
                $0.accepted += 1
                if answer.isReplayed { $0.replayed += 1 }
            }
            item.paymentID = id
            if !item.waitsForOutcome { accept.record(min(elapsedNanoseconds, Self.latencyNanosecondsMax)) }
            accepted(item, outcome, elapsedNanoseconds, now)
        case (.follow, .accepted(_, let outcome)):
            if outcome != nil { lastProgressMilliseconds = now }
            followed(item, outcome, elapsedNanoseconds, now)
        }
    }

    /// The connection was lost, or there was none, or no answer came.
    mutating func lost(_ item: SubmitItem, _ reason: String, now: UInt64, chance: Double) {
        again(item, reason, afterSeconds: nil, now, chance)
    }

    /// Ends everything that is unfinished.
    mutating func stop(_ reason: String) { report.stopped = reason }

    mutating func end(seconds: Double) -> SubmitReport {
        report.seconds = seconds
        report.acceptMilliseconds = SubmitReport.Latency(accept)
        report.finalMilliseconds = SubmitReport.Latency(final)
        report.problems.sort { $0.line < $1.line }
        // What was begun and never finished, after a stop.
        report.accounts.failed += Self.open(report.accounts)
        report.payments.failed += Self.open(report.payments)
        if let outcomes = report.outcomes {
            let known = outcomes.settled + outcomes.declined.values.reduce(0, +) + outcomes.quarantined
            report.outcomes?.undecided = report.payments.accepted - known
        }
        return report
    }

    private static func open(_ counts: SubmitReport.Counts) -> Int {
        counts.lines - counts.accepted - counts.refused.values.reduce(0, +) - counts.failed - counts.notSent
    }

    // MARK: Steps

    private mutating func accepted(_ item: SubmitItem, _ outcome: SubmitAnswer.Final?, _ elapsed: UInt64, _ now: UInt64) {
        guard options.follows, item.payment != nil else { return finish(item, isKnown: true) }
        // What comes after it may go now: its place in the log is taken.
        let waiting = order.release(item, isKnown: true)
        for item in waiting { ready.append(item) }
        item.step = .follow
        item.failures = 0
        item.firstSentMilliseconds = 0
        guard outcome == nil, !item.paymentID.isEmpty else { return followed(item, outcome, elapsed, now) }
        following.append(item)
    }

    private mutating func followed(_ item: SubmitItem, _ outcome: SubmitAnswer.Final?, _ elapsed: UInt64, _ now: UInt64) {
        switch outcome {
        case .settled: report.outcomes?.settled += 1
        case .declined(let reason): report.outcomes?.declined[reason, default: 0] += 1
        case .quarantined: report.outcomes?.quarantined += 1
        case nil:
            guard !item.paymentID.isEmpty, !isOverdue(item, now) else { return undecided(item, "accepted, and not decided in time") }
            return delay(item, until: now + Self.followPauseMilliseconds)
        }
        if item.waitsForOutcome { final.record(min(elapsed, Self.latencyNanosecondsMax)) }
        unfinished -= 1
    }

    private mutating func undecided(_ item: SubmitItem, _ reason: String) {
        note(item.line, reason)
        unfinished -= 1
    }

    private mutating func again(_ item: SubmitItem, _ reason: String, afterSeconds: Int?, _ now: UInt64, _ chance: Double) {
        guard !isOverdue(item, now) else {
            guard item.step == .submit else { return undecided(item, "accepted, but its outcome cannot be read: \(reason)") }
            note(item.line, "given up after \(options.waitSeconds) s: \(reason)")
            count(item) { $0.failed += 1 }
            return finish(item, isKnown: false)
        }
        report.retries += 1
        let pause = min(Self.pauseMaxMilliseconds, Self.pauseMinMilliseconds << UInt64(min(item.failures, 10)))
        item.failures += 1
        let drawn = pause / 2 + UInt64(chance * Double(pause / 2))
        delay(item, until: now + max(drawn, UInt64(max(0, min(afterSeconds ?? 0, 60))) * 1_000))
    }

    private func isOverdue(_ item: SubmitItem, _ now: UInt64) -> Bool {
        item.firstSentMilliseconds > 0 && now >= item.firstSentMilliseconds + UInt64(options.waitSeconds) * 1_000
    }

    private mutating func delay(_ item: SubmitItem, until due: UInt64) {
        item.dueMilliseconds = due
        delayed.append(item)
    }

    private mutating func finish(_ item: SubmitItem, isKnown: Bool) {
        unfinished -= 1
        let waiting = order.release(item, isKnown: isKnown)
        for item in waiting { ready.append(item) }
    }

    private mutating func count(_ item: SubmitItem, _ change: (inout SubmitReport.Counts) -> Void) {
        if item.payment == nil { change(&report.accounts) } else { change(&report.payments) }
    }

    private mutating func note(_ line: Int, _ problem: String) {
        guard report.problems.count < SubmitReport.problemsMax else { return }
        report.problems.append(SubmitReport.Problem(line: line, problem: problem))
    }
}

/// First in, first out.
struct ItemQueue {
    private var items: [SubmitItem] = []
    private var head = 0

    mutating func append(_ item: SubmitItem) { items.append(item) }

    mutating func removeFirst() -> SubmitItem? {
        guard head < items.count else { return nil }
        defer {
            head += 1
            if head == items.count || head >= 1_024 {
                items.removeFirst(head)
                head = 0
            }
        }
        return items[head]
    }
}
