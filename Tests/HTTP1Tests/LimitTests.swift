import HTTP1
import Testing

@testable import TestSupport

/// Each limit at its bound and one beyond, whole and at every split.
@Suite struct LimitTests {
    private var small: ConnectionLimits {
        var limits = ConnectionLimits()
        limits.request.requestLineBytesMax = 40
        limits.request.fieldsMax = 3
        limits.request.fieldBytesMax = 60
        limits.request.bodyBytesMax = 20
        limits.request.chunkExtensionBytesMax = 10
        limits.request.trailerBytesMax = 16
        return limits
    }

    private func verdict(_ request: String, _ limits: ConnectionLimits? = nil) -> Refusal? {
        let (replay, dissent) = unanimous(Array(request.utf8), limits: limits ?? small)
        #expect(dissent == nil)
        #expect((replay.requests.count == 1) == (replay.refusal == nil))
        return replay.refusal
    }

    private func fill(_ count: Int) -> String { String(repeating: "x", count: count) }

    @Test func `the request line`() {
        // "GET / HTTP/1.1" has 14 bytes.
        #expect(verdict("GET /\(fill(26)) HTTP/1.1\r\nHost: a\r\n\r\n") == nil)
        #expect(verdict("GET /\(fill(27)) HTTP/1.1\r\nHost: a\r\n\r\n") == .requestLineTooLong)
        #expect(verdict("\r\nGET /\(fill(26)) HTTP/1.1\r\nHost: a\r\n\r\n") == nil)
        #expect(verdict(fill(41)) == .requestLineTooLong)
    }

    @Test func `the number of fields`() {
        #expect(verdict("GET / HTTP/1.1\r\nHost: a\r\nA: 1\r\nB: 2\r\n\r\n") == nil)
        #expect(verdict("GET / HTTP/1.1\r\nHost: a\r\nA: 1\r\nB: 2\r\nC: 3\r\n\r\n") == .tooManyFields)
        #expect(verdict("GET / HTTP/1.1\r\nHost: a\r\nA: 1\r\nB: 2\r\nC") == .tooManyFields)
        // The verdict on a field beyond the bound comes before any on its content.
        #expect(verdict("GET / HTTP/1.1\r\nHost: a\r\nA: 1\r\nB: 2\r\n\0") == .tooManyFields)
    }

    @Test func `the bytes of all fields`() {
        // "Host: a" and "X: " with their line ends have 14 bytes.
        #expect(verdict("GET / HTTP/1.1\r\nHost: a\r\nX: \(fill(46))\r\n\r\n") == nil)
        #expect(verdict("GET / HTTP/1.1\r\nHost: a\r\nX: \(fill(47))\r\n\r\n") == .fieldsTooLarge)
        #expect(verdict("GET / HTTP/1.1\r\nHost: a\r\nX: \(fill(46))\r\nY: 1\r\n\r\n") == .fieldsTooLarge)
        #expect(verdict("GET / HTTP/1.1\r\n\(fill(100))") == .fieldsTooLarge)
    }

    @Test func `a body by Content-Length`() {
        #expect(verdict("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 20\r\n\r\n\(fill(20))") == nil)
        #expect(verdict("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 21\r\n\r\n\(fill(21))") == .bodyTooLarge)
    }

    @Test func `a chunked body`() {
        let head = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
        #expect(verdict(head + "a\r\n\(fill(10))\r\nA\r\n\(fill(10))\r\n0\r\n\r\n") == nil)
        #expect(verdict(head + "a\r\n\(fill(10))\r\nB\r\n\(fill(11))\r\n0\r\n\r\n") == .bodyTooLarge)
        #expect(verdict(head + "14\r\n\(fill(20))\r\n1\r\nx\r\n0\r\n\r\n") == .bodyTooLarge)
        #expect(verdict(head + "0000000000000005\r\nhello\r\n0\r\n\r\n") == nil)
    }

    @Test func `chunk extensions over the whole body`() {
        let head = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
        #expect(verdict(head + "1;\(fill(9))\r\nx\r\n0\r\n\r\n") == nil)
        #expect(verdict(head + "1;\(fill(10))\r\nx\r\n0\r\n\r\n") == .chunkLineTooLong)
        #expect(verdict(head + "1;\(fill(4))\r\nx\r\n0;\(fill(4))\r\n\r\n") == nil)
        #expect(verdict(head + "1;\(fill(4))\r\nx\r\n0;\(fill(5))\r\n\r\n") == .chunkLineTooLong)
        #expect(verdict(head + "1;\(fill(100))") == .chunkLineTooLong)
    }

