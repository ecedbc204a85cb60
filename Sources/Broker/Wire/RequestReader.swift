internal import Bytes

/// A frame is not what its header says it is. The connection that sent it is closed; nothing else happens.
enum WireError: Error {
    /// Something reaches past the end of its frame.
    case truncated
    /// A length, count or value that no client sends.
    case invalid
    /// An array longer than `Limits.arrayElementsMax`.
    case tooMany
}

/// Reads the protocol's primitive types from a borrowed frame. Every read is checked against the frame's end.
///
/// Flexible versions (KIP-482) write lengths as unsigned varints of length + 1 and end each structure with tagged
/// fields; `isFlexible` makes the same calls read either form.
struct RequestReader: ~Escapable {
    private let bytes: Span<UInt8>
    private(set) var position = 0
    let isFlexible: Bool

    @_lifetime(copy bytes)
    init(_ bytes: Span<UInt8>, isFlexible: Bool = false) {
        self.bytes = bytes
        self.isFlexible = isFlexible
    }

    var remaining: Int { bytes.count - position }

    private mutating func take(_ count: Int) throws(WireError) -> Int {
        guard count >= 0, count <= remaining else { throw .truncated }
        defer { position += count }
        return position
    }

    mutating func skip(_ count: Int) throws(WireError) { _ = try take(count) }

    mutating func int8() throws(WireError) -> Int8 { Int8(bitPattern: bytes[try take(1)]) }

    mutating func bool() throws(WireError) -> Bool { try int8() != 0 }

    mutating func int16() throws(WireError) -> Int16 {
        let at = try take(2)
        return Int16(bitPattern: UInt16(bytes[at]) << 8 | UInt16(bytes[at + 1]))
    }

    mutating func int32() throws(WireError) -> Int32 { Int32(bitPattern: try uint32()) }

    mutating func uint32() throws(WireError) -> UInt32 {
        let at = try take(4)
        return unsafe UInt32(bigEndian: bytes.bytes.unsafeLoadUnaligned(fromByteOffset: at, as: UInt32.self))
    }

    mutating func int64() throws(WireError) -> Int64 {
        let at = try take(8)
        return unsafe Int64(bigEndian: bytes.bytes.unsafeLoadUnaligned(fromByteOffset: at, as: Int64.self))
    }

    mutating func uuid() throws(WireError) -> UUID128 {
        UUID128(high: UInt64(bitPattern: try int64()), low: UInt64(bitPattern: try int64()))
    }

    /// At most 5 bytes, as the protocol's lengths have.
    mutating func unsignedVarint() throws(WireError) -> UInt32 {
        var value: UInt32 = 0
        for shift in stride(from: UInt32(0), through: 28, by: 7) {
            let byte = bytes[try take(1)]
            if shift == 28, byte > 0x0f { throw .invalid }
            value |= UInt32(byte & 0x7f) << shift
            if byte & 0x80 == 0 { return value }
        }
        throw .invalid
    }

    /// A length prefix: -1 for null.
    private mutating func length(wide: Bool) throws(WireError) -> Int {
        if isFlexible { return Int(try unsignedVarint()) - 1 }
        return wide ? Int(try int32()) : Int(try int16())
    }

    mutating func nullableString() throws(WireError) -> String? {
        let count = try length(wide: false)
        if count == -1 { return nil }
        let start = try take(count)
        do { return String(copying: try UTF8Span(validating: bytes.extracting(start..<start + count))) } catch { throw .invalid }
    }

    mutating func string() throws(WireError) -> String {
        guard let text = try nullableString() else { throw .invalid }
        return text
    }

    /// Where the bytes lie in the frame; nil for null.
    mutating func nullableBytesRange() throws(WireError) -> Range<Int>? {
        let count = try length(wide: true)
        if count == -1 { return nil }
        let start = try take(count)
        return start..<start + count
    }

    mutating func byteArray() throws(WireError) -> [UInt8] {
        guard let range = try nullableBytesRange() else { return [] }
        var result: [UInt8] = []
        result.append(bytes.extracting(range))
        return result
    }

    /// A count of elements that follow; -1 for null. Each element takes at least a byte, so a count beyond the
    /// frame's rest is refused before anything is reserved for it.
    mutating func nullableArrayCount() throws(WireError) -> Int? {
        let count = isFlexible ? Int(try unsignedVarint()) - 1 : Int(try int32())
        if count == -1 { return nil }
        guard count >= 0 else { throw .invalid }
        guard count <= remaining else { throw .truncated }
        guard count <= Limits.arrayElementsMax else { throw .tooMany }
        return count
    }

    mutating func arrayCount() throws(WireError) -> Int { try nullableArrayCount() ?? 0 }

    /// Reads a whole array with one closure call an element.
    mutating func array<Element>(_ element: (inout RequestReader) throws(WireError) -> Element) throws(WireError) -> [Element] {
        var result: [Element] = []
        for _ in 0..<(try arrayCount()) { result.append(try element(&self)) }
        return result
    }

    mutating func nullableArray<Element>(_ element: (inout RequestReader) throws(WireError) -> Element) throws(WireError) -> [Element]? {
        guard let count = try nullableArrayCount() else { return nil }
        var result: [Element] = []
        for _ in 0..<count { result.append(try element(&self)) }
        return result
    }

    /// Ends a structure: skips the tagged fields of a flexible version, reads nothing in others.
    mutating func endStructure() throws(WireError) {
        guard isFlexible else { return }
        for _ in 0..<(try unsignedVarint()) {
            _ = try unsignedVarint()
            try skip(Int(try unsignedVarint()))
        }
    }
}
