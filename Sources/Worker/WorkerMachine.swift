internal import Ledger
internal import Store

/// Decides what the worker does next: which partitions to take, which records form a batch, what a failure means.
///
/// Pure: events in, one action out at a time, no clock and no I/O. One thing is under way with the database at any time
/// (`Phase`), so that whatever happens to it there is one place to say what follows. Only behind a batch that was sent another one may
/// be sent (`WorkerMachine+Following`).
struct WorkerMachine {
    let limits: WorkerLimits
    /// The log that is being read; set by the first assignment.
    private(set) var logIncarnation = ""
    private(set) var phase = Phase.idle
    var partitions: [Int32: Partition] = [:]
    /// Partitions that were assigned and that the database knows nothing of.
    private var withoutRow: Set<Int32> = []
    var notices: [Notice] = []
    /// The batch that is under way; nil unless processing, republishing, checking or waiting to check.
    private(set) var batch: Batch?
    /// The batch that was sent behind the one under way, which is not stored yet; nil unless processing.
    var following: Batch?
    /// Whether another batch may be sent behind the one under way: that one was sent.
    var mayFollow = false
    /// How far the batches that were sent and are not stored move their partitions.
    var sent: [Int32: OffsetAdvance] = [:]
    private(set) var toAcquire: [Int32] = []
    /// The connection is a new one, perhaps to a server that was promoted meanwhile: where the partitions stand is asked first.
    private var isCheckDue = false
    var queue: [LogRecord] = []
    var head = 0
    /// Records of the queue below it were looked at for what they need.
    var looked = 0
    private(set) var batchLimit: Int
    private(set) var failures = 0
    /// Why the database cannot be used now, for readiness; nil when it can.
    private(set) var databaseProblem: String?
    /// No batch is formed while it is set: what was decided is to be told first.
    var isHeldBack = false
    /// A batch was begun a moment ago: while it is set the next one is not formed of fewer records than the limits say.
    var isGathering = false

    init(limits: WorkerLimits) {
        self.limits = limits
        batchLimit = limits.batchRecordsMax
    }

    var queuedRecords: Int { queue.count - head }
    /// Partitions that were assigned and are not running: acquiring, or stopped for a reason.
    var isEverythingRunning: Bool { toAcquire.isEmpty && stopReasons.isEmpty && !isAcquiring }
    /// Why partitions that were assigned stand still.
    var stopReasons: [Int32: String] {
        var reasons = partitions.compactMapValues(\.stopReason)
        for number in withoutRow { reasons[number] = Self.noRowReason }
        return reasons
    }
    private static let noRowReason = "it has no row in sluice.kafka_offset: run `sluice migrate`, then start the worker anew"
    private var isAcquiring: Bool {
        switch phase {
        case .acquiring, .waiting(.acquire): true
        default: false
        }
    }

    mutating func takeNotices() -> [Notice] {
        defer { notices.removeAll() }
        return notices
    }

    // MARK: Events

    mutating func assigned(_ assigned: [Int32], logIncarnation: String) {
        self.logIncarnation = logIncarnation
        acquireLater(assigned)
    }

    /// There is a new connection to the database.
    mutating func connected() { isCheckDue = !partitions.isEmpty }

    mutating func acquireLater(_ assigned: [Int32]) {
        toAcquire.append(contentsOf: assigned.filter { !toAcquire.contains($0) })
    }

    /// The partitions are another's from now on. What is queued for them is dropped: its next owner reads it again.
    /// - Returns: true when nothing of theirs is under way; else `isRevocationDone` turns true later.
    mutating func revoked(_ revoked: [Int32]) {
        let gone = Set(revoked)
        toAcquire.removeAll { gone.contains($0) }
        for partition in gone {
            partitions[partition] = nil
            sent[partition] = nil
        }
        withoutRow.subtract(gone)
        queue = queue[head...].filter { !gone.contains($0.position.partition) }
        (head, looked) = (0, 0)
        switch phase {
        case .waiting(let resume):
            batch?.records.removeAll { gone.contains($0.position.partition) }
            phase = .waiting(resume: resume.without(gone))
        case .checking(let checked): phase = .checking(checked.filter { !gone.contains($0) })
        case .checkDue(let checked): phase = .checkDue(checked.filter { !gone.contains($0) })
        case .acquiring(let acquired): phase = .acquiring(acquired.filter { !gone.contains($0) })
        case .idle, .processing, .republishing: break
        }
    }

