internal import Bytes

/// A one-dimensional array gathered element by element: one column of a batch that `unnest` turns into rows.
///
/// Emptied with `removeAll` and filled again it allocates nothing once it has grown. Appending a value of another
/// type than the array's is a bug and traps.
public struct PostgresArray: Sendable {
    public let element: PostgresType
    public private(set) var count = 0
    private var nullCount = 0
    private var hasNull: Bool { nullCount > 0 }
    private var bytes: [UInt8] = []

    /// - Parameter count: elements to make room for at once.
    public init(of element: PostgresType, reserving count: Int = 0) {
        precondition(element.arrayIdentifier != 0, "arrays of arrays are not supported")
        self.element = element
        // A length and 8 bytes: what most elements take.
        if count > 0 { bytes.reserveCapacity(12 * count) }
    }

    /// True when it holds no value.
    public var isAllNull: Bool { nullCount == count }

    /// Forgets the elements and keeps the memory.
    public mutating func removeAll() {
        count = 0
        nullCount = 0
        bytes.removeAll(keepingCapacity: true)
    }

    public mutating func append(int64 value: Int64) { append(.int64, value) }
    public mutating func append(int32 value: Int32) { append(.int32, value) }
    public mutating func append(int16 value: Int16) { append(.int16, value) }

    public mutating func append(bool value: Bool) { append(.bool, value ? 1 as UInt8 : 0) }

    public mutating func append(timestamp microsecondsSince1970: Int64) {
        append(.timestamp, microsecondsSince1970 - microsecondsFrom1970To2000)
    }

    public mutating func append(uuid high: UInt64, low: UInt64) {
        count(.uuid)
        bytes.append(
            words: (
                UInt32(16).bigEndian, UInt32(truncatingIfNeeded: high >> 32).bigEndian, UInt32(truncatingIfNeeded: high).bigEndian,
                UInt32(truncatingIfNeeded: low >> 32).bigEndian, UInt32(truncatingIfNeeded: low).bigEndian
            ))
    }

    public mutating func append(text value: String) {
        begin(.text, length: value.utf8.count)
        bytes.append(text: value)
    }

    public mutating func append(text value: Span<UInt8>) {
        begin(.text, length: value.count)
        bytes.append(value)
    }

    public mutating func append(bytea value: Span<UInt8>) {
        begin(.bytea, length: value.count)
        bytes.append(value)
    }

    /// JSON text.
    public mutating func append(jsonb text: String) {
        begin(.jsonb, length: 1 + text.utf8.count)
        bytes.append(jsonbVersion)
        bytes.append(text: text)
    }

    public mutating func append(jsonb text: Span<UInt8>) {
        begin(.jsonb, length: 1 + text.count)
        bytes.append(jsonbVersion)
        bytes.append(text)
    }

    public mutating func appendNull() {
        begin(element, length: -1)
        nullCount += 1
    }

    private mutating func append(_ type: PostgresType, _ value: Int64) {
        count(type)
        // One append each: this is done some thirty times for a payment.
        bytes.append(
            words: (
                UInt32(8).bigEndian, UInt32(truncatingIfNeeded: value >> 32).bigEndian, UInt32(truncatingIfNeeded: value).bigEndian
            ))
    }

    private mutating func append(_ type: PostgresType, _ value: some FixedWidthInteger) {
        begin(type, length: value.bitWidth / 8)
        bytes.append(integer: value)
    }

    private mutating func count(_ type: PostgresType) {
        precondition(type == element, "an array holds one type")
        count += 1
    }

    private mutating func begin(_ type: PostgresType, length: Int) {
        count(type)
        bytes.append(integer: Int32(length))
    }

    /// The wire form: dimensions, a null flag, the element's type; then per dimension its size and lower bound.
    /// An empty array has no dimension.
    func encode(into buffer: inout [UInt8]) {
        buffer.append(integer: Int32(count == 0 ? 0 : 1))
        buffer.append(integer: Int32(hasNull ? 1 : 0))
        buffer.append(integer: element.identifier)
        guard count > 0 else { return }
        buffer.append(integer: Int32(count))
        buffer.append(integer: 1 as Int32)
        buffer.append(contentsOf: bytes)
    }
}

/// Whole Swift arrays as parameters.
extension Parameters {
    public mutating func append(int64Array values: [Int64]) { append(values, of: .int64) { $0.append(int64: $1) } }
    public mutating func append(int64Array values: [Int64?]) { append(values, of: .int64) { $0.append(int64: $1) } }
    public mutating func append(int32Array values: [Int32]) { append(values, of: .int32) { $0.append(int32: $1) } }
    public mutating func append(int32Array values: [Int32?]) { append(values, of: .int32) { $0.append(int32: $1) } }
    public mutating func append(int16Array values: [Int16]) { append(values, of: .int16) { $0.append(int16: $1) } }
    public mutating func append(boolArray values: [Bool]) { append(values, of: .bool) { $0.append(bool: $1) } }
    public mutating func append(boolArray values: [Bool?]) { append(values, of: .bool) { $0.append(bool: $1) } }
    public mutating func append(textArray values: [String]) { append(values, of: .text) { $0.append(text: $1) } }
    public mutating func append(textArray values: [String?]) { append(values, of: .text) { $0.append(text: $1) } }
    public mutating func append(jsonbArray values: [String]) { append(values, of: .jsonb) { $0.append(jsonb: $1) } }
    public mutating func append(jsonbArray values: [String?]) { append(values, of: .jsonb) { $0.append(jsonb: $1) } }
    public mutating func append(byteaArray values: [[UInt8]]) { append(values, of: .bytea) { $0.append(bytea: $1.span) } }
    public mutating func append(byteaArray values: [[UInt8]?]) { append(values, of: .bytea) { $0.append(bytea: $1.span) } }

    /// Microseconds since 1970 each.
    public mutating func append(timestampArray values: [Int64]) { append(values, of: .timestamp) { $0.append(timestamp: $1) } }
    public mutating func append(timestampArray values: [Int64?]) { append(values, of: .timestamp) { $0.append(timestamp: $1) } }

    /// High and low halves each.
    public mutating func append(uuidArray values: [(UInt64, UInt64)]) {
        append(values, of: .uuid) { $0.append(uuid: $1.0, low: $1.1) }
    }
    public mutating func append(uuidArray values: [(UInt64, UInt64)?]) {
        append(values, of: .uuid) { $0.append(uuid: $1.0, low: $1.1) }
    }

    private mutating func append<Element>(
        _ values: [Element?], of type: PostgresType, _ encode: (inout PostgresArray, Element) -> Void
    ) {
        var array = PostgresArray(of: type)
        for value in values {
            if let value { encode(&array, value) } else { array.appendNull() }
        }
        append(array)
    }

    private mutating func append<Element>(
        _ values: [Element], of type: PostgresType, _ encode: (inout PostgresArray, Element) -> Void
    ) {
        var array = PostgresArray(of: type)
        for value in values { encode(&array, value) }
        append(array)
    }
}
