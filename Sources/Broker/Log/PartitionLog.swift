internal import Bytes
internal import Telemetry

/// A topic's settings as far as the log follows them.
struct LogSettings: Equatable, Sendable {
    /// Milliseconds after which a record may be removed; -1: never.
    var retentionMilliseconds: Int64 = 7 * 86_400_000
    /// Bytes of one partition above which its oldest segments are removed; -1: never.
    var retentionBytes: Int64 = -1
    var segmentBytes: Int64 = Limits.segmentBytesDefault
    /// Milliseconds after which a segment takes no more records.
    var segmentMilliseconds: Int64 = 7 * 86_400_000
    var batchBytesMax: Int32 = Int32(Limits.batchBytesDefault)
}

/// One partition's records: segments in a folder, the last of which grows. Lives on the broker's loop.
///
/// Appending writes to the page cache only. `takeFlushWork` and `flushCompleted` bracket a round of the flusher, which
/// makes durable what was appended before it began.
final class PartitionLog {
    let folder: String
    var settings: LogSettings
    var segments: [Segment]
    private(set) var producers: ProducerTable
    /// Everything before this offset is on the disk.
    private(set) var durableOffset: Int64
    private var markFile: FlushRound.File?
    private var markSequence: UInt64
    private var markSyncedMilliseconds: UInt64 = 0
    /// Folders whose entries changed since the last round.
    private var unsyncedFolders: [String] = []
    private var pendingSeals: [FlushRound.Seal] = []
    /// Files and descriptors to go in the next round.
    var pendingRemoval = FlushRound.Removal()
    private var activeSinceMilliseconds: Int64 = 0
    /// Zeros on their way ahead of the active segment's end, and up to where they are there.
    private var preparation: Preparation?
    private var preparedByteCount: Int64 = 0
    /// Where recent reads ended: a consumer's next fetch starts there, without a search.
    private var readEnds: [(offset: Int64, position: Int64)] = []
    private var nextReadEnd = 0
    /// Bytes appended since the last flush round took them.
    private(set) var unflushedByteCount: Int64 = 0

    /// What a crash or an upkeep left to tell; for the log at start.
    struct Recovered {
        var segments: [Segment] = []
        var producers = ProducerTable()
        var mark: FlushRound.File?
        var markSequence: UInt64 = 0
        var cutBytes: Int64 = 0
        var scannedBytes: Int64 = 0
    }

    /// A log that was recovered, or an empty one whose folder is made by its first append.
    init(folder: String, settings: LogSettings, recovered: Recovered = Recovered()) {
        self.folder = folder
        self.settings = settings
        segments = recovered.segments
        producers = recovered.producers
        markFile = recovered.mark
        markSequence = recovered.markSequence
        durableOffset = recovered.segments.last?.nextOffset ?? 0
    }

    /// Gives up the log's files: their descriptors are the caller's to close, when no flush round uses them any more.
    func takeDescriptors() -> [CInt] {
        stopPreparing()
        defer {
            segments = []
            markFile = nil
        }
        return segments.map(\.descriptor).filter { $0 >= 0 } + (markFile.map { [$0.descriptor] } ?? []) + pendingRemoval.descriptors
    }

    /// Closes the log's files when no flusher runs.
    func close() { for descriptor in takeDescriptors() { Files.close(descriptor) } }

    var startOffset: Int64 { segments.first?.baseOffset ?? 0 }
    var endOffset: Int64 { segments.last?.nextOffset ?? 0 }
    var byteCount: Int64 { segments.reduce(0) { $0 + $1.byteCount } }

    // MARK: Appending

    enum AppendResult: Equatable {
        case stored(firstOffset: Int64, lastOffset: Int64)
        case refused(ErrorCode)
    }