    @Test func `trailers`() {
        let head = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n"
        #expect(verdict(head + "X: \(fill(11))\r\n\r\n") == nil)
        #expect(verdict(head + "X: \(fill(12))\r\n\r\n") == .trailersTooLarge)
        #expect(verdict(head + "X: 12\r\nY: 345\r\n\r\n") == nil)
        #expect(verdict(head + "X: 12\r\nY: 34567\r\n\r\n") == .trailersTooLarge)
        var none = small
        none.request.trailerBytesMax = 0
        #expect(verdict(head + "\r\n", none) == nil)
        #expect(verdict(head + "X: 1\r\n\r\n", none) == .trailersTooLarge)
    }

    @Test func `a larger body on its own path only`() {
        var limits = small
        limits.request.largeBodyPath = Array("/large".utf8)
        limits.request.largeBodyBytesMax = 30
        let chunked = "Transfer-Encoding: chunked\r\n\r\n1e\r\n\(fill(30))\r\n0\r\n\r\n"
        for (path, length, refusal) in [
            ("/large", 30, nil), ("/large", 31, Refusal.bodyTooLarge), ("/small", 21, .bodyTooLarge), ("/large/", 21, .bodyTooLarge),
            ("/large?x", 30, nil),
        ] {
            #expect(verdict("POST \(path) HTTP/1.1\r\nHost: a\r\nContent-Length: \(length)\r\n\r\n\(fill(length))", limits) == refusal)
        }
        #expect(verdict("POST /large HTTP/1.1\r\nHost: a\r\n" + chunked, limits) == nil)
        #expect(verdict("POST /small HTTP/1.1\r\nHost: a\r\n" + chunked, limits) == .bodyTooLarge)
    }

    @Test func `the default limits`() {
        let line = 8 * 1024 - "GET / HTTP/1.1".utf8.count
        let cases: [(String, Refusal?)] = [
            ("GET /\(fill(line)) HTTP/1.1\r\nHost: a\r\n\r\n", nil),
            ("GET /\(fill(line + 1)) HTTP/1.1\r\nHost: a\r\n\r\n", .requestLineTooLong),
            ("GET / HTTP/1.1\r\nHost: a\r\nX: \(fill(16 * 1024 - 14))\r\n\r\n", nil),
            ("GET / HTTP/1.1\r\nHost: a\r\nX: \(fill(16 * 1024 - 13))\r\n\r\n", .fieldsTooLarge),
            ("GET / HTTP/1.1\r\nHost: a\r\n\(String(repeating: "X: 1\r\n", count: 63))\r\n", nil),
            ("GET / HTTP/1.1\r\nHost: a\r\n\(String(repeating: "X: 1\r\n", count: 64))\r\n", .tooManyFields),
            ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 65536\r\n\r\n\(fill(65_536))", nil),
            ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 65537\r\n\r\n", .bodyTooLarge),
        ]
        for (request, refusal) in cases {
            let (replay, _) = Replay.run(Array(request.utf8))
            #expect(replay.refusal == refusal)
        }
    }

    @Test func `without the rule a POST without a length has an empty body`() {
        var limits = ConnectionLimits()
        limits.request.lengthRequired = false
        #expect(verdict("POST / HTTP/1.1\r\nHost: a\r\n\r\n", limits) == nil)
    }

    @Test func `an unfinished chunked body of tiny chunks keeps little more than its bytes`() {
        let limits = ConnectionLimits()
        let chunks = String(repeating: "1;a=b\r\nx\r\n", count: 200)
        let input = Array(("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks).utf8)
        let head = input.count - chunks.utf8.count
        let (replay, extra) = Replay.run(input, cuts: Array(1..<input.count), limits: limits)
        #expect(replay.refusal == nil)
        #expect(extra.keptAtEnd == head + 200)
        #expect(extra.keptMax <= head + 200 + 7)
    }

    @Test func `what an unfinished request keeps stays within the announced bound`() {
        let limits = small
        let requests =
            MalformedRequest.all.map(\.bytes) + [
                Array("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n14\r\n\(fill(20))\r\n0\r\nX: \(fill(11))\r\n".utf8),
                Array("\r\nPOST /\(fill(25)) HTTP/1.1\r\nHost: a\r\nContent-Length: 20\r\n\r\n\(fill(19))".utf8),
            ]
        for request in requests {
            let (_, extra) = Replay.run(request, cuts: Array(1..<request.count), limits: limits)
            #expect(extra.keptMax <= limits.request.bufferedBytesMax)
        }
    }
}
