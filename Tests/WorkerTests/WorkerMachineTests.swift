import Ledger
import Store
import Testing
import Wire

@testable import Worker

@Suite struct WorkerMachineTests {
    let log = "log-1"

    func grant(
        _ partition: Int32, next: Int64 = 0, published: Int64? = nil, relayed: Int64? = nil, epoch: Int64 = 1, log: String = "log-1",
        line: Int64 = 0
    ) -> PartitionGrant {
        PartitionGrant(
            partition: partition, nextOffset: next, publishedOffset: published ?? next, relayedOffset: relayed ?? next, epoch: epoch,
            logIncarnation: log, lastDecidedAt: Timestamp(microseconds: 0), line: line)
    }

    func record(_ partition: Int32, _ offset: Int64) -> LogRecord {
        let pay = Pay(debit: AccountID("a")!, credit: AccountID("b")!, amount: 1, currency: Currency("EUR")!)
        let envelope = Envelope(
            id: OperationID(high: UInt64(partition), low: UInt64(offset)), tenant: TenantID(1), fingerprint: Fingerprint(high: 0, low: 0),
            acceptedAt: Timestamp(microseconds: 0), command: .pay(pay))
        return LogRecord(position: LogPosition(partition: partition, offset: offset), content: .command(CommandRecord(envelope: envelope)))
    }

    func unreadable(_ partition: Int32, _ offset: Int64) -> LogRecord {
        LogRecord(
            position: LogPosition(partition: partition, offset: offset),
            content: .unreadable(
                .init(reason: "test", tenant: nil, operation: nil, replyTo: nil, traceparent: nil, key: [], value: [], headers: "{}")))
    }

    /// A machine that owns partition 0 at offset 0 and has nothing to do.
    func running(_ limits: WorkerLimits = WorkerLimits(), next: Int64 = 0, published: Int64? = nil) -> WorkerMachine {
        var machine = WorkerMachine(limits: limits)
        machine.assigned([0], logIncarnation: log)
        #expect(machine.next() == .acquire([0]))
        machine.granted([grant(0, next: next, published: published)])
        #expect(machine.takeNotices() == [.start(partition: 0, offset: published ?? next)])
        #expect(machine.next() == nil)
        return machine
    }

    func offsets(_ machine: WorkerMachine) -> [Int64]? { machine.batch?.records.map(\.position.offset) }

    func store(_ machine: inout WorkerMachine) { machine.stored(machine.advances(decidedAt: Timestamp(microseconds: 1))) }

    @Test func `a partition flows only once it was taken over`() {
        var machine = WorkerMachine(limits: WorkerLimits())
        machine.received(record(0, 0))
        #expect(machine.queuedRecords == 0)
        machine.assigned([0, 1], logIncarnation: log)
        #expect(machine.next() == .acquire([0, 1]))
        #expect(machine.next() == nil)
        #expect(!machine.isEverythingRunning)
        machine.granted([grant(0, next: 5), grant(1, next: 7)])
        #expect(machine.takeNotices() == [.start(partition: 0, offset: 5), .start(partition: 1, offset: 7)])
        #expect(machine.isEverythingRunning)
    }

    @Test func `a partition is vouched for once what its earlier owner left unpublished is published`() {
        var machine = running(next: 5, published: 3)
        #expect(machine.publishedPartitions.isEmpty)
        machine.published([0: 4])
        #expect(machine.publishedPartitions.isEmpty)
        machine.published([0: 5])
        #expect(machine.publishedPartitions.map(\.partition) == [0])
        machine.unreadable(0, "gone")
        #expect(machine.publishedPartitions.isEmpty)
    }

    @Test func `offsets of another log stop the partition and say what to do`() {
        var machine = WorkerMachine(limits: WorkerLimits())
        machine.assigned([0], logIncarnation: log)
        _ = machine.next()
        machine.granted([grant(0, next: 5, log: "log-0")])
        guard case .stopped(0, let reason) = machine.takeNotices().first else {
            Issue.record("not stopped")
            return
        }
        #expect(reason.contains("log-0") && reason.contains("log-1") && reason.contains("--adopt-log"))
        machine.received(record(0, 5))
        #expect(machine.next() == nil)
    }

    @Test func `a partition without a row is stopped`() {
        var machine = WorkerMachine(limits: WorkerLimits())
        machine.assigned([0], logIncarnation: log)
        _ = machine.next()
        machine.granted([])
        guard case .stopped(0, let reason) = machine.takeNotices().first else {
            Issue.record("not stopped")
            return
        }
        #expect(reason.contains("sluice migrate"))
        #expect(!machine.isEverythingRunning)
        #expect(machine.stopReasons.keys.sorted() == [0])
        machine.revoked([0])
        #expect(machine.stopReasons.isEmpty)
    }

    @Test func `a take-over under way holds the revocation up: it would end the next owner's epoch`() {
        var machine = WorkerMachine(limits: WorkerLimits())
        machine.assigned([0], logIncarnation: log)
        _ = machine.next()
        machine.revoked([0])
        #expect(!machine.mayFinishRevocation)
        machine.granted([grant(0)])
        #expect(machine.mayFinishRevocation)
        #expect(machine.partitions.isEmpty && machine.takeNotices().isEmpty)
    }

