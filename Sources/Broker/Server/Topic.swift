/// A topic while the broker runs.
final class Topic {
    let id: UUID128
    let name: String
    let folder: String
    var settings: LogSettings {
        didSet { for partition in partitions { partition.log.settings = settings } }
    }
    private(set) var partitions: [Partition]

    init(_ topic: BrokerState.Topic, folder: String, partitions: [Partition]) {
        id = topic.id
        name = topic.name
        self.folder = folder
        settings = topic.logSettings
        self.partitions = partitions
    }

    func add(_ partition: Partition) { partitions.append(partition) }

    func partition(_ index: Int32) -> Partition? {
        index >= 0 && index < partitions.count ? partitions[Int(index)] : nil
    }
}

/// A partition while the broker runs: its log, and who waits for it.
final class Partition {
    let index: Int32
    let log: PartitionLog
    /// Answers that wait until an offset is durable, in the order of offsets.
    private var produceWaits: [ProduceWaitEntry] = []
    private var fetchWaits: [UInt64: FetchWait] = [:]
    /// It is in the broker's list for the next flush round.
    var isQueuedForFlush = false
    /// Its topic was deleted.
    var isGone = false

    private struct ProduceWaitEntry {
        let lastOffset: Int64
        let wait: ProduceWait
    }

    init(index: Int32, log: PartitionLog) {
        self.index = index
        self.log = log
    }

    func wait(_ wait: ProduceWait, untilDurable lastOffset: Int64) {
        produceWaits.append(ProduceWaitEntry(lastOffset: lastOffset, wait: wait))
    }

    /// Answers those whose records are durable now. A repeated batch may wait for an earlier offset than the one before it.
    func releaseProduceWaits() {
        guard !produceWaits.isEmpty else { return }
        let durable = log.durableOffset
        var kept: [ProduceWaitEntry] = []
        for entry in produceWaits {
            if entry.lastOffset < durable { entry.wait.partitionIsDurable() } else { kept.append(entry) }
        }
        produceWaits = kept
    }

    /// Lets go of everybody who waits, when the topic is deleted.
    func releaseAll() {
        let waits = produceWaits
        produceWaits = []
        for entry in waits { entry.wait.partitionIsDurable() }
        wakeFetches(newByteCount: Int(Int32.max))
    }

    func register(_ wait: FetchWait) { fetchWaits[wait.exchange.number] = wait }
    func unregister(_ wait: FetchWait) { fetchWaits[wait.exchange.number] = nil }

    /// New records can be seen.
    func wakeFetches(newByteCount: Int) {
        for wait in Array(fetchWaits.values) { wait.recordsArrived(byteCount: newByteCount) }
    }
}
