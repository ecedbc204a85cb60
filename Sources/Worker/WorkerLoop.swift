internal import Kafka
internal import Ledger
internal import Loop
internal import Postgres
internal import Store
internal import Synchronization
internal import Telemetry
internal import Wire

/// Carries out what `WorkerMachine` decides: one consumer, one database session, one publisher, on one loop.
final class WorkerLoop {
    let loop: EventLoop
    let options: WorkerOptions
    private let status: WorkerStatus
    private let reader = RequestReader()
    var machine: WorkerMachine
    private var book = Book()
    private(set) var database: PostgresSession?
    private var consumer: Consumer?
    private(set) var publisher: Publisher
    private var retryTimer: LoopTimer?
    private var reclaimTimer: LoopTimer?
    private var holdTimer: LoopTimer?
    private var failTimer: LoopTimer?
    var relay: EventRelay?
    var relayFailTimer: LoopTimer?
    private var noteTimer: LoopTimer?
    private var expiries: HoldExpiries?
    private var statusTimer: LoopTimer?
    private var jitter = SystemRandomNumberGenerator()
    /// When the batch under way was begun.
    private var batchStart: UInt64 = 0
    /// A batch that takes longer is a reason not to be ready.
    private static let batchSlowNanoseconds: UInt64 = 2_000_000_000
    private var isPaused = false
    private var isRevoking = false
    private var isStopping = false
    private var unassignedReason: String? = "no partitions are assigned yet"
    private var logProblem: String?

    init(loop: EventLoop, options: WorkerOptions, status: WorkerStatus) throws(KafkaError) {
        self.loop = loop
        self.options = options
        self.status = status
        machine = WorkerMachine(limits: options.limits)
        var onPublished: ([Int32: Int64]) -> Void = { _ in }
        publisher = Publisher(loop: loop, configuration: options.redis, limits: options.limits) { onPublished($0) }
        onPublished = { [unowned self] reach in machine.published(reach) }
        database = PostgresSession(loop: loop, configuration: options.database) { [unowned self] state in
            if state == .ready { pump() }
        }
        retryTimer = LoopTimer(loop: loop) { [unowned self] in
            machine.waited()
            finishRevocationIfDue()
            pump()
        }
        reclaimTimer = LoopTimer(loop: loop) { [unowned self] in
            machine.reclaimFenced()
            pump()
        }
        statusTimer = LoopTimer(loop: loop) { [unowned self] in
            report()
            publisher.renewLeases(machine.publishedPartitions)
            statusTimer?.arm(afterMilliseconds: CacheLifetime.leaseRenewalMilliseconds)
        }
        statusTimer?.arm(afterMilliseconds: 0)
        expiries = try HoldExpiries(loop: loop, kafka: options.kafka)
        holdTimer = LoopTimer(loop: loop) { [unowned self] in
            expireHolds()
            holdTimer?.arm(afterMilliseconds: options.limits.holdSweepMilliseconds)
        }
        holdTimer?.arm(afterMilliseconds: options.limits.holdSweepMilliseconds)
        relay = try EventRelay(loop: loop, kafka: options.kafka, limits: options.limits) { [unowned self] reach in relayed(reach) }
        noteTimer = LoopTimer(loop: loop) { [unowned self] in
            note()
            noteTimer?.arm(afterMilliseconds: options.limits.noteMilliseconds)
        }
        noteTimer?.arm(afterMilliseconds: options.limits.noteMilliseconds)
        let configuration = ConsumerConfiguration(
            base: options.kafka, group: Topic.workerGroup, instanceID: options.name, topic: Topic.commands,
            sessionTimeoutMilliseconds: options.sessionTimeoutMilliseconds)
        consumer = try Consumer(
            loop: loop, configuration: configuration,
            onAssigned: { [unowned self] partitions in assigned(partitions) },
            onRevoked: { [unowned self] partitions, _ in revoked(partitions) },
            onRecords: { [unowned self] batch in received(batch) },
            onError: { [unowned self] partition, error in consumerFailed(partition, error) })
    }