    /// False while a transaction that touches revoked partitions may still commit: a batch, or a take-over that would end the
    /// epoch of the next owner.
    var mayFinishRevocation: Bool {
        switch phase {
        case .processing, .acquiring: false
        case .idle, .republishing, .checking, .checkDue, .waiting: true
        }
    }

    /// A record was read. Records of partitions that are not running, or that were seen already, are dropped.
    ///
    /// A gap stops the partition: the topic is neither compacted nor written in transactions, so each offset is a command that
    /// somebody was told is accepted. Moving on would lose it without a trace in the ledger.
    mutating func received(_ record: LogRecord) {
        let number = record.position.partition
        let offset = record.position.offset
        guard let partition = partitions[number], partition.stopReason == nil, offset >= partition.read else { return }
        guard offset == partition.read else {
            stop(
                number,
                "offset \(partition.read) was expected and the log handed over \(offset): commands between them are missing. Is the topic compacted, "
                    + "cut, or written in transactions?")
            return
        }
        partitions[number]?.read = offset + 1
        queue.append(record)
    }

    mutating func granted(_ grants: [PartitionGrant]) {
        guard case .acquiring(let wanted) = phase else { return }
        phase = .idle
        succeeded()
        for number in wanted {
            guard let grant = grants.first(where: { $0.partition == number }) else {
                withoutRow.insert(number)
                notices.append(.stopped(partition: number, reason: Self.noRowReason))
                continue
            }
            start(grant)
        }
    }

    private mutating func start(_ grant: PartitionGrant) {
        let number = grant.partition
        var partition = Partition(
            grant: grant, next: grant.nextOffset, read: grant.nextOffset, published: grant.publishedOffset,
            relayed: grant.relayedOffset, lastDecidedAt: grant.lastDecidedAt)
        defer { partitions[number] = partition }
        guard grant.logIncarnation == logIncarnation else {
            let reason =
                "its offsets count in log \(grant.logIncarnation), and this is log \(logIncarnation): connect to the right cluster, or adopt "
                + "the new log with `sluice migrate --adopt-log` after a drained audit"
            partition.stopReason = reason
            notices.append(.stopped(partition: number, reason: reason))
            return
        }
        var first = grant.publishedOffset
        if grant.nextOffset - grant.publishedOffset > limits.republishedRecordsMax {
            // The debt stands until Redis was emptied: an owner that dies before that leaves it to the next one.
            first = grant.nextOffset
            notices.append(.emptyCache(settling: [number: first]))
        }
        // Events cannot be done without: they are written again however many they are.
        first = min(first, grant.relayedOffset)
        partition.read = first
        notices.append(.start(partition: number, offset: first))
    }

    /// The batch is stored; its partitions are at its end. What follows it is the batch under way from now on.
    mutating func stored(_ advances: [OffsetAdvance]) {
        guard phase == .processing else { return }
        batch = following
        following = nil
        mayFollow = batch != nil
        if batch == nil {
            phase = .idle
            sent.removeAll(keepingCapacity: true)
        }
        succeeded()
        for advance in advances where partitions[advance.partition]?.grant.epoch == advance.epoch {
            partitions[advance.partition]?.next = advance.nextOffset
            partitions[advance.partition]?.lastDecidedAt = advance.lastDecidedAt
        }
        batchLimit = min(limits.batchRecordsMax, batchLimit * 2)
    }

    /// The batch is decided anew, or, where its partitions were revoked, dropped: nothing of it was stored.
    mutating func abandoned() {
        guard phase == .processing else { return }
        phase = .idle
        requeueBatch()
    }

