import HTTP1

/// One request that must be refused: what is wrong, the bytes, and the refusal. The parser is held to the table, and a gateway with nginx.
struct MalformedRequest: CustomStringConvertible, Sendable {
    var name: String
    var bytes: [UInt8]
    var refusal: Refusal

    var description: String { name }

    init(_ name: String, _ text: String, _ refusal: Refusal) {
        self.name = name
        bytes = Array(text.utf8)
        self.refusal = refusal
    }

    init(_ name: String, _ bytes: [UInt8], _ refusal: Refusal) {
        self.name = name
        self.bytes = bytes
        self.refusal = refusal
    }

    /// A GET with these field lines after Host.
    static func fields(_ name: String, _ lines: String, _ refusal: Refusal) -> MalformedRequest {
        MalformedRequest(name, "GET / HTTP/1.1\r\nHost: a\r\n\(lines)\r\n\r\n", refusal)
    }

    /// A GET of this target.
    static func target(_ name: String, _ target: String, _ refusal: Refusal) -> MalformedRequest {
        MalformedRequest(name, "GET \(target) HTTP/1.1\r\nHost: a\r\n\r\n", refusal)
    }

    /// A GET with this Host value.
    static func host(_ name: String, _ host: String) -> MalformedRequest {
        MalformedRequest(name, "GET / HTTP/1.1\r\nHost: \(host)\r\n\r\n", .hostInvalid)
    }