    /// Finishes the batch under way, gives the partitions back and stops the loop.
    func stop() {
        guard !isStopping else { return }
        isStopping = true
        Log.info("stopping")
        holdTimer?.cancel()
        consumer?.close { [unowned self] in
            noteTimer?.cancel()
            publisher.close()
            database?.close()
            guard let expiries, let relay else { return loop.stop() }
            relay.close { expiries.close { [unowned self] in loop.stop() } }
        }
    }

    // MARK: The log

    private func assigned(_ partitions: [Int32]) {
        guard let incarnation = consumer?.clusterID else {
            // Without it nobody can tell one log from another. The broker has answered, so it has none to give.
            unassignedReason = "the Kafka cluster has no id: offsets could not be told from those of another log"
            Log.error("the Kafka cluster has no id")
            return
        }
        unassignedReason = nil
        // What was known of the accounts may have been changed by another owner meanwhile.
        if machine.partitions.isEmpty { book = Book() }
        Log.info("partitions assigned", .text("partitions", "\(partitions)"), .text("log", incarnation))
        machine.assigned(partitions, logIncarnation: incarnation)
        pump()
    }

    private func revoked(_ partitions: [Int32]) {
        Log.info("partitions revoked", .text("partitions", "\(partitions)"))
        machine.revoked(partitions)
        isRevoking = true
        unassignedReason = "no partitions are assigned"
        finishRevocationIfDue()
    }

    func finishRevocationIfDue() {
        guard isRevoking, machine.mayFinishRevocation else { return }
        isRevoking = false
        book = Book()
        consumer?.finishRevocation()
    }

    private func received(_ batch: borrowing RecordBatch) {
        FailPoint.fetched.hit()
        for index in 0..<batch.count { machine.received(LogRecord(batch[index], reader: reader)) }
        if machine.queuedRecords > options.limits.queuedRecordsMax, !isPaused {
            isPaused = true
            for partition in machine.partitions.keys { consumer?.pause(partition: partition) }
        }
        pump()
    }

    private func consumerFailed(_ partition: Int32?, _ error: KafkaError) {
        Log.warning("kafka", .text("error", error.description), .integer("partition", partition ?? -1))
        if let partition, error.isOffsetOutOfRange {
            machine.unreadable(
                partition,
                "the log does not reach back (or not as far) to the stored offset: \(error.description). This log may be another one than was applied"
            )
            pump()
        } else if error.isFatal {
            logProblem = "the consumer is fenced or broken: \(error.description)"
        }
    }

    // MARK: The machine

    func pump() {
        carryOutNotices()
        while !isStopping || machine.phase != .idle {
            guard let action = machine.next() else { break }
            perform(action)
            carryOutNotices()
        }
        if isPaused, machine.queuedRecords <= options.limits.queuedRecordsResume {
            isPaused = false
            for (number, partition) in machine.partitions where partition.stopReason == nil { consumer?.resume(partition: number) }
        }
    }

    private func carryOutNotices() {
        for notice in machine.takeNotices() {
            switch notice {
            case .start(let partition, let offset):
                Log.info("partition taken over", .integer("partition", partition), .integer("offset", offset))
                consumer?.start(partition: partition, offset: offset)
                if isPaused { consumer?.pause(partition: partition) }
            case .stopped(let partition, let reason):
                Log.error("partition stopped", .integer("partition", partition), .text("reason", reason))
                consumer?.end(partition: partition)
                if !machine.fenced.isEmpty { reclaimTimer?.arm(afterMilliseconds: options.reclaimMilliseconds) }
            case .lost(let partition):
                relay?.forget(partition: partition)
                publisher.forget(partition: partition)
            case .emptyCache: publisher.emptyCache()
            }
        }
    }

    private func perform(_ action: WorkerMachine.Action) {
        switch action {
        case .acquire(let partitions):
            ask([PartitionQueries.acquire(partitions, owner: options.name, logIncarnation: machine.logIncarnation)]) {
                [unowned self] rows in
                machine.granted(PartitionQueries.grants(rows[0]))
            }
        case .check(let partitions):
            book = Book()
            ask([PartitionQueries.places(partitions)]) { [unowned self] rows in
                machine.placed(PartitionQueries.places(rows[0]))
            }
        case .process: process()
        case .republish: republish()
        case .wait(let milliseconds): retryTimer?.arm(afterMilliseconds: milliseconds)
        }
    }

