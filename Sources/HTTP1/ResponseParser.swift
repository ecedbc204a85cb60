/// Why an answer counts as garbage. The connection cannot be used any more.
public enum ResponseError: Error, Equatable, Sendable {
    /// `HTTP/1.1 200 text` was expected.
    case malformedStatusLine
    /// A status outside 100 to 599, or 101, which nobody asked for.
    case unexpectedStatus
    /// A line, field or chunk is wrong in the way that would refuse a request.
    case malformed(Refusal)
    /// Neither Content-Length nor chunked: the body would end with the connection, and a cut one would pass as whole.
    case lengthUnknown
}

/// Incremental parser of answers, as strict as the one of requests. Interim answers (1xx) are skipped.
///
/// Like the request parser it keeps offsets only; each call gives all bytes of the answer from the first one on.
public struct ResponseParser: Sendable {
    /// What a call to `parse` came to.
    public enum Progress: Equatable, Sendable {
        /// The body is at `body`, the next answer starts at `consumed`.
        case complete(body: ByteRange, consumed: Int)
        /// The first `consumed` bytes are done with; keep the `kept` ones after them and give those again with more.
        case incomplete(consumed: Int, kept: Int)
    }

    private var scanned = 0
    private var lineStart = 0
    private var body: BodyDecoder?

    public init() {}

    /// - Parameters:
    ///   - bytes: all bytes of this answer that there are; a chunked body is decoded in place.
    ///   - head: filled when the answer is complete.
    ///   - isAnswerToHead: whether the request was HEAD, whose answer has no body.
    ///   - limits: `requestLineBytesMax` bounds the status line.
    /// - Returns: after `complete` the parser is ready for the next answer; after a throw it must not be used again.
    public mutating func parse(
        _ bytes: inout MutableSpan<UInt8>, into head: inout ResponseHead, isAnswerToHead: Bool,
        limits: borrowing RequestLimits
    ) throws(ResponseError) -> Progress {
        if body == nil {
            guard try findHead(bytes.span, limits) else { return .incomplete(consumed: 0, kept: bytes.count) }
        }
        let isResumed = body != nil
        if !isResumed { try head.read(bytes.span, limits) }
        if !isResumed, head.status < 200 {
            let consumed = head.byteCount
            self = ResponseParser()
            return .incomplete(consumed: consumed, kept: bytes.count - consumed)
        }
        var decoder: BodyDecoder
        if let body { decoder = body } else { decoder = try Self.decoder(head, isAnswerToHead: isAnswerToHead, limits) }
        let progress: BodyDecoder.Progress
        do { progress = try decoder.decode(&bytes) } catch { throw .malformed(error) }
        switch progress {
        case .incomplete(let kept):
            body = decoder
            return .incomplete(consumed: 0, kept: kept)
        case .complete(let body, let consumed):
            // The lent head may have served other connections since the call that found it.
            if isResumed { try head.read(bytes.span, limits) }
            self = ResponseParser()
            return .complete(body: body, consumed: consumed)
        }
    }

    private static func decoder(
        _ head: borrowing ResponseHead, isAnswerToHead: Bool, _ limits: borrowing RequestLimits
    ) throws(ResponseError) -> BodyDecoder {
        var framing = Framing.none
        if !isAnswerToHead, head.status != 204, head.status != 304 {
            framing = head.framing
            if framing == .none { throw .lengthUnknown }
        }
        if case .length(let length) = framing, length > UInt64(limits.bodyBytesMax) { throw .malformed(.bodyTooLarge) }
        return BodyDecoder(
            framing: framing, bodyStart: head.byteCount, bodyBytesMax: limits.bodyBytesMax, limits: limits)
    }

    /// Looks for the empty line that ends the head, from where the last call stopped.
    private mutating func findHead(_ bytes: Span<UInt8>, _ limits: borrowing RequestLimits) throws(ResponseError) -> Bool {
        let limit = limits.requestLineBytesMax + limits.fieldBytesMax
        do {
            while true {
                switch try LineScan.scan(bytes, from: scanned, limit: limit, tooLong: .fieldsTooLarge) {
                case .incomplete(let from):
                    scanned = from
                    return false
                case .line(let end):
                    let isEmpty = end == lineStart
                    lineStart = end + 2
                    scanned = lineStart
                    if isEmpty { return true }
                }
            }
        } catch {
            throw .malformed(error)
        }
    }
}
