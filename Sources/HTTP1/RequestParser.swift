/// Incremental, strict parser of a request head (RFC 9112 sections 2 to 6).
///
/// It keeps offsets only, so a connection between two reads costs a few bytes: the request's bytes may move to
/// another address meanwhile, but each call must give all of them from the first one on. The `RequestHead` is
/// lent per call and filled only when the head is complete.
///
/// A line is judged when it is complete and a byte that cannot belong to any line at once. Each byte is scanned
/// once, and parsed at most twice (a second time when the head came in several reads).
public struct RequestParser: Sendable {
    /// Where the line that is being read starts.
    private var lineStart: UInt32 = 0
    /// Where to look on for the end of that line.
    private var scanned: UInt32 = 0
    /// Where the field lines start; 0 until the request line is complete.
    private var fieldsStart: UInt32 = 0
    private var fieldCount: UInt8 = 0
    private var skipsEmptyLine = true
    /// The method, known from the end of the request line on: an answer to HEAD has no body, even a refusal.
    private(set) var method = Method.other

    public init() {}

    /// A parser for what follows an empty line that was already skipped: a second one is refused.
    static var afterEmptyLine: RequestParser {
        var parser = RequestParser()
        parser.skipsEmptyLine = false
        return parser
    }

    /// Whether the `count` bytes that have come are nothing but the empty line before a request line.
    func sawOnlyEmptyLine(_ count: Int) -> Bool { lineStart == 2 && count == 2 && fieldsStart == 0 }

    /// Parses `bytes`, all bytes of the request that there are.
    ///
    /// - Returns: whether the head is complete; then `head` holds it and `head.byteCount` is its length. After
    ///   a refusal the parser must not be used again.
    public mutating func parse(
        _ bytes: Span<UInt8>, into head: inout RequestHead, limits: borrowing RequestLimits
    ) throws(Refusal) -> Bool {
        let isResumed = fieldsStart != 0
        head.reset()
        if !isResumed { guard try parseRequestLine(bytes, into: &head, limits: limits) else { return false } }
        guard let end = try parseFields(bytes, into: &head, limits: limits) else { return false }
        if isResumed {
            // The lines before this call went into a head that has since been lent to others.
            var again = RequestParser()
            return try again.parse(bytes.extracting(0..<end), into: &head, limits: limits)
        }
        head.byteCount = end
        try head.conclude(bytes, limits)
        return true
    }

    /// Reads the request line, after at most one empty line (RFC 9112 section 2.2). False when it is incomplete.
    private mutating func parseRequestLine(
        _ bytes: Span<UInt8>, into head: inout RequestHead, limits: borrowing RequestLimits
    ) throws(Refusal) -> Bool {
        if skipsEmptyLine, bytes.count > 0, bytes[0] == ASCII.carriageReturn {
            guard bytes.count > 1 else { return false }
            guard bytes[1] == ASCII.lineFeed else { throw .bareCarriageReturn }
            skipsEmptyLine = false
            lineStart = 2
            scanned = 2
        }
        let start = Int(lineStart)
        let limit = start + limits.requestLineBytesMax
        switch try LineScan.scan(bytes, from: Int(scanned), limit: limit, tooLong: .requestLineTooLong) {
        case .incomplete(let from):
            scanned = UInt32(from)
            return false
        case .line(let end):
            try RequestLine.parse(bytes, start, end, into: &head)
            method = head.method
            advance(to: end + 2)
            fieldsStart = lineStart
            return true
        }
    }

    /// Reads field lines until the empty line. Returns the offset after it, nil when it has not come yet.
    private mutating func parseFields(
        _ bytes: Span<UInt8>, into head: inout RequestHead, limits: borrowing RequestLimits
    ) throws(Refusal) -> Int? {
        let fieldsLimit = Int(fieldsStart) + limits.fieldBytesMax - 2
        while true {
            let start = Int(lineStart)
            if start < bytes.count, bytes[start] != ASCII.carriageReturn, fieldCount >= limits.fieldsMax {
                throw .tooManyFields
            }
            // The empty line itself is not counted, so it may start where no field may.
            let limit = max(fieldsLimit, start)
            switch try LineScan.scan(bytes, from: Int(scanned), limit: limit, tooLong: .fieldsTooLarge) {
            case .incomplete(let from):
                scanned = UInt32(from)
                return nil
            case .line(let end):
                if end == start { return end + 2 }
                try head.add(FieldLine.parse(bytes, start, end), bytes)
                fieldCount += 1
                advance(to: end + 2)
            }
        }
    }

    private mutating func advance(to offset: Int) {
        lineStart = UInt32(offset)
        scanned = UInt32(offset)
    }
}
