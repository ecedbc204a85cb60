/// The line before a chunk: `1*HEXDIG [ chunk-ext ]` (RFC 9112 section 7.1).
enum ChunkLine {
    /// Leading zeros count: 16 digits hold every 64-bit size, and no honest sender pads.
    static var digitsMax: Int { 16 }

    /// Reads the line at `start..<end`.
    ///
    /// - Returns: the size in bytes, and how long the extensions are with their first semicolon.
    static func parse(_ bytes: Span<UInt8>, _ start: Int, _ end: Int) throws(Refusal) -> (size: UInt64, extensionBytes: Int) {
        var index = start
        var size: UInt64 = 0
        while index < end, let digit = ASCII.hexValue(bytes[index]) {
            guard index - start < digitsMax else { throw .malformedChunkSize }
            size = size << 4 | UInt64(digit)
            index += 1
        }
        guard index > start else { throw .malformedChunkSize }
        if index < end {
            guard bytes[index] == UInt8(ascii: ";") else { throw .malformedChunkSize }
            try checkExtensions(bytes, index, end)
        }
        return (size, end - index)
    }

    /// Checks `*( ";" name [ "=" ( token / quoted-string ) ] )`. The white space that the standard tolerates around
    /// `;` and `=` (only for reading, "bad" white space) is refused: parsers disagree about it.
    private static func checkExtensions(_ bytes: Span<UInt8>, _ start: Int, _ end: Int) throws(Refusal) {
        var index = start
        while index < end {
            guard bytes[index] == UInt8(ascii: ";") else { throw .malformedChunkExtension }
            index = try token(bytes, index + 1, end)
            guard index < end, bytes[index] == UInt8(ascii: "=") else { continue }
            index += 1
            if index < end, bytes[index] == UInt8(ascii: "\"") {
                index = try quoted(bytes, index + 1, end)
            } else {
                index = try token(bytes, index, end)
            }
        }
    }

    private static func token(_ bytes: Span<UInt8>, _ start: Int, _ end: Int) throws(Refusal) -> Int {
        var index = start
        while index < end, ByteSet.token.contains(bytes[index]) { index += 1 }
        guard index > start else { throw .malformedChunkExtension }
        return index
    }

    /// The offset after the closing quote of a string whose content starts at `start`.
    private static func quoted(_ bytes: Span<UInt8>, _ start: Int, _ end: Int) throws(Refusal) -> Int {
        var index = start
        while index < end {
            if bytes[index] == UInt8(ascii: "\"") { return index + 1 }
            index += bytes[index] == UInt8(ascii: "\\") ? 2 : 1
        }
        throw .malformedChunkExtension
    }
}