    @Test func `a partition is read again from the first event that may be missing, however much that is`() {
        var machine = WorkerMachine(limits: WorkerLimits())
        machine.assigned([0], logIncarnation: log)
        _ = machine.next()
        machine.granted([grant(0, next: 50_000, published: 50_000, relayed: 2)])
        #expect(machine.takeNotices() == [.start(partition: 0, offset: 2)])
        machine.received(record(0, 2))
        #expect(machine.next() == .republish)
        machine.republished()
        machine.relayed([0: 3, 7: 9])
        #expect(machine.partitions[0]?.relayed == 3 && machine.partitions[7] == nil)
        machine.relayed([0: 1])
        #expect(machine.partitions[0]?.relayed == 3)
    }

    @Test func `a ledger that has lost the take-over itself has lost commits, and is not another worker's`() {
        var machine = running(next: 4)
        machine.received(record(0, 4))
        #expect(machine.next() == .process)
        #expect(machine.failed("SL001", dataRefused: false, jitter: 0) == .wait(milliseconds: 25))
        machine.waited()
        #expect(machine.next() == .check([0]))
        machine.placed([PartitionPlace(partition: 0, nextOffset: 3, epoch: 0)])
        #expect(machine.takeNotices().suffix(2) == [.lost(partition: 0), .emptyCache(settling: [:])])
        #expect(machine.fenced.isEmpty)
        #expect(machine.next() == .acquire([0]))
    }