    /// Runs queries; a failure goes to the machine, an answer to the handler, and then the next thing is done.
    private func ask(_ queries: [Query], _ answered: @escaping ([Rows]) -> Void) {
        let isSent =
            database?.execute(queries) { [unowned self] result in
                switch result {
                case .success(let rows): answered(rows)
                case .failure(let error): failed(error)
                }
                finishRevocationIfDue()
                pump()
            } ?? false
        if !isSent { failed(.notReady) }
    }

    func failed(_ error: PostgresError) {
        if error != .notReady { Log.warning("database", .text("error", error.description)) }
        status.batchFailures.add()
        let reason = database?.lastFailure?.description ?? error.description
        let action = machine.failed(
            error == .notReady ? reason : error.description, dataRefused: error.recovery == .dataRefused,
            jitter: Double.random(in: 0...1, using: &jitter))
        perform(action)
    }

    // MARK: A batch

    private func process() {
        guard let batch = machine.batch else { return }
        let start = loop.nowNanoseconds
        batchStart = start
        let questions = Questions(batch, knownTo: book)
        var queries: [Query] = []
        if !questions.ids.isEmpty { queries.append(LearnQueries.priorDecisions(of: questions.ids)) }
        if !questions.accounts.isEmpty { queries.append(LearnQueries.accounts(questions.accounts)) }
        if questions.numbers > 0 { queries.append(LearnQueries.accountNumbers(questions.numbers)) }
        if !questions.payments.isEmpty {
            queries.append(LearnQueries.payments(questions.payments))
            queries.append(LearnQueries.accounts(ofPayments: questions.payments))
        }
        guard !queries.isEmpty else { return decide(batch, questions, Answers(), start) }
        ask(queries) { [unowned self] rows in
            var answers = Answers()
            var rows = rows.makeIterator()
            if !questions.ids.isEmpty, let found = rows.next() { answers.priorDecisions = LearnQueries.priorDecisions(found) }
            if !questions.accounts.isEmpty, let found = rows.next() {
                answers.accounts = (0..<found.count).map { AccountColumns.account(found, $0) }
            }
            if questions.numbers > 0, let found = rows.next() { answers.numbers = (0..<found.count).map { found.int64($0, 0) } }
            if !questions.payments.isEmpty, let payments = rows.next(), let accounts = rows.next() {
                answers.payments = (0..<payments.count).map { PaymentColumns.payment(payments, $0) }
                answers.accounts += (0..<accounts.count).map { AccountColumns.account(accounts, $0) }
            }
            FailPoint.learned.hit()
            // The partitions may have been revoked meanwhile: what is not decided is not lost, its next owner reads it.
            guard machine.phase == .processing, !isRevoking else { return machine.abandoned() }
            decide(batch, questions, answers, start)
        }
    }

    private func decide(_ batch: Batch, _ questions: Questions, _ answers: Answers, _ start: UInt64) {
        let clock = Timestamp(microseconds: Clock.wallMicroseconds)
        var decision = Decision.decide(
            batch, with: &book, answers: answers, questions: questions, clock: clock,
            lastDecidedAt: { [machine] in machine.partitions[$0]?.lastDecidedAt ?? clock }, logIncarnation: machine.logIncarnation)
        decision.stored.advances = machine.advances(decidedAt: clock)
        let decided = decision
        FailPoint.decided.hit()
        failTimer = FailPoint.sent.afterTurn(loop)
        ask(decided.stored.queries) { [unowned self] _ in stored(batch, decided, start) }
    }

    private func stored(_ batch: Batch, _ decision: Decision, _ start: UInt64) {
        FailPoint.committed.hit()
        book.commit()
        book.shrink(to: options.limits.accountsKnownMax)
        machine.stored(decision.stored.advances)
        count(decision, start)
        let changed = decision.stored.effects.opened + decision.stored.effects.changed.map(\.account)
        publisher.publish(
            accounts: changed, tellings: decision.tellings,
            payments: decision.stored.effects.payments.map(\.payment) + decision.stored.effects.changedPayments.map(\.payment),
            deadLetters: decision.deadLetters, reach: batch.reach)
        FailPoint.published.hit()
        relay(decision.events, reach: batch.reach)
        relayFailTimer = FailPoint.relayed.afterTurn(loop)
        retell(decision.retellings)
    }

