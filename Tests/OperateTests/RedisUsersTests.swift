import Bytes
import Foundation
import Redis
import Store
import Testing

@testable import TestSupport

/// The users of infra/standalone/users.acl on a real Redis.
@Suite struct RedisUsersTests {
    private static let password = "of a test"

    private func withUsers(_ body: (RedisServer) throws -> Void) throws {
        let folder = FileManager.default.temporaryDirectory.path + "/sluice-users-\(UInt64.random(in: 0...UInt64.max))"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let source = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("../../infra/standalone/users.acl")
        let bytes: [UInt8] = Array(Self.password.utf8)
        var digest: [UInt8] = []
        SHA256().hash(of: bytes.span).append(to: &digest)
        var text = try String(contentsOf: source, encoding: .utf8)
        for name in ["OPERATOR", "GATEWAY", "WORKER"] {
            text = text.replacingOccurrences(of: "@\(name)@", with: "#" + Hex.text(digest.span))
        }
        try text.write(toFile: folder + "/users.acl", atomically: false, encoding: .utf8)
        try withServer(options: ["--aclfile", folder + "/users.acl"], body)
    }

    private func connection(_ server: RedisServer, _ user: String?) throws -> RedisConnection {
        var configuration = RedisConfiguration(endpoint: server.endpoint, username: user, password: Self.password)
        configuration.setUp = RedisFunctions.setUp
        return try RedisConnection(configuration)
    }

    private func isDenied(_ reply: OwnedReply) -> Bool { if case .error(let text) = reply { text.hasPrefix("NOPERM") } else { false } }

    @Test func `gateways and workers may do what they do, and nothing else`() throws {
        try withUsers { server in
            let gateway = try connection(server, "sluice_gateway")
            let worker = try connection(server, "sluice_worker")
            let allowedToGateway = [
                ["GET", "a:{1}:x"], ["MGET", "a:{1}:x", "p:{1}:y"], ["SET", "m:{1}:z", "f", "NX", "GET", "PX", "1000"],
                ["PEXPIRE", "m:{1}:z", "1000"],
                ["FCALL", RedisFunctions.name("fill"), "1", "p:{1}:y", "1", "body", "1000"],
                ["FCALL", RedisFunctions.name("fill"), "2", "a:{1}:x", "l:0", "1", "body", "1000", "0"],
                ["FCALL", RedisFunctions.name("unmark"), "1", "m:{1}:z", "10000"],
                ["FCALL_RO", RedisFunctions.name("fresh"), "1", "l:0"], ["CLIENT", "ID"], ["INFO", "memory"], ["ACL", "WHOAMI"],
                ["PUBLISH", "w:quota", "0123456789abcdef 1:2:3"], ["SUBSCRIBE", "w:gateway-1:0", "w:quota"],
            ]
            for command in allowedToGateway { #expect(!isDenied(try gateway.command(command)), "\(command)") }
            let fresh = try connection(server, "sluice_gateway")
            for command in [
                ["GET", "other"], ["SET", "other", "1"], ["FLUSHDB"], ["FLUSHALL"], ["KEYS", "*"], ["SCAN", "0"], ["CONFIG", "GET", "*"],
                ["PUBLISH", "w:x", "y"], ["PUBLISH", "w:gateway-1:0", "y"],
                ["ACL", "LIST"], ["ACL", "SETUSER", "x"], ["EVAL", "return 1", "0"], ["SHUTDOWN"], ["MONITOR"], ["SUBSCRIBE", "other"],
            ] { #expect(isDenied(try fresh.command(command)), "a gateway may \(command)") }

            let allowedToWorker = [
                ["FCALL", RedisFunctions.name("put_all"), "1", "a:{1}:x", "2", "body", "1000", "1000"],
                ["FCALL", RedisFunctions.name("replace"), "1", "p:{1}:y", "2", "body", "1000"],
                ["FCALL", RedisFunctions.name("renew"), "1", "l:0", "1", "1000", "0"], ["PUBLISH", "w:gateway-1:0", "word"], ["FLUSHDB"],
            ]
            for command in allowedToWorker { #expect(!isDenied(try worker.command(command)), "\(command)") }
            for command in [
                ["GET", "m:{1}:z"], ["SET", "h:{1}:x", "1"], ["PUBLISH", "other", "y"], ["FLUSHALL"], ["SUBSCRIBE", "w:gateway-1:0"],
                ["CONFIG", "GET", "*"],
                ["ACL", "LIST"], ["EVAL", "return 1", "0"], ["KEYS", "*"],
            ] { #expect(isDenied(try worker.command(command)), "a worker may \(command)") }

            #expect(try connection(server, nil).command(["ACL", "WHOAMI"]).text == "default")
            #expect(throws: RedisError.self) { try RedisConnection(RedisConfiguration(endpoint: server.endpoint)) }
        }
    }
}
