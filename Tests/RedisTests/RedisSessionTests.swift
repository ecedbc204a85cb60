import Glibc
import Loop
import Telemetry
import Testing

@testable import Redis
@testable import TestSupport

private func configuration(_ server: RedisServer) -> RedisConfiguration { RedisConfiguration(endpoint: server.endpoint) }

@Suite(.serialized) struct RedisSessionTests {
    @Test func `replies come back to their tokens in order`() throws {
        try withServer { server in
            let recorder = Recorder(configuration(server))
            #expect(!recorder.send(["PING"], token: 1))
            #expect(recorder.waitUntilReady())
            for token in 0..<100 as Range<UInt64> { #expect(recorder.send(["ECHO", "\(token)"], token: token)) }
            #expect(recorder.waitForAnswers(100))
            let expected = (0..<100).map { Answer.reply(.string(Array("\($0)".utf8))) }
            #expect(recorder.answers.map(\.token) == Array(0..<100))
            #expect(recorder.answers.map(\.answer) == expected)
            #expect(recorder.session?.inFlightCount == 0)
        }
    }

    @Test func `null, integer, status, string, array and error replies`() throws {
        try withServer { server in
            let recorder = Recorder(configuration(server))
            #expect(recorder.waitUntilReady())
            let commands = [
                ["GET", "none"], ["INCRBY", "n", "-7"], ["SET", "k", ""], ["GET", "k"], ["MGET", "k", "none"], ["HGET", "k", "f"],
                ["EVAL", "return {1,{'a',false},{}}", "0"],
            ]
            for (token, command) in commands.enumerated() { #expect(recorder.send(command, token: UInt64(token))) }
            #expect(recorder.waitForAnswers(commands.count))
            let expected: [OwnedReply] = [
                .null, .integer(-7), .status("OK"), .string([]), .array([.string([]), .null]),
                .error("WRONGTYPE Operation against a key holding the wrong kind of value"),
                .array([.integer(1), .array([.string([97]), .null]), .array([])]),
            ]
            #expect(recorder.answers.map(\.answer) == expected.map { .reply($0) })
        }
    }

    @Test func `ten thousand commands of one turn are all answered, the next is refused`() throws {
        try withServer { server in
            var settings = configuration(server)
            settings.commandTimeoutMilliseconds = 5_000
            let recorder = Recorder(settings)
            #expect(recorder.waitUntilReady())
            for token in 0..<10_000 as Range<UInt64> {
                guard recorder.send(["SET", "key:\(token)", String(repeating: "x", count: 300)], token: token) else {
                    Issue.record("refused at \(token)")
                    return
                }
            }
            #expect(!recorder.send(["PING"], token: 10_000))
            #expect(recorder.metrics.refused.value == 1)
            #expect(recorder.waitForAnswers(10_000))
            #expect(recorder.answers.map(\.token) == Array(0..<10_000))
            #expect(recorder.answers.allSatisfy { $0.answer == .reply(.status("OK")) })
            #expect(recorder.send(["PING"], token: 10_001))
            #expect(recorder.waitForAnswers(10_001))
        }
    }

    @Test func `a reply's handler may send`() throws {
        try withServer { server in
            let recorder = Recorder(configuration(server))
            #expect(recorder.waitUntilReady())
            recorder.onAnswer = { token in
                if token < 50 { #expect(recorder.send(["INCR", "n"], token: token + 1)) }
            }
            #expect(recorder.send(["INCR", "n"], token: 1))
            #expect(recorder.waitForAnswers(50))
            #expect(recorder.answer(to: 50) == .reply(.integer(50)))
            recorder.onAnswer = nil
        }
    }

    @Test func `a frozen server: time-outs, no new commands, late replies dropped, then as before`() throws {
        try withServer { server in
            var settings = configuration(server)
            settings.commandTimeoutMilliseconds = 60
            let recorder = Recorder(settings)
            #expect(recorder.waitUntilReady())
            server.freeze()
            for token in 0..<10 as Range<UInt64> { #expect(recorder.send(["ECHO", "old\(token)"], token: token)) }
            #expect(recorder.waitForAnswers(10))
            #expect(recorder.answers.allSatisfy { $0.answer == .failure(.timedOut(afterMilliseconds: 60)) })
            #expect(recorder.states == [true, false])
            #expect(!recorder.send(["PING"], token: 99))
            #expect(recorder.session?.inFlightCount == 10)
            server.thaw()
            #expect(recorder.waitUntilReady())
            #expect(recorder.metrics.lateReplies.value == 10)
            #expect(recorder.metrics.connections.value == 1)
            for token in 10..<20 as Range<UInt64> { #expect(recorder.send(["ECHO", "\(token)"], token: token)) }
            #expect(recorder.waitForAnswers(20))
            for token in 10..<20 as Range<UInt64> {
                #expect(recorder.answer(to: token) == .reply(.string(Array("\(token)".utf8))))
            }
            #expect(recorder.answeredOnce(0..<20))
        }
    }

    @Test func `a server frozen past the probe is dropped and reconnected to`() throws {
        try withServer { server in
            var settings = configuration(server)
            settings.commandTimeoutMilliseconds = 40
            settings.probeTimeoutMilliseconds = 60
            settings.connectTimeoutMilliseconds = 100
            let recorder = Recorder(settings)
            #expect(recorder.waitUntilReady())
            server.freeze()
            #expect(recorder.send(["ECHO", "old"], token: 1))
            #expect(run(recorder.loop) { recorder.session?.inFlightCount == 0 })
            #expect(recorder.session?.lastFailure == .timedOut(afterMilliseconds: 60))
            // The kernel goes on taking connections for it: none of them counts as ready.
            #expect(!run(recorder.loop, forAtMostMilliseconds: 300) { recorder.isReady })
            server.thaw()
            #expect(recorder.waitUntilReady())
            #expect(recorder.send(["ECHO", "new"], token: 2))
            #expect(recorder.waitForAnswers(2))
            #expect(recorder.answer(to: 2) == .reply(.string(Array("new".utf8))))
            #expect(recorder.answeredOnce([1, 2]))
        }
    }

    @Test func `a loop that was held up does not blame the server`() throws {
        try withServer { server in
            var settings = configuration(server)
            settings.commandTimeoutMilliseconds = 30
            let recorder = Recorder(settings)
            #expect(recorder.waitUntilReady())
            var isHeldUp = true
            recorder.onAnswer = { _ in
                if isHeldUp { usleep(100_000) }
                isHeldUp = false
            }
            let value = String(repeating: "x", count: 2_000)
            for token in 0..<100 as Range<UInt64> { #expect(recorder.send(["ECHO", value], token: token)) }
            #expect(recorder.waitForAnswers(100))
            #expect(recorder.answers.allSatisfy { $0.answer == .reply(.string(Array(value.utf8))) })
            recorder.onAnswer = nil
        }
    }

    @Test func `a killed server: every token answered once, and the session comes back`() throws {
        try withServer { server in
            let recorder = Recorder(configuration(server))
            var sent: UInt64 = 0
            for _ in 0..<3 {
                #expect(recorder.waitUntilReady())
                server.freeze()
                for _ in 0..<500 where recorder.send(["INCR", "n"], token: sent) { sent += 1 }
                // One turn, so that the commands are on their way.
                _ = run(recorder.loop, forAtMostMilliseconds: 10) { false }
                server.kill()
                #expect(run(recorder.loop) { !recorder.isReady && UInt64(recorder.answers.count) == sent })
                try server.start()
            }
            #expect(recorder.waitUntilReady())
            #expect(sent == 1_500)
            #expect(recorder.answeredOnce(0..<sent))
            #expect(recorder.answers.allSatisfy { if case .failure(.lost) = $0.answer { true } else { false } })
            #expect(recorder.metrics.lost.value == sent)
            #expect(recorder.states == [true, false, true, false, true, false, true])
        }
    }

    @Test func `commands to a server that died within the turn are lost, not fatal`() throws {
        try withServer { server in
            let recorder = Recorder(configuration(server))
            #expect(recorder.waitUntilReady())
            server.kill()
            // The write at the end of this turn meets a closed socket: EPIPE, and SIGPIPE were it not ignored.
            #expect(recorder.send(["PING"], token: 7))
            #expect(recorder.waitForAnswers(1))
            guard case .failure(.lost) = recorder.answer(to: 7) else {
                Issue.record("\(recorder.answers)")
                return
            }
            #expect(recorder.states == [true, false])
        }
    }

    @Test func `a server that is not there is tried until it is`() throws {
        try withServer { server in
            server.kill()
            let recorder = Recorder(configuration(server))
            #expect(!run(recorder.loop, forAtMostMilliseconds: 150) { recorder.isReady })
            guard case .unreachable = recorder.session?.lastFailure else {
                Issue.record("\(String(describing: recorder.session?.lastFailure))")
                return
            }
            try server.start()
            #expect(recorder.waitUntilReady())
        }
    }

    @Test func `a wrong password never becomes ready and says why; the right one does`() throws {
        try withServer(options: ["--requirepass", "secret"]) { server in
            var settings = configuration(server)
            settings.password = "wrong"
            let refused = Recorder(settings)
            #expect(!run(refused.loop, forAtMostMilliseconds: 150) { refused.isReady })
            guard case .rejected(let text) = refused.session?.lastFailure else {
                Issue.record("\(String(describing: refused.session?.lastFailure))")
                return
            }
            #expect(text.hasPrefix("WRONGPASS"))
            settings.password = nil
            let anonymous = Recorder(settings)
            #expect(!run(anonymous.loop, forAtMostMilliseconds: 100) { anonymous.isReady })
            settings.password = "secret"
            settings.username = "default"
            let accepted = Recorder(settings)
            #expect(accepted.waitUntilReady())
        }
    }

    @Test func `set-up commands have run before the session is ready, also after a restart`() throws {
        try withServer { server in
            var settings = configuration(server)
            settings.setUp = [
                ["FUNCTION", "LOAD", "REPLACE", "#!lua name=t\nredis.register_function('twice', function(k, a) return a[1] * 2 end)"],
                ["CLIENT", "SETNAME", "under-test"],
            ]
            let recorder = Recorder(settings)
            for round in 1...2 as ClosedRange<UInt64> {
                #expect(recorder.waitUntilReady())
                #expect(recorder.send(["FCALL", "twice", "0", "21"], token: round))
                #expect(recorder.waitForAnswers(Int(round)))
                #expect(recorder.answer(to: round) == .reply(.integer(42)))
                server.kill()
                #expect(run(recorder.loop) { !recorder.isReady })
                try server.start()
            }
        }
    }

    @Test func `close answers what is in flight, in a handler too, and refuses the rest`() throws {
        try withServer { server in
            for closesInHandler in [false, true] {
                let recorder = Recorder(configuration(server))
                #expect(recorder.waitUntilReady())
                for token in 0..<20 as Range<UInt64> { #expect(recorder.send(["ECHO", "x"], token: token)) }
                if closesInHandler {
                    recorder.onAnswer = { token in if token == 5 { recorder.session?.close() } }
                    #expect(recorder.waitForAnswers(20))
                } else {
                    recorder.session?.close()
                }
                #expect(recorder.answeredOnce(0..<20))
                #expect(recorder.answer(to: 19) == .failure(.lost(.closed)))
                #expect(recorder.states == [true, false])
                #expect(!recorder.send(["PING"], token: 99))
                #expect(!run(recorder.loop, forAtMostMilliseconds: 150) { recorder.isReady })
                recorder.onAnswer = nil
            }
        }
    }

    @Test func `the last reference may go in any handler`() throws {
        try withServer { server in
            let inReply = Recorder(configuration(server))
            #expect(inReply.waitUntilReady())
            inReply.onAnswer = { token in
                guard token == 3 else { return }
                inReply.session?.close()
                inReply.session = nil
            }
            for token in 0..<10 as Range<UInt64> { #expect(inReply.send(["PING"], token: token)) }
            #expect(inReply.waitForAnswers(10))
            #expect(inReply.answeredOnce(0..<10))

            // Without `close` the tokens behind stay unanswered, and their replies find nobody.
            let unclosed = Recorder(configuration(server))
            #expect(unclosed.waitUntilReady())
            unclosed.onAnswer = { token in if token == 3 { unclosed.session = nil } }
            for token in 0..<10 as Range<UInt64> { #expect(unclosed.send(["PING"], token: token)) }
            #expect(unclosed.waitForAnswers(4))
            _ = run(unclosed.loop, forAtMostMilliseconds: 20) { false }
            #expect(unclosed.answeredOnce(0..<4))

            let onReady = Recorder(configuration(server))
            onReady.onState = { ready in
                guard ready else { return }
                onReady.session?.close()
                onReady.session = nil
            }
            #expect(run(onReady.loop) { onReady.session == nil })
            _ = run(onReady.loop, forAtMostMilliseconds: 20) { false }

            let onLoss = Recorder(configuration(server))
            #expect(onLoss.waitUntilReady())
            onLoss.onState = { _ in onLoss.session = nil }
            server.kill()
            #expect(run(onLoss.loop) { onLoss.session == nil })
            for recorder in [inReply, unclosed, onReady, onLoss] {
                recorder.onAnswer = nil
                recorder.onState = nil
            }
        }
    }
}
