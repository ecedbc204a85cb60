internal import HTTP1
internal import Telemetry
internal import Wire

/// By what a request is found again in the logs of those that it came through.
struct RequestTrace {
    /// `X-Request-Id`, as nginx's log has it.
    var requestID: String?
    /// W3C trace context.
    var traceparent: String?

    /// For a line of the log that speaks of this request.
    var fields: [Log.Field] {
        [.text("request_id", requestID), .text("trace_id", traceparent.map { TraceContext.traceID($0) })]
    }
}

/// What the header fields of a command's request say.
enum CommandHead {
    /// Where the one key stands.
    static func idempotencyKey(_ head: borrowing RequestHead, _ bytes: Span<UInt8>) throws(Problem) -> ByteRange {
        guard let range = head.fields.first(.idempotencyKey) else { throw Problem(.missingIdempotencyKey) }
        guard head.fields.count(of: .idempotencyKey) == 1, IdempotencyKey.isValid(bytes[range]) else {
            throw Problem(.invalidIdempotencyKey)
        }
        return range
    }

    static func checkContentType(_ head: borrowing RequestHead, _ bytes: Span<UInt8>) throws(Problem) {
        guard let range = head.fields.first(.contentType), head.fields.count(of: .contentType) == 1, MediaType.isJSON(bytes[range]) else {
            throw Problem(.unsupportedMediaType)
        }
    }

    /// The seconds of the first `Prefer: wait`; nil for none, and for 0, which asks for what is done anyway.
    static func waitSeconds(_ head: borrowing RequestHead, _ bytes: Span<UInt8>) -> Int? {
        for index in 0..<head.fields.count {
            let field = head.fields[index]
            guard field.known == .prefer, let seconds = Preference.waitSeconds(bytes[field.value]) else { continue }
            return seconds > 0 ? seconds : nil
        }
        return nil
    }

    static func trace(_ head: borrowing RequestHead, _ bytes: Span<UInt8>) -> RequestTrace {
        RequestTrace(requestID: requestID(head, bytes), traceparent: traceparent(head, bytes))
    }

    /// One that is valid; others are passed over, so that no stranger writes what he likes into the log.
    static func requestID(_ head: borrowing RequestHead, _ bytes: Span<UInt8>) -> String? {
        guard head.fields.count(of: .requestID) == 1, let range = head.fields.first(.requestID), RequestID.isValid(bytes[range]) else {
            return nil
        }
        return bytes[range].text
    }

    /// A trace that can be carried on; one that is repeated is none (W3C Trace Context section 3.2.1).
    static func traceparent(_ head: borrowing RequestHead, _ bytes: Span<UInt8>) -> String? {
        guard head.fields.count(of: .traceparent) == 1, let range = head.fields.first(.traceparent),
            TraceContext.isValid(traceparent: bytes[range])
        else { return nil }
        return bytes[range].text
    }
}