    mutating func republished() {
        guard phase == .republishing else { return }
        phase = .idle
        batch = nil
        succeeded()
    }

    /// Everything below these offsets is in Redis and told.
    mutating func published(_ reach: [Int32: Int64]) {
        for (number, offset) in reach {
            guard let published = partitions[number]?.published else { continue }
            partitions[number]?.published = max(published, offset)
        }
    }

    /// The batch, or the question about it, failed.
    /// - Precondition: no batch follows it: whatever was sent behind it is answered, and withdrawn.
    /// - Parameters:
    ///   - dataRefused: SQLSTATE class 22 or 23: these values will never be accepted.
    ///   - jitter: 0 to 1.
    mutating func failed(_ reason: String, dataRefused: Bool, jitter: Double) -> Action {
        precondition(following == nil, "a batch failed while another one is under way behind it")
        databaseProblem = reason
        switch phase {
        case .processing where dataRefused: return refused(reason, jitter)
        case .processing: return wait(then: .check(batch.map { $0.reach.keys.sorted() } ?? []), jitter)
        case .republishing:
            requeueBatch()
            return wait(then: .next, jitter)
        case .acquiring(let partitions): return wait(then: .acquire(partitions), jitter)
        case .checking(let partitions): return wait(then: .check(partitions), jitter)
        case .idle, .checkDue, .waiting: return wait(then: .next, jitter)
        }
    }

    /// Data refused: halve the batch until the record that is to blame stands alone, and make that a dead letter.
    private mutating func refused(_ reason: String, _ jitter: Double) -> Action {
        guard var refused = batch else { return wait(then: .next, jitter) }
        let partitions = refused.reach.keys.sorted()
        if refused.records.count == 1 {
            let position = refused.records[0].position
            switch refused.records[0].content {
            case .command(let command):
                refused.records[0].content = .unreadable(.init(command: command, reason: "the ledger refused it: \(reason)"))
                // It was counted as a good one, with the batch it came in.
                self.partitions[position.partition]?.poison.noteRefused()
                stopIfPoisoned(position)
            case .unreadable(let letter) where !letter.isBare: refused.records[0].content = .unreadable(letter.bare)
            // Nothing of it is left that could be refused: it is not the data.
            case .unreadable, .unknownVersion: return wait(then: .check(partitions), jitter)
            }
            batch = refused
        }
        batchLimit = max(1, refused.records.count / 2)
        // What the book knows may be wrong now; where the partitions stand is not in doubt, but asking is cheap and one way.
        phase = .checking(partitions)
        return .check(partitions)
    }

    private mutating func wait(then resume: Resume, _ jitter: Double) -> Action {
        failures += 1
        let doublings = min(failures - 1, 16)
        let milliseconds = min(limits.backoffLastMilliseconds, limits.backoffFirstMilliseconds << doublings)
        phase = .waiting(resume: resume)
        return .wait(milliseconds: milliseconds / 2 + Int(Double(milliseconds / 2) * jitter))
    }

    private mutating func succeeded() {
        failures = 0
        databaseProblem = nil
    }

    /// Where partitions stand. What was not applied is done again; what was applied after all (the connection broke at the commit) is
    /// read again and told; a partition with another's epoch is dropped; one whose ledger goes on in a new line is taken over again.
    mutating func placed(_ places: [PartitionPlace]) {
        guard case .checking(let asked) = phase else { return }
        for number in asked {
            guard let partition = partitions[number] else { continue }
            guard let place = places.first(where: { $0.partition == number }), place.epoch <= partition.grant.epoch else {
                stop(number, "another worker has taken it over")
                partitions[number]?.isFenced = true
                continue
            }
            // An epoch before mine: the take-over itself is lost.
            guard place.epoch == partition.grant.epoch, place.nextOffset >= partition.next else {
                wentBack(number, from: partition.next, to: place.nextOffset)
                continue
            }
            if place.nextOffset > partition.next {
                partitions[number]?.foundStored = place.nextOffset
                partitions[number]?.lastDecidedAt = max(partition.lastDecidedAt, sent[number]?.lastDecidedAt ?? partition.lastDecidedAt)
            }
            partitions[number]?.next = place.nextOffset
            if place.line > partition.grant.line { wasPromoted(number, from: partition.grant.line, to: place.line) }
        }
        requeueBatch()
        // A batch that is to be done again is not done: a commit that waits for its standby is asked about with success for hours.
        if queuedRecords == 0 { succeeded() }
        phase = .idle
    }

