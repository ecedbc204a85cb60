/// A tenant's immutable number. Names may change; this never does, because operation ids are derived from it.
public struct TenantID: Hashable, Sendable {
    public let rawValue: Int64
    public init(_ rawValue: Int64) { self.rawValue = rawValue }
}

/// An account's id as its tenant chose it: 1 to 64 of `A-Z a-z 0-9 . _ : -`.
public struct AccountID: Hashable, Sendable, CustomStringConvertible {
    public static let bytesMax = 64
    public let text: String

    /// Nil when the text is empty, too long, or has another character.
    public init?(_ text: String) {
        guard Self.isValid(text.utf8) else { return nil }
        self.text = text
    }

    /// Nil when the bytes are no valid id.
    public init?(_ bytes: Span<UInt8>) {
        guard Self.isValid(bytes) else { return nil }
        text = unsafe bytes.withUnsafeBufferPointer { buffer in unsafe String(decoding: buffer, as: UTF8.self) }
    }

    public var description: String { text }

    /// Whether the bytes are a valid id; makes no text of them.
    public static func isValid(_ bytes: Span<UInt8>) -> Bool {
        guard bytes.count >= 1, bytes.count <= bytesMax else { return false }
        for index in 0..<bytes.count where !isAllowed(bytes[index]) { return false }
        return true
    }

    private static func isValid(_ bytes: String.UTF8View) -> Bool {
        bytes.count >= 1 && bytes.count <= bytesMax && bytes.allSatisfy(isAllowed)
    }

    private static func isAllowed(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "0")...UInt8(ascii: "9"),
            UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: ":"), UInt8(ascii: "-"):
            true
        default: false
        }
    }
}

/// An account's place in the world: its tenant and its id within it.
public struct AccountKey: Hashable, Sendable {
    public let tenant: TenantID
    public let account: AccountID
    public init(tenant: TenantID, account: AccountID) {
        self.tenant = tenant
        self.account = account
    }
}

/// 128 bits that name an operation (a payment, an account command), derived from the tenant and the idempotency key.
/// Written as 32 lowercase hexadecimal digits.
///
/// Hashed as a whole: who asks for a payment, or changes one, names any id he likes, and half of it equal in thousands of them would make a
/// dictionary a list.
public struct OperationID: Hashable, Comparable, Sendable, CustomStringConvertible {
    public let high: UInt64
    public let low: UInt64
    public init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }

    public static func < (left: OperationID, right: OperationID) -> Bool {
        (left.high, left.low) < (right.high, right.low)
    }

    public var description: String { Self.padded(high) + Self.padded(low) }

    private static func padded(_ word: UInt64) -> String {
        let digits = String(word, radix: 16)
        return String(repeating: "0", count: 16 - digits.count) + digits
    }
}

/// 128 bits of a digest over everything a request asks for: two requests under one key are the same request when
/// their fingerprints are equal.
public struct Fingerprint: Hashable, Sendable {
    public let high: UInt64
    public let low: UInt64
    public init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }
}

/// Microseconds since 1970-01-01T00:00:00Z.
public struct Timestamp: Hashable, Comparable, Sendable {
    public let microseconds: Int64
    public init(microseconds: Int64) { self.microseconds = microseconds }

    public static func < (left: Timestamp, right: Timestamp) -> Bool { left.microseconds < right.microseconds }
}
