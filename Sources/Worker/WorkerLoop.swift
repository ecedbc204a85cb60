internal import Kafka
internal import Ledger
internal import Loop
internal import Postgres
internal import Store
internal import Synchronization
internal import Telemetry
internal import Wire

/// A batch that was decided, and that PostgreSQL did not store as far as is known.
struct FailedBatch {
    let batch: Batch
    let decision: Decision
    let error: PostgresError
}

/// Carries out what `WorkerMachine` decides: one consumer, one database session, one publisher, on one loop.
final class WorkerLoop {
    let loop: EventLoop
    let options: WorkerOptions
    let status: WorkerStatus
    private let reader = RequestReader()
    var machine: WorkerMachine
    var book: Book
    /// Rises with every new book: what was asked for an earlier one is of no use.
    private(set) var bookNumber = 0
    /// Accounts of the next batch are on their way.
    var isLearningAhead = false
    /// Batches to come whose payments' ids are looked up before they are decided.
    var batchesToLookUp: Int
    private(set) var database: PostgresSession?
    private var consumer: Consumer?
    private(set) var publisher: Publisher
    private var retryTimer: LoopTimer?
    private var gatherTimer: LoopTimer?
    private var reclaimTimer: LoopTimer?
    private var holdTimer: LoopTimer?
    var failTimer: LoopTimer?
    var relay: EventRelay?
    var relayFailTimer: LoopTimer?
    private var noteTimer: LoopTimer?
    private var expiries: HoldExpiries?
    private var statusTimer: LoopTimer?
    private var jitter = SystemRandomNumberGenerator()
    /// When the batch under way was begun.
    var batchStart: UInt64 = 0
    /// The batch under way that failed, while the one that was sent behind it is not answered.
    var failedFirst: FailedBatch?
    /// A batch that takes longer is a reason not to be ready.
    private static let batchSlowNanoseconds: UInt64 = 2_000_000_000
    private var isPaused = false
    private(set) var isRevoking = false
    private(set) var isStopping = false
    private var unassignedReason: String? = "no partitions are assigned yet"
    private var logProblem: String?

    init(loop: EventLoop, options: WorkerOptions, status: WorkerStatus) throws(KafkaError) {
        self.loop = loop
        self.options = options
        self.status = status
        machine = WorkerMachine(limits: options.limits)
        book = Book(recentIDsMax: options.limits.recentIDsMax)
        batchesToLookUp = options.limits.lookedUpBatches
        var onPublished: ([Int32: Int64]) -> Void = { _ in }
        publisher = Publisher(loop: loop, configuration: options.redis, limits: options.limits) { onPublished($0) }
        onPublished = { [unowned self] reach in machine.published(reach) }
        database = PostgresSession(loop: loop, configuration: options.database) { [unowned self] state in
            guard state == .ready else { return }
            machine.connected()
            pump()
        }
        retryTimer = LoopTimer(loop: loop) { [unowned self] in
            machine.waited()
            finishRevocationIfDue()
            pump()
        }
        gatherTimer = LoopTimer(loop: loop) { [unowned self] in
            machine.isGathering = false
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
        if machine.partitions.isEmpty { forgetBook() }
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
        forgetBook()
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
        // While accounts are on their way a batch may follow that needs none of them; what asks by itself waits for them.
        while !isLearningAhead || machine.phase == .processing, !isRevoking, !isStopping || machine.phase != .idle {
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
                Log.info(
                    "partition taken over", .integer("partition", partition), .integer("offset", offset),
                    .integer("line", machine.partitions[partition]?.grant.line ?? 0))
                consumer?.start(partition: partition, offset: offset)
                if isPaused { consumer?.pause(partition: partition) }
            case .stopped(let partition, let reason):
                Log.error("partition stopped", .integer("partition", partition), .text("reason", reason))
                consumer?.end(partition: partition)
                if !machine.fenced.isEmpty { reclaimTimer?.arm(afterMilliseconds: options.reclaimMilliseconds) }
            case .lost(let partition):
                relay?.forget(partition: partition)
                publisher.forget(partition: partition)
            case .emptyCache(let reach): publisher.emptyCache(settling: reach)
            }
        }
    }

    private func perform(_ action: WorkerMachine.Action) {
        switch action {
        case .acquire(let partitions):
            // What is taken over anew may have had another owner meanwhile; no batch is under way that was decided by what is forgotten.
            forgetBook()
            ask([PartitionQueries.acquire(partitions, owner: options.name, logIncarnation: machine.logIncarnation)]) {
                [unowned self] rows in
                let grants = PartitionQueries.grants(rows[0]).map(\.redelivered)
                for grant in grants { book.line = max(book.line, grant.line) }
                machine.granted(grants)
            }
        case .check(let partitions):
            forgetBook()
            ask([PartitionQueries.places(partitions)]) { [unowned self] rows in
                machine.placed(PartitionQueries.places(rows[0]))
            }
        case .process:
            gather()
            process()
        case .follow:
            gather()
            follow()
        case .republish: republish()
        case .wait(let milliseconds): retryTimer?.arm(afterMilliseconds: milliseconds)
        }
    }

    /// From the beginning of a batch on, records gather for the next one.
    private func gather() {
        guard options.limits.batchGatherMilliseconds > 0 else { return }
        machine.isGathering = true
        gatherTimer?.arm(afterMilliseconds: options.limits.batchGatherMilliseconds)
    }

    /// What was known may be wrong, or be another's now.
    private func forgetBook() {
        book = Book(recentIDsMax: SafetyCatch.ids.isOff ? 0 : options.limits.recentIDsMax, line: book.line)
        batchesToLookUp = options.limits.lookedUpBatches
        bookNumber += 1
    }

    /// Runs queries; a failure goes to the machine, an answer to the handler, and then the next thing is done.
    func ask(_ queries: [Query], answered: @escaping ([Rows]) -> Void) {
        let isSent = execute(queries) { [unowned self] result in
            switch result {
            case .success(let rows): answered(rows)
            case .failure(let error): failed(error)
            }
        }
        if !isSent { failed(.notReady) }
    }

    /// Runs queries, and does the next thing once they are answered. False when they could not be sent.
    func execute(_ queries: [Query], answered: @escaping (Result<[Rows], PostgresError>) -> Void) -> Bool {
        database?.execute(queries) { [unowned self] result in
            answered(result)
            finishRevocationIfDue()
            pump()
        } ?? false
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
        // Without a connection there is a reason at once, also while nothing is asked.
        if let problem = database?.lastFailure?.description ?? machine.databaseProblem { problems.append("database: \(problem)") }
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
            accountsKnown: book.accountsKnown, owedAccounts: publisher.owedAccounts, refusedLeases: publisher.refusedLeases.count,
            unrelayedEvents: relay?.unrelayedEvents ?? 0, lagRecords: lag)
        status.snapshot.withLock { $0 = snapshot }
    }
}

extension PartitionGrant {
    /// As it is; or, where a test asks for the fault, as if the log handed over again what was decided last.
    fileprivate var redelivered: PartitionGrant {
        guard SafetyCatch.redelivery.isOff else { return self }
        let first = max(0, nextOffset - 16)
        return PartitionGrant(
            partition: partition, nextOffset: first, publishedOffset: min(publishedOffset, first), relayedOffset: min(relayedOffset, first),
            epoch: epoch, logIncarnation: logIncarnation, lastDecidedAt: lastDecidedAt, line: line)
    }
}
