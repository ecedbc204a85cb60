/// The Host field and the authority of an absolute target: `uri-host [ ":" port ]` (RFC 9110 section 7.2).
enum Host {
    static func isValid(_ bytes: Span<UInt8>) -> Bool {
        guard bytes.count > 0 else { return false }
        let hostEnd: Int
        if bytes[0] == UInt8(ascii: "[") {
            guard let end = literalEnd(bytes) else { return false }
            hostEnd = end
        } else {
            guard let end = nameEnd(bytes) else { return false }
            hostEnd = end
        }
        if hostEnd == bytes.count { return true }
        guard bytes[hostEnd] == UInt8(ascii: ":") else { return false }
        return isPort(bytes.extracting((hostEnd + 1)...))
    }

    /// Whether two authorities name the same host in the same spelling but for case.
    static func equal(_ left: Span<UInt8>, _ right: Span<UInt8>) -> Bool {
        guard left.count == right.count else { return false }
        for index in 0..<left.count where ASCII.lowercased(left[index]) != ASCII.lowercased(right[index]) { return false }
        return true
    }

    /// The end of a registered name or IPv4 address; nil when it is empty or an escape is broken.
    private static func nameEnd(_ bytes: Span<UInt8>) -> Int? {
        var index = 0
        while index < bytes.count {
            if ByteSet.registeredName.contains(bytes[index]) {
                index += 1
            } else if bytes[index] == UInt8(ascii: "%") {
                guard index + 2 < bytes.count, ASCII.hexValue(bytes[index + 1]) != nil,
                    ASCII.hexValue(bytes[index + 2]) != nil
                else { return nil }
                index += 3
            } else {
                break
            }
        }
        return index == 0 ? nil : index
    }

    /// The offset after `]` of an IPv6 address; nil when it is none. Future address versions are refused.
    private static func literalEnd(_ bytes: Span<UInt8>) -> Int? {
        var groups = 0
        var digits = 0
        var isCompressed = false
        var index = 1
        while index < bytes.count {
            let byte = bytes[index]
            if ASCII.hexValue(byte) != nil {
                if digits == 0 { groups += 1 }
                digits += 1
                guard digits <= 4 else { return nil }
            } else if byte == UInt8(ascii: ":") {
                let isDouble = index + 1 < bytes.count && bytes[index + 1] == UInt8(ascii: ":")
                if isDouble {
                    guard !isCompressed else { return nil }
                    isCompressed = true
                    index += 1
                } else if digits == 0 {
                    return nil
                }
                // A single colon must separate two groups.
                if !isDouble, index + 1 < bytes.count, bytes[index + 1] == UInt8(ascii: "]") { return nil }
                digits = 0
            } else if byte == UInt8(ascii: "]") {
                let isWhole = isCompressed ? groups <= 7 : groups == 8
                return isWhole ? index + 1 : nil
            } else if byte == UInt8(ascii: ".") {
                return dottedEnd(bytes, groupStart: index - digits, groupsBefore: groups - 1, isCompressed: isCompressed)
            } else {
                return nil
            }
            index += 1
        }
        return nil
    }

    /// The end of an IPv6 address whose last 32 bits are written as an IPv4 address.
    private static func dottedEnd(
        _ bytes: Span<UInt8>, groupStart: Int, groupsBefore: Int, isCompressed: Bool
    ) -> Int? {
        guard isCompressed ? groupsBefore <= 5 : groupsBefore == 6 else { return nil }
        var index = groupStart
        for octet in 0..<4 {
            let start = index
            var value = 0
            while index < bytes.count, ASCII.isDigit(bytes[index]), index - start < 3 {
                value = value * 10 + Int(bytes[index] - UInt8(ascii: "0"))
                index += 1
            }
            let end = octet == 3 ? UInt8(ascii: "]") : UInt8(ascii: ".")
            guard index > start, value <= 255, index < bytes.count, bytes[index] == end else { return nil }
            index += 1
        }
        return index
    }

    /// RFC 3986 allows an empty port; a number must be one that TCP has.
    private static func isPort(_ bytes: Span<UInt8>) -> Bool {
        guard bytes.count <= 5 else { return false }
        var port = 0
        for index in 0..<bytes.count {
            guard ASCII.isDigit(bytes[index]) else { return false }
            port = port * 10 + Int(bytes[index] - UInt8(ascii: "0"))
        }
        return port <= 65_535
    }
}
