internal import CBroker

/// The 61 bytes at the start of every record batch (Kafka's message format 2), as sent and as stored.
///
/// The checksum covers everything from the attributes on, so the base offset and the leader epoch can be filled in
/// on arrival without touching what the producer sealed.
struct BatchHeader: Equatable, Sendable {
    static let byteCount = 61
    /// Bytes before the part that `batchLength` counts.
    static let lengthOverhead = 12
    /// Where the checksummed part starts.
    static let checksummedFrom = 21

    var baseOffset: Int64
    /// Of the whole batch, bytes, with the fields before the length.
    var byteCount: Int
    var checksum: UInt32
    var attributes: Int16
    var lastOffsetDelta: Int32
    var baseTimestamp: Int64
    var maxTimestamp: Int64
    var producerId: Int64
    var producerEpoch: Int16
    var baseSequence: Int32
    var recordCount: Int32

    var lastOffset: Int64 { baseOffset + Int64(lastOffsetDelta) }
    var nextOffset: Int64 { lastOffset + 1 }
    var isCompressed: Bool { attributes & 7 != 0 }
    var isTransactional: Bool { attributes & 0x10 != 0 }
    var isControl: Bool { attributes & 0x20 != 0 }
    var isIdempotent: Bool { producerId >= 0 }

    /// Reads a header at the start of `bytes`; nil when it is too short, or no batch of format 2 starts here.
    /// Does not look at the records or the checksum.
    init?(_ bytes: Span<UInt8>) {
        guard bytes.count >= Self.byteCount else { return nil }
        var reader = RequestReader(bytes)
        do {
            baseOffset = try reader.int64()
            let length = try reader.int32()
            _ = try reader.int32()
            guard try reader.int8() == 2 else { return nil }
            checksum = try reader.uint32()
            attributes = try reader.int16()
            lastOffsetDelta = try reader.int32()
            baseTimestamp = try reader.int64()
            maxTimestamp = try reader.int64()
            producerId = try reader.int64()
            producerEpoch = try reader.int16()
            baseSequence = try reader.int32()
            recordCount = try reader.int32()
            byteCount = Int(length) + Self.lengthOverhead
        } catch {
            return nil
        }
        guard byteCount >= Self.byteCount, byteCount <= Limits.frameBytesMax else { return nil }
        guard baseOffset >= 0, baseOffset < Int64.max / 2, lastOffsetDelta >= 0 else { return nil }
    }

    /// Whether the checksum of a whole batch is the one in its header.
    static func checksumHolds(_ batch: Span<UInt8>) -> Bool {
        guard let header = BatchHeader(batch), header.byteCount == batch.count else { return false }
        return checksum(batch.extracting(checksummedFrom..<batch.count)) == header.checksum
    }

    static func checksum(_ bytes: Span<UInt8>) -> UInt32 {
        unsafe bytes.withUnsafeBufferPointer { buffer in unsafe sluice_crc32c(0, buffer.baseAddress, buffer.count) }
    }
}

/// Why a batch was not stored.
enum BatchRefusal: Error, Equatable {
    /// Message format 0 or 1.
    case oldFormat
    /// The checksum does not hold, or lengths do not fit.
    case corrupt
    /// More than one batch, a control or transactional batch, or records that are not numbered as the header says.
    case invalidRecord
    case tooLarge
}

extension BatchHeader {
    /// Checks what a producer sent for one partition: exactly one whole batch of format 2 whose checksum holds.
    static func validate(_ bytes: Span<UInt8>, batchBytesMax: Int) throws(BatchRefusal) -> BatchHeader {
        guard bytes.count > 17 else { throw .corrupt }
        if bytes[16] < 2 { throw .oldFormat }
        guard let header = BatchHeader(bytes), header.byteCount <= bytes.count else { throw .corrupt }
        guard header.byteCount <= batchBytesMax else { throw .tooLarge }
        guard header.byteCount == bytes.count, !header.isControl, !header.isTransactional else { throw .invalidRecord }
        guard header.recordCount > 0, header.recordCount <= Limits.batchRecordsMax, header.recordCount == header.lastOffsetDelta + 1 else {
            throw .invalidRecord
        }
        guard !header.isIdempotent || (header.producerEpoch >= 0 && header.baseSequence >= 0) else { throw .invalidRecord }
        guard checksumHolds(bytes) else { throw .corrupt }
        if !header.isCompressed {
            var records = RecordWalk(bytes, header)
            while let record = try records.next() {
                guard record.offset == header.baseOffset + Int64(records.count - 1) else { throw .invalidRecord }
            }
        }
        return header
    }
}

/// Walks the records of one uncompressed batch.
struct RecordWalk: ~Escapable {
    struct Record {
        let offset: Int64
        let timestamp: Int64
        /// Positions within the batch; nil for null.
        let key: Range<Int>?
        let value: Range<Int>?
        let headers: [(key: Range<Int>, value: Range<Int>?)]
    }

    private let bytes: Span<UInt8>
    private let header: BatchHeader
    private var position = BatchHeader.byteCount
    /// Records walked so far.
    private(set) var count = 0

    @_lifetime(copy bytes)
    init(_ bytes: Span<UInt8>, _ header: BatchHeader) {
        self.bytes = bytes
        self.header = header
    }

    /// The next record; nil after the last. Anything that does not add up is `.invalidRecord`.
    mutating func next(withHeaders: Bool = false) throws(BatchRefusal) -> Record? {
        if count == Int(header.recordCount) {
            guard position == bytes.count else { throw .invalidRecord }
            return nil
        }
        let length = try varint()
        guard length >= 0, length <= Int64(bytes.count - position) else { throw .invalidRecord }
        let end = position + Int(length)
        guard position < end else { throw .invalidRecord }
        position += 1
        let timestamp = header.baseTimestamp &+ (try varint())
        let offset = header.baseOffset &+ (try varint())
        let key = try field(before: end)
        let value = try field(before: end)
        let headerCount = try varint()
        guard headerCount >= 0, headerCount <= Int64(end - position) else { throw .invalidRecord }
        var headers: [(Range<Int>, Range<Int>?)] = []
        for _ in 0..<headerCount {
            guard let name = try field(before: end) else { throw .invalidRecord }
            let value = try field(before: end)
            if withHeaders { headers.append((name, value)) }
        }
        guard position == end else { throw .invalidRecord }
        count += 1
        return Record(offset: offset, timestamp: timestamp, key: key, value: value, headers: headers)
    }

    private mutating func field(before end: Int) throws(BatchRefusal) -> Range<Int>? {
        let length = try varint()
        if length == -1 { return nil }
        guard length >= 0, position <= end, length <= Int64(end - position) else { throw .invalidRecord }
        defer { position += Int(length) }
        return position..<position + Int(length)
    }

    /// A zigzag varint of at most 10 bytes.
    private mutating func varint() throws(BatchRefusal) -> Int64 {
        var value: UInt64 = 0
        for shift in stride(from: UInt64(0), through: 63, by: 7) {
            guard position < bytes.count else { throw .invalidRecord }
            let byte = bytes[position]
            position += 1
            value |= UInt64(byte & 0x7f) << shift
            if byte & 0x80 == 0 { return Int64(bitPattern: value >> 1) ^ -Int64(bitPattern: value & 1) }
        }
        throw .invalidRecord
    }
}
