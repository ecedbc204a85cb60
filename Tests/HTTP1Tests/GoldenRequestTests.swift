import HTTP1
import Testing

/// What well-formed requests mean.
@Suite struct GoldenRequestTests {
    private func only(_ request: String) throws -> Replay.Request {
        let (replay, dissent) = unanimous(Array(request.utf8))
        #expect(dissent == nil)
        #expect(replay.refusal == nil)
        try #require(replay.requests.count == 1)
        return replay.requests[0]
    }

    @Test func `a GET yields path, query, host and fields`() throws {
        let request = try only(
            "GET /v1/accounts/a:1/transactions?limit=20&cursor=x HTTP/1.1\r\nHost: api.example:8080\r\nAccept: \t*/* \t\r\nX-Empty:\r\n\r\n"
        )
        #expect(request.method == .get)
        #expect(request.path == "/v1/accounts/a:1/transactions")
        #expect(request.query == "limit=20&cursor=x")
        #expect(request.host == "api.example:8080")
        #expect(request.fields == ["Host=api.example:8080", "Accept=*/*", "X-Empty="])
        #expect(request.body == "")
        #expect(request.keepsAlive)
    }

    @Test func `a POST with Content-Length yields its body`() throws {
        let request = try only("POST /v1/payments HTTP/1.1\r\nHost: a\r\nContent-Length: 11\r\n\r\n{\"amount\":1")
        #expect(request.method == .post)
        #expect(request.body == "{\"amount\":1")
    }

    @Test func `a chunked body comes out contiguous, extensions and trailers dropped`() throws {
        let request = try only(
            "POST /p HTTP/1.1\r\nHost: a\r\ntransfer-encoding: CHUNKED\r\n\r\n"
                + "5\r\nhello\r\n1;name=value\r\n \r\n0A;q=\"a;\\\"b\";flag\r\nwide\r\nworl\r\n00\r\nDigest: x\r\nContent-Length: 9\r\n\r\n"
        )
        #expect(request.body == "hello wide\r\nworl")
    }

    @Test(arguments: [
        ("GET", Method.get), ("HEAD", .head), ("DELETE", .delete), ("OPTIONS", .options), ("TRACE", .other), ("get", .other),
        ("PROPFIND", .other), ("!#$%&'*+-.^_`|~", .other),
    ])
    func `a method is known by its exact name`(name: String, method: Method) throws {
        #expect(try only("\(name) / HTTP/1.1\r\nHost: a\r\n\r\n").method == method)
    }

    @Test(arguments: [("POST", Method.post), ("PUT", .put), ("PATCH", .patch)])
    func `a method with a body is known by its exact name`(name: String, method: Method) throws {
        #expect(try only("\(name) / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n").method == method)
    }

    @Test func `one empty line before the request line is skipped`() throws {
        #expect(try only("\r\nGET /x HTTP/1.1\r\nHost: a\r\n\r\n").path == "/x")
    }

    @Test(arguments: [
        ("http://a.example/p?q", "/p", "q"), ("HTTPS://A.EXAMPLE/p", "/p", ""), ("http://a.example", "", ""),
        ("http://a.example?q", "", "q"),
    ])
    func `an absolute target of the same host is served`(target: String, path: String, query: String) throws {
        let request = try only("GET \(target) HTTP/1.1\r\nHost: a.example\r\n\r\n")
        #expect(request.path == path)
        #expect(request.query == query)
    }

    @Test func `OPTIONS may ask for the whole server`() throws {
        #expect(try only("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n").path == "")
    }

