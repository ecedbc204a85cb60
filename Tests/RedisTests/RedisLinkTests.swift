import Glibc
import Loop
import Telemetry
import Testing

@testable import Redis
@testable import TestSupport

/// What goes over the wire and what may come back, against a server that does as it is told.
@Suite(.serialized) struct RedisLinkTests {
    private static func recorder(_ change: (inout RedisConfiguration) -> Void = { _ in }) throws -> (Recorder, FakeServer) {
        let loop = EventLoop()
        let server = try FakeServer(loop: loop)
        var configuration = RedisConfiguration(endpoint: server.address)
        change(&configuration)
        return (Recorder(configuration, loop: loop), server)
    }

    @Test func `the commands of a turn arrive in one segment, those of the next in another`() throws {
        let (recorder, server) = try Self.recorder()
        #expect(recorder.waitUntilReady())
        let before = server.segmentCount
        for token in 0..<50 as Range<UInt64> { #expect(recorder.send(["GET", "key"], token: token)) }
        #expect(recorder.waitForAnswers(50))
        #expect(server.segmentCount - before == 1)
        for token in 50..<53 as Range<UInt64> {
            #expect(recorder.send(["GET", "key"], token: token))
            #expect(recorder.waitForAnswers(Int(token) + 1))
        }
        #expect(server.segmentCount - before == 4)
        #expect(server.commandCount == 54)
        // The set-up's PING is a write too.
        #expect(recorder.metrics.writes.value == 5)
    }

    @Test func `a full socket is waited for, and everything arrives`() throws {
        let (recorder, server) = try Self.recorder { $0.commandTimeoutMilliseconds = 10_000 }
        #expect(recorder.waitUntilReady())
        server.isReading = false
        let value = String(repeating: "v", count: 100_000)
        for token in 0..<200 as Range<UInt64> { #expect(recorder.send(["SET", "key", value], token: token)) }
        _ = run(recorder.loop, forAtMostMilliseconds: 30) { false }
        let writes = recorder.metrics.writes.value
        // More commands while it is full make no attempt to write.
        for token in 200..<210 as Range<UInt64> {
            #expect(recorder.send(["GET", "key"], token: token))
            _ = run(recorder.loop, forAtMostMilliseconds: 4) { false }
        }
        #expect(recorder.metrics.writes.value == writes)
        #expect(recorder.answers.isEmpty)
        server.isReading = true
        #expect(recorder.waitForAnswers(210))
        #expect(recorder.answeredOnce(0..<210))
        #expect(server.commandCount == 211)
    }

    @Test func `a reply that comes byte by byte is one reply`() throws {
        let (recorder, server) = try Self.recorder()
        #expect(recorder.waitUntilReady())
        server.answer = { _ in "" }
        #expect(recorder.send(["MGET", "a", "b"], token: 1))
        for byte in ["", "*", "2\r", "\n$", "3\r\nab", "c\r", "\n$-1\r\n"] {
            #expect(recorder.answers.isEmpty)
            server.send(byte)
            _ = run(recorder.loop, forAtMostMilliseconds: 5) { false }
        }
        #expect(recorder.answer(to: 1) == .reply(.array([.string(Array("abc".utf8)), .null])))
    }

    @Test func `what is not Redis's protocol loses the connection and what is in flight`() throws {
        let (recorder, server) = try Self.recorder()
        #expect(recorder.waitUntilReady())
        server.answer = { command in command[0] == "PING" ? "+PONG\r\n" : "HTTP/1.1 400 Bad Request\r\n\r\n" }
        for token in 1...3 as ClosedRange<UInt64> { #expect(recorder.send(["GET", "key"], token: token)) }
        #expect(recorder.waitForAnswers(3))
        #expect(recorder.answers.allSatisfy { $0.answer == .failure(.lost(.notRedis)) })
        #expect(recorder.waitUntilReady())
    }

    @Test func `a connection closed after some of the replies: those count, the rest is lost`() throws {
        let (recorder, server) = try Self.recorder()
        #expect(recorder.waitUntilReady())
        server.answer = { command in command.last == "3" ? "" : ":\(command.last ?? "")\r\n" }
        for token in 1...3 as ClosedRange<UInt64> { #expect(recorder.send(["GET", "\(token)"], token: token)) }
        #expect(recorder.waitForAnswers(2))
        server.answer = { _ in "+PONG\r\n" }
        server.closeConnection()
        #expect(recorder.waitForAnswers(3))
        #expect(recorder.answer(to: 1) == .reply(.integer(1)))
        #expect(recorder.answer(to: 2) == .reply(.integer(2)))
        #expect(recorder.answer(to: 3) == .failure(.lost(.closedByServer)))
        #expect(recorder.waitUntilReady())
    }

    @Test func `a server that has no room for one more connection is tried again`() throws {
        let (recorder, server) = try Self.recorder()
        var refusals = 0
        server.answer = { _ in
            refusals += 1
            return refusals < 3 ? "-ERR max number of clients reached\r\n" : "+PONG\r\n"
        }
        #expect(recorder.waitUntilReady())
        #expect(recorder.session?.lastFailure == .rejected("ERR max number of clients reached"))
        #expect(recorder.states == [true])
    }

    @Test func `a server that takes the connection and says nothing is given up on`() throws {
        let (recorder, server) = try Self.recorder { $0.connectTimeoutMilliseconds = 40 }
        server.answer = { _ in "" }
        #expect(!run(recorder.loop, forAtMostMilliseconds: 150) { recorder.isReady })
        #expect(recorder.session?.lastFailure == .timedOut(afterMilliseconds: 40))
        server.answer = { _ in "+PONG\r\n" }
        #expect(recorder.waitUntilReady())
    }

    @Test func `many commands in a row, each answered in time, open no breaker`() throws {
        let (recorder, server) = try Self.recorder { $0.commandTimeoutMilliseconds = 50 }
        #expect(recorder.waitUntilReady())
        // Longer than the time-out in all, but no command waits that long.
        for token in 1...20 as ClosedRange<UInt64> {
            #expect(recorder.send(["GET", "key"], token: token))
            _ = run(recorder.loop, forAtMostMilliseconds: 10) { false }
        }
        #expect(recorder.waitForAnswers(20))
        #expect(recorder.answers.allSatisfy { $0.answer == .reply(.status("OK")) })
        #expect(recorder.states == [true])
        #expect(server.commandCount == 21)
    }
}