    /// The log cannot be read on from where the partition stands: its offset is outside of it, or the topic is gone.
    mutating func unreadable(_ number: Int32, _ reason: String) {
        guard let partition = partitions[number], partition.stopReason == nil else { return }
        stop(number, reason)
    }

    mutating func waited() {
        guard case .waiting(let resume) = phase else { return }
        phase = .idle
        switch resume {
        case .acquire(let partitions): acquireLater(partitions)
        case .check(let partitions): phase = .checkDue(partitions)
        case .next: break
        }
    }

    private mutating func requeueBatch() {
        sent.removeAll(keepingCapacity: true)
        guard let records = batch?.records else { return }
        batch = nil
        requeue(records)
        // What was known of them may be forgotten.
        looked = 0
    }

    /// Puts records that were taken back in front.
    mutating func requeue(_ records: [LogRecord]) {
        let front = records.filter { partitions[$0.position.partition]?.stopReason == nil && partitions[$0.position.partition] != nil }
        queue = front + queue[head...]
        (head, looked) = (0, front.count + max(0, looked - head))
    }

    mutating func stop(_ number: Int32, _ reason: String) {
        partitions[number]?.stopReason = reason
        queue = queue[head...].filter { $0.position.partition != number }
        (head, looked) = (0, 0)
        notices.append(.stopped(partition: number, reason: reason))
    }

    // MARK: What comes next

    /// The next thing to do with the database; nil when nothing can be done now.
    mutating func next() -> Action? {
        if case .checkDue(let partitions) = phase { return check(partitions) }
        if phase == .processing { return formFollowing() }
        guard phase == .idle else { return nil }
        if isCheckDue { return check([]) }
        if !toAcquire.isEmpty {
            let wanted = toAcquire
            toAcquire = []
            phase = .acquiring(wanted)
            return .acquire(wanted)
        }
        if isHeldBack || isGathering && queuedRecords < min(limits.batchGatheredRecords, batchLimit) { return nil }
        return formBatch()
    }

    /// All partitions that run are asked about, not only those of a batch that failed: another server knows of all of them what it knows.
    private mutating func check(_ failed: [Int32]) -> Action {
        isCheckDue = false
        let running = partitions.filter { $0.value.stopReason == nil }.keys
        let asked = Set(failed).union(running).sorted()
        phase = .checking(asked)
        return .check(asked)
    }

    /// Takes records from the front of the queue, as long as they are of one kind: to be told again, or to be decided.
    private mutating func formBatch() -> Action? {
        var records: [LogRecord] = []
        var republishes: Bool?
        while head < queue.count, records.count < batchLimit {
            let record = queue[head]
            let number = record.position.partition
            guard let partition = partitions[number], partition.stopReason == nil else {
                head += 1
                continue
            }
            let isApplied = record.position.offset < partition.next
            if republishes == nil { republishes = isApplied }
            if republishes != isApplied { break }
            if case .unknownVersion(let version) = record.content, !isApplied {
                // What comes before it is decided first.
                if records.contains(where: { $0.position.partition == number }) { break }
                stop(
                    number,
                    "offset \(record.position.offset) is of record version \(version), which this build does not know: upgrade the workers")
                continue
            }
            if !isApplied, notePoison(record, number) { continue }
            records.append(record)
            head += 1
        }
        dropTaken()
        guard !records.isEmpty, let republishes else { return nil }
        batch = Batch(records: records, isRepublished: republishes)
        phase = republishes ? .republishing : .processing
        mayFollow = false
        return republishes ? .republish : .process
    }
}
