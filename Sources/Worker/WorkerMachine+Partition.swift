internal import Ledger
internal import Store

extension WorkerMachine {
    /// The partitions that run, but for those whose earlier owner's commits are not all published.
    var publishedPartitions: [(partition: Int32, epoch: Int64)] {
        partitions.compactMap { number, partition in
            partition.stopReason == nil && partition.published >= partition.grant.nextOffset ? (number, partition.grant.epoch) : nil
        }
    }

    /// What follows for a partition, told to the driver in order.
    enum Notice: Equatable {
        case start(partition: Int32, offset: Int64)
        case stopped(partition: Int32, reason: String)
        /// Redis holds values that nobody can mend one by one.
        case emptyCache
    }

    /// What the machine knows of a partition that it has taken over.
    struct Partition: Equatable {
        var grant: PartitionGrant
        /// The first offset that is not applied, as far as this owner knows.
        var next: Int64
        /// The offset that the log has to hand over next: it hands them over in order and without gaps.
        var read: Int64
        var published: Int64
        var lastDecidedAt: Timestamp
        var poison = PoisonWindow()
        var stopReason: String?
        /// Stopped because the ledger has another owner's epoch.
        var isFenced = false
    }

    /// Which of a partition's last records could not be read or applied.
    struct PoisonWindow: Equatable {
        /// Oldest first: unreadable or not.
        private var records: [Bool] = []
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
