import Foundation
import Glibc
import Loop
import Redis

/// A redis-server of a test's own, in a private folder on a Unix socket; `stop` it, also on failure.
final class RedisServer {
    let endpoint: SocketAddress
    private let folder: String
    private let options: [String]
    private var process: Process?

    struct CannotStart: Error { let reason: String }

    /// - Parameter options: as on redis-server's command line, `--requirepass secret`.
    init(options: [String] = []) throws {
        var template = Array("/tmp/sluice-redis-XXXXXX".utf8CString)
        guard unsafe mkdtemp(&template) != nil else { throw CannotStart(reason: "no private folder") }
        folder = unsafe template.withUnsafeBufferPointer { unsafe String(cString: $0.baseAddress!) }
        endpoint = .unix(path: folder + "/redis.sock")
        self.options = options
        try start()
    }

    /// Starts the server, again after `kill`, and waits until it takes connections.
    func start() throws {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/redis-server")
        process.arguments =
            ["--port", "0", "--unixsocket", folder + "/redis.sock", "--dir", folder, "--save", "", "--appendonly", "no"] + options
        process.standardOutput = FileHandle.nullDevice
        process.standardError = FileHandle.nullDevice
        try process.run()
        self.process = process
        for _ in 0..<500 {
            if let socket = try? Descriptors.connect(to: endpoint) {
                Descriptors.close(socket)
                return
            }
            guard process.isRunning else { break }
            usleep(10_000)
        }
        stop()
        throw CannotStart(reason: "redis-server did not open \(endpoint)")
    }

    /// SIGSTOP and SIGCONT: the kernel still takes connections and bytes, nobody answers.
    func freeze() { signal(SIGSTOP) }
    func thaw() { signal(SIGCONT) }

    /// kill -9.
    func kill() {
        signal(SIGKILL)
        process?.waitUntilExit()
        process = nil
    }

    func stop() {
        kill()
        try? FileManager.default.removeItem(atPath: folder)
    }

    private func signal(_ number: CInt) { if let process { _ = Glibc.kill(process.processIdentifier, number) } }
}

/// Runs `body` with a server that is stopped afterwards, however `body` ends.
func withServer(options: [String] = [], _ body: (RedisServer) throws -> Void) throws {
    let server = try RedisServer(options: options)
    defer { server.stop() }
    try body(server)
}