    @Test(arguments: [
        ("HTTP/1.1", "", true), ("HTTP/1.1", "Connection: close\r\n", false), ("HTTP/1.1", "Connection: x, CLOSE ,y\r\n", false),
        ("HTTP/1.1", "Connection: keep-alive\r\nConnection: close\r\n", false), ("HTTP/1.1", "Connection: closed\r\n", true),
        ("HTTP/1.0", "", false), ("HTTP/1.0", "Connection: Keep-Alive\r\n", true),
        ("HTTP/1.0", "Connection: keep-alive, close\r\n", false),
    ])
    func `version and Connection decide whether the connection is kept`(version: String, field: String, keeps: Bool) throws {
        #expect(try only("GET / \(version)\r\nHost: a\r\n\(field)\r\n").keepsAlive == keeps)
    }

    @Test func `an HTTP/1.0 request needs no Host`() throws {
        #expect(try only("GET / HTTP/1.0\r\n\r\n").host == "")
    }

    @Test(arguments: [
        "a", "a.example", "A-1.example:443", "10.0.0.1:80", "[::1]", "[::1]:8080", "[2001:db8:0:0:0:0:0:1]", "[::ffff:10.0.0.1]",
        "[1:2:3:4:5:6:10.0.0.1]:1", "host:", "x%41", "a:65535", "[1::]",
    ])
    func `a valid Host is accepted`(host: String) throws {
        #expect(try only("GET / HTTP/1.1\r\nHost: \(host)\r\n\r\n").host == host)
    }

    @Test func `pipelined requests come out one by one`() {
        let input = Array(
            ("GET /1 HTTP/1.1\r\nHost: a\r\n\r\nPOST /2 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
                + "\r\nPOST /3 HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nxyGET /4 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
                + "GET /never HTTP/1.1\r\nHost: a\r\n\r\n").utf8)
        let (replay, dissent) = unanimous(input)
        #expect(dissent == nil)
        #expect(replay.requests.map(\.path) == ["/1", "/2", "/3", "/4"])
        #expect(replay.requests.map(\.body) == ["", "abc", "xy", ""])
        #expect(replay.isClosed)
    }

    @Test func `bytes from 0x80 on may stand in field values`() throws {
        let input = Array("GET / HTTP/1.1\r\nHost: a\r\nX: ".utf8) + [0xC3, 0xA9] + Array("\r\n\r\n".utf8)
        let (replay, dissent) = unanimous(input)
        #expect(dissent == nil)
        #expect(replay.requests.first?.fields.last == "X=\u{e9}")
    }

    @Test func `fields are found by name in any case and repeats are counted`() throws {
        let bytes = Array(
            "GET / HTTP/1.1\r\nhost: a\r\nAUTHORIZATION: Bearer x\r\nIdempotency-Key: k\r\nidempotency-key: l\r\nX-Custom: c\r\n\r\n".utf8)
        var parser = RequestParser()
        var head = RequestHead()
        #expect(try parser.parse(bytes.span, into: &head, limits: RequestLimits()))
        #expect(head.fields.first(.authorization).map { text(bytes, $0) } == "Bearer x")
        #expect(head.fields.first(.idempotencyKey).map { text(bytes, $0) } == "k")
        #expect(head.fields.count(of: .idempotencyKey) == 2)
        #expect(head.fields.count(of: .prefer) == 0)
        #expect(head.fields.first(.prefer) == nil)
        #expect(head.fields[4].known == .other)
        #expect(head.byteCount == bytes.count)
    }

    @Test(arguments: FieldName.allCases.filter { $0 != .other })
    func `every known field name is recognised in any case`(name: FieldName) throws {
        let spelled = name.text.description
        for spelling in [spelled, spelled.uppercased()] {
            let value = name == .contentLength ? "0" : name == .transferEncoding ? "chunked" : "100-continue"
            let line = name == .host ? "" : "\(spelling): \(value)\r\n"
            let bytes = Array("GET / HTTP/1.1\r\n\(name == .host ? spelling : "Host"): a\r\n\(line)\r\n".utf8)
            var parser = RequestParser()
            var head = RequestHead()
            #expect(try parser.parse(bytes.span, into: &head, limits: RequestLimits()))
            #expect(head.fields[head.fields.count - 1].known == name)
        }
    }
}