    @Test func `a ledger that has lost commits is taken over again from where it stands, and Redis is emptied`() {
        var machine = running(next: 4)
        machine.received(record(0, 4))
        #expect(machine.next() == .process)
        machine.stored(machine.advances(decidedAt: Timestamp(microseconds: 9)))
        machine.received(record(0, 5))
        #expect(machine.next() == .process)
        // The next batch does not find offset 5: a standby without offsets 3 and 4 is the primary now.
        #expect(machine.failed("SL001", dataRefused: false, jitter: 0) == .wait(milliseconds: 25))
        machine.waited()
        #expect(machine.next() == .check([0]))
        machine.placed([PartitionPlace(partition: 0, nextOffset: 3, epoch: 1)])
        let notices = machine.takeNotices()
        #expect(notices.count == 3 && notices[1] == .lost(partition: 0) && notices.last == .emptyCache(settling: [:]))
        guard case .stopped(0, _)? = notices.first else { return #expect(Bool(false), "it goes on behind what is lost") }
        #expect(machine.next() == .acquire([0]))
        machine.granted([grant(0, next: 3, epoch: 2)])
        #expect(machine.takeNotices() == [.start(partition: 0, offset: 3)])
        machine.received(record(0, 3))
        #expect(machine.next() == .process)
        #expect(machine.advances(decidedAt: Timestamp(microseconds: 9)).first?.expectedOffset == 3)
    }

    @Test func `a ledger that goes on in a new line is taken over again, though nothing of it is lost`() {
        var machine = running(next: 4)
        machine.received(record(0, 4))
        #expect(machine.next() == .process)
        #expect(machine.failed("lost", dataRefused: false, jitter: 0) == .wait(milliseconds: 25))
        machine.waited()
        #expect(machine.next() == .check([0]))
        // The batch is in the new primary's history after all.
        machine.placed([PartitionPlace(partition: 0, nextOffset: 5, epoch: 1, line: 1)])
        let notices = machine.takeNotices()
        guard case .stopped(0, let reason)? = notices.first, notices.count == 1 else { return #expect(Bool(false), "\(notices)") }
        #expect(reason.contains("line 1 of its history, after 0"))
        #expect(machine.queuedRecords == 0 && machine.fenced.isEmpty && machine.publishedPartitions.isEmpty)
        #expect(machine.next() == .acquire([0]))
        machine.granted([grant(0, next: 5, published: 4, epoch: 2, line: 1)])
        #expect(machine.takeNotices() == [.start(partition: 0, offset: 4)])
        machine.received(record(0, 4))
        #expect(machine.next() == .republish)
        machine.published([0: 5])
        #expect(machine.publishedPartitions.map(\.epoch) == [1 << 40 + 2])
    }

    @Test func `on a new connection all partitions that run are asked about, before anything is decided`() {
        var machine = WorkerMachine(limits: WorkerLimits())
        machine.connected()
        machine.assigned([0, 1, 2], logIncarnation: log)
        #expect(machine.next() == .acquire([0, 1, 2]))
        machine.granted([grant(0), grant(1), grant(2)])
        machine.unreadable(2, "gone")
        #expect(machine.next() == nil)
        machine.connected()
        machine.received(record(0, 0))
        #expect(machine.next() == .check([0, 1]))
        machine.placed((0...1).map { PartitionPlace(partition: $0, nextOffset: 0, epoch: 1) })
        #expect(machine.next() == .process)
        // A batch is under way: it fails, and what follows asks about the others as well.
        _ = machine.failed("lost", dataRefused: false, jitter: 0)
        machine.connected()
        machine.waited()
        #expect(machine.next() == .check([0, 1]))
        machine.placed([
            PartitionPlace(partition: 0, nextOffset: 0, epoch: 1), PartitionPlace(partition: 1, nextOffset: 0, epoch: 1, line: 1),
        ])
        #expect(machine.next() == .acquire([1]))
        machine.granted([grant(1, epoch: 2, line: 1)])
        #expect(machine.next() == .process)
        #expect(offsets(machine) == [0])
    }

    @Test func `how far events are moves with the next batch, or is noted once without one`() {
        var machine = running(next: 4)
        #expect(machine.takeNotes() == [PartitionNote(partition: 0, epoch: 1, publishedOffset: 4, relayedOffset: 4)])
        #expect(machine.takeNotes().isEmpty)
        machine.received(record(0, 4))
        #expect(machine.next() == .process)
        machine.stored(machine.advances(decidedAt: Timestamp(microseconds: 9)))
        machine.relayed([0: 5])
        #expect(machine.takeNotes() == [PartitionNote(partition: 0, epoch: 1, publishedOffset: 4, relayedOffset: 5)])
        machine.received(record(0, 5))
        #expect(machine.next() == .process)
        #expect(machine.advances(decidedAt: Timestamp(microseconds: 9)).first?.relayedOffset == 5)
    }

    @Test func `nothing is decided while events are held back, and what is under way goes on`() {
        var machine = running()
        machine.received(record(0, 0))
        #expect(machine.next() == .process)
        machine.isHeldBack = true
        machine.stored(machine.advances(decidedAt: Timestamp(microseconds: 9)))
        machine.received(record(0, 1))
        #expect(machine.next() == nil)
        machine.assigned([1], logIncarnation: log)
        #expect(machine.next() == .acquire([1]))
        machine.granted([grant(1)])
        #expect(machine.next() == nil)
        machine.isHeldBack = false
        #expect(machine.next() == .process)
    }

    @Test func `while records gather a batch is formed of many, or once they have gathered`() {
        var machine = running()
        machine.received(record(0, 0))
        #expect(machine.next() == .process)
        machine.isGathering = true
        machine.stored(machine.advances(decidedAt: Timestamp(microseconds: 9)))
        let enough = Int64(WorkerLimits().batchGatheredRecords)
        for offset in 1..<enough { machine.received(record(0, offset)) }
        #expect(machine.next() == nil)
        machine.received(record(0, enough))
        #expect(machine.next() == .process)
        machine.stored(machine.advances(decidedAt: Timestamp(microseconds: 9)))
        machine.received(record(0, enough + 1))
        #expect(machine.next() == nil)
        // A partition is taken over meanwhile: that gathers nothing.
        machine.assigned([1], logIncarnation: log)
        #expect(machine.next() == .acquire([1]))
        machine.granted([grant(1)])
        #expect(machine.next() == nil)
        machine.isGathering = false
        #expect(machine.next() == .process)
    }

    @Test func `a batch moves its partitions from where they were to behind its last record`() {
        var machine = running()
        for offset in 0...5 as ClosedRange<Int64> { machine.received(record(0, offset)) }
        #expect(machine.next() == .process)
        #expect(machine.next() == nil)
        let advances = machine.advances(decidedAt: Timestamp(microseconds: 9))
        #expect(
            advances == [
                OffsetAdvance(
                    partition: 0, epoch: 1, expectedOffset: 0, nextOffset: 6, publishedOffset: 0, relayedOffset: 0,
                    lastDecidedAt: Timestamp(microseconds: 9))
            ])
        machine.stored(advances)
        #expect(machine.partitions[0]?.next == 6)
        machine.published([0: 6])
        machine.received(record(0, 6))
        #expect(machine.next() == .process)
        #expect(machine.advances(decidedAt: Timestamp(microseconds: 3)).first?.publishedOffset == 6)
        #expect(machine.advances(decidedAt: Timestamp(microseconds: 3)).first?.lastDecidedAt == Timestamp(microseconds: 9))
    }

    @Test func `a gap in the log stops its partition before anything behind it is decided`() {
        var machine = running(next: 3)
        machine.received(record(0, 3))
        machine.received(record(0, 5))
        machine.received(record(0, 6))
        guard case .stopped(0, let reason) = machine.takeNotices().first else {
            Issue.record("not stopped")
            return
        }
        #expect(reason.contains("offset 4") && reason.contains("over 5"))
        #expect(machine.next() == nil)
        // Starting one offset too far is such a gap.
        machine = running(next: 3, published: 1)
        machine.received(record(0, 2))
        #expect(machine.stopReasons.keys.sorted() == [0])
    }

    @Test func `what the log hands over twice is decided once`() {
        var machine = running()
        for offset in [0, 1, 0, 1, 2] as [Int64] { machine.received(record(0, offset)) }
        #expect(machine.next() == .process)
        #expect(offsets(machine) == [0, 1, 2])
    }

    @Test func `a batch is bounded`() {
        var limits = WorkerLimits()
        limits.batchRecordsMax = 3
        var machine = running(limits)
        for offset in 0..<7 { machine.received(record(0, Int64(offset))) }
        var batches: [[Int64]] = []
        while machine.next() == .process {
            batches.append(offsets(machine) ?? [])
            store(&machine)
        }
        #expect(batches == [[0, 1, 2], [3, 4, 5], [6]])
    }

    @Test func `what was applied and perhaps not published is told again, never decided again`() {
        var machine = running(next: 3, published: 1)
        for offset in 1..<5 { machine.received(record(0, Int64(offset))) }
        #expect(machine.next() == .republish)
        #expect(offsets(machine) == [1, 2])
        machine.republished()
        #expect(machine.next() == .process)
        #expect(offsets(machine) == [3, 4])
    }

    /// An owner whose predecessor left more unpublished than is told again.
    private func indebted() -> WorkerMachine {
        var limits = WorkerLimits()
        limits.republishedRecordsMax = 10
        var machine = WorkerMachine(limits: limits)
        machine.assigned([0], logIncarnation: log)
        _ = machine.next()
        machine.granted([grant(0, next: 100, published: 80)])
        return machine
    }

    @Test func `a debt of publications that is too long empties the cache instead`() {
        var machine = indebted()
        #expect(machine.takeNotices() == [.emptyCache(settling: [0: 100]), .start(partition: 0, offset: 100)])
        // Until Redis was emptied the debt is stored on, for the owner after this one.
        machine.received(record(0, 100))
        _ = machine.next()
        #expect(machine.advances(decidedAt: Timestamp(microseconds: 0)).first?.publishedOffset == 80)
    }

    @Test func `a partition in which nothing more comes is vouched for once the cache was emptied for it`() {
        var machine = indebted()
        guard case .emptyCache(let reach) = machine.takeNotices().first else { return #expect(Bool(false), "the cache is not emptied") }
        #expect(machine.publishedPartitions.isEmpty)
        machine.published(reach)
        #expect(machine.publishedPartitions.map(\.partition) == [0])
        #expect(machine.takeNotes().map(\.publishedOffset) == [100])
    }

    @Test func `a lost connection is followed by a wait, a check and the same batch again`() {
        var machine = running()
        machine.received(record(0, 0))
        #expect(machine.next() == .process)
        guard case .wait = machine.failed("connection lost", dataRefused: false, jitter: 0.5) else {
            Issue.record("no wait")
            return
        }
        #expect(machine.databaseProblem == "connection lost")
        #expect(machine.next() == nil)
        machine.waited()
        #expect(machine.next() == .check([0]))
        machine.placed([PartitionPlace(partition: 0, nextOffset: 0, epoch: 1)])
        #expect(machine.next() == .process)
        #expect(offsets(machine) == [0])
    }

    @Test func `a commit that waits for its standby is a problem until it is stored, however well the database answers questions`() {
        var machine = running()
        machine.received(record(0, 0))
        var waits: [Int] = []
        for _ in 0..<8 {
            #expect(machine.next() == .process)
            guard case .wait(let milliseconds) = machine.failed("no answer by the deadline", dataRefused: false, jitter: 1) else { break }
            waits.append(milliseconds)
            machine.waited()
            #expect(machine.next() == .check([0]))
            machine.placed([PartitionPlace(partition: 0, nextOffset: 0, epoch: 1)])
            #expect(machine.databaseProblem == "no answer by the deadline")
        }
        #expect(waits == [50, 100, 200, 400, 800, 1_600, 2_000, 2_000])
        #expect(machine.next() == .process)
        store(&machine)
        #expect(machine.databaseProblem == nil)
    }

    @Test func `nothing is left to do again, and the problem is over`() {
        var machine = running()
        machine.received(record(0, 0))
        _ = machine.next()
        _ = machine.failed("SL001", dataRefused: false, jitter: 0)
        machine.waited()
        _ = machine.next()
        machine.placed([PartitionPlace(partition: 0, nextOffset: 1, epoch: 2)])
        #expect(machine.databaseProblem == nil)
        #expect(machine.stopReasons.count == 1)
    }

    @Test func `a commit that had happened after all is told, not repeated`() {
        var machine = running()
        machine.received(record(0, 0))
        machine.received(record(0, 1))
        _ = machine.next()
        _ = machine.failed("connection lost at the commit", dataRefused: false, jitter: 0)
        machine.waited()
        _ = machine.next()
        machine.placed([PartitionPlace(partition: 0, nextOffset: 2, epoch: 1)])
        #expect(machine.next() == .republish)
        #expect(offsets(machine) == [0, 1])
    }

    @Test func `a partition with another's epoch is dropped, and the others go on`() {
        var machine = WorkerMachine(limits: WorkerLimits())
        machine.assigned([0, 1], logIncarnation: log)
        _ = machine.next()
        machine.granted([grant(0), grant(1)])
        _ = machine.takeNotices()
        machine.received(record(0, 0))
        machine.received(record(1, 0))
        _ = machine.next()
        _ = machine.failed("SL001", dataRefused: false, jitter: 0)
        machine.waited()
        _ = machine.next()
        machine.placed([PartitionPlace(partition: 0, nextOffset: 4, epoch: 2), PartitionPlace(partition: 1, nextOffset: 0, epoch: 1)])
        #expect(machine.takeNotices() == [.stopped(partition: 0, reason: "another worker has taken it over")])
        #expect(machine.next() == .process)
        #expect(machine.batch?.records.map(\.position) == [LogPosition(partition: 1, offset: 0)])
        store(&machine)
        // Still this worker's by the group's word: taken over again, from where the ledger is, once the driver finds it is time.
        #expect(machine.fenced == [0])
        machine.reclaimFenced()
        #expect(machine.fenced.isEmpty)
        #expect(machine.next() == .acquire([0]))
        machine.granted([grant(0, next: 4, epoch: 3)])
        #expect(machine.takeNotices() == [.start(partition: 0, offset: 4)])
        #expect(machine.isEverythingRunning)
    }

    @Test func `a fenced partition that the group took away is not taken back`() {
        var machine = running()
        machine.received(record(0, 0))
        _ = machine.next()
        _ = machine.failed("SL001", dataRefused: false, jitter: 0)
        machine.waited()
        _ = machine.next()
        machine.placed([PartitionPlace(partition: 0, nextOffset: 0, epoch: 2)])
        machine.revoked([0])
        machine.reclaimFenced()
        #expect(machine.next() == nil)
    }

    @Test func `refused data is bisected down to its record, which becomes a dead letter`() {
        var machine = running()
        for offset in 0..<8 { machine.received(record(0, Int64(offset))) }
        let bad: Int64 = 5
        var rounds = 0
        var dead: [Int64] = []
        var applied: [Int64] = []
        while machine.next() == .process, rounds < 40 {
            rounds += 1
            let records = machine.batch?.records ?? []
            if records.contains(where: { $0.position.offset == bad && !$0.isUnreadable }) {
                let places = [PartitionPlace(partition: 0, nextOffset: machine.partitions[0]?.next ?? -1, epoch: 1)]
                #expect(machine.failed("22003", dataRefused: true, jitter: 0) == .check([0]))
                machine.placed(places)
            } else {
                dead += records.filter(\.isUnreadable).map(\.position.offset)
                applied += records.map(\.position.offset)
                store(&machine)
            }
        }
        #expect(dead == [bad])
        #expect(applied == Array(0..<8))
    }

    /// Refuses the batch under way as the database would, and lets the machine find out where it stands.
    func refuse(_ machine: inout WorkerMachine) {
        #expect(machine.failed("23514", dataRefused: true, jitter: 0) == .check([0]))
        machine.placed([PartitionPlace(partition: 0, nextOffset: machine.partitions[0]?.next ?? -1, epoch: 1)])
    }

    @Test func `a ledger that refuses too many records stops the partition: accepted payments do not all become dead letters`() {
        var limits = WorkerLimits()
        limits.poisonMax = 2
        var machine = running(limits)
        for offset in 0..<64 { machine.received(record(0, Int64(offset))) }
        var dead: [Int64] = []
        for _ in 0..<200 {
            guard machine.next() == .process else { break }
            let records = machine.batch?.records ?? []
            if records.allSatisfy(\.isUnreadable) {
                dead += records.map(\.position.offset)
                store(&machine)
            } else {
                refuse(&machine)
            }
        }
        #expect(dead == [0, 1])
        #expect(machine.partitions[0]?.next == 2)
        guard case .stopped(0, let reason) = machine.takeNotices().last else {
            Issue.record("not stopped")
            return
        }
        #expect(reason.contains("bad deploy"))
    }

    @Test func `a dead letter that is refused is stored bare, and after that tried again with waits`() {
        var machine = running()
        machine.received(record(0, 0))
        for _ in 0..<2 {
            #expect(machine.next() == .process)
            refuse(&machine)
        }
        #expect(machine.next() == .process)
        guard case .unreadable(let letter) = machine.batch?.records.first?.content else {
            Issue.record("no dead letter")
            return
        }
        #expect(letter.isBare && letter.value.isEmpty && letter.operation == OperationID(high: 0, low: 0))
        guard case .wait = machine.failed("23514", dataRefused: true, jitter: 0) else {
            Issue.record("no wait: a loop without end at full speed")
            return
        }
        machine.waited()
        #expect(machine.next() == .check([0]))
    }

    @Test func `too many unreadable records stop the partition, and a retried batch is not counted twice`() {
        var limits = WorkerLimits()
        limits.poisonWindow = 10
        limits.poisonMax = 2
        limits.batchRecordsMax = 2
        var machine = running(limits)
        machine.received(unreadable(0, 0))
        machine.received(unreadable(0, 1))
        for _ in 0..<10 {
            #expect(machine.next() == .process)
            _ = machine.failed("away", dataRefused: false, jitter: 0)
            machine.waited()
            _ = machine.next()
            machine.placed([PartitionPlace(partition: 0, nextOffset: 0, epoch: 1)])
        }
        #expect(machine.takeNotices().isEmpty)
        #expect(machine.next() == .process)
        store(&machine)
        machine.received(unreadable(0, 2))
        #expect(machine.next() == nil)
        guard case .stopped(0, let reason) = machine.takeNotices().first else {
            Issue.record("not stopped")
            return
        }
        #expect(reason.contains("bad deploy"))
    }

    @Test func `a record of an unknown version stops the partition after what comes before it`() {
        var machine = running()
        machine.received(record(0, 0))
        machine.received(LogRecord(position: LogPosition(partition: 0, offset: 1), content: .unknownVersion("2")))
        machine.received(record(0, 2))
        #expect(machine.next() == .process)
        #expect(offsets(machine) == [0])
        store(&machine)
        #expect(machine.next() == nil)
        guard case .stopped(0, let reason) = machine.takeNotices().first else {
            Issue.record("not stopped")
            return
        }
        #expect(reason.contains("version 2"))
        #expect(machine.partitions[0]?.next == 1)
    }

    @Test func `revoked partitions are forgotten, and a transaction under way is waited for`() {
        var machine = running()
        machine.received(record(0, 0))
        _ = machine.next()
        machine.received(record(0, 1))
        machine.revoked([0])
        #expect(!machine.mayFinishRevocation)
        #expect(machine.queuedRecords == 0)
        machine.stored([])
        #expect(machine.mayFinishRevocation)
        #expect(machine.partitions.isEmpty)
        #expect(machine.next() == nil)
    }

    @Test func `a partition that comes back while its old batch is stored keeps its new place`() {
        var machine = running()
        machine.received(record(0, 0))
        _ = machine.next()
        let advances = machine.advances(decidedAt: Timestamp(microseconds: 1))
        machine.revoked([0])
        machine.stored(advances)
        machine.assigned([0], logIncarnation: log)
        #expect(machine.next() == .acquire([0]))
        machine.granted([grant(0, next: 1, epoch: 2)])
        #expect(machine.partitions[0]?.next == 1)
        #expect(machine.partitions[0]?.grant.epoch == 2)
    }

    @Test func `a batch whose partitions were revoked before it was stored is dropped`() {
        var machine = running()
        machine.received(record(0, 0))
        _ = machine.next()
        machine.revoked([0])
        machine.abandoned()
        #expect(machine.mayFinishRevocation)
        #expect(machine.next() == nil)
        #expect(machine.queuedRecords == 0)
    }

    @Test func `a partition revoked during a wait is not checked any more`() {
        var machine = WorkerMachine(limits: WorkerLimits())
        machine.assigned([0, 1], logIncarnation: log)
        _ = machine.next()
        machine.granted([grant(0), grant(1)])
        machine.received(record(0, 0))
        machine.received(record(1, 0))
        _ = machine.next()
        _ = machine.failed("away", dataRefused: false, jitter: 0)
        machine.revoked([0])
        #expect(machine.mayFinishRevocation)
        machine.waited()
        #expect(machine.next() == .check([1]))
        machine.placed([PartitionPlace(partition: 1, nextOffset: 0, epoch: 1)])
        _ = machine.next()
        #expect(machine.batch?.records.map(\.position.partition) == [1])
    }

    @Test func `waits double, are bounded and are never none`() {
        var machine = running()
        machine.received(record(0, 0))
        _ = machine.next()
        var waits: [Int] = []
        for _ in 0..<12 {
            guard case .wait(let milliseconds) = machine.failed("away", dataRefused: false, jitter: 1) else { break }
            waits.append(milliseconds)
            machine.waited()
            _ = machine.next()
        }
        #expect(waits.first == 50)
        #expect(waits.last == 2_000)
        #expect(waits == waits.sorted())
    }

    @Test func `an offset outside the log stops the partition with its reason`() {
        var machine = running()
        machine.received(record(0, 0))
        machine.unreadable(0, "outside")
        #expect(machine.takeNotices() == [.stopped(partition: 0, reason: "outside")])
        #expect(machine.next() == nil)
        #expect(!machine.isEverythingRunning)
    }

    // MARK: A batch behind the one under way

    /// A machine whose first batch, of offsets 0 to 3, is sent, and that has `more` records behind it.
    func sending(more: Int64) -> WorkerMachine {
        var limits = WorkerLimits()
        limits.batchRecordsMax = 4
        var machine = running(limits)
        for offset in 0..<4 + more { machine.received(record(0, offset)) }
        #expect(machine.next() == .process)
        #expect(machine.next() == nil, "it is not sent yet")
        machine.sent(machine.advances(decidedAt: Timestamp(microseconds: 9)))
        return machine
    }

    @Test func `a full batch follows the one under way, and goes on from where that one leads`() {
        var machine = sending(more: 5)
        #expect(machine.next() == .follow)
        let advances = machine.advances(decidedAt: Timestamp(microseconds: 5))
        #expect(
            advances == [
                OffsetAdvance(
                    partition: 0, epoch: 1, expectedOffset: 4, nextOffset: 8, publishedOffset: 0, relayedOffset: 0,
                    lastDecidedAt: Timestamp(microseconds: 9))
            ])
        machine.sent(advances)
        #expect(machine.next() == nil, "no more than one follows")
        #expect(machine.lastDecidedAt(0) == Timestamp(microseconds: 9))
        machine.stored(
            machine.advances(decidedAt: Timestamp(microseconds: 9)).map { advance in
                OffsetAdvance(
                    partition: 0, epoch: 1, expectedOffset: 0, nextOffset: 4, publishedOffset: 0, relayedOffset: 0,
                    lastDecidedAt: advance.lastDecidedAt)
            })
        #expect(machine.phase == .processing && machine.partitions[0]?.next == 4 && offsets(machine) == [4, 5, 6, 7])
        #expect(!machine.mayFinishRevocation)
        #expect(machine.next() == nil, "one record is no full batch")
        for offset in 9..<12 as Range<Int64> { machine.received(record(0, offset)) }
        #expect(machine.next() == .follow)
        #expect(machine.following?.records.map(\.position.offset) == [8, 9, 10, 11])
        machine.withdrawFollowing()
        #expect(machine.next() == nil)
        machine.stored(advances)
        #expect(machine.phase == .idle && machine.partitions[0]?.next == 8)
        #expect(machine.next() == .process)
        #expect(offsets(machine) == [8, 9, 10, 11])
    }

    @Test func `nothing follows that is not full, that may stop a partition, or while events are held back`() {
        var machine = sending(more: 3)
        #expect(machine.next() == nil)
        machine.received(unreadable(0, 7))
        #expect(machine.next() == nil)
        machine = sending(more: 4)
        machine.isHeldBack = true
        #expect(machine.next() == nil)
        machine.isHeldBack = false
        machine.assigned([1], logIncarnation: log)
        #expect(machine.next() == nil, "a partition is taken over first")
    }

    @Test func `what the next two batches are made of is looked at once`() {
        var machine = sending(more: 9)
        #expect(machine.lookAhead().map(\.position.offset) == [4, 5, 6, 7, 8, 9, 10, 11])
        #expect(machine.lookAhead().isEmpty)
        #expect(machine.next() == .follow)
        #expect(machine.lookAhead().map(\.position.offset) == [12])
        machine.received(record(0, 13))
        #expect(machine.lookAhead().map(\.position.offset) == [13])
        // It lacks something, which is on its way.
        machine.withdrawFollowing()
        #expect(machine.lookAhead().isEmpty && machine.next() == nil)
        machine.learned()
        #expect(machine.next() == .follow)
        machine.withdrawFollowing()
        // After a failure what was known may be forgotten.
        _ = machine.failed("lost", dataRefused: false, jitter: 0)
        machine.waited()
        #expect(machine.next() == .check([0]))
        machine.placed([PartitionPlace(partition: 0, nextOffset: 0, epoch: 1)])
        #expect(machine.lookAhead().map(\.position.offset) == [0, 1, 2, 3, 4, 5, 6, 7])
        machine.learned()
        #expect(machine.next() == .process && machine.next() == nil, "it is not sent yet")
    }

    @Test func `when the first fails both are done again, in order`() {
        var machine = sending(more: 5)
        #expect(machine.next() == .follow)
        machine.sent(machine.advances(decidedAt: Timestamp(microseconds: 9)))
        machine.withdrawFollowing()
        _ = machine.failed("lost", dataRefused: false, jitter: 0)
        machine.waited()
        #expect(machine.next() == .check([0]))
        machine.placed([PartitionPlace(partition: 0, nextOffset: 0, epoch: 1)])
        #expect(machine.next() == .process)
        #expect(offsets(machine) == [0, 1, 2, 3])
        #expect(machine.advances(decidedAt: Timestamp(microseconds: 9)).first?.expectedOffset == 0)
        let again = machine.advances(decidedAt: Timestamp(microseconds: 9))
        machine.sent(again)
        // The first try of it may be stored yet, decided otherwise, and leave the offset that one behind it would expect.
        #expect(machine.next() == nil)
        machine.stored(again)
        #expect(machine.next() == .process)
        #expect(offsets(machine) == [4, 5, 6, 7])
        machine.sent(machine.advances(decidedAt: Timestamp(microseconds: 9)))
        for offset in 9..<12 { machine.received(record(0, Int64(offset))) }
        #expect(machine.next() == .follow)
    }

    @Test func `a batch that shares no partition with the one under way does not follow it: it could be stored when that one fails`() {
        var limits = WorkerLimits()
        limits.batchRecordsMax = 4
        var machine = WorkerMachine(limits: limits)
        machine.assigned([0, 1], logIncarnation: log)
        _ = machine.next()
        machine.granted([grant(0), grant(1)])
        for offset in 0..<4 as Range<Int64> { machine.received(record(0, offset)) }
        for offset in 0..<7 as Range<Int64> { machine.received(record(1, offset)) }
        machine.received(record(0, 4))
        #expect(machine.next() == .process)
        machine.sent(machine.advances(decidedAt: Timestamp(microseconds: 9)))
        #expect(machine.next() == nil)
        machine.stored(machine.advances(decidedAt: Timestamp(microseconds: 9)))
        #expect(machine.next() == .process)
        #expect(machine.batch?.reach == [1: 4])
        machine.sent(machine.advances(decidedAt: Timestamp(microseconds: 9)))
        #expect(machine.next() == .follow)
        #expect(machine.following?.reach == [0: 5, 1: 7])
    }

    @Test func `nobody vouches for a partition while it is not known what is stored, nor before that is published`() {
        var machine = sending(more: 0)
        #expect(machine.publishedPartitions.map(\.partition) == [0])
        _ = machine.failed("lost", dataRefused: false, jitter: 0)
        #expect(machine.publishedPartitions.isEmpty)
        machine.waited()
        #expect(machine.next() == .check([0]))
        #expect(machine.publishedPartitions.isEmpty)
        machine.placed([PartitionPlace(partition: 0, nextOffset: 4, epoch: 1)])
        #expect(machine.publishedPartitions.isEmpty)
        #expect(machine.partitions[0]?.lastDecidedAt == Timestamp(microseconds: 9))
        #expect(machine.next() == .republish)
        machine.republished()
        machine.published([0: 4])
        #expect(machine.publishedPartitions.map(\.partition) == [0])
    }

    @Test func `records that follow count among the good ones`() {
        var machine = sending(more: 4)
        #expect(machine.next() == .follow)
        machine.withdrawFollowing()
        machine.learned()
        #expect(machine.next() == .follow)
        #expect(machine.partitions[0]?.poison.records == [Bool](repeating: false, count: 8))
    }

    @Test func `a batch that is bisected is followed by none`() {
        var machine = sending(more: 9)
        #expect(machine.failed("refused", dataRefused: true, jitter: 0) == .check([0]))
        machine.placed([PartitionPlace(partition: 0, nextOffset: 0, epoch: 1)])
        #expect(machine.next() == .process)
        #expect(offsets(machine) == [0, 1])
        machine.sent(machine.advances(decidedAt: Timestamp(microseconds: 9)))
        #expect(machine.next() == nil)
    }

    @Test func `what follows is dropped with its partition when it is withdrawn after a revocation`() {
        var machine = sending(more: 4)
        #expect(machine.next() == .follow)
        let advances = machine.advances(decidedAt: Timestamp(microseconds: 9))
        machine.sent(advances)
        machine.revoked([0])
        machine.withdrawFollowing()
        #expect(machine.queuedRecords == 0 && machine.lastDecidedAt(0) == nil)
        #expect(!machine.mayFinishRevocation)
        machine.stored(advances)
        #expect(machine.mayFinishRevocation && machine.next() == nil)
    }

    /// Random histories against a model of storage: every record is decided exactly once and in order, whatever fails.
    @Test func `whatever fails, every record is decided once and in order`() {
        var followed = 0
        for seed in 0..<200 as Range<UInt64> {
            var generator = SplitMix(state: seed)
            var limits = WorkerLimits()
            limits.batchRecordsMax = 4
            limits.poisonMax = 99
            var machine = WorkerMachine(limits: limits)
            var storage = Storage()
            var line: Int64 = 0
            var fed: Int64 = 0
            /// Sent and not answered, the first one first.
            var sent: [(advances: [OffsetAdvance], isCommitted: Bool)] = []
            machine.assigned([0], logIncarnation: log)
            for _ in 0..<600 {
                if generator.next() % 3 != 0, fed < 60, machine.partitions[0] != nil {
                    machine.received(record(0, fed))
                    fed += 1
                }
                if generator.next() % 40 == 0, machine.mayFinishRevocation {
                    machine.revoked([0])
                    machine.assigned([0], logIncarnation: log)
                }
                // The standby takes over, and has all of it.
                if generator.next() % 30 == 0, sent.isEmpty {
                    line += 1
                    machine.connected()
                }
                switch machine.next() {
                case .acquire:
                    storage.epoch += 1
                    machine.granted([grant(0, next: storage.next, epoch: storage.epoch, line: line)])
                    fed = storage.next
                case .process, .follow:
                    #expect(machine.partitions[0]?.grant.line == line, "seed \(seed)")
                    let advances = machine.advances(decidedAt: Timestamp(microseconds: 0))
                    let records = machine.following?.records ?? machine.batch?.records ?? []
                    if machine.following != nil { followed += 1 }
                    let isCommitted = generator.next() % 4 != 0 && storage.commit(advances, records)
                    machine.sent(advances)
                    sent.append((advances, isCommitted))
                case .republish: machine.republished()
                case .check: machine.placed([PartitionPlace(partition: 0, nextOffset: storage.next, epoch: storage.epoch, line: line)])
                case .wait, nil: machine.waited()
                }
                guard let first = sent.first, generator.next() % 2 == 0 else { continue }
                if first.isCommitted, generator.next() % 4 != 0 {
                    machine.stored(first.advances)
                    sent.removeFirst()
                } else {
                    // The answer to the one behind it is waited for.
                    machine.withdrawFollowing()
                    _ = machine.failed("lost, before the commit or after it", dataRefused: false, jitter: 0)
                    sent.removeAll()
                }
            }
            #expect(storage.decided == Array(0..<storage.next), "seed \(seed)")
            #expect(storage.next > 0, "seed \(seed)")
        }
        #expect(followed > 200)
    }
}

/// A partition's row, and what was stored with it.
private struct Storage {
    var next: Int64 = 0
    var epoch: Int64 = 0
    var decided: [Int64] = []

    /// Whether a batch is stored: only where the partition stands as it expects.
    mutating func commit(_ advances: [OffsetAdvance], _ records: [LogRecord]) -> Bool {
        guard let advance = advances.first, advance.expectedOffset == next, advance.epoch == epoch else { return false }
        decided += records.map(\.position.offset)
        next = advance.nextOffset
        return true
    }
}

private struct SplitMix: RandomNumberGenerator {
    var state: UInt64
    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var word = state
        word = (word ^ (word >> 30)) &* 0xbf58_476d_1ce4_e5b9
        word = (word ^ (word >> 27)) &* 0x94d0_49bb_1331_11eb
        return word ^ (word >> 31)
    }
}