    /// Judges and appends one validated batch, which lies at `range` of `frame`; its offset is filled in there.
    func append(_ header: BatchHeader, in frame: inout [UInt8], at range: Range<Int>, nowMilliseconds: Int64) -> AppendResult {
        switch producers.judge(header) {
        case .append: break
        case .duplicate(let first, let last): return .stored(firstOffset: first, lastOffset: last)
        case .oldDuplicate: return .refused(.duplicateSequenceNumber)
        case .outOfOrder: return .refused(.outOfOrderSequenceNumber)
        case .staleEpoch: return .refused(.invalidProducerEpoch)
        }
        do throws(DiskError) {
            try prepareSegment(for: range.count, nowMilliseconds: nowMilliseconds)
            var stored = header
            stored.baseOffset = endOffset
            Self.fillIn(offset: endOffset, in: &frame, at: range.lowerBound)
            let active = segments.count - 1
            let position = segments[active].byteCount
            takeRoom(below: position + Int64(range.count))
            do throws(DiskError) {
                try Files.write(segments[active].descriptor, frame.span.extracting(range), at: position, segments[active].path)
            } catch {
                stopPreparing()
                try Files.truncate(segments[active].descriptor, to: position, segments[active].path)
                throw error
            }
            segments[active].index.append(stored)
            segments[active].isDirty = true
            unflushedByteCount += Int64(range.count)
            producers.record(stored, firstOffset: stored.baseOffset)
            return .stored(firstOffset: stored.baseOffset, lastOffset: stored.lastOffset)
        } catch {
            // Without room nothing changed, and the client tries again; anything else leaves a file nobody can vouch for.
            guard error.isFull else {
                Log.error("the log cannot be written; the broker ends, and recovers at its next start", .text("error", "\(error)"))
                preconditionFailure("the log cannot be written")
            }
            producers.expect(header)
            return .refused(.notEnoughReplicas)
        }
    }

    /// Writes the base offset and leader epoch 0 in front of the checksummed part.
    private static func fillIn(offset: Int64, in frame: inout [UInt8], at start: Int) {
        for byte in 0..<8 { frame[start + byte] = UInt8(truncatingIfNeeded: offset >> Int64(56 - byte * 8)) }
        for byte in 12..<16 { frame[start + byte] = 0 }
    }

    private func prepareSegment(for bytes: Int, nowMilliseconds: Int64) throws(DiskError) {
        guard let active = segments.last else { return try makeFirstSegment(nowMilliseconds: nowMilliseconds) }
        if activeSinceMilliseconds == 0 { activeSinceMilliseconds = nowMilliseconds }
        let isFull = active.byteCount + Int64(bytes) > settings.segmentBytes
        let isOld = nowMilliseconds - activeSinceMilliseconds > settings.segmentMilliseconds
        let isOutOfNumbers = active.nextOffset - active.baseOffset > Int64(Int32.max)
        if active.byteCount > 0, isFull || isOld || isOutOfNumbers { try roll(nowMilliseconds: nowMilliseconds) }
    }

    private func makeFirstSegment(nowMilliseconds: Int64) throws(DiskError) {
        let parent = String(folder[..<(folder.lastIndex(of: "/") ?? folder.startIndex)])
        try Files.makeDirectory(parent)
        try Files.makeDirectory(folder)
        if markFile == nil { markFile = try Self.makeMarkFile(folder) }
        try addSegment(baseOffset: 0, nowMilliseconds: nowMilliseconds)
        let grandparent = String(parent[..<(parent.lastIndex(of: "/") ?? parent.startIndex)])
        unsyncedFolders += [parent, grandparent]
    }

    static func makeMarkFile(_ folder: String) throws(DiskError) -> FlushRound.File {
        let path = folder + "/durable"
        let descriptor = try Files.open(path, .create)
        do {
            // Its room is taken now, so that a full disk later does not stop marks.
            if try Files.size(descriptor, path) < DurableMark.fileByteCount {
                let empty = [UInt8](repeating: 0, count: DurableMark.fileByteCount)
                try Files.write(descriptor, empty.span, at: 0, path)
            }
        } catch {
            Files.close(descriptor)
            throw error
        }
        return FlushRound.File(descriptor: descriptor, path: path)
    }

    // MARK: Room ahead

    /// Makes sure that nobody else writes below `end`.
    private func takeRoom(below end: Int64) {
        guard let preparation else { return }
        if preparation.isDone {
            preparedByteCount = preparation.range.upperBound
            self.preparation = nil
        } else if end > preparation.range.lowerBound {
            preparation.abandon()
            self.preparation = nil
        }
    }

    private func stopPreparing() {
        preparation?.abandon()
        preparation = nil
        preparedByteCount = 0
    }

    /// The next zeros to write ahead of the active segment's end; nil when there are enough, or some are on their way.
    private func nextPreparation() -> Preparation? {
        guard let active = segments.last, active.byteCount > 0, !active.isSealed else { return nil }
        takeRoom(below: active.byteCount)
        guard preparation == nil,
            let range = Preparation.wanted(end: active.byteCount, prepared: preparedByteCount, segmentBytes: settings.segmentBytes)
        else { return nil }
        preparation = Preparation(descriptor: active.descriptor, path: active.path, range: range)
        return preparation
    }

