/// A parsed answer, for clients.
public struct ResponseHead: ~Copyable {
    /// 100 to 599, but never 101.
    public internal(set) var status: UInt16 = 0
    public internal(set) var version = Version.http11
    public internal(set) var fields = FieldTable()
    /// `none` where the answer says nothing, which only an answer without a body may do.
    public internal(set) var framing = Framing.none
    /// Whether the server will serve another request on this connection.
    public internal(set) var keepsAlive = true
    /// Bytes up to and including the empty line that ends the head.
    public internal(set) var byteCount = 0

    public init() {}

    /// Reads a head that is known to be whole.
    mutating func read(_ bytes: Span<UInt8>, _ limits: borrowing RequestLimits) throws(ResponseError) {
        let fieldsStart = try readStatusLine(bytes)
        do { try readFields(bytes, from: fieldsStart, limits) } catch { throw .malformed(error) }
    }

    /// `HTTP/1.1 200 text`; the text may be empty (RFC 9112 section 4). Returns where the fields start.
    private mutating func readStatusLine(_ bytes: Span<UInt8>) throws(ResponseError) -> Int {
        let end = bytes.firstControl(from: 0, to: bytes.count)
        guard end >= 13, end + 1 < bytes.count, bytes[end] == ASCII.carriageReturn else { throw .malformedStatusLine }
        if bytes.extracting(0..<9).equals("HTTP/1.1 ") {
            version = .http11
        } else if bytes.extracting(0..<9).equals("HTTP/1.0 ") {
            version = .http10
        } else {
            throw .malformedStatusLine
        }
        guard bytes[12] == ASCII.space, let code = FieldLine.decimal(bytes.extracting(9..<12)) else {
            throw .malformedStatusLine
        }
        guard code >= 100, code < 600, code != 101 else { throw .unexpectedStatus }
        status = UInt16(code)
        return end + 2
    }

    private mutating func readFields(
        _ bytes: Span<UInt8>, from fieldsStart: Int, _ limits: borrowing RequestLimits
    ) throws(Refusal) {
        fields.removeAll()
        var codings = TransferCodings()
        var options = ConnectionOptions()
        var length: UInt64?
        var start = fieldsStart
        while case .line(let end) = try LineScan.scan(bytes, from: start, limit: .max, tooLong: .fieldsTooLarge) {
            let lineStart = start
            start = end + 2
            if lineStart == end { break }
            guard fields.count < limits.fieldsMax else { throw .tooManyFields }
            let field = try FieldLine.parse(bytes, lineStart, end)
            fields.append(field)
            switch field.known {
            case .contentLength:
                guard length == nil else { throw .contentLengthRepeated }
                guard let value = FieldLine.decimal(bytes[field.value]) else { throw .contentLengthInvalid }
                length = value
            case .transferEncoding: codings.add(bytes, field.value)
            case .connection: options.add(bytes, field.value)
            default: break
            }
        }
        byteCount = start
        keepsAlive = !options.closes && (version == .http11 || options.keepsAlive)
        framing = length.map { .length($0) } ?? .none
        if codings.count > 0 {
            guard length == nil else { throw .contentLengthWithTransferEncoding }
            guard version == .http11 else { throw .transferEncodingInHTTP10 }
            if let refusal = codings.refusal { throw refusal }
            framing = .chunked
        }
    }
}
