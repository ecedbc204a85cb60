import HTTP1
import Telemetry
import Testing
import Wire

@testable import Gateway

@Suite struct CommandHeadTests {
    private static func request(_ fields: String) -> String {
        "POST /v1/payments HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\(fields)\r\n"
    }

    private static func key(_ fields: String) throws -> String {
        try withHead(request(fields)) { head, bytes in
            let range = try CommandHead.idempotencyKey(head, bytes)
            return bytes[range].text
        }
    }

    @Test("the key is one field of 8 to 255 visible characters")
    func keys() throws {
        #expect(try Self.key("Idempotency-Key: order-01\r\n") == "order-01")
        #expect(try #require(throws: Problem.self) { try Self.key("") }.code == .missingIdempotencyKey)
        let long = String(repeating: "k", count: 256)
        for wrong in [
            "Idempotency-Key: short\r\n", "Idempotency-Key: with space\r\n", "Idempotency-Key: \(long)\r\n", "Idempotency-Key:\r\n",
        ] {
            #expect(try #require(throws: Problem.self) { try Self.key(wrong) }.code == .invalidIdempotencyKey)
        }
        let twice = "Idempotency-Key: order-01\r\nIdempotency-Key: order-01\r\n"
        #expect(try #require(throws: Problem.self) { try Self.key(twice) }.code == .invalidIdempotencyKey)
    }

    @Test("a body that is not said to be JSON is refused")
    func contentTypes() throws {
        func check(_ fields: String) throws {
            try withHead(Self.request(fields)) { head, bytes in try CommandHead.checkContentType(head, bytes) }
        }
        try check("Content-Type: application/json\r\n")
        try check("Content-Type: application/json; charset=UTF-8\r\n")
        for wrong in [
            "", "Content-Type: text/plain\r\n", "Content-Type: application/json-seq\r\n",
            "Content-Type: application/json\r\nContent-Type: application/json\r\n",
        ] { #expect(try #require(throws: Problem.self) { try check(wrong) }.code == .unsupportedMediaType) }
    }

    @Test("the first wait among the preferences counts, bounded, and none for 0")
    func waits() {
        func wait(_ fields: String) -> Int? { withHead(Self.request(fields)) { head, bytes in CommandHead.waitSeconds(head, bytes) } }
        #expect(wait("") == nil)
        #expect(wait("Prefer: wait=3\r\n") == 3)
        #expect(wait("Prefer: respond-async\r\nPrefer: wait=4, wait=9\r\n") == 4)
        #expect(wait("Prefer: wait=600\r\n") == Limits.waitSecondsMax)
        #expect(wait("Prefer: wait=0\r\nPrefer: wait=5\r\n") == nil)
        #expect(wait("Prefer: wait=-1\r\n") == nil)
    }

    @Test("a trace is carried on when it is one and valid")
    func traces() {
        func trace(_ fields: String) -> String? { withHead(Self.request(fields)) { head, bytes in CommandHead.traceparent(head, bytes) } }
        let valid = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
        #expect(trace("traceparent: \(valid)\r\n") == valid)
        #expect(trace("traceparent: \(valid)\r\ntraceparent: \(valid)\r\n") == nil)
        #expect(trace("traceparent: 00-0-0-01\r\n") == nil)
    }

    @Test("a line of the log has the request's id and the trace's, where they are such")
    func logFields() {
        func fields(_ fields: String) -> [String] {
            withHead(Self.request(fields)) { head, bytes in CommandHead.trace(head, bytes).fields }.compactMap { field in
                if case .text(let value) = field.value { "\(field.name)=\(value)" } else { nil }
            }
        }
        let trace = "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\n"
        #expect(
            fields("X-Request-Id: 5f0c.A_b-1\r\n" + trace) == ["request_id=5f0c.A_b-1", "trace_id=0af7651916cd43dd8448eb211c80319c"])
        #expect(fields("") == [])
        for wrong in ["short", String(repeating: "a", count: 65), "a space in it", "quoted\"id", "8bytes\u{e9}"] {
            #expect(fields("X-Request-Id: \(wrong)\r\n") == [], "\(wrong)")
        }
        #expect(fields("X-Request-Id: 12345678\r\nX-Request-Id: 12345678\r\n") == [])
    }
}
