/// Field names that the system reads, recognised once while parsing so that a look-up compares one byte.
public enum FieldName: UInt8, Sendable, CaseIterable {
    case other
    case accept
    case authorization
    case connection
    case contentLength
    case contentType
    case date
    case eTag
    case expect
    case forwardedFor
    case host
    case idempotencyKey
    case idempotencyReplayed
    case ifNoneMatch
    case location
    case prefer
    case requestID
    case retryAfter
    case traceparent
    case transferEncoding

    /// The name in lower case; empty for `other`.
    public var text: StaticString {
        switch self {
        case .other: ""
        case .accept: "accept"
        case .authorization: "authorization"
        case .connection: "connection"
        case .contentLength: "content-length"
        case .contentType: "content-type"
        case .date: "date"
        case .eTag: "etag"
        case .expect: "expect"
        case .forwardedFor: "x-forwarded-for"
        case .host: "host"
        case .idempotencyKey: "idempotency-key"
        case .idempotencyReplayed: "idempotency-replayed"
        case .ifNoneMatch: "if-none-match"
        case .location: "location"
        case .prefer: "prefer"
        case .requestID: "x-request-id"
        case .retryAfter: "retry-after"
        case .traceparent: "traceparent"
        case .transferEncoding: "transfer-encoding"
        }
    }

    /// The name that these bytes spell in any case. The length and the first letter leave at most one candidate
    /// but for a few names, so a field costs at most two comparisons.
    init(_ bytes: Span<UInt8>) {
        guard bytes.count >= 4 else {
            self = .other
            return
        }
        let first = ASCII.lowercased(bytes[0])
        let candidate: FieldName
        switch (bytes.count, first) {
        case (4, UInt8(ascii: "h")): candidate = .host
        case (4, UInt8(ascii: "d")): candidate = .date
        case (4, UInt8(ascii: "e")): candidate = .eTag
        case (6, UInt8(ascii: "a")): candidate = .accept
        case (6, UInt8(ascii: "e")): candidate = .expect
        case (6, UInt8(ascii: "p")): candidate = .prefer
        case (8, UInt8(ascii: "l")): candidate = .location
        case (10, UInt8(ascii: "c")): candidate = .connection
        case (11, UInt8(ascii: "r")): candidate = .retryAfter
        case (11, UInt8(ascii: "t")): candidate = .traceparent
        case (12, UInt8(ascii: "c")): candidate = .contentType
        case (12, UInt8(ascii: "x")): candidate = .requestID
        case (13, UInt8(ascii: "a")): candidate = .authorization
        case (13, UInt8(ascii: "i")): candidate = .ifNoneMatch
        case (14, UInt8(ascii: "c")): candidate = .contentLength
        case (15, UInt8(ascii: "i")): candidate = .idempotencyKey
        case (15, UInt8(ascii: "x")): candidate = .forwardedFor
        case (17, UInt8(ascii: "t")): candidate = .transferEncoding
        case (20, UInt8(ascii: "i")): candidate = .idempotencyReplayed
        default:
            self = .other
            return
        }
        self = bytes.equalsIgnoringCase(candidate.text) ? candidate : .other
    }
}