    private func addSegment(baseOffset: Int64, nowMilliseconds: Int64) throws(DiskError) {
        let path = folder + "/" + Segment.fileName(baseOffset, "log")
        let descriptor = try Files.open(path, .replace)
        stopPreparing()
        segments.append(Segment(path: path, descriptor: descriptor, index: SegmentIndex(baseOffset: baseOffset), isSealed: false))
        activeSinceMilliseconds = nowMilliseconds
        unsyncedFolders.append(folder)
    }

    /// Ends the active segment and begins the next.
    func roll(nowMilliseconds: Int64) throws(DiskError) {
        let next = endOffset
        let sealed = segments.count - 1
        try addSegment(baseOffset: next, nowMilliseconds: nowMilliseconds)
        pendingSeals.append(seal(ofSegment: sealed, nextOffset: next))
        segments[sealed].isSealed = true
    }

    private func seal(ofSegment position: Int, nextOffset: Int64) -> FlushRound.Seal {
        FlushRound.Seal(
            directory: folder, file: FlushRound.File(descriptor: segments[position].descriptor, path: segments[position].path),
            byteCount: segments[position].byteCount,
            indexPath: folder + "/" + Segment.fileName(segments[position].baseOffset, "index"),
            index: segments[position].index.encode(),
            producersPath: folder + "/" + Segment.fileName(nextOffset, "producers"), producers: producers.sealedBytes())
    }

    // MARK: Flushing

    var needsFlush: Bool {
        durableOffset < endOffset || !pendingSeals.isEmpty || !pendingRemoval.files.isEmpty || !unsyncedFolders.isEmpty
    }

    /// Puts into `round` what makes everything appended so far durable; returns the offset it covers.
    func takeFlushWork(into round: inout FlushRound, nowMilliseconds: UInt64) -> Int64 {
        unflushedByteCount = 0
        for index in segments.indices where segments[index].isDirty {
            segments[index].isDirty = false
            round.files.append(FlushRound.File(descriptor: segments[index].descriptor, path: segments[index].path))
        }
        if let next = nextPreparation() { round.preparations.append(next) }
        for folder in unsyncedFolders where !round.directories.contains(folder) { round.directories.append(folder) }
        unsyncedFolders = []
        if let markFile, let active = segments.last {
            markSequence += 1
            let syncs = nowMilliseconds - markSyncedMilliseconds >= Limits.markSyncMilliseconds
            if syncs { markSyncedMilliseconds = nowMilliseconds }
            let mark = DurableMark(base: active.baseOffset, position: active.byteCount)
            round.marks.append(
                FlushRound.Mark(
                    file: markFile, bytes: mark.slot(sequence: markSequence), offset: DurableMark.slotOffset(sequence: markSequence),
                    syncs: syncs))
            round.seals += pendingSeals
            pendingSeals = []
        }
        if !pendingRemoval.files.isEmpty {
            round.removals.append(pendingRemoval)
            pendingRemoval = FlushRound.Removal()
        }
        return endOffset
    }

    func flushCompleted(upTo offset: Int64) { durableOffset = max(durableOffset, offset) }

    // MARK: Reading

    enum ReadError: Error { case outOfRange, damaged }

    /// Appends whole batches from the one that holds `offset` on, up to `limit` (the first offset not shown) and to `maxBytes`.
    ///
    /// Every batch's checksum is checked before it goes out. A first batch larger than `maxBytes` is returned alone
    /// when `atLeastOne`, else nothing. Returns the bytes appended.
    func read(from offset: Int64, below limit: Int64, maxBytes: Int, atLeastOne: Bool, into buffer: inout [UInt8]) throws(ReadError) -> Int
    {
        guard offset >= startOffset, offset <= endOffset else { throw .outOfRange }
        guard offset < limit, let found = segments.lastIndex(where: { $0.baseOffset <= offset }) else { return 0 }
        do {
            let position = try self.position(of: offset, inSegment: found)
            return try read(segment: found, position: position, below: limit, maxBytes: maxBytes, atLeastOne: atLeastOne, into: &buffer)
        } catch {
            Log.error("a read failed", .text("error", "\(error)"))
            throw .damaged
        }
    }

