internal import Bytes

/// A copy of a reply, for command-line tools and tests.
public enum OwnedReply: Hashable, Sendable {
    case null
    case integer(Int64)
    case status(String)
    case string([UInt8])
    case array([OwnedReply])
    /// The server's error, its code first: `WRONGTYPE Operation against ...`.
    case error(String)

    /// Copies a reply with all its elements.
    public init(copying reply: borrowing RedisReply) {
        switch reply.kind {
        case .null: self = .null
        case .integer: self = .integer(reply.integer ?? 0)
        case .status: self = .status(reply.text)
        case .error: self = .error(reply.text)
        case .string:
            let bytes = reply.bytes
            var copy: [UInt8] = []
            copy.append(bytes)
            self = .string(copy)
        case .array:
            var elements: [OwnedReply] = []
            for index in 0..<reply.count { elements.append(OwnedReply(copying: reply[index])) }
            self = .array(elements)
        }
    }

    /// A string or a status as text; nil for any other.
    public var text: String? {
        switch self {
        case .status(let text): text
        case .string(let bytes): String(decoding: bytes, as: UTF8.self)
        default: nil
        }
    }

    /// The value of an integer; nil for any other.
    public var integer: Int64? { if case .integer(let value) = self { value } else { nil } }
}
