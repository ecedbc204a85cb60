internal import Ledger
internal import Store

/// A second batch, sent behind the one under way before that one is stored, so that the database has no pause between them.
///
/// It starts from what the first one comes to: its offset, its accounts' revisions. When the first one fails the database refuses the second
/// by its offset, once that is answered too it is withdrawn, and both are formed again. Nothing is told of it before the first one is stored.
extension WorkerMachine {
    /// A batch was sent, decided from the state that those before it lead to.
    mutating func sent(_ advances: [OffsetAdvance]) {
        for advance in advances { sent[advance.partition] = advance }
        mayFollow = following == nil
    }

    /// The batch that was to follow is not sent, or was refused with the one before it: it is formed again later.
    mutating func withdrawFollowing() {
        mayFollow = false
        guard let records = following?.records else { return }
        following = nil
        requeue(records)
    }

    /// What was asked for is answered: a batch that lacked it may follow now.
    mutating func learned() { mayFollow = phase == .processing && !sent.isEmpty && following == nil }

    /// A full batch of plain commands. Fewer than that are better gathered, and whatever may stop a partition is looked at once all before it
    /// is stored. It shares a partition with the batch before it: else the database could store it when that one fails. Nor behind a batch that
    /// is tried again: an earlier try of it, decided otherwise, may be stored yet, and leave the offset that this one expects.
    mutating func formFollowing() -> Action? {
        guard mayFollow, failures == 0, !isHeldBack, toAcquire.isEmpty, batchLimit == limits.batchRecordsMax, queuedRecords >= batchLimit
        else {
            return nil
        }
        mayFollow = false
        guard let batch, upcoming.allSatisfy({ isPlain($0) }) else { return nil }
        let reach = batch.reach
        guard upcoming.contains(where: { reach[$0.position.partition] != nil }) else { return nil }
        let records = takeUpcoming()
        for record in records {
            _ = partitions[record.position.partition]?.poison.note(
                isUnreadable: false, at: record.position.offset, window: limits.poisonWindow)
        }
        following = Batch(records: records, isRepublished: false)
        return .follow
    }

    /// What the next two batches are likely to be made of, but for what was handed out before.
    mutating func lookAhead() -> ArraySlice<LogRecord> {
        let first = max(head, looked)
        looked = max(first, min(queue.count, head + 2 * batchLimit))
        return queue[first..<looked]
    }

    /// Takes what is upcoming from the front of the queue.
    mutating func takeUpcoming() -> [LogRecord] {
        let records = Array(upcoming)
        head += records.count
        dropTaken()
        return records
    }

    mutating func dropTaken() {
        guard head == queue.count || head > 4_096 else { return }
        queue.removeFirst(head)
        looked = max(0, looked - head)
        head = 0
    }

    /// Whether a record is a command of a partition that runs, and not decided before.
    private func isPlain(_ record: LogRecord) -> Bool {
        guard record.id != nil, let partition = partitions[record.position.partition], partition.stopReason == nil else { return false }
        return record.position.offset >= partition.next
    }

    /// When the last command of a partition was decided, those included that are sent and not stored; nil when it is not this worker's.
    func lastDecidedAt(_ number: Int32) -> Timestamp? { sent[number]?.lastDecidedAt ?? partitions[number]?.lastDecidedAt }

    /// The advances that the batch which is to be sent stores with it.
    func advances(decidedAt clock: Timestamp) -> [OffsetAdvance] {
        guard let batch = following ?? batch else { return [] }
        return batch.reach.sorted { $0.key < $1.key }.compactMap { number, next in
            guard let partition = partitions[number] else { return nil }
            return OffsetAdvance(
                partition: number, epoch: partition.grant.epoch, expectedOffset: sent[number]?.nextOffset ?? partition.next,
                nextOffset: next, publishedOffset: min(partition.published, next), relayedOffset: min(partition.relayed, next),
                lastDecidedAt: max(clock, lastDecidedAt(number) ?? clock))
        }
    }
}
