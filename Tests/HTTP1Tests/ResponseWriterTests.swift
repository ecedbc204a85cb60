import HTTP1
import Testing

@Suite struct ResponseWriterTests {
    private static let nothing: [UInt8] = []

    private func written(
        _ status: Status, _ persistence: ConnectionMachine.Persistence = .implied, omitsBody: Bool = false, date: String = "",
        body: String = "{}"
    ) -> String {
        var output: [UInt8] = []
        let writer = ResponseWriter(status, .init(omitsBody: omitsBody, persistence: persistence))
        let (date, body) = (Array(date.utf8), Array(body.utf8))
        writer.write(&output, date: date.span, contentType: "application/json", body: body.span)
        return String(decoding: output, as: UTF8.self)
    }

    @Test func `an answer has status, type, length and body`() {
        #expect(written(.ok) == "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}")
    }

    @Test func `a date and what happens to the connection are said when they matter`() {
        #expect(
            written(.accepted, .close, date: "Sun, 06 Nov 1994 08:49:37 GMT", body: "")
                == "HTTP/1.1 202 Accepted\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\nConnection: close\r\n"
                + "Content-Type: application/json\r\nContent-Length: 0\r\n\r\n")
        #expect(written(.ok, .keepAlive).contains("\r\nConnection: keep-alive\r\n"))
    }

    @Test func `an answer to HEAD has the length and no body`() {
        #expect(written(.ok, omitsBody: true) == "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n")
    }

    @Test(arguments: [(Status.noContent, "HTTP/1.1 204 No Content\r\n\r\n"), (.notModified, "HTTP/1.1 304 Not Modified\r\n\r\n")])
    func `204 and 304 have neither body nor length`(status: Status, expected: String) {
        #expect(written(status) == expected)
    }

    @Test func `fields stand between begin and end`() {
        var output: [UInt8] = []
        let writer = ResponseWriter(.serviceUnavailable, .init(omitsBody: false, persistence: .implied))
        let tag = Array("\"7\"".utf8)
        writer.begin(&output, date: Self.nothing.span)
        writer.field(&output, "ETag", tag.span)
        writer.field(&output, "Retry-After", decimal: 3)
        writer.field(&output, "Idempotency-Replayed", "true")
        writer.end(&output, body: Self.nothing.span)
        #expect(
            String(decoding: output, as: UTF8.self)
                == "HTTP/1.1 503 Service Unavailable\r\nETag: \"7\"\r\nRetry-After: 3\r\nIdempotency-Replayed: true\r\nContent-Length: 0\r\n\r\n"
        )
    }

    @Test func `answers follow each other in one buffer`() {
        var output = Array("HTTP/1.1 100 Continue\r\n\r\n".utf8)
        let writer = ResponseWriter(.ok, .init(omitsBody: false, persistence: .implied))
        writer.begin(&output, date: Self.nothing.span)
        writer.end(&output, body: Self.nothing.span)
        #expect(String(decoding: output, as: UTF8.self).hasSuffix("Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"))
        #expect(Interim.continue.description == "HTTP/1.1 100 Continue\r\n\r\n")
    }

    @Test(arguments: Status.allCases)
    func `each status line spells its code and our own parser reads it`(status: Status) throws {
        #expect(status.line.description.hasPrefix("HTTP/1.1 \(status.rawValue) "))
        var bytes = Array(written(status).utf8)
        var parser = ResponseParser()
        var head = ResponseHead()
        var span = bytes.mutableSpan
        let progress = try parser.parse(&span, into: &head, isAnswerToHead: false, limits: RequestLimits())
        #expect(progress.isComplete)
        #expect(head.status == status.rawValue)
    }

    @Test(arguments: [
        ("plain \t text \u{e9}", true), ("", true), ("a\r\nX: b", false), ("a\nb", false), ("a\rb", false), ("\0", false),
        ("\u{7f}", false),
    ])
    func `a field value holds no control byte but tabs`(value: String, isValid: Bool) {
        let bytes = Array(value.utf8)
        let verdict = ResponseWriter.isFieldValue(bytes.span)
        #expect(verdict == isValid)
    }

    #if DEBUG
    @Test func `a value that would inject a field stops a debug build`() async {
        _ = await #expect(processExitsWith: .failure) {
            var output: [UInt8] = []
            let value = Array("x\r\nSet-Cookie: y".utf8)
            ResponseWriter(.ok, .init(omitsBody: false, persistence: .implied)).field(&output, "X", value.span)
        }
    }
    #endif
}

@Suite struct HTTPDateTests {
    @Test(arguments: [
        (0, "Thu, 01 Jan 1970 00:00:00 GMT"), (784_111_777, "Sun, 06 Nov 1994 08:49:37 GMT"),
        (951_782_400, "Tue, 29 Feb 2000 00:00:00 GMT"), (951_868_800, "Wed, 01 Mar 2000 00:00:00 GMT"),
        (1_709_251_199, "Thu, 29 Feb 2024 23:59:59 GMT"), (4_102_444_799, "Thu, 31 Dec 2099 23:59:59 GMT"),
        (4_107_542_400, "Mon, 01 Mar 2100 00:00:00 GMT"), (253_402_300_799, "Fri, 31 Dec 9999 23:59:59 GMT"),
    ])
    func `a date is written as HTTP wants it`(seconds: Int64, expected: String) {
        var date = HTTPDate(unixSeconds: 1)
        date.refresh(unixSeconds: seconds)
        var bytes: [UInt8] = []
        for index in 0..<date.bytes.count { bytes.append(date.bytes[index]) }
        #expect(String(decoding: bytes, as: UTF8.self) == expected)
    }
}
