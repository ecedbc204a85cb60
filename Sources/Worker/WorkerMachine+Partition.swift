internal import Ledger
internal import Store

extension WorkerMachine {
    /// The partitions that run, but for those of which something may be stored and not published.
    var publishedPartitions: [(partition: Int32, epoch: Int64)] {
        partitions.compactMap { number, partition in
            isVouchedFor(number, partition) ? (number, partition.grant.leaseEpoch) : nil
        }
    }

    /// Not while what is sent has an unknown outcome, nor before what was found stored is published.
    private func isVouchedFor(_ number: Int32, _ partition: Partition) -> Bool {
        partition.stopReason == nil && partition.published >= max(partition.grant.nextOffset, partition.foundStored)
            && (phase == .processing || sent[number] == nil)
    }

    /// What the next batch is made of where nothing speaks against it.
    var upcoming: ArraySlice<LogRecord> { queue[head...].prefix(batchLimit) }

    /// Counts unreadable records; true when there were too many and the partition was stopped.
    mutating func notePoison(_ record: LogRecord, _ number: Int32) -> Bool {
        guard
            partitions[number]?.poison.note(isUnreadable: record.isUnreadable, at: record.position.offset, window: limits.poisonWindow)
                == true, record.isUnreadable
        else { return false }
        stopIfPoisoned(record.position)
        return partitions[number]?.stopReason != nil
    }

    mutating func stopIfPoisoned(_ position: LogPosition) {
        guard let poison = partitions[position.partition]?.poison, poison.unreadable > limits.poisonMax else { return }
        stop(
            position.partition,
            "more than \(limits.poisonMax) of the last \(limits.poisonWindow) records are unreadable, at offset \(position.offset): this is a bad deploy, not bad data"
        )
    }

    /// Everything below these offsets has its event in the topic.
    mutating func relayed(_ reach: [Int32: Int64]) {
        for (number, offset) in reach {
            guard let relayed = partitions[number]?.relayed else { continue }
            partitions[number]?.relayed = max(relayed, offset)
        }
    }

    /// How far the partitions are published and relayed, where that is further than was stored last.
    mutating func takeNotes() -> [PartitionNote] {
        var notes: [PartitionNote] = []
        for (number, partition) in partitions.sorted(by: { $0.key < $1.key }) where partition.stopReason == nil {
            let note = PartitionNote(
                partition: number, epoch: partition.grant.epoch, publishedOffset: min(partition.published, partition.next),
                relayedOffset: min(partition.relayed, partition.next))
            guard note != partition.noted else { continue }
            partitions[number]?.noted = note
            notes.append(note)
        }
        return notes
    }

    /// Partitions whose epoch is another's, and which the group has not taken away.
    var fenced: [Int32] { partitions.filter(\.value.isFenced).keys.sorted() }

    /// Takes the fenced partitions over again. Due once every other member has had the time to learn that it is no longer the owner:
    /// a worker that was frozen while it took a partition over ends its successor's epoch when it wakes, and then leaves.
    mutating func reclaimFenced() {
        let fenced = fenced
        for number in fenced { partitions[number] = nil }
        acquireLater(fenced)
    }

    /// The ledger has lost what it had committed: a standby took over that did not have it, or it was restored. What is in the log from
    /// there on is decided again, and what was told meanwhile, of which Redis holds some, is wrong.
    mutating func wentBack(_ number: Int32, from offset: Int64, to stored: Int64) {
        stop(
            number,
            "the ledger went back from offset \(offset) to \(stored): it lost what was committed. It is read and decided again from there")
        partitions[number] = nil
        notices.append(.lost(partition: number))
        notices.append(.emptyCache(settling: [:]))
        acquireLater([number])
    }

    /// The ledger goes on in a new line, in which everything that was committed here still stands. Of a batch that was under way a replica
    /// of the old primary may have shown what is not in it: no revision of the old line is given any more.
    mutating func wasPromoted(_ number: Int32, from line: Int64, to current: Int64) {
        stop(
            number,
            "the database was promoted or restored: the ledger goes on in line \(current) of its history, after \(line). It is taken over again"
        )
        partitions[number] = nil
        acquireLater([number])
    }

    /// What follows for a partition, told to the driver in order.
    enum Notice: Equatable {
        case start(partition: Int32, offset: Int64)
        case stopped(partition: Int32, reason: String)
        /// What was decided here and is not yet told is not what the ledger has.
        case lost(partition: Int32)
        /// Redis holds values that nobody can mend one by one. Once it is empty everything below these offsets counts as published.
        case emptyCache(settling: [Int32: Int64])
    }

    /// What the machine knows of a partition that it has taken over.
    struct Partition: Equatable {
        var grant: PartitionGrant
        /// The first offset that is not applied, as far as this owner knows.
        var next: Int64
        /// The offset that the log has to hand over next: it hands them over in order and without gaps.
        var read: Int64
        var published: Int64
        /// Events below it are in their topic.
        var relayed: Int64
        /// How far both were stored by the last note.
        var noted: PartitionNote?
        var lastDecidedAt: Timestamp
        /// Below it is stored what the answer of the database did not come for.
        var foundStored: Int64 = 0
        var poison = PoisonWindow()
        var stopReason: String?
        /// Stopped because the ledger has another owner's epoch.
        var isFenced = false
    }

    /// Which of a partition's last records could not be read or applied.
    struct PoisonWindow: Equatable {
        /// Oldest first: unreadable or not.
        private(set) var records: [Bool] = []
        /// Records below it are counted already: a batch that is tried again is not counted again.
        private var countedBelow: Int64 = 0

        var unreadable: Int { records.count { $0 } }

        /// Counts a record; false when it was counted before.
        mutating func note(isUnreadable: Bool, at offset: Int64, window: Int) -> Bool {
            guard offset >= countedBelow else { return false }
            countedBelow = offset + 1
            records.append(isUnreadable)
            if records.count > window { records.removeFirst() }
            return true
        }

        /// A record that was counted as a good one, with the batch it came in, was refused by the ledger.
        mutating func noteRefused() {
            if let last = records.lastIndex(of: false) { records[last] = true }
        }
    }
}