    /// About how many bytes lie between two offsets: too high by at most an index interval, and by what is above `limit`
    /// in the same segment.
    func visibleByteCount(from offset: Int64, below limit: Int64) -> Int {
        guard offset < limit, let found = segments.lastIndex(where: { $0.baseOffset <= offset }) else { return 0 }
        let position = readEnds.first { $0.offset == offset }?.position ?? segments[found].index.position(ofOffset: offset)
        return Int(clamping: max(1, segments[found].byteCount - position))
    }

    private enum LocateError: Error, CustomStringConvertible {
        case disk(DiskError)
        case damage(path: String, position: Int64, reason: StaticString)

        var description: String {
            switch self {
            case .disk(let error): error.description
            case .damage(let path, let position, let reason): "\(path): damaged at byte \(position): \(reason)"
            }
        }
    }

    private func position(of offset: Int64, inSegment found: Int) throws(LocateError) -> Int64 {
        if offset == segments[found].baseOffset { return 0 }
        // Positions belong to the segment that the offset lies in; an end equal to a next base is never looked up here.
        if let end = readEnds.first(where: { $0.offset == offset }) { return end.position }
        var last: Int64 = 0
        do {
            var scanner = SegmentScanner(
                descriptor: try segments[found].openForReading(), path: segments[found].path,
                from: segments[found].index.position(ofOffset: offset), byteCount: segments[found].byteCount, expecting: nil,
                checksums: false)
            scan: while true {
                switch try scanner.next() {
                case .batch(let header, let position):
                    last = position
                    if header.nextOffset > offset { break scan }
                case .end: break scan
                case .damage(let position, let reason):
                    throw LocateError.damage(path: segments[found].path, position: position, reason: reason)
                }
            }
        } catch let error as DiskError { throw .disk(error) } catch let error as LocateError { throw error } catch { preconditionFailure() }
        return last
    }

    private func read(
        segment found: Int, position: Int64, below limit: Int64, maxBytes: Int, atLeastOne: Bool, into buffer: inout [UInt8]
    ) throws(LocateError) -> Int {
        let start = buffer.count
        let path = segments[found].path
        let available = Int(clamping: segments[found].byteCount - position)
        do {
            let descriptor = try segments[found].openForReading()
            var wanted = min(max(maxBytes, BatchHeader.byteCount), available)
            _ = try Files.read(descriptor, into: &buffer, count: wanted, at: position, path)
            var end = start
            var next: Int64 = 0
            while end < buffer.count {
                guard let header = BatchHeader(buffer.span.extracting(end..<buffer.count)) else {
                    if buffer.count - end < BatchHeader.byteCount, buffer.count - start < available { break }
                    throw LocateError.damage(path: path, position: position + Int64(end - start), reason: "no batch starts here")
                }
                if header.baseOffset >= limit { break }
                if end + header.byteCount > buffer.count {
                    guard end == start, atLeastOne, header.byteCount <= available else { break }
                    let got = buffer.count - start
                    wanted = header.byteCount - got
                    _ = try Files.read(descriptor, into: &buffer, count: wanted, at: position + Int64(got), path)
                }
                if end > start, end + header.byteCount - start > maxBytes { break }
                guard end + header.byteCount <= buffer.count,
                    BatchHeader.checksumHolds(buffer.span.extracting(end..<end + header.byteCount))
                else { throw LocateError.damage(path: path, position: position + Int64(end - start), reason: "a checksum does not hold") }
                end += header.byteCount
                next = header.nextOffset
            }
            if end - start > maxBytes, !atLeastOne { end = start }
            if end > start { remember(readEnd: next, position: position + Int64(end - start), in: found) }
            buffer.removeSubrange(end...)
        } catch {
            // A failed read leaves nothing half-done in the answer.
            buffer.removeSubrange(start...)
            if let error = error as? DiskError { throw .disk(error) }
            throw error as? LocateError ?? .damage(path: path, position: position, reason: "it cannot be read")
        }
        return buffer.count - start
    }

    private func remember(readEnd offset: Int64, position: Int64, in segment: Int) {
        // The end of a sealed segment is the start of the next one, which needs no search.
        guard offset < segments[segment].nextOffset || segment == segments.count - 1 else { return }
        if let index = readEnds.firstIndex(where: { $0.offset == offset }) {
            readEnds[index].position = position
        } else if readEnds.count < 4 {
            readEnds.append((offset, position))
        } else {
            readEnds[nextReadEnd] = (offset, position)
            nextReadEnd = (nextReadEnd + 1) & 3
        }
    }
}
