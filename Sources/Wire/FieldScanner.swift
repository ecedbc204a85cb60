/// Reads a header field's value from left to right (RFC 9110 section 5.6).
struct FieldScanner: ~Escapable {
    private let bytes: Span<UInt8>
    private(set) var at = 0

    @_lifetime(copy bytes)
    init(_ bytes: Span<UInt8>) { self.bytes = bytes }

    var isAtEnd: Bool { at == bytes.count }

    @_lifetime(self: copy self)
    mutating func take(_ byte: UInt8) -> Bool {
        guard at < bytes.count, bytes[at] == byte else { return false }
        at += 1
        return true
    }

    /// Whether there was a space or a tabulator.
    @_lifetime(self: copy self)
    mutating func takeSpace() -> Bool { take(UInt8(ascii: " ")) || take(UInt8(ascii: "\t")) }

    @_lifetime(self: copy self)
    mutating func skipSpace() { while takeSpace() {} }

    /// The token that begins here; nil when none does.
    @_lifetime(self: copy self)
    mutating func token() -> Range<Int>? {
        let start = at
        while at < bytes.count, Self.isTokenCharacter(bytes[at]) { at += 1 }
        return at > start ? start..<at : nil
    }

    /// The inside of the quoted string that begins here, escapes as they are; nil when none begins or it does not end.
    @_lifetime(self: copy self)
    mutating func quotedString() -> Range<Int>? {
        guard take(UInt8(ascii: "\"")) else { return nil }
        let start = at
        while at < bytes.count {
            switch bytes[at] {
            case UInt8(ascii: "\""):
                at += 1
                return start..<at - 1
            case UInt8(ascii: "\\"): at = Swift.min(at + 2, bytes.count)
            default: at += 1
            }
        }
        return nil
    }

    /// A token or the inside of a quoted string.
    @_lifetime(self: copy self)
    mutating func word() -> Range<Int>? { at < bytes.count && bytes[at] == UInt8(ascii: "\"") ? quotedString() : token() }

    /// The inside of the entity tag that begins here, without its mark of weakness. A backslash means itself in it.
    @_lifetime(self: copy self)
    mutating func entityTag() -> Range<Int>? {
        if take(UInt8(ascii: "W")) { guard take(UInt8(ascii: "/")) else { return nil } }
        guard take(UInt8(ascii: "\"")) else { return nil }
        let start = at
        while at < bytes.count, bytes[at] == 0x21 || bytes[at] > 0x22 && bytes[at] != 0x7F { at += 1 }
        let end = at
        return take(UInt8(ascii: "\"")) ? start..<end : nil
    }

    private static func isTokenCharacter(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "0")...UInt8(ascii: "9"),
            UInt8(ascii: "!"), UInt8(ascii: "#"), UInt8(ascii: "$"), UInt8(ascii: "%"), UInt8(ascii: "&"), UInt8(ascii: "'"),
            UInt8(ascii: "*"), UInt8(ascii: "+"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "^"), UInt8(ascii: "_"),
            UInt8(ascii: "`"), UInt8(ascii: "|"), UInt8(ascii: "~"):
            true
        default: false
        }
    }
}
