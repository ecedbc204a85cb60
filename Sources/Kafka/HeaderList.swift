internal import Bytes
internal import CKafka

/// One header of a record, owned: for tools and tests. Hot paths use `HeaderList` and `Record.header`.
public struct Header: Equatable, Sendable {
    public let name: String
    public let value: [UInt8]

    public init(name: String, value: [UInt8]) {
        self.name = name
        self.value = value
    }
}

/// The headers of one record to be produced, in order. Reused for the next one after `removeAll`, it allocates nothing.
public struct HeaderList: Sendable {
    private var entries: [sluice_kafka_header] = []
    private var bytes: [UInt8] = []

    public init() {}

    public init(_ headers: [Header]) {
        for header in headers { append(name: header.name, header.value.span) }
    }

    public var count: Int { entries.count }

    public mutating func removeAll() {
        entries.removeAll(keepingCapacity: true)
        bytes.removeAll(keepingCapacity: true)
    }

    /// Copies the value.
    public mutating func append(_ name: StaticString, _ value: Span<UInt8>) {
        let nameStart = bytes.count
        bytes.append(name)
        append(nameStart: nameStart, value)
    }

    public mutating func append(_ name: StaticString, text value: String) {
        let nameStart = bytes.count
        bytes.append(name)
        let valueStart = bytes.count
        bytes.append(text: value)
        append(nameStart: nameStart, valueStart: valueStart)
    }

    /// For names that are not known at compile time. Copies both.
    public mutating func append(name: String, _ value: Span<UInt8>) {
        let nameStart = bytes.count
        bytes.append(text: name)
        append(nameStart: nameStart, value)
    }

    private mutating func append(nameStart: Int, _ value: Span<UInt8>) {
        let valueStart = bytes.count
        bytes.append(value)
        append(nameStart: nameStart, valueStart: valueStart)
    }

    private mutating func append(nameStart: Int, valueStart: Int) {
        entries.append(
            sluice_kafka_header(
                name_start: UInt32(nameStart), name_size: UInt32(valueStart - nameStart),
                value_start: UInt32(valueStart), value_size: UInt32(bytes.count - valueStart)))
    }

    /// Lends both arrays to C for the length of the call.
    func withPointers<Result>(
        _ body: (UnsafeBufferPointer<sluice_kafka_header>, UnsafePointer<UInt8>?) -> Result
    ) -> Result {
        unsafe entries.withUnsafeBufferPointer { entries in
            unsafe bytes.withUnsafeBufferPointer { bytes in unsafe body(entries, bytes.baseAddress) }
        }
    }
}
