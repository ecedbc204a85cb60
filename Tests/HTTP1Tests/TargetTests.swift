import Testing

@testable import HTTP1

@Suite struct QueryTests {
    private func all(_ query: String) -> [String] {
        let bytes = Array(query.utf8)
        var parameters = QueryParameters(ByteRange(0, bytes.count))
        var found: [String] = []
        while let parameter = parameters.next(in: bytes.span) {
            found.append("\(text(bytes, parameter.name))|\(text(bytes, parameter.value))")
        }
        return found
    }

    @Test(arguments: [
        ("", []), ("a=1", ["a|1"]), ("a=1&b=2", ["a|1", "b|2"]), ("a", ["a|"]), ("a=", ["a|"]), ("=1", ["|1"]), ("a=1=2", ["a|1=2"]),
        ("&a=1&&b=2&", ["a|1", "b|2"]), ("a=%26", ["a|%26"]),
    ])
    func `parameters come in order, still encoded`(query: String, expected: [String]) {
        #expect(all(query) == expected)
    }

    @Test func `a parameter is found, missing or repeated`() {
        let bytes = Array("/p?limit=20&cursor=&limits=3&x=1&x=1".utf8)
        let query = ByteRange(3, bytes.count)
        func find(_ name: StaticString) -> QueryParameters.Lookup { QueryParameters.find(name, in: bytes.span, query: query) }
        #expect(find("limit") == .found(ByteRange(9, 11)))
        #expect(find("cursor") == .found(ByteRange(19, 19)))
        #expect(find("lim") == .absent)
        #expect(find("x") == .repeated)
    }

    private func decoded(_ input: String, capacity: Int = 100) -> String? {
        let bytes = Array(input.utf8)
        var output = [UInt8](repeating: 0, count: capacity)
        let written: Int?
        do {
            var span = output.mutableSpan
            written = PercentEncoding.decodeQuery(bytes.span, into: &span)
        }
        return written.map { String(decoding: output[0..<$0], as: UTF8.self) }
    }

    @Test(arguments: [
        ("", ""), ("abc", "abc"), ("a%20b+c", "a b c"), ("%2B%25", "+%"), ("%c3%A9", "\u{e9}"), ("%", nil), ("%4", nil), ("%4g", nil),
        ("a%", nil), ("%%41", nil), ("%00", "\0"),
    ])
    func `escapes are decoded strictly`(input: String, expected: String?) {
        #expect(decoded(input) == expected)
    }

    @Test func `decoding needs room for its result and no more`() {
        #expect(decoded("%41b", capacity: 2) == "Ab")
        #expect(decoded("%41b", capacity: 1) == nil)
        #expect(decoded("", capacity: 0) == "")
    }
}

@Suite struct PathTests {
    private func segments(_ path: String) -> [String] {
        let bytes = Array(path.utf8)
        var iterator = PathSegments(ByteRange(0, bytes.count))
        var found: [String] = []
        while let segment = iterator.next(in: bytes.span) { found.append(text(bytes, segment)) }
        return found
    }

    @Test(arguments: [
        ("", []), ("/", [""]), ("/v1", ["v1"]), ("/v1/accounts/a:b", ["v1", "accounts", "a:b"]), ("/v1/", ["v1", ""]), ("//a", ["", "a"]),
        ("/%2f", ["%2f"]),
    ])
    func `a path is split at its slashes`(path: String, expected: [String]) {
        #expect(segments(path) == expected)
    }

    private func decoded(_ segment: String) -> String? {
        let bytes = Array(segment.utf8)
        var output = [UInt8](repeating: 0, count: 64)
        let written: Int?
        do {
            var span = output.mutableSpan
            written = PathSegments.decode(bytes.span, into: &span)
        }
        return written.map { String(decoding: output[0..<$0], as: UTF8.self) }
    }

    @Test(arguments: [
        ("abc", "abc"), ("", ""), ("a%3Ab", "a:b"), ("%61%2d%2E", "a-."), ("...", "..."), ("a.", "a."), ("%2f", nil), ("%25", nil),
        ("%00", nil),
        ("%20", nil), ("%c3%a9", nil), (".", nil), ("..", nil), ("%2e", nil), (".%2E", nil), ("%4", nil), ("a/b", nil),
    ])
    func `only escapes that need not be are decoded`(segment: String, expected: String?) {
        #expect(decoded(segment) == expected)
    }

    @Test func `a segment longer than the buffer is refused`() {
        #expect(decoded(String(repeating: "a", count: 64)) != nil)
        #expect(decoded(String(repeating: "a", count: 65)) == nil)
    }
}

@Suite struct ByteSetTests {
    private let letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

    private func check(_ set: ByteSet, _ members: String) {
        let expected = Set(members.utf8)
        for byte in UInt8.min...UInt8.max { #expect(set.contains(byte) == expected.contains(byte), "\(byte)") }
    }

    @Test func `each set holds exactly what its standard lists`() {
        check(.token, letters + "!#$%&'*+-.^_`|~")
        check(.unreserved, letters + "-._~")
        check(.registeredName, letters + "-._~!$&'()*+,;=")
        check(.segment, letters + "-._~!$&'()*+,;=:@")
        check(.path, letters + "-._~!$&'()*+,;=:@/")
        check(.query, letters + "-._~!$&'()*+,;=:@/?")
    }

    @Test func `hexadecimal digits of both cases have their value and nothing else has one`() {
        for byte in UInt8.min...UInt8.max {
            let expected = byte < 128 ? Character(UnicodeScalar(byte)).hexDigitValue.map { UInt8($0) } : nil
            #expect(ASCII.hexValue(byte) == expected)
        }
    }

    @Test func `the first control byte is found wherever it stands and whatever stands around it`() {
        for length in 0...20 {
            for position in 0..<length {
                for byte in [0, 0x09, 0x0D, 0x1F, 0x20, 0x21, 0x7E, 0x7F, 0x80, 0x8D, 0xFF] as [UInt8] {
                    for filler in [0x20, 0x7E, 0x80, 0xFF] as [UInt8] {
                        var bytes = [UInt8](repeating: filler, count: length)
                        bytes[position] = byte
                        let isControl = byte < 0x20 || byte == 0x7F
                        let found = bytes.span.firstControl(from: 0, to: length)
                        if found != (isControl ? position : length) { Issue.record("\(bytes): \(found)") }
                    }
                }
            }
        }
    }
}
