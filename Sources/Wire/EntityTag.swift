internal import Bytes

/// Entity tags (RFC 9110 section 8.8.3): a resource's revision, as `"R12"`.
public enum EntityTag {
    /// Appends the strong tag of a revision.
    public static func append(revision: Int64, to buffer: inout [UInt8]) {
        buffer.append("\"R")
        buffer.append(decimal: revision)
        buffer.append(UInt8(ascii: "\""))
    }

    /// Whether `If-None-Match` names the revision, so that the answer is 304 (RFC 9110 section 13.1.2): the list has its tag,
    /// weak or strong, or is `*`. What is no such list names nothing.
    public static func matches(ifNoneMatch field: Span<UInt8>, revision: Int64) -> Bool {
        var scanner = FieldScanner(field)
        scanner.skipSpace()
        if scanner.take(UInt8(ascii: "*")) {
            scanner.skipSpace()
            return scanner.isAtEnd
        }
        var found = false
        while !scanner.isAtEnd {
            // Empty elements of a list are passed over (RFC 9110 section 5.6.1).
            if scanner.take(UInt8(ascii: ",")) || scanner.takeSpace() { continue }
            guard let tag = scanner.entityTag() else { return false }
            if names(field.extracting(tag), revision) { found = true }
            scanner.skipSpace()
            guard scanner.isAtEnd || scanner.take(UInt8(ascii: ",")) else { return false }
        }
        return found
    }

    /// Whether an opaque tag, without its quotes, is `R` and the revision.
    private static func names(_ tag: Span<UInt8>, _ revision: Int64) -> Bool {
        guard tag.count >= 2, tag.count <= 20, tag[0] == UInt8(ascii: "R"), tag.count == 2 || tag[1] != UInt8(ascii: "0") else {
            return false
        }
        var value: UInt64 = 0
        for index in 1..<tag.count {
            guard isDigit(tag[index]) else { return false }
            value = value * 10 + UInt64(tag[index] - UInt8(ascii: "0"))
        }
        return value == UInt64(bitPattern: revision)
    }
}
