internal import Bytes
internal import Telemetry

/// A data folder that cannot be used as it is; the sentence names the file and what to do.
struct RecoveryError: Error, CustomStringConvertible {
    let description: String

    static func damage(_ path: String, at position: Int64, _ reason: String) -> RecoveryError {
        RecoveryError(
            description: "\(path): damaged at byte \(position), before the point up to which the log was synced: \(reason). "
                + "Records that were acknowledged may be missing, so nothing is skipped: restore the file from a copy. "
                + "Do not move the topic's folder away: the ledger would take the new log for the one it has applied.")
    }
}

extension PartitionLog {
    /// Reads a partition's folder as a crash may have left it.
    ///
    /// Sealed segments are taken at their index's word; the rest is scanned. What does not check out behind the durable
    /// mark is cut off and logged; before it, it is an error. With `repairs` false nothing is changed (`verify`).
    /// Returns nil when the folder is not there: a partition that never had a record.
    static func recover(folder: String, repairs: Bool = true) throws -> Recovered? {
        let names: [String]
        do { names = try Files.list(folder) } catch {
            guard error.isAbsent else { throw error }
            return nil
        }
        let bases = names.compactMap { Segment.baseOffset(fileName: $0, kind: "log") }.sorted()
        var result = Recovered()
        if repairs { result.mark = try makeMarkFile(folder) }
        let marked = (try? Files.contents(folder + "/durable")).flatMap { DurableMark.read($0.span) }
        result.markSequence = marked?.sequence ?? 0
        guard !bases.isEmpty else {
            if let mark = marked?.mark, mark.position > 0 { throw RecoveryError.damage(folder, at: 0, "all segments are missing") }
            return result
        }
        let mark = marked?.mark ?? DurableMark(base: 0, position: 0)
        if mark.base > bases[bases.count - 1] {
            throw RecoveryError.damage(folder + "/" + Segment.fileName(mark.base, "log"), at: 0, "the segment is missing")
        }
        try loadSealed(folder, bases, into: &result)
        try scanRest(folder, bases, mark: mark, repairs: repairs, into: &result)
        if repairs { try settle(folder, &result) }
        return result
    }

    /// Takes the leading segments whose index is sound, up to the first from which the producers can be rebuilt.
    private static func loadSealed(_ folder: String, _ bases: [Int64], into result: inout Recovered) throws {
        for (position, base) in bases.enumerated().dropLast() {
            guard let bytes = try? Files.contents(folder + "/" + Segment.fileName(base, "index")),
                let index = SegmentIndex(decoding: bytes.span, baseOffset: base)
            else { break }
            let path = folder + "/" + Segment.fileName(base, "log")
            let descriptor = try Files.open(path, .read)
            defer { Files.close(descriptor) }
            let size = try Files.size(descriptor, path)
            guard size == index.byteCount else {
                throw RecoveryError.damage(
                    path, at: min(size, index.byteCount), "the file has \(size) bytes, its index says \(index.byteCount)")
            }
            guard index.nextOffset == bases[position + 1] else {
                throw RecoveryError.damage(
                    path, at: size, "offset \(index.nextOffset) should follow, the next segment starts at \(bases[position + 1])")
            }
            result.segments.append(Segment(path: path, descriptor: -1, index: index, isSealed: true))
        }
        while true {
            let base = bases[result.segments.count]
            if let bytes = try? Files.contents(folder + "/" + Segment.fileName(base, "producers")),
                let body = Checksummed.body(bytes.span, magic: "SLUICEP1")
            {
                var reader = RequestReader(body)
                if let table = try? ProducerTable(&reader) {
                    result.producers = table
                    return
                }
            }
            guard !result.segments.isEmpty else {
                if base > 0 {
                    Log.warning("the producers' state is missing; it is rebuilt from the records that are left", .text("folder", folder))
                }
                return
            }
            result.segments.removeLast()
        }
    }

