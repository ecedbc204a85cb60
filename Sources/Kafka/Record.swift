internal import Bytes
internal import CRdkafka
internal import Glibc

/// Records of one partition in the order of their offsets, lent for the length of one call.
@safe
public struct RecordBatch: ~Copyable {
    public let partition: Int32
    let messages: UnsafeBufferPointer<UnsafePointer<rd_kafka_message_t>>

    init(partition: Int32, messages: UnsafeBufferPointer<UnsafePointer<rd_kafka_message_t>>) {
        self.partition = partition
        unsafe self.messages = messages
    }

    /// At least 1.
    public var count: Int { unsafe messages.count }

    public subscript(index: Int) -> Record {
        @_lifetime(borrow self)
        get {
            precondition(index >= 0 && index < count)
            return unsafe Record(messages[index])
        }
    }
}

/// One record of the log, lent: its bytes are librdkafka's and live as long as the batch or the reader's call.
@safe
public struct Record: ~Escapable {
    private let message: UnsafePointer<rd_kafka_message_t>

    /// The lifetime is that of whoever lends the record; it is given at each call.
    @_lifetime(immortal)
    init(_ message: UnsafePointer<rd_kafka_message_t>) { unsafe self.message = message }

    public var partition: Int32 { unsafe message.pointee.partition }
    public var offset: Int64 { unsafe message.pointee.offset }

    /// Milliseconds since 1970, as the producer or the broker (`message.timestamp.type`) set it; nil for none.
    public var timestampMilliseconds: Int64? {
        var kind = RD_KAFKA_TIMESTAMP_NOT_AVAILABLE
        let timestamp = unsafe rd_kafka_message_timestamp(message, &kind)
        return kind == RD_KAFKA_TIMESTAMP_NOT_AVAILABLE ? nil : timestamp
    }

    /// Empty when the record has none.
    public var key: Span<UInt8> {
        @_lifetime(copy self)
        get { unsafe lend(message.pointee.key, message.pointee.key_len) }
    }

    /// Empty when the record has none.
    public var value: Span<UInt8> {
        @_lifetime(copy self)
        get { unsafe lend(message.pointee.payload, message.pointee.len) }
    }

    /// The value of the last header of this name; nil when there is none.
    @_lifetime(copy self)
    public func header(_ name: StaticString) -> Span<UInt8>? {
        guard let list = unsafe headerList else { return nil }
        var value: UnsafeRawPointer?
        var size = 0
        // A static string's bytes end with a zero.
        let code = unsafe name.utf8Start.withMemoryRebound(to: CChar.self, capacity: name.utf8CodeUnitCount + 1) { name in
            unsafe rd_kafka_header_get_last(list, name, &value, &size)
        }
        guard code == RD_KAFKA_RESP_ERR_NO_ERROR else { return nil }
        return unsafe lend(value, size)
    }

    /// Lends each header in order, for the length of the call.
    public func forEachHeader(_ body: (_ name: Span<UInt8>, _ value: Span<UInt8>) -> Void) {
        guard let list = unsafe headerList else { return }
        var name: UnsafePointer<CChar>?
        var value: UnsafeRawPointer?
        var size = 0
        var index = 0
        while unsafe rd_kafka_header_get_all(list, index, &name, &value, &size) == RD_KAFKA_RESP_ERR_NO_ERROR {
            let nameSize = unsafe name.map { unsafe strlen($0) } ?? 0
            let lentName = unsafe lend(name.map { unsafe UnsafeRawPointer($0) }, nameSize)
            let lentValue = unsafe lend(value, size)
            body(lentName, lentValue)
            index += 1
        }
    }

    /// All headers in order, copied: for dead letters and tools.
    public var headers: [Header] {
        var headers: [Header] = []
        forEachHeader { name, value in
            var nameBytes: [UInt8] = []
            nameBytes.append(name)
            var valueBytes: [UInt8] = []
            valueBytes.append(value)
            headers.append(Header(name: String(decoding: nameBytes, as: UTF8.self), value: valueBytes))
        }
        return headers
    }

    /// Parsed by librdkafka at the first call and kept with the message.
    private var headerList: OpaquePointer? {
        var list: OpaquePointer?
        return unsafe rd_kafka_message_headers(message, &list) == RD_KAFKA_RESP_ERR_NO_ERROR ? list : nil
    }

    @_lifetime(copy self)
    private func lend(_ start: UnsafeRawPointer?, _ count: Int) -> Span<UInt8> {
        let buffer = unsafe UnsafeRawBufferPointer(start: start, count: start == nil ? 0 : count)
        let span = unsafe Span<UInt8>(_unsafeBytes: buffer)
        return unsafe _overrideLifetime(span, copying: self)
    }
}
