/// The request line: method, target, version, with exactly one space between (RFC 9112 section 3).
enum RequestLine {
    /// Reads the line at `start..<end` into `head`.
    static func parse(_ bytes: Span<UInt8>, _ start: Int, _ end: Int, into head: inout RequestHead) throws(Refusal) {
        var index = start
        while index < end, ByteSet.token.contains(bytes[index]) { index &+= 1 }
        guard index > start else { throw .malformedRequestLine }
        guard index < end else { throw .malformedRequestLine }
        guard bytes[index] == ASCII.space else { throw .malformedMethod }
        let method = bytes.extracting(start..<index)
        head.method = Method(method)
        let isConnect = head.method == .other && method.equals("CONNECT")

        let targetStart = index + 1
        var targetEnd = targetStart
        while targetEnd < end, bytes[targetEnd] != ASCII.space { targetEnd &+= 1 }
        guard targetEnd > targetStart, targetEnd < end else { throw .malformedRequestLine }
        head.version = try version(bytes, targetEnd + 1, end)

        // A CONNECT target is an authority; what follows the head would be a tunnel.
        if isConnect { throw .connectNotSupported }
        head.target = ByteRange(targetStart, targetEnd)
        try RequestTarget.parse(bytes, targetStart, targetEnd, into: &head)
    }

    private static func version(_ bytes: Span<UInt8>, _ start: Int, _ end: Int) throws(Refusal) -> Version {
        guard end - start == 8, bytes.extracting(start..<start + 5).equals("HTTP/"),
            ASCII.isDigit(bytes[start + 5]), bytes[start + 6] == UInt8(ascii: "."), ASCII.isDigit(bytes[start + 7])
        else { throw .malformedVersion }
        switch (bytes[start + 5], bytes[start + 7]) {
        case (UInt8(ascii: "1"), UInt8(ascii: "1")): return .http11
        case (UInt8(ascii: "1"), UInt8(ascii: "0")): return .http10
        default: throw .unsupportedVersion
        }
    }
}

/// The request target in the forms that a server that is no proxy serves (RFC 9112 section 3.2).
enum RequestTarget {
    static func parse(_ bytes: Span<UInt8>, _ start: Int, _ end: Int, into head: inout RequestHead) throws(Refusal) {
        var pathStart = start
        if bytes[start] != UInt8(ascii: "/") {
            if bytes[start] == UInt8(ascii: "*") {
                guard head.method == .options, end == start + 1 else { throw .malformedTarget }
                return
            }
            pathStart = try authority(bytes, start, end, into: &head)
        }
        let pathEnd = try run(bytes, pathStart, end, of: .path)
        head.path = ByteRange(pathStart, pathEnd)
        guard pathEnd < end else { return }
        // Any byte but `?` (a fragment, a quote, a byte from 0x80 on) ends no path.
        guard bytes[pathEnd] == UInt8(ascii: "?") else { throw .malformedTarget }
        let queryEnd = try run(bytes, pathEnd + 1, end, of: .query)
        guard queryEnd == end else { throw .malformedTarget }
        head.query = ByteRange(pathEnd + 1, end)
    }

    /// Reads `http://host:port` or `https://host:port` and returns where the path starts.
    private static func authority(
        _ bytes: Span<UInt8>, _ start: Int, _ end: Int, into head: inout RequestHead
    ) throws(Refusal) -> Int {
        var index = start
        if end - start >= 7, bytes.extracting(start..<start + 7).equalsIgnoringCase("http://") {
            index += 7
        } else if end - start >= 8, bytes.extracting(start..<start + 8).equalsIgnoringCase("https://") {
            index += 8
        } else {
            throw .malformedTarget
        }
        let authorityStart = index
        while index < end, bytes[index] != UInt8(ascii: "/"), bytes[index] != UInt8(ascii: "?") { index &+= 1 }
        // User information (`user@`) is no part of a host and so refused with it.
        guard Host.isValid(bytes.extracting(authorityStart..<index)) else { throw .malformedTarget }
        head.authority = ByteRange(authorityStart, index)
        return index
    }

    /// The end of the longest run of members of `set` and whole percent-escapes from `start`.
    @inline(__always)
    private static func run(_ bytes: Span<UInt8>, _ start: Int, _ end: Int, of set: ByteSet) throws(Refusal) -> Int {
        var index = start
        while index < end {
            let byte = bytes[index]
            if set.contains(byte) {
                index &+= 1
            } else if byte == UInt8(ascii: "%") {
                guard index + 2 < end, ASCII.hexValue(bytes[index + 1]) != nil, ASCII.hexValue(bytes[index + 2]) != nil
                else { throw .malformedTarget }
                index &+= 3
            } else {
                break
            }
        }
        return index
    }
}
