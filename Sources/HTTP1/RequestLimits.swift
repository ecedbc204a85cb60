/// What one request may cost before it is refused. All sizes are in bytes.
public struct RequestLimits: Sendable {
    /// Request line without its CRLF; 414 beyond.
    public var requestLineBytesMax = 8 * 1024
    /// Number of header fields, at most `FieldTable.capacity`; 431 beyond.
    public var fieldsMax = FieldTable.capacity
    /// All header field lines with their CRLFs, without the empty line that ends them; 431 beyond.
    public var fieldBytesMax = 16 * 1024
    /// Decoded body; 413 beyond.
    public var bodyBytesMax = 64 * 1024
    /// Path on which a body may have `largeBodyBytesMax`, compared byte by byte; empty for none.
    public var largeBodyPath: [UInt8] = []
    /// Decoded body on `largeBodyPath`.
    public var largeBodyBytesMax = 1024 * 1024
    /// Chunk extensions of one body, all together; 400 beyond.
    public var chunkExtensionBytesMax = 1024
    /// Trailer lines with their CRLFs; 431 beyond.
    public var trailerBytesMax = 4 * 1024
    /// Whether a POST, PUT or PATCH without Content-Length and without chunked is refused with 411
    /// (RFC 9110 section 15.5.12). Without this such a request has an empty body.
    public var lengthRequired = true

    public init() {}

    /// A sentence on the first limit that cannot work, nil when all can.
    public var problem: String? {
        if requestLineBytesMax < 16 || requestLineBytesMax > 1 << 20 {
            return "The request line limit must be 16 bytes to 1 MiB, not \(requestLineBytesMax)."
        }
        if fieldsMax < 1 || fieldsMax > FieldTable.capacity {
            return "The limit of header fields must be 1 to \(FieldTable.capacity), not \(fieldsMax)."
        }
        // A field name must fit the 16 bits that FieldTable keeps for it.
        if fieldBytesMax < 16 || fieldBytesMax > 65_535 {
            return "The limit of header bytes must be 16 to 65535, not \(fieldBytesMax)."
        }
        if bodyBytesMax < 0 || bodyBytesMax > 1 << 28 || largeBodyBytesMax < bodyBytesMax || largeBodyBytesMax > 1 << 28 {
            return "The body limits must be 0 to 256 MiB, the large one not below the other."
        }
        if chunkExtensionBytesMax < 0 || chunkExtensionBytesMax > 65_535 {
            return "The limit of chunk-extension bytes must be 0 to 65535, not \(chunkExtensionBytesMax)."
        }
        if trailerBytesMax < 0 || trailerBytesMax > 65_535 {
            return "The limit of trailer bytes must be 0 to 65535, not \(trailerBytesMax)."
        }
        return nil
    }

    /// The most that an unfinished request can keep buffered: what the driver must be able to hold for it. A full
    /// pipeline keeps what the driver has read beyond it instead, at most one read.
    public var bufferedBytesMax: Int {
        let head = 2 + requestLineBytesMax + 2 + fieldBytesMax + 2
        let lastLine = ChunkLine.digitsMax + max(chunkExtensionBytesMax, trailerBytesMax) + 2
        return head + max(bodyBytesMax, largeBodyPath.isEmpty ? 0 : largeBodyBytesMax) + lastLine
    }

    func bodyBytesMax(path: Span<UInt8>) -> Int {
        guard !largeBodyPath.isEmpty, path.count == largeBodyPath.count else { return bodyBytesMax }
        let expected = largeBodyPath.span
        for index in 0..<path.count where path[index] != expected[index] { return bodyBytesMax }
        return largeBodyBytesMax
    }
}
