internal import Bytes
internal import Ledger

/// JSON as this system writes it: no white space, and the same bytes for the same value wherever it is written.
extension [UInt8] {
    /// A string with its quotes. Escapes what RFC 8259 section 7 requires (quote, backslash, U+0000 to U+001F) and nothing
    /// else; the short escape where one exists.
    mutating func append(json text: Span<UInt8>) {
        append(UInt8(ascii: "\""))
        var copied = 0
        for index in 0..<text.count {
            let byte = text[index]
            guard byte < 0x20 || byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\\") else { continue }
            append(text.extracting(copied..<index))
            append(escapeOf: byte)
            copied = index + 1
        }
        append(text.extracting(copied..<text.count))
        append(UInt8(ascii: "\""))
    }

    mutating func append(json text: String) {
        var text = text
        text.withUTF8 { buffer in unsafe append(json: buffer.span) }
    }

    mutating func append(json time: Timestamp) {
        append(UInt8(ascii: "\""))
        append(time)
        append(UInt8(ascii: "\""))
    }

    mutating func append(json id: OperationID) {
        append(UInt8(ascii: "\""))
        append(id)
        append(UInt8(ascii: "\""))
    }

    private mutating func append(escapeOf byte: UInt8) {
        append(UInt8(ascii: "\\"))
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"): append(byte)
        case 0x08: append(UInt8(ascii: "b"))
        case 0x09: append(UInt8(ascii: "t"))
        case 0x0A: append(UInt8(ascii: "n"))
        case 0x0C: append(UInt8(ascii: "f"))
        case 0x0D: append(UInt8(ascii: "r"))
        default:
            append("u00")
            append(Hex.digit(byte >> 4))
            append(Hex.digit(byte & 15))
        }
    }
}