    /// Tells the outcomes of commands that had been decided before. Best effort: who is not told reads at its deadline.
    private func retell(_ retellings: [(id: OperationID, replyTo: String?)]) {
        let waiting = retellings.filter { $0.replyTo != nil }
        guard !waiting.isEmpty else { return }
        // One command may have come several times, each time from another gateway's thread: each is told.
        let ids = Set(waiting.map(\.id))
        recall(Array(ids)) { [unowned self] recalled in
            guard let recalled else { return }
            let outcomes = Dictionary(recalled.outcomes.map { ($0.id, $0) }, uniquingKeysWith: { first, _ in first })
            let tellings = waiting.compactMap { waiter in outcomes[waiter.id].map { $0.telling(to: waiter.replyTo) } }
            publisher.publish(accounts: [], tellings: tellings, payments: [], deadLetters: [], reach: [:])
        }
    }

    private func count(_ decision: Decision, _ start: UInt64) {
        status.batches.add()
        status.batchDuration.record(microseconds: (loop.nowNanoseconds - start) / 1_000)
        status.settled.add(UInt64(decision.settledCount))
        status.declined.add(UInt64(decision.declinedCount))
        status.accountsOpened.add(UInt64(decision.stored.effects.opened.count))
        status.repeated.add(UInt64(decision.retellings.count))
        status.conflicts.add(UInt64(decision.stored.conflicts.count))
        status.deadLetters.add(UInt64(decision.stored.deadLetters.count))
        let now = Clock.wallMicroseconds
        status.changes.add(UInt64(decision.changedCount))
        for payment in decision.stored.effects.payments.map(\.payment) {
            status.settleDuration.record(microseconds: UInt64(max(0, now - payment.acceptedAt.microseconds)))
        }
    }

    // MARK: Holds

    /// Puts an end to holds that ran out into the log, where it is decided like any other command.
    private func expireHolds() {
        guard !isStopping, !isRevoking, let database, let expiries, expiries.mayAsk else { return }
        let partitions = machine.partitions.filter { $0.value.stopReason == nil }.map(\.key)
        guard !partitions.isEmpty else { return }
        let now = Timestamp(microseconds: Clock.wallMicroseconds)
        _ = database.execute([LearnQueries.dueHolds(partitions, at: now, limit: options.limits.holdsPerSweepMax)]) {
            [unowned self] result in
            guard case .success(let rows) = result else { return }
            for hold in LearnQueries.dueHolds(rows[0]) where machine.partitions[hold.partition] != nil { expiries.end(hold, at: now) }
        }
    }

    // MARK: Status

    private func report() {
        var problems: [String] = []
        if let unassignedReason { problems.append(unassignedReason) }
        if let logProblem { problems.append(logProblem) }
        if let problem = machine.databaseProblem { problems.append("database: \(problem)") }
        if machine.phase == .processing, loop.nowNanoseconds - batchStart > Self.batchSlowNanoseconds {
            problems.append("a batch is not stored yet: does the database answer, and its synchronous standby?")
        }
        for (number, reason) in machine.stopReasons.sorted(by: { $0.key < $1.key }) {
            problems.append("partition \(number) is stopped: \(reason)")
        }
        if machine.isHeldBack { problems.append("\(Topic.events) does not take events: nothing is decided until it does") }
        if problems.isEmpty, !machine.isEverythingRunning { problems.append("partitions are being taken over") }
        if isStopping { problems.append("stopping") }
        var lag: Int64 = 0
        for (number, partition) in machine.partitions {
            if let marks = consumer?.watermarks(partition: number) { lag += max(0, marks.high - partition.next) }
        }
        let snapshot = WorkerStatus.Snapshot(
            problems: problems, partitions: machine.partitions.count, queuedRecords: machine.queuedRecords,
            accountsKnown: book.accountsKnown, owedAccounts: publisher.owedAccounts,
            unrelayedEvents: relay?.unrelayedEvents ?? 0, lagRecords: lag)
        status.snapshot.withLock { $0 = snapshot }
    }
}
