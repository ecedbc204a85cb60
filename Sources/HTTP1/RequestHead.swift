/// The request method. Methods are case-sensitive (RFC 9110 section 9.1).
public enum Method: UInt8, Sendable, CaseIterable {
    case get, head, post, put, delete, patch, options
    /// A valid token that is none of these.
    case other

    init(_ bytes: Span<UInt8>) {
        let candidate: Method
        let text: StaticString
        switch (bytes.count, bytes[0]) {
        case (3, UInt8(ascii: "G")): (candidate, text) = (.get, "GET")
        case (4, UInt8(ascii: "P")): (candidate, text) = (.post, "POST")
        case (4, UInt8(ascii: "H")): (candidate, text) = (.head, "HEAD")
        case (3, UInt8(ascii: "P")): (candidate, text) = (.put, "PUT")
        case (6, UInt8(ascii: "D")): (candidate, text) = (.delete, "DELETE")
        case (5, UInt8(ascii: "P")): (candidate, text) = (.patch, "PATCH")
        case (7, UInt8(ascii: "O")): (candidate, text) = (.options, "OPTIONS")
        default:
            self = .other
            return
        }
        self = bytes.equals(text) ? candidate : .other
    }
}

/// The versions that are served.
public enum Version: UInt8, Sendable {
    case http10, http11
}

/// How the length of a body is known (RFC 9112 section 6).
public enum Framing: Equatable, Sendable {
    /// Neither Content-Length nor Transfer-Encoding: a request has no body.
    case none
    /// Content-Length, in bytes.
    case length(UInt64)
    case chunked
}

/// A parsed request head: ranges into the buffer that was parsed, and what the fields mean for the connection.
///
/// About 1 KiB, so one is made per loop and refilled by each parse; it is valid until the next one.
public struct RequestHead: ~Copyable {
    public internal(set) var method = Method.other
    public internal(set) var version = Version.http11
    /// The target as it was sent: origin, absolute or asterisk form.
    public internal(set) var target = ByteRange.empty
    /// The path of the target, still percent-encoded. It starts with `/`, or is empty for `OPTIONS *` and for
    /// an absolute form without a path.
    public internal(set) var path = ByteRange.empty
    /// The query after `?`, still percent-encoded; empty when there is none.
    public internal(set) var query = ByteRange.empty
    /// The value of Host; empty only in HTTP/1.0, where it may be missing.
    public internal(set) var host = ByteRange.empty
    public internal(set) var fields = FieldTable()
    public internal(set) var framing = Framing.none
    /// Whether the connection may serve another request after this one, by version and Connection field.
    public internal(set) var keepsAlive = true
    /// Whether the client waits for an interim 100 before it sends the body.
    public internal(set) var expectsContinue = false
    /// Bytes up to and including the empty line that ends the head: where the body starts.
    public internal(set) var byteCount = 0

    /// The authority of an absolute-form target, else empty.
    var authority = ByteRange.empty
    var connection = ConnectionOptions()
    var codings = TransferCodings()
    var contentLengths = 0
    var contentLength: UInt64 = 0
    var hosts = 0
    var expectationUnknown = false

    public init() {}

    /// Forgets the previous request.
    mutating func reset() {
        method = .other
        version = .http11
        target = .empty
        path = .empty
        query = .empty
        host = .empty
        fields.removeAll()
        framing = .none
        keepsAlive = true
        expectsContinue = false
        byteCount = 0
        authority = .empty
        connection = ConnectionOptions()
        codings = TransferCodings()
        contentLengths = 0
        contentLength = 0
        hosts = 0
        expectationUnknown = false
    }
}