    /// A POST with this chunked body.
    static func chunks(_ name: String, _ body: String, _ refusal: Refusal) -> MalformedRequest {
        MalformedRequest(name, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n\(body)", refusal)
    }

    static let all: [MalformedRequest] = lines + requestLines + targets + fieldLines + hosts + framing + chunked

    private static let lines: [MalformedRequest] = [
        .init("bare LF after the request line", "GET / HTTP/1.1\nHost: a\r\n\r\n", .bareLineFeed),
        .init("bare LF after a field", "GET / HTTP/1.1\r\nHost: a\n\r\n", .bareLineFeed),
        .init("bare LF as the empty line", "GET / HTTP/1.1\r\nHost: a\r\n\n", .bareLineFeed),
        .init("bare LF first", "\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", .bareLineFeed),
        .init("bare CR in the request line", "GET /\r HTTP/1.1\r\nHost: a\r\n\r\n", .bareCarriageReturn),
        .init("bare CR in a field value", "GET / HTTP/1.1\r\nHost: a\r\nX: a\rb\r\n\r\n", .bareCarriageReturn),
        .init("bare CR as the line end", "GET / HTTP/1.1\rHost: a\r\r", .bareCarriageReturn),
        .init("CR CR LF", "GET / HTTP/1.1\r\r\nHost: a\r\n\r\n", .bareCarriageReturn),
        .init("CR and then a method", "\rGET / HTTP/1.1\r\nHost: a\r\n\r\n", .bareCarriageReturn),
        .init("two empty lines before the request line", "\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", .malformedRequestLine),
        .init("NUL in the request line", "GET /\0 HTTP/1.1\r\nHost: a\r\n\r\n", .controlByte),
        .init("NUL in a field name", "GET / HTTP/1.1\r\nHo\0st: a\r\n\r\n", .controlByte),
        .init("NUL in a field value", "GET / HTTP/1.1\r\nHost: a\r\nX: \0\r\n\r\n", .controlByte),
        .init("DEL in a field value", "GET / HTTP/1.1\r\nHost: a\r\nX: \u{7f}\r\n\r\n", .controlByte),
        .init("escape in a field value", "GET / HTTP/1.1\r\nHost: a\r\nX: \u{1b}[0m\r\n\r\n", .controlByte),
        .init("vertical tab in a field value", "GET / HTTP/1.1\r\nHost: a\r\nX: a\u{0b}b\r\n\r\n", .controlByte),
        .init("a TLS handshake", [0x16, 0x03, 0x01, 0x02, 0x00, 0x01], .controlByte),
    ]

    private static let requestLines: [MalformedRequest] = [
        .init("space before the method", " GET / HTTP/1.1\r\nHost: a\r\n\r\n", .malformedRequestLine),
        .init("tab before the method", "\tGET / HTTP/1.1\r\nHost: a\r\n\r\n", .malformedRequestLine),
        .init("nothing but a method", "GET\r\nHost: a\r\n\r\n", .malformedRequestLine),
        .init("method and space", "GET \r\nHost: a\r\n\r\n", .malformedRequestLine),
        .init("HTTP/0.9", "GET /\r\n", .malformedRequestLine),
        .init("no target", "GET  HTTP/1.1\r\nHost: a\r\n\r\n", .malformedRequestLine),
        .init("two spaces after the method", "GET  / HTTP/1.1\r\nHost: a\r\n\r\n", .malformedRequestLine),
        .init("two spaces before the version", "GET /  HTTP/1.1\r\nHost: a\r\n\r\n", .malformedVersion),
        .init("tab after the method", "GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n", .malformedMethod),
        .init("tab before the version", "GET /\tHTTP/1.1\r\nHost: a\r\n\r\n", .malformedRequestLine),
        .init("space after the version", "GET / HTTP/1.1 \r\nHost: a\r\n\r\n", .malformedVersion),
        .init("a fourth word", "GET / x HTTP/1.1\r\nHost: a\r\n\r\n", .malformedVersion),
        .init("method with a slash", "G/T / HTTP/1.1\r\nHost: a\r\n\r\n", .malformedMethod),
        .init("method in quotes", "\"GET\" / HTTP/1.1\r\nHost: a\r\n\r\n", .malformedRequestLine),
        .init("method with a byte from 0x80 on", "G\u{c9}T / HTTP/1.1\r\nHost: a\r\n\r\n", .malformedMethod),
        .init("version without a number", "GET / HTTP\r\nHost: a\r\n\r\n", .malformedVersion),
        .init("version in lower case", "GET / http/1.1\r\nHost: a\r\n\r\n", .malformedVersion),
        .init("version with two digits", "GET / HTTP/1.10\r\nHost: a\r\n\r\n", .malformedVersion),
        .init("version without minor", "GET / HTTP/1\r\nHost: a\r\n\r\n", .malformedVersion),
        .init("version with a comma", "GET / HTTP/1,1\r\nHost: a\r\n\r\n", .malformedVersion),
        .init("another protocol", "GET / RTSP/1.0\r\nHost: a\r\n\r\n", .malformedVersion),
        .init("HTTP/1.2", "GET / HTTP/1.2\r\nHost: a\r\n\r\n", .unsupportedVersion),
        .init("HTTP/0.9 spelled out", "GET / HTTP/0.9\r\nHost: a\r\n\r\n", .unsupportedVersion),
        .init("the HTTP/2 preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", .unsupportedVersion),
        .init("HTTP/3.0", "GET / HTTP/3.0\r\nHost: a\r\n\r\n", .unsupportedVersion),
    ]

    private static let targets: [MalformedRequest] = [
        .target("relative path", "v1/accounts", .malformedTarget),
        .target("query without path", "?a=b", .malformedTarget),
        .target("fragment", "/a#b", .malformedTarget),
        .target("fragment after a query", "/a?b#c", .malformedTarget),
        .target("byte from 0x80 on in the path", "/\u{e9}", .malformedTarget),
        .target("byte from 0x80 on in the query", "/a?\u{e9}", .malformedTarget),
        .target("quote in the path", "/a\"b", .malformedTarget),
        .target("angle bracket in the query", "/a?<b>", .malformedTarget),
        .target("backslash in the path", "/a\\b", .malformedTarget),
        .target("brace in the path", "/{a}", .malformedTarget),
        .target("caret in the path", "/a^b", .malformedTarget),
        .target("pipe in the query", "/a?b|c", .malformedTarget),
        .target("bracket in the query", "/a?b[]=1", .malformedTarget),
        .target("escape without digits", "/a%", .malformedTarget),
        .target("escape with one digit", "/a%4", .malformedTarget),
        .target("escape with a wrong digit", "/a%4G", .malformedTarget),
        .target("broken escape in the query", "/a?b=%zz", .malformedTarget),
        .target("asterisk for a GET", "*", .malformedTarget),
        .target("authority for a GET", "a:80", .malformedTarget),
        .target("another scheme", "ftp://a/", .malformedTarget),
        .target("absolute target without a host", "http:///x", .malformedTarget),
        .target("absolute target with a user", "http://me@a/x", .malformedTarget),
        .target("absolute target with another host", "http://b/x", .hostMismatch),
        .target("absolute target with another port", "http://a:81/x", .hostMismatch),
        .init("asterisk with more", "OPTIONS *x HTTP/1.1\r\nHost: a\r\n\r\n", .malformedTarget),
        .init("CONNECT", "CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n", .connectNotSupported),
        .init("CONNECT with a path", "CONNECT / HTTP/1.1\r\nHost: a\r\n\r\n", .connectNotSupported),
    ]

    private static let fieldLines: [MalformedRequest] = [
        .fields("folded line", "X: a\r\n b", .foldedLine),
        .fields("line folded by a tab", "X: a\r\n\tb", .foldedLine),
        .init("white space before the first field", "GET / HTTP/1.1\r\n Host: a\r\n\r\n", .foldedLine),
        .fields("line of spaces", "   ", .foldedLine),
        .fields("space before the colon", "X : a", .spaceBeforeColon),
        .fields("tab before the colon", "X\t: a", .spaceBeforeColon),
        .init("space before the colon of Host", "GET / HTTP/1.1\r\nHost : a\r\n\r\n", .spaceBeforeColon),
        .fields("space before the colon of Content-Length", "Content-Length : 5", .spaceBeforeColon),
        .fields("space inside a name", "X Y: a", .spaceBeforeColon),
        .fields("no colon", "X", .malformedFieldName),
        .fields("no name", ": a", .malformedFieldName),
        .fields("parenthesis in a name", "X(y): a", .malformedFieldName),
        .fields("byte from 0x80 on in a name", "X\u{e9}: a", .malformedFieldName),
        .fields("semicolon for a colon", "X; a", .malformedFieldName),
        .fields("unknown expectation", "Expect: 200-ok", .expectationUnknown),
        .fields("empty expectation", "Expect:", .expectationUnknown),
    ]

    private static let hosts: [MalformedRequest] = [
        .init("no Host", "GET / HTTP/1.1\r\n\r\n", .hostMissing),
        .init("no Host but an absolute target", "GET http://a/ HTTP/1.1\r\n\r\n", .hostMissing),
        .init("two Hosts", "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", .hostRepeated),
        .init("the same Host twice", "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", .hostRepeated),
        .init("two Hosts in HTTP/1.0", "GET / HTTP/1.0\r\nHost: a\r\nHost: a\r\n\r\n", .hostRepeated),
        .host("empty Host", ""),
        .host("Host with a space", "a b"),
        .host("Host list", "a, b"),
        .host("Host with a path", "a/b"),
        .host("Host with a user", "me@a"),
        .host("Host with a scheme", "http://a"),
        .host("Host with letters for a port", "a:http"),
        .host("Host with a signed port", "a:+80"),
        .host("Host with a port beyond 65535", "a:65536"),
        .host("Host with two ports", "a:80:80"),
        .host("port without host", ":80"),
        .host("Host with a broken escape", "a%4"),
        .host("IPv6 without brackets", "::1"),
        .host("IPv6 not closed", "[::1"),
        .host("IPv6 with two gaps", "[1::2::3]"),
        .host("IPv6 with nine groups", "[1:2:3:4:5:6:7:8:9]"),
        .host("IPv6 with five digits", "[12345::]"),
        .host("IPv6 with a zone", "[fe80::1%25eth0]"),
        .host("IPv6 with a lonely colon at the end", "[1:2:3:4:5:6:7:]"),
        .host("IPv4 octet beyond 255 in IPv6", "[::256.0.0.1]"),
        .host("text after an IPv6 address", "[::1]x"),
        .host("Host with a byte from 0x80 on", "\u{e9}"),
    ]

    private static let framing: [MalformedRequest] = [
        .fields("Content-Length twice", "Content-Length: 5\r\nContent-Length: 6", .contentLengthRepeated),
        .fields("the same Content-Length twice", "Content-Length: 5\r\nContent-Length: 5", .contentLengthRepeated),
        .fields("Content-Length list", "Content-Length: 5, 5", .contentLengthInvalid),
        .fields("Content-Length with plus", "Content-Length: +5", .contentLengthInvalid),
        .fields("Content-Length with minus", "Content-Length: -5", .contentLengthInvalid),
        .fields("Content-Length in hexadecimal", "Content-Length: 0x5", .contentLengthInvalid),
        .fields("Content-Length with a fraction", "Content-Length: 5.0", .contentLengthInvalid),
        .fields("Content-Length with letters", "Content-Length: five", .contentLengthInvalid),
        .fields("empty Content-Length", "Content-Length:", .contentLengthInvalid),
        .fields("Content-Length of two numbers", "Content-Length: 5 5", .contentLengthInvalid),
        .fields("Content-Length beyond 64 bits", "Content-Length: 18446744073709551616", .contentLengthInvalid),
        .fields("Content-Length far beyond 64 bits", "Content-Length: 99999999999999999999999999", .contentLengthInvalid),
        .fields("Content-Length at 64 bits", "Content-Length: 18446744073709551615", .bodyTooLarge),
        .fields("Content-Length with chunked", "Content-Length: 5\r\nTransfer-Encoding: chunked", .contentLengthWithTransferEncoding),
        .fields("chunked with Content-Length", "Transfer-Encoding: chunked\r\nContent-Length: 5", .contentLengthWithTransferEncoding),
        .fields("chunked twice in one field", "Transfer-Encoding: chunked, chunked", .transferEncodingInvalid),
        .fields("chunked in two fields", "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", .transferEncodingInvalid),
        .fields("chunked not last", "Transfer-Encoding: chunked, gzip", .transferEncodingInvalid),
        .fields("chunked with a parameter", "Transfer-Encoding: chunked;q=1", .transferEncodingInvalid),
        .fields("chunked and a comma", "Transfer-Encoding: chunked,", .transferEncodingInvalid),
        .fields("a comma and chunked", "Transfer-Encoding: ,chunked", .transferEncodingInvalid),
        .fields("empty Transfer-Encoding", "Transfer-Encoding:", .transferEncodingInvalid),
        .fields("chunked in quotes", "Transfer-Encoding: \"chunked\"", .transferEncodingInvalid),
        .fields("a longer name", "Transfer-Encoding: xchunked", .transferCodingUnknown),
        .fields("gzip and chunked", "Transfer-Encoding: gzip, chunked", .transferCodingUnknown),
        .fields("gzip and chunked in two fields", "Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked", .transferCodingUnknown),
        .fields("gzip alone", "Transfer-Encoding: gzip", .transferCodingUnknown),
        .fields("identity", "Transfer-Encoding: identity", .transferCodingUnknown),
        .init("chunked in HTTP/1.0", "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", .transferEncodingInHTTP10),
        .init("POST without a length", "POST / HTTP/1.1\r\nHost: a\r\n\r\n", .lengthRequired),
        .init("PUT without a length", "PUT / HTTP/1.1\r\nHost: a\r\n\r\n", .lengthRequired),
        .init("PATCH without a length", "PATCH / HTTP/1.1\r\nHost: a\r\n\r\n", .lengthRequired),
    ]

    private static let chunked: [MalformedRequest] = [
        .chunks("chunk size with plus", "+5\r\nhello\r\n0\r\n\r\n", .malformedChunkSize),
        .chunks("chunk size with minus", "-5\r\nhello\r\n0\r\n\r\n", .malformedChunkSize),
        .chunks("chunk size with 0x", "0x5\r\nhello\r\n0\r\n\r\n", .malformedChunkSize),
        .chunks("space before the chunk size", " 5\r\nhello\r\n0\r\n\r\n", .malformedChunkSize),
        .chunks("space after the chunk size", "5 \r\nhello\r\n0\r\n\r\n", .malformedChunkSize),
        .chunks("tab after the chunk size", "5\t\r\nhello\r\n0\r\n\r\n", .malformedChunkSize),
        .chunks("empty chunk size", "\r\nhello\r\n0\r\n\r\n", .malformedChunkSize),
        .chunks("letters for a chunk size", "xyz\r\nhello\r\n0\r\n\r\n", .malformedChunkSize),
        .chunks("underscore in a chunk size", "1_0\r\nhello\r\n0\r\n\r\n", .malformedChunkSize),
        .chunks("chunk size of 17 digits", "00000000000000005\r\nhello\r\n0\r\n\r\n", .malformedChunkSize),
        .chunks("chunk size beyond 64 bits", "10000000000000005\r\nhello\r\n0\r\n\r\n", .malformedChunkSize),
        .chunks("chunk size at 64 bits", "ffffffffffffffff\r\nhello\r\n0\r\n\r\n", .bodyTooLarge),
        .chunks("chunk size after a body that wraps", "5\r\nhello\r\nfffffffffffffffb\r\n", .bodyTooLarge),
        .chunks("chunk size with a list", "5,5\r\nhello\r\n0\r\n\r\n", .malformedChunkSize),
        .chunks("bare LF after a chunk size", "5\nhello\r\n0\r\n\r\n", .bareLineFeed),
        .chunks("NUL after a chunk size", "5\0\r\nhello\r\n0\r\n\r\n", .controlByte),
        .chunks("space before an extension", "5 ;a=b\r\nhello\r\n0\r\n\r\n", .malformedChunkSize),
        .chunks("space in an extension", "5; a=b\r\nhello\r\n0\r\n\r\n", .malformedChunkExtension),
        .chunks("extension without a name", "5;\r\nhello\r\n0\r\n\r\n", .malformedChunkExtension),
        .chunks("extension without a value", "5;a=\r\nhello\r\n0\r\n\r\n", .malformedChunkExtension),
        .chunks("extension with an open quote", "5;a=\"b\r\nhello\r\n0\r\n\r\n", .malformedChunkExtension),
        .chunks("extension that ends in a backslash", "5;a=\"b\\\r\nhello\r\n0\r\n\r\n", .malformedChunkExtension),
        .chunks("extension with text after the quote", "5;a=\"b\"c\r\nhello\r\n0\r\n\r\n", .malformedChunkExtension),
        .chunks("bare CR in an extension", "5;a=\rb\r\nhello\r\n0\r\n\r\n", .bareCarriageReturn),
        .chunks("chunk longer than its size", "5\r\nhellox\r\n0\r\n\r\n", .malformedChunkEnd),
        .chunks("chunk shorter than its size", "6\r\nhello\r\n0\r\n\r\n", .malformedChunkEnd),
        .chunks("chunk ended by LF", "5\r\nhello\n0\r\n\r\n", .malformedChunkEnd),
        .chunks("chunk ended by CR", "5\r\nhello\rx", .malformedChunkEnd),
        .chunks("trailer without a colon", "0\r\nX\r\n\r\n", .malformedTrailer),
        .chunks("trailer with a space before the colon", "0\r\nX : a\r\n\r\n", .malformedTrailer),
        .chunks("folded trailer", "0\r\nX: a\r\n b\r\n\r\n", .malformedTrailer),
        .chunks("bare LF after the last chunk", "0\r\n\n", .bareLineFeed),
        .chunks("NUL in a trailer", "0\r\nX: \0\r\n\r\n", .controlByte),
    ]
}
