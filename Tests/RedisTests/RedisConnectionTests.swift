import Glibc
import Loop
import Testing

@testable import Redis
@testable import TestSupport

@Suite(.serialized) struct RedisConnectionTests {
    @Test func `commands of text and of bytes are answered`() throws {
        try withServer { server in
            let connection = try RedisConnection(RedisConfiguration(endpoint: server.endpoint))
            #expect(try connection.command([Array("SET".utf8), [0, 13, 10, 255], [1, 0, 2]]) == .status("OK"))
            #expect(try connection.command([Array("GET".utf8), [0, 13, 10, 255]]) == .string([1, 0, 2]))
            #expect(try connection.command(["GET", "none"]) == .null)
            #expect(try connection.command(["INCR", "n"]).integer == 1)
            #expect(try connection.command(["ECHO", "é"]).text == "é")
            guard case .error(let text) = try connection.command(["NOSUCH"]) else {
                Issue.record("an unknown command was run")
                return
            }
            #expect(text.hasPrefix("ERR unknown command"))
        }
    }

    @Test func `a server that is frozen is a time-out, and the connection stays unusable`() throws {
        try withServer { server in
            var settings = RedisConfiguration(endpoint: server.endpoint)
            settings.commandTimeoutMilliseconds = 50
            let connection = try RedisConnection(settings)
            server.freeze()
            #expect(throws: RedisError.timedOut(afterMilliseconds: 50)) { try connection.command(["ECHO", "late"]) }
            server.thaw()
            usleep(20_000)
            #expect(throws: RedisError.timedOut(afterMilliseconds: 50)) { try connection.command(["ECHO", "next"]) }
        }
    }

    @Test func `a server that is gone, not there, or refuses`() throws {
        try withServer(options: ["--requirepass", "secret"]) { server in
            var settings = RedisConfiguration(endpoint: server.endpoint, password: "secret")
            let connection = try RedisConnection(settings)
            settings.password = "wrong"
            do throws(RedisError) {
                _ = try RedisConnection(settings)
                Issue.record("a wrong password was accepted")
            } catch {
                #expect(error.recovery == .changeSetUp)
            }
            server.kill()
            do throws(RedisError) {
                _ = try connection.command(["PING"])
                Issue.record("a dead server answered")
            } catch {
                guard case .lost = error else {
                    Issue.record("\(error)")
                    return
                }
            }
            #expect(throws: RedisError.self) { try RedisConnection(settings) }
            #expect(throws: RedisError.unreachable(code: ENOENT)) {
                try RedisConnection(RedisConfiguration(endpoint: .unix(path: "/tmp/sluice-no-such-socket")))
            }
            #expect(throws: RedisError.unreachable(code: ECONNREFUSED)) {
                try RedisConnection(RedisConfiguration(endpoint: .tcp(address: "127.0.0.1", port: 1)))
            }
        }
    }
}
