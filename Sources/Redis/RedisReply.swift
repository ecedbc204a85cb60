internal import CHiredis

/// A reply as hiredis holds it, lent for the time of the callback: the compiler lets neither it nor its bytes escape.
@safe
public struct RedisReply: ~Escapable {
    /// What kind of value a reply is (RESP2).
    public enum Kind: Sendable { case null, integer, status, string, array, error }

    private let object: UnsafePointer<redisReply>

    @_lifetime(borrow object)
    init(_ object: UnsafePointer<redisReply>) { unsafe self.object = unsafe object }

    public var kind: Kind {
        switch unsafe object.pointee.type {
        case REDIS_REPLY_NIL: .null
        case REDIS_REPLY_INTEGER: .integer
        case REDIS_REPLY_STATUS: .status
        case REDIS_REPLY_STRING: .string
        case REDIS_REPLY_ARRAY: .array
        case REDIS_REPLY_ERROR: .error
        default: preconditionFailure("a reply of a kind that RESP2 does not have")
        }
    }

    /// The value of an integer reply; nil for any other.
    public var integer: Int64? { unsafe object.pointee.type == REDIS_REPLY_INTEGER ? object.pointee.integer : nil }

    /// The bytes of a string, a status or an error; empty for any other.
    public var bytes: Span<UInt8> {
        @_lifetime(copy self)
        get {
            guard isText, let start = unsafe object.pointee.str else { return unsafe _overrideLifetime(Span(), copying: self) }
            let raw = unsafe UnsafeRawBufferPointer(start: start, count: object.pointee.len)
            return unsafe _overrideLifetime(Span(_unsafeBytes: raw), copying: self)
        }
    }

    /// A copy of `bytes` as a string, for messages and tests.
    public var text: String {
        guard isText, let start = unsafe object.pointee.str else { return "" }
        return unsafe String(decoding: UnsafeRawBufferPointer(start: start, count: object.pointee.len), as: UTF8.self)
    }

    /// How many elements an array has; 0 for any other kind.
    public var count: Int { unsafe object.pointee.type == REDIS_REPLY_ARRAY ? object.pointee.elements : 0 }

    /// An array's element; the index is in `0..<count`.
    public subscript(_ index: Int) -> RedisReply {
        @_lifetime(copy self)
        get {
            precondition(index >= 0 && index < count, "an index outside the array")
            let element = unsafe UnsafePointer(object.pointee.element[index]!)
            return unsafe _overrideLifetime(RedisReply(element), copying: self)
        }
    }

    private var isText: Bool {
        let type = unsafe object.pointee.type
        return type == REDIS_REPLY_STRING || type == REDIS_REPLY_STATUS || type == REDIS_REPLY_ERROR
    }
}

/// What became of a command: the server's reply, an error reply among them, or why there is none.
public enum RedisResult: ~Escapable {
    case reply(RedisReply)
    case failure(RedisError)
}
