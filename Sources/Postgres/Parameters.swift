internal import Bytes

/// The values for a statement's parameters, in order, in PostgreSQL's binary format.
///
/// One buffer for all of them: emptied with `removeAll` and filled again it allocates nothing once it has grown.
public struct Parameters: Sendable {
    struct Value: Sendable {
        let type: PostgresType
        let start: Int
        /// Bytes, or -1 for NULL.
        let length: Int
    }

    private(set) var values: [Value] = []
    private(set) var buffer: [UInt8] = []

    public init() {}

    /// How many values there are.
    public var count: Int { values.count }

    /// Forgets the values and keeps the memory.
    public mutating func removeAll() {
        values.removeAll(keepingCapacity: true)
        buffer.removeAll(keepingCapacity: true)
    }

    public mutating func append(int64 value: Int64) { append(.int64) { $0.append(integer: value) } }
    public mutating func append(int32 value: Int32) { append(.int32) { $0.append(integer: value) } }
    public mutating func append(int16 value: Int16) { append(.int16) { $0.append(integer: value) } }
    public mutating func append(bool value: Bool) { append(.bool) { $0.append(value ? 1 : 0) } }

    /// The server refuses a NUL character inside (22021).
    public mutating func append(text value: String) { append(.text) { $0.append(text: value) } }

    /// UTF-8, checked by the server: anything else, or a NUL, is refused (22021).
    public mutating func append(text value: Span<UInt8>) { append(bytes: value, as: .text) }

    /// The UUID's first and last 8 bytes, most significant first.
    public mutating func append(uuid high: UInt64, low: UInt64) {
        append(.uuid) {
            $0.append(integer: high)
            $0.append(integer: low)
        }
    }

    public mutating func append(bytea value: Span<UInt8>) { append(bytes: value, as: .bytea) }
    public mutating func append(bytea value: [UInt8]) { append(bytes: value.span, as: .bytea) }

    /// A `timestamptz`. PostgreSQL's own range is wider than what fits beside its epoch of 2000: it traps past that.
    public mutating func append(timestamp microsecondsSince1970: Int64) {
        append(.timestamp) { $0.append(integer: microsecondsSince1970 - microsecondsFrom1970To2000) }
    }

    /// JSON text as `jsonb`, checked by the server (22P02).
    public mutating func append(jsonb text: String) {
        append(.jsonb) {
            $0.append(jsonbVersion)
            $0.append(text: text)
        }
    }

    public mutating func append(jsonb text: Span<UInt8>) {
        let start = buffer.count
        buffer.append(jsonbVersion)
        buffer.append(text)
        values.append(Value(type: .jsonb, start: start, length: buffer.count - start))
    }

    public mutating func appendNull(_ type: PostgresType) {
        values.append(Value(type: type, start: buffer.count, length: -1))
    }

    /// An array that was gathered element by element.
    public mutating func append(_ array: PostgresArray) {
        append(array.element.array) { array.encode(into: &$0) }
    }

    /// An array, or NULL in place of one that holds no value: `unnest` then makes its column NULL without going through it.
    public mutating func append(orNull array: PostgresArray) {
        if array.isAllNull { appendNull(array.element.array) } else { append(array) }
    }

    mutating func append(_ type: PostgresType, _ encode: (inout [UInt8]) -> Void) {
        let start = buffer.count
        encode(&buffer)
        values.append(Value(type: type, start: start, length: buffer.count - start))
    }

    private mutating func append(bytes: Span<UInt8>, as type: PostgresType) {
        let start = buffer.count
        buffer.append(bytes)
        values.append(Value(type: type, start: start, length: bytes.count))
    }
}

/// PostgreSQL counts time from 2000-01-01T00:00:00Z.
let microsecondsFrom1970To2000: Int64 = 946_684_800_000_000

/// The first byte of a `jsonb` value in binary; the text follows.
let jsonbVersion: UInt8 = 1

extension [UInt8] {
    /// Appends an integer most significant byte first, as one copy.
    mutating func append(integer value: some FixedWidthInteger) {
        unsafe Swift.withUnsafeBytes(of: value.bigEndian) { bytes in unsafe append(contentsOf: bytes) }
    }

    /// Appends the bytes of words as they are in memory, as one copy.
    mutating func append(words: some BitwiseCopyable) {
        unsafe Swift.withUnsafeBytes(of: words) { bytes in unsafe append(contentsOf: bytes) }
    }

    /// Overwrites 4 bytes with an integer, most significant first.
    mutating func overwrite(at index: Int, with value: Int32) {
        for byte in 0..<4 { self[index + byte] = UInt8(truncatingIfNeeded: value >> Int32(24 - 8 * byte)) }
    }
}
