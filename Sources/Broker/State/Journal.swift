/// The journal while the broker runs: entries wait here for the next flush round, are written by the flusher, and take
/// effect when they are on the disk. Lives on the loop.
final class Journal {
    private(set) var state: BrokerState
    private var file: JournalFile
    private var waiting: [Pending] = []
    private var inFlight: [Pending] = []
    /// Bytes that the round under way writes.
    private var writingByteCount: Int64 = 0

    private struct Pending {
        let entries: [JournalEntry]
        /// Called when they have taken effect (true), or could not be written because the disk is full (false).
        let completion: (Bool) -> Void
    }

    init(file: JournalFile, state: BrokerState) {
        self.file = file
        self.state = state
    }

    func close() {
        Files.close(file.file.descriptor)
        Files.close(file.mark.descriptor)
    }

    /// Leaves changes for the next round; they take effect together, in the order they were left.
    func write(_ entries: [JournalEntry], completion: @escaping (Bool) -> Void) {
        waiting.append(Pending(entries: entries, completion: completion))
    }

    var needsFlush: Bool { !waiting.isEmpty }

    func takeFlushWork(into round: inout FlushRound) {
        guard !waiting.isEmpty else { return }
        swap(&waiting, &inFlight)
        waiting = []
        if file.byteCount > max(Limits.journalRewriteBytes, 4 * file.rewrittenByteCount) {
            var next = state
            for pending in inFlight { for entry in pending.entries { next.apply(entry) } }
            let bytes = JournalFile.encode(next.entries())
            writingByteCount = Int64(bytes.count)
            round.journal = .rewrite(
                directory: file.directory, path: JournalFile.path(file.directory, file.generation + 1), oldPath: file.path, bytes: bytes)
            return
        }
        var bytes: [UInt8] = []
        for pending in inFlight { for entry in pending.entries { entry.append(to: &bytes) } }
        writingByteCount = Int64(bytes.count)
        round.journal = .append(file.file, bytes: bytes, offset: file.byteCount)
        file.markSequence += 1
        // Vouches for what earlier rounds wrote.
        let mark = DurableMark(base: file.generation, position: file.byteCount)
        round.marks.append(
            FlushRound.Mark(
                file: file.mark, bytes: mark.slot(sequence: file.markSequence),
                offset: DurableMark.slotOffset(sequence: file.markSequence), syncs: false))
    }

    /// Lets what the round wrote take effect. Returns a descriptor that is no longer used and is to be closed.
    func flushCompleted(_ report: FlushReport.Journal) -> CInt? {
        let completed = inFlight
        inFlight = []
        var retired: CInt?
        switch report {
        case .none: return nil
        case .full:
            for pending in completed { pending.completion(false) }
            return nil
        case .appended: file.byteCount += writingByteCount
        case .rewritten(let descriptor):
            retired = file.file.descriptor
            file.generation += 1
            file.file = FlushRound.File(descriptor: descriptor, path: file.path)
            file.byteCount = writingByteCount
            file.rewrittenByteCount = writingByteCount
        }
        for pending in completed {
            for entry in pending.entries { state.apply(entry) }
            pending.completion(true)
        }
        return retired
    }
}
