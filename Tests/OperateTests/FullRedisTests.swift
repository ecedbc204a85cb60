import Redis
import Store
import Testing

@testable import TestSupport

@Suite struct FullRedisTests {
    func put(_ connection: borrowing RedisConnection, _ revision: Int) throws -> OwnedReply {
        try connection.command([
            "FCALL", RedisFunctions.name("put_all"), "1", "a:{1}:x", "\(revision)", "balance-\(revision)", "60000", "60000",
        ])
    }

    @Test func `a full Redis takes the worker's newer value, and refuses fills`() throws {
        try withServer(options: ["--maxmemory", "64mb", "--maxmemory-policy", "noeviction"]) { server in
            var configuration = RedisConfiguration(endpoint: server.endpoint)
            configuration.setUp = RedisFunctions.setUp
            let connection = try RedisConnection(configuration)
            let fill = ["FCALL", RedisFunctions.name("fill"), "1", "a:{1}:x", "1", "balance-1", "60000"]
            #expect(try connection.command(fill) == .integer(1))
            _ = try connection.command(["CONFIG", "SET", "maxmemory", "1"])
            guard case .error(let text) = try connection.command(fill) else {
                Issue.record("a fill was taken: Redis is not full")
                return
            }
            #expect(text.hasPrefix("OOM"))
            // Else the old balance would be shown for ten minutes.
            #expect(try put(connection, 2) == .integer(1))
            #expect(try connection.command(["GET", "a:{1}:x"]) == .string(Array("2\nbalance-2".utf8)))
            #expect(try connection.command(["FCALL", RedisFunctions.name("unmark"), "1", "m:{1}:x", "10000"]) == .integer(0))
        }
    }
}
