import HTTP1
import Testing

@Suite struct ResponseParserTests {
    struct Seen: Equatable {
        var answers: [String] = []
        var error: ResponseError?
    }

    /// Parses all answers in `input` cut at `cuts`; each as `status body keep|close`.
    private func play(_ input: [UInt8], cuts: [Int], isAnswerToHead: Bool) -> Seen {
        var seen = Seen()
        var parser = ResponseParser()
        var head = ResponseHead()
        var kept: [UInt8] = []
        var start = 0
        for end in cuts + [input.count] {
            kept += input[start..<end]
            start = end
            do throws(ResponseError) {
                while try step(&parser, &head, &kept, &seen, isAnswerToHead: isAnswerToHead) {}
            } catch {
                seen.error = error
            }
            if seen.error != nil { break }
        }
        return seen
    }

    /// Parses once; false when more bytes are needed.
    private func step(
        _ parser: inout ResponseParser, _ head: inout ResponseHead, _ kept: inout [UInt8], _ seen: inout Seen, isAnswerToHead: Bool
    ) throws(ResponseError) -> Bool {
        let progress: ResponseParser.Progress
        do {
            var span = kept.mutableSpan
            progress = try parser.parse(&span, into: &head, isAnswerToHead: isAnswerToHead, limits: RequestLimits())
        }
        switch progress {
        case .complete(let body, let consumed):
            seen.answers.append("\(head.status) \(text(kept, body)) \(head.keepsAlive ? "keep" : "close")")
            kept.removeFirst(consumed)
            return !kept.isEmpty
        case .incomplete(let consumed, let count):
            kept = Array(kept[consumed..<consumed + count])
            return consumed > 0 && count > 0
        }
    }

    private func verdict(_ input: String, isAnswerToHead: Bool = false) -> Seen {
        let bytes = Array(input.utf8)
        let whole = play(bytes, cuts: [], isAnswerToHead: isAnswerToHead)
        let single = play(bytes, cuts: Array(1..<max(bytes.count, 1)), isAnswerToHead: isAnswerToHead)
        #expect(single == whole)
        for cut in 0..<bytes.count {
            let split = play(bytes, cuts: [cut], isAnswerToHead: isAnswerToHead)
            #expect(split == whole, "cut at \(cut)")
        }
        return whole
    }

    @Test(arguments: [
        ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", ["200 ok keep"]),
        ("HTTP/1.1 202 \r\nContent-Length: 0\r\nConnection: close\r\n\r\n", ["202  close"]),
        ("HTTP/1.0 404 Not Found\r\nContent-Length: 1\r\n\r\nx", ["404 x close"]),
        ("HTTP/1.1 204 No Content\r\n\r\nHTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n", ["204  keep", "304  keep"]),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nd",
            ["200 abc keep", "200 d keep"]
        ),
        (
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 201 Created\r\nContent-Length: 1\r\n\r\ny",
            ["201 y keep"]
        ),
    ])
    func `answers are read one by one`(input: String, expected: [String]) {
        #expect(verdict(input) == Seen(answers: expected))
    }

    @Test func `an answer to HEAD has no body whatever its length says`() {
        let seen = verdict("HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", isAnswerToHead: true)
        #expect(seen == Seen(answers: ["200  keep", "200  keep"]))
    }

    @Test func `fields of the answer can be read`() throws {
        var bytes = Array("HTTP/1.1 503 x\r\nRetry-After: 7\r\nContent-Length: 0\r\n\r\n".utf8)
        let text = bytes
        var parser = ResponseParser()
        var head = ResponseHead()
        var span = bytes.mutableSpan
        _ = try parser.parse(&span, into: &head, isAnswerToHead: false, limits: RequestLimits())
        #expect(head.fields.first(.retryAfter).map { HTTP1Tests.text(text, $0) } == "7")
    }

    @Test(arguments: [
        ("garbage\r\n\r\n", ResponseError.malformedStatusLine), ("HTTP/1.1 20 OK\r\n\r\n", .malformedStatusLine),
        ("HTTP/1.1 2000 OK\r\n\r\n", .malformedStatusLine), ("HTTP/1.1  200 OK\r\n\r\n", .malformedStatusLine),
        ("HTTP/1.1 200\r\n\r\n", .malformedStatusLine), ("HTTP/2.0 200 OK\r\n\r\n", .malformedStatusLine),
        ("http/1.1 200 OK\r\n\r\n", .malformedStatusLine), ("\r\nHTTP/1.1 200 OK\r\n\r\n", .malformedStatusLine),
        ("HTTP/1.1 +20 OK\r\n\r\n", .malformedStatusLine), ("HTTP/1.1 099 OK\r\n\r\n", .unexpectedStatus),
        ("HTTP/1.1 600 OK\r\n\r\n", .unexpectedStatus), ("HTTP/1.1 101 Switching\r\n\r\n", .unexpectedStatus),
        ("HTTP/1.1 200 OK\r\n\r\n", .lengthUnknown), ("HTTP/1.1 200 OK\n\n", .malformed(.bareLineFeed)),
        ("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n", .malformed(.contentLengthRepeated)),
        ("HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n", .malformed(.contentLengthInvalid)),
        ("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", .malformed(.contentLengthWithTransferEncoding)),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n", .malformed(.transferCodingUnknown)),
        ("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", .malformed(.transferEncodingInHTTP10)),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n", .malformed(.malformedChunkSize)),
        ("HTTP/1.1 200 OK\r\nContent-Length: 65537\r\n\r\n", .malformed(.bodyTooLarge)),
        ("HTTP/1.1 200 OK\r\nX : y\r\n\r\n", .malformed(.spaceBeforeColon)),
        ("HTTP/1.1 200 OK\r\n folded: y\r\n\r\n", .malformed(.foldedLine)),
        ("HTTP/1.1 200 O\0K\r\n\r\n", .malformed(.controlByte)),
    ])
    func `garbage counts as garbage at every split`(input: String, error: ResponseError) {
        #expect(verdict(input) == Seen(error: error))
    }

    @Test func `a head without an end is bounded`() {
        let limits = RequestLimits()
        let input = "HTTP/1.1 200 OK\r\nX: " + String(repeating: "x", count: limits.requestLineBytesMax + limits.fieldBytesMax)
        #expect(play(Array(input.utf8), cuts: [], isAnswerToHead: false).error == .malformed(.fieldsTooLarge))
    }
}
