/// One file of a partition's log: record batches one after the other, as they were sent, in Kafka's own format.
struct Segment {
    let path: String
    /// -1 until it is needed: a sealed segment is opened by its first reader.
    private(set) var descriptor: CInt
    var index: SegmentIndex
    /// Its index is on disk, so a start need not read it.
    var isSealed: Bool
    /// Batches were appended since the last flush round took it.
    var isDirty = false

    var baseOffset: Int64 { index.baseOffset }
    var nextOffset: Int64 { index.nextOffset }
    var byteCount: Int64 { index.byteCount }

    init(path: String, descriptor: CInt, index: SegmentIndex, isSealed: Bool) {
        self.path = path
        self.descriptor = descriptor
        self.index = index
        self.isSealed = isSealed
    }

    mutating func openForReading() throws(DiskError) -> CInt {
        if descriptor < 0 { descriptor = try Files.open(path, .read) }
        return descriptor
    }

    /// `00000000000000012345.log`, as Kafka names them; `kind` is `log`, `index` or `producers`.
    static func fileName(_ baseOffset: Int64, _ kind: String) -> String {
        let digits = String(baseOffset)
        return String(repeating: "0", count: max(0, 20 - digits.utf8.count)) + digits + "." + kind
    }

    /// The base offset of a segment's file name; nil for other files.
    static func baseOffset(fileName: String, kind: String) -> Int64? {
        guard fileName.hasSuffix("." + kind) else { return nil }
        guard let base = Int64(fileName.dropLast(kind.utf8.count + 1)), base >= 0, Self.fileName(base, kind) == fileName else { return nil }
        return base
    }
}

/// Reads a segment's batches in order, in pieces, with at most one batch more than a piece in memory.
struct SegmentScanner {
    enum Step {
        case batch(BatchHeader, position: Int64)
        case end
        /// No whole, sound batch starts here.
        case damage(position: Int64, reason: StaticString)
    }

    private static let pieceBytes = 1 << 20
    private let descriptor: CInt
    private let path: String
    private let byteCount: Int64
    private let checksums: Bool
    private var buffer: [UInt8] = []
    private var bufferPosition: Int64
    private var start = 0
    /// The offset the next batch must have; nil takes any.
    private var expected: Int64?

    /// - Parameters:
    ///   - byteCount: where the log ends; bytes beyond are not looked at.
    ///   - checksums: whether to check them; without, only headers and numbering are checked.
    init(descriptor: CInt, path: String, from position: Int64 = 0, byteCount: Int64, expecting offset: Int64?, checksums: Bool = true) {
        self.descriptor = descriptor
        self.path = path
        self.byteCount = byteCount
        self.checksums = checksums
        bufferPosition = position
        expected = offset
    }

    /// The bytes of the batch that `next` returned last.
    private(set) var batchRange = 0..<0
    var batch: Span<UInt8> {
        @_lifetime(borrow self) borrowing get { buffer.span.extracting(batchRange) }
    }

    mutating func next() throws(DiskError) -> Step {
        let position = bufferPosition + Int64(start)
        if position >= byteCount { return .end }
        let isWhole = try fill(BatchHeader.byteCount)
        guard isWhole, let header = BatchHeader(buffer.span.extracting(start..<buffer.count)) else {
            if try isPrepared() { return .end }
            return .damage(position: position, reason: isWhole ? "no batch starts here" : "a batch's header is cut off")
        }
        if let expected, header.baseOffset != expected { return .damage(position: position, reason: "an offset is not the next one") }
        guard position + Int64(header.byteCount) <= byteCount else { return .damage(position: position, reason: "a batch is cut off") }
        if checksums {
            guard try fill(header.byteCount) else { return .damage(position: position, reason: "a batch is cut off") }
            batchRange = start..<start + header.byteCount
            guard BatchHeader.checksumHolds(batch) else { return .damage(position: position, reason: "a checksum does not hold") }
        }
        expected = header.nextOffset
        skip(header.byteCount)
        return .batch(header, position: position)
    }

    /// Whether nothing but zeros follows: room that was prepared and not used.
    private mutating func isPrepared() throws(DiskError) -> Bool {
        while true {
            for index in start..<buffer.count where buffer[index] != 0 { return false }
            skip(buffer.count - start)
            guard bufferPosition + Int64(start) < byteCount else { return true }
            guard try fill(1) else { return false }
        }
    }

    private mutating func skip(_ count: Int) {
        if start + count <= buffer.count {
            start += count
        } else {
            bufferPosition += Int64(start + count)
            start = 0
            buffer.removeAll(keepingCapacity: true)
        }
    }

    /// Makes `count` bytes available at `start`; false when the file ends before.
    private mutating func fill(_ count: Int) throws(DiskError) -> Bool {
        if buffer.count - start >= count { return true }
        buffer.removeSubrange(..<start)
        bufferPosition += Int64(start)
        start = 0
        let from = bufferPosition + Int64(buffer.count)
        // Finding a place between two index entries needs little; a scan with checksums reads everything anyway.
        let piece = checksums ? Self.pieceBytes : Int(Limits.indexIntervalBytes)
        let wanted = min(Int64(max(count - buffer.count, piece)), byteCount - from)
        if wanted > 0 { _ = try Files.read(descriptor, into: &buffer, count: Int(wanted), at: from, path) }
        return buffer.count >= count
    }
}
