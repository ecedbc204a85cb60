internal import Bytes

/// Where in a segment to start looking: an entry every `Limits.indexIntervalBytes`. Pure.
struct SegmentIndex: Equatable, Sendable {
    struct Entry: Equatable, Sendable {
        /// Of the batch at `position`, relative to the segment's base offset.
        let relativeOffset: UInt32
        let position: UInt32
        /// The largest timestamp of all batches before `position`, milliseconds; the smallest integer when there is none.
        let maxTimestampBefore: Int64
    }

    let baseOffset: Int64
    private(set) var entries: [Entry] = []
    /// The largest timestamp in the segment, milliseconds; the smallest integer when it is empty.
    private(set) var maxTimestamp = Int64.min
    /// The offset after the last record, and the segment's size in bytes.
    private(set) var nextOffset: Int64
    private(set) var byteCount: Int64 = 0

    init(baseOffset: Int64) {
        self.baseOffset = baseOffset
        nextOffset = baseOffset
    }

    /// Takes the next batch in; its offsets are final.
    mutating func append(_ header: BatchHeader) {
        if byteCount >= Int64(entries.last?.position ?? 0) + Limits.indexIntervalBytes || entries.isEmpty {
            entries.append(
                Entry(
                    relativeOffset: UInt32(clamping: header.baseOffset - baseOffset), position: UInt32(clamping: byteCount),
                    maxTimestampBefore: maxTimestamp))
        }
        maxTimestamp = max(maxTimestamp, header.maxTimestamp)
        nextOffset = header.nextOffset
        byteCount += Int64(header.byteCount)
    }

    /// A position at or before the batch that holds `offset`.
    func position(ofOffset offset: Int64) -> Int64 {
        let relative = offset - baseOffset
        return entries.last(before: { Int64($0.relativeOffset) <= relative }).map { Int64($0.position) } ?? 0
    }

    /// A position at or before the first batch with a timestamp of at least `timestamp`; nil when the segment has none.
    func position(ofTimestamp timestamp: Int64) -> Int64? {
        guard maxTimestamp >= timestamp, byteCount > 0 else { return nil }
        return entries.last(before: { $0.maxTimestampBefore < timestamp }).map { Int64($0.position) } ?? 0
    }

    // MARK: On disk

    /// Format of the file beside a sealed segment: the index, then a CRC-32C of all before it.
    func encode() -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.append("SLUICEI1")
        bytes.append(bigEndian: UInt64(bitPattern: baseOffset))
        bytes.append(bigEndian: UInt64(bitPattern: nextOffset))
        bytes.append(bigEndian: UInt64(bitPattern: byteCount))
        bytes.append(bigEndian: UInt64(bitPattern: maxTimestamp))
        bytes.append(bigEndian: UInt32(entries.count))
        for entry in entries {
            bytes.append(bigEndian: entry.relativeOffset)
            bytes.append(bigEndian: entry.position)
            bytes.append(bigEndian: UInt64(bitPattern: entry.maxTimestampBefore))
        }
        bytes.append(bigEndian: BatchHeader.checksum(bytes.span))
        return bytes
    }

    /// Reads what `encode` wrote for the segment at `baseOffset`; nil for anything else.
    init?(decoding bytes: Span<UInt8>, baseOffset: Int64) {
        guard let body = Checksummed.body(bytes, magic: "SLUICEI1") else { return nil }
        var reader = RequestReader(body)
        do {
            guard try reader.int64() == baseOffset else { return nil }
            self.baseOffset = baseOffset
            nextOffset = try reader.int64()
            byteCount = try reader.int64()
            maxTimestamp = try reader.int64()
            for _ in 0..<(try reader.uint32()) {
                let relative = try reader.uint32()
                let position = try reader.uint32()
                entries.append(Entry(relativeOffset: relative, position: position, maxTimestampBefore: try reader.int64()))
            }
        } catch { return nil }
        guard nextOffset >= baseOffset, byteCount >= 0, reader.remaining == 0 else { return nil }
    }
}

extension [SegmentIndex.Entry] {
    /// The last entry for which `holds` is true; it holds for a prefix of the entries.
    fileprivate func last(before holds: (Element) -> Bool) -> Element? {
        var low = 0
        var high = count
        while low < high {
            let middle = (low + high) / 2
            if holds(self[middle]) { low = middle + 1 } else { high = middle }
        }
        return low == 0 ? nil : self[low - 1]
    }
}

/// Small files that are valid as a whole or not at all: 8 bytes that name the format, the body, a CRC-32C of both.
enum Checksummed {
    /// The bytes between name and checksum; nil when either is wrong.
    @_lifetime(copy bytes)
    static func body(_ bytes: Span<UInt8>, magic: StaticString) -> Span<UInt8>? {
        guard bytes.count >= 12 else { return nil }
        for index in 0..<8 where unsafe bytes[index] != magic.utf8Start[index] { return nil }
        var tail = RequestReader(bytes.extracting(bytes.count - 4..<bytes.count))
        guard let stored = try? tail.uint32() else { return nil }
        guard BatchHeader.checksum(bytes.extracting(0..<bytes.count - 4)) == stored else { return nil }
        return bytes.extracting(8..<bytes.count - 4)
    }
}
