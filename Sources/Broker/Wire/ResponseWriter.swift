internal import Bytes

/// Builds one response frame: 4 bytes of length (filled in by `finish`), the header, the body.
///
/// The counterpart of `RequestReader`: the same calls write either the classic or the flexible form. No tagged field
/// is ever written (an empty list ends each structure), because librdkafka before 2.2 misreads them.
struct ResponseWriter {
    private(set) var bytes: [UInt8]
    let isFlexible: Bool

    /// - Parameter flexibleHeader: response header version 1; ApiVersions answers with version 0 at any version.
    init(correlation: Int32, isFlexible: Bool, flexibleHeader: Bool, reserve: Int = 128) {
        bytes = []
        bytes.reserveCapacity(reserve)
        self.isFlexible = isFlexible
        bytes.append(bigEndian: UInt32(0))
        int32(correlation)
        if flexibleHeader { bytes.append(0) }
    }

    /// Fills in the length and hands the frame over.
    consuming func finish() -> [UInt8] {
        patch(UInt32(bytes.count - 4), at: 0)
        return bytes
    }

    mutating func int8(_ value: Int8) { bytes.append(UInt8(bitPattern: value)) }
    mutating func bool(_ value: Bool) { bytes.append(value ? 1 : 0) }
    mutating func int16(_ value: Int16) {
        bytes.append(UInt8(truncatingIfNeeded: value >> 8))
        bytes.append(UInt8(truncatingIfNeeded: value))
    }
    mutating func int32(_ value: Int32) { bytes.append(bigEndian: UInt32(bitPattern: value)) }
    mutating func int64(_ value: Int64) { bytes.append(bigEndian: UInt64(bitPattern: value)) }
    mutating func error(_ code: ErrorCode) { int16(code.rawValue) }
    mutating func uuid(_ value: UUID128) {
        bytes.append(bigEndian: value.high)
        bytes.append(bigEndian: value.low)
    }

    mutating func unsignedVarint(_ value: UInt32) {
        var rest = value
        while rest >= 0x80 {
            bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        bytes.append(UInt8(rest))
    }

    private mutating func length(_ count: Int, wide: Bool) {
        if isFlexible {
            unsignedVarint(UInt32(count + 1))
        } else if wide {
            int32(Int32(count))
        } else {
            int16(Int16(count))
        }
    }

    /// The classic form has room for 32,767 bytes; a longer text (a message that repeats what a client sent) is cut.
    mutating func string(_ text: String) {
        let count = isFlexible ? text.utf8.count : min(text.utf8.count, Int(Int16.max))
        length(count, wide: false)
        bytes.append(contentsOf: text.utf8.prefix(count))
    }

    mutating func nullableString(_ text: String?) {
        if let text { string(text) } else { length(-1, wide: false) }
    }

    mutating func byteArray(_ value: [UInt8]) {
        length(value.count, wide: true)
        bytes.append(contentsOf: value)
    }

    mutating func arrayCount(_ count: Int) { length(count, wide: true) }

    mutating func array<Elements: Collection>(_ elements: Elements, _ write: (inout ResponseWriter, Elements.Element) -> Void) {
        arrayCount(elements.count)
        for element in elements { write(&self, element) }
    }

    /// Ends a structure: an empty list of tagged fields in flexible versions.
    mutating func endStructure() { if isFlexible { bytes.append(0) } }

    /// A classic bytes field whose content `fill` appends; its length is known only afterwards.
    mutating func lengthPrefixed(_ fill: (inout [UInt8]) -> Void) {
        precondition(!isFlexible, "record sets are only written in classic versions")
        let at = bytes.count
        bytes.append(bigEndian: UInt32(0))
        fill(&bytes)
        patch(UInt32(bytes.count - at - 4), at: at)
    }

    private mutating func patch(_ value: UInt32, at index: Int) {
        for byte in 0..<4 { bytes[index + byte] = UInt8(truncatingIfNeeded: value >> UInt32(24 - byte * 8)) }
    }
}
