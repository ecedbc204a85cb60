import Glibc
import HTTP1
import Testing

@testable import TestSupport

/// Memory that ends exactly where an unreadable page begins: a parser that looks one byte too far dies.
@safe private struct GuardedMemory: ~Copyable {
    private let base: UnsafeMutableRawPointer
    private let capacity: Int
    private let page: Int

    private init(base: UnsafeMutableRawPointer, capacity: Int, page: Int) {
        unsafe self.base = base
        self.capacity = capacity
        self.page = page
    }

    static func make(capacity: Int) throws -> GuardedMemory {
        let page = sysconf(Int32(_SC_PAGESIZE))
        let rounded = (capacity + page - 1) / page * page
        let mapped = unsafe mmap(nil, rounded + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
        let base = unsafe try #require(mapped)
        let isGuarded = unsafe mprotect(base + rounded, page, PROT_NONE) == 0
        try #require(isGuarded)
        return unsafe GuardedMemory(base: base, capacity: rounded, page: page)
    }

    deinit { unsafe munmap(base, capacity + page) }

    /// Calls `body` with a copy of `bytes` that ends at the guard page.
    func with<Result>(_ bytes: ArraySlice<UInt8>, _ body: (inout MutableSpan<UInt8>) throws -> Result) rethrows -> Result {
        let start = unsafe (base + (capacity - bytes.count)).assumingMemoryBound(to: UInt8.self)
        for (offset, byte) in bytes.enumerated() { unsafe start[offset] = byte }
        var span = unsafe UnsafeMutableBufferPointer(start: start, count: bytes.count).mutableSpan
        return try body(&span)
    }
}

@Suite struct GuardPageTests {
    private static let good: [String] = [
        "GET /v1/accounts/abc/balance?min_revision=7 HTTP/1.1\r\nHost: a.example\r\nAuthorization: Bearer 0123456789abcdef\r\n\r\n",
        "POST /p HTTP/1.1\r\nHost: a\r\nContent-Length: 20\r\n\r\n01234567890123456789",
        "POST /p HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5;a=\"b\"\r\nhello\r\n1\r\n!\r\n0\r\nX: y\r\n\r\n",
    ]

    @Test func `no prefix of any request is read beyond its end`() throws {
        let memory = try GuardedMemory.make(capacity: 4096)
        var head = RequestHead()
        let limits = ConnectionLimits()
        for request in Self.good.map({ Array($0.utf8) }) + MalformedRequest.all.map(\.bytes) {
            for length in 0...request.count {
                var machine = ConnectionMachine(limits: limits, now: 0)
                let receipt = memory.with(request[0..<length]) { span in
                    machine.receive(&span, head: &head, limits: limits, now: 0)
                }
                #expect(receipt.consumed + receipt.kept <= length)
            }
        }
    }

    @Test func `no byte of a request fed one by one is read before it is there`() throws {
        let memory = try GuardedMemory.make(capacity: 4096)
        var head = RequestHead()
        let limits = ConnectionLimits()
        for request in Self.good.map({ Array($0.utf8) }) {
            var machine = ConnectionMachine(limits: limits, now: 0)
            var kept: [UInt8] = []
            var requests = 0
            for byte in request {
                kept.append(byte)
                let input = kept
                kept = memory.with(input[...]) { span in
                    let receipt = machine.receive(&span, head: &head, limits: limits, now: 0)
                    if case .request = receipt.outcome { requests += 1 }
                    return (receipt.consumed..<receipt.consumed + receipt.kept).map { span[$0] }
                }
            }
            #expect(requests == 1)
            #expect(kept.isEmpty)
        }
    }

    @Test func `no prefix of an answer is read beyond its end`() throws {
        let memory = try GuardedMemory.make(capacity: 4096)
        var head = ResponseHead()
        for answer in [
            "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc", "HTTP/1.1 200 \r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
        ] {
            let bytes = Array(answer.utf8)
            for length in 0...bytes.count {
                var parser = ResponseParser()
                let progress = try memory.with(bytes[0..<length]) { span in
                    try parser.parse(&span, into: &head, isAnswerToHead: false, limits: RequestLimits())
                }
                if length == bytes.count { #expect(progress.isComplete) } else { #expect(!progress.isComplete) }
            }
        }
    }

    @Test func `helpers stay inside what they are given`() throws {
        let memory = try GuardedMemory.make(capacity: 4096)
        for text in ["a=1&b=%41&c", "%", "%4", "%41", "a&", "=", "&&", "/v1/%3A", "/", ""] {
            let bytes = Array(text.utf8)
            var output = [UInt8](repeating: 0, count: bytes.count)
            var scratch = output.mutableSpan
            memory.with(bytes[...]) { span in
                _ = QueryParameters.find("b", in: span.span, query: ByteRange(0, span.count))
                _ = PercentEncoding.decodeQuery(span.span, into: &scratch)
                _ = PathSegments.decode(span.span, into: &scratch)
                var segments = PathSegments(ByteRange(0, span.count))
                while segments.next(in: span.span) != nil {}
            }
        }
    }
}

extension ResponseParser.Progress {
    var isComplete: Bool { if case .complete = self { true } else { false } }
}