    private static func scanRest(_ folder: String, _ bases: [Int64], mark: DurableMark, repairs: Bool, into result: inout Recovered) throws
    {
        for (number, base) in bases.enumerated().dropFirst(result.segments.count) {
            let path = folder + "/" + Segment.fileName(base, "log")
            if let last = result.segments.last, last.nextOffset != base {
                // What is missing may be the torn end of the segment before: then nothing from here on was durable either.
                guard mark.base < base, !last.isSealed else {
                    throw RecoveryError.damage(path, at: 0, "offset \(last.nextOffset) should come here")
                }
                try cutSegments(folder, bases[number...], repairs: repairs, "the one before it ends at offset \(last.nextOffset)")
                return
            }
            let descriptor = try Files.open(path, repairs ? .write : .read)
            let size = try Files.size(descriptor, path)
            var segment = Segment(path: path, descriptor: descriptor, index: SegmentIndex(baseOffset: base), isSealed: false)
            let damage = try scan(&segment, size: size, producers: &result.producers)
            result.scannedBytes += size
            result.segments.append(segment)
            if base == mark.base, segment.byteCount < mark.position {
                throw RecoveryError.damage(path, at: segment.byteCount, damage ?? "the file ends there")
            }
            guard let damage else {
                // Zeros prepared ahead, if any.
                if repairs, size > segment.byteCount { try Files.truncate(descriptor, to: segment.byteCount, path) }
                if repairs, number < bases.count - 1 { try sealAgain(folder, &result, nextBase: bases[number + 1]) }
                continue
            }
            if mark.base > base { throw RecoveryError.damage(path, at: segment.byteCount, damage) }
            // Behind the mark: the tail of a crash. Nothing of it was acknowledged under `--flush always`.
            result.cutBytes += size - segment.byteCount
            Log.warning(
                "a torn tail is cut off", .text("file", path), .integer("at_byte", segment.byteCount),
                .integer("bytes", size - segment.byteCount),
                .text("reason", damage), .integer("next_offset", segment.nextOffset))
            guard repairs else { return }
            try Files.truncate(descriptor, to: segment.byteCount, path)
            try cutSegments(folder, bases[(number + 1)...], repairs: repairs, "the one before it is torn")
            return
        }
    }

    private static func cutSegments(_ folder: String, _ bases: ArraySlice<Int64>, repairs: Bool, _ reason: String) throws {
        for base in bases {
            let path = folder + "/" + Segment.fileName(base, "log")
            Log.warning("a segment behind a torn tail is removed", .text("file", path), .text("reason", reason))
            guard repairs else { continue }
            for kind in ["log", "index", "producers"] { try Files.remove(folder + "/" + Segment.fileName(base, kind)) }
        }
    }

    /// Returns what is wrong at the segment's end as it stands in `segment.index`; nil when the file is sound to its end.
    private static func scan(_ segment: inout Segment, size: Int64, producers: inout ProducerTable) throws -> String? {
        var scanner = SegmentScanner(descriptor: segment.descriptor, path: segment.path, byteCount: size, expecting: segment.baseOffset)
        while true {
            switch try scanner.next() {
            case .batch(let header, _):
                segment.index.append(header)
                producers.record(header, firstOffset: header.baseOffset)
            case .end: return nil
            case .damage(_, let reason): return "\(reason)"
            }
        }
    }

    /// Seals a segment whose index a crash or a full disk kept from being written.
    private static func sealAgain(_ folder: String, _ result: inout Recovered, nextBase: Int64) throws {
        let last = result.segments.count - 1
        let segment = result.segments[last]
        guard segment.nextOffset == nextBase else { return }
        try Files.sync(segment.descriptor, segment.path)
        let table = result.producers.sealedBytes()
        let index = segment.index.encode()
        do {
            try Files.replace(folder + "/" + Segment.fileName(nextBase, "producers"), with: table.span)
            try Files.replace(folder + "/" + Segment.fileName(segment.baseOffset, "index"), with: index.span)
            result.segments[last].isSealed = true
        } catch { Log.warning("a segment could not be sealed; it is scanned again at the next start", .text("error", "\(error)")) }
    }

    /// Makes durable what the scan found, before anybody is told of it, and seals what takes no more records.
    private static func settle(_ folder: String, _ result: inout Recovered) throws {
        for index in result.segments.indices where !result.segments[index].isSealed {
            let segment = result.segments[index]
            try Files.sync(segment.descriptor, segment.path)
        }
        try Files.syncDirectory(folder)
        guard let markFile = result.mark, let active = result.segments.last else { return }
        result.markSequence += 1
        let slot = DurableMark(base: active.baseOffset, position: active.byteCount).slot(sequence: result.markSequence)
        try Files.write(markFile.descriptor, slot.span, at: DurableMark.slotOffset(sequence: result.markSequence), markFile.path)
    }

    // MARK: Looking up a time

    /// The first record with a timestamp of at least `timestamp` (milliseconds) below `limit`; nil when there is none.
    ///
    /// Exact within batches that are not compressed. A compressed batch is answered with its first offset, which is at or
    /// before the record that is meant: a consumer that starts there misses nothing.
    func lookup(timestamp: Int64, below limit: Int64) throws -> (offset: Int64, timestamp: Int64)? {
        for index in segments.indices {
            guard let position = segments[index].index.position(ofTimestamp: timestamp) else { continue }
            var scanner = SegmentScanner(
                descriptor: try segments[index].openForReading(), path: segments[index].path, from: position,
                byteCount: segments[index].byteCount, expecting: nil)
            while case .batch(let header, _) = try scanner.next() {
                if header.baseOffset >= limit { return nil }
                guard header.maxTimestamp >= timestamp else { continue }
                if header.isCompressed { return (header.baseOffset, max(header.baseTimestamp, timestamp)) }
                var records = RecordWalk(scanner.batch, header)
                while let record = try? records.next() {
                    if record.timestamp >= timestamp { return (record.offset, record.timestamp) }
                }
            }
        }
        return nil
    }
}
