import CSystem
import Foundation
import Glibc
import Loop
import Synchronization

/// A real broker process of a test: `sluice broker` on a free port, in a private folder, killed with the test process.
final class Broker {
    struct Failure: Error, CustomStringConvertible { let description: String }

    let port: UInt16
    private let directory: String
    private var process: ExecutableProcess

    var bootstrapServers: String { "127.0.0.1:\(port)" }

    init() throws {
        var template = Array("/tmp/sluice-kafka-XXXXXX".utf8CString)
        guard unsafe mkdtemp(&template) != nil else { throw Failure(description: "no temporary folder: errno \(errno)") }
        directory = unsafe template.withUnsafeBufferPointer { unsafe String(cString: $0.baseAddress!) }
        port = try Self.freePort()
        process = try Self.started(port: port, directory: directory)
        try waitUntilReady()
    }

    deinit {
        process.kill()
        _ = try? Command.run("/bin/rm", "-rf", directory)
    }

    /// SIGSTOP: connections stay open and nothing answers.
    func freeze() { process.signal(SIGSTOP) }
    func thaw() { process.signal(SIGCONT) }
    /// SIGKILL: connections are reset and new ones refused.
    func kill() { process.kill() }
    /// A clean stop, and a start on the same port with what was saved.
    func restart() throws {
        process.signal(SIGTERM)
        process.join()
        process = try Self.started(port: port, directory: directory)
        try waitUntilReady()
    }
    /// A start on the same port of a broker that has forgotten everything.
    func startEmpty() throws {
        process.kill()
        try Command.run("/bin/sh", "-c", "rm -rf \(directory)/*")
        process = try Self.started(port: port, directory: directory)
        try waitUntilReady()
    }

    private static func started(port: UInt16, directory: String) throws -> ExecutableProcess {
        try ExecutableProcess(["broker", "--data", directory, "--listen", "127.0.0.1:\(port)", "--auto-create-partitions", "4"])
    }

    private func waitUntilReady() throws {
        for _ in 0..<500 {
            if Self.accepts(port: port) { return }
            usleep(20_000)
        }
        throw Failure(description: "the broker did not accept connections within 10 s")
    }

    static func freePort() throws -> UInt16 {
        let listener = unsafe sluice_socket_listen_tcp("127.0.0.1", 0, 1, false)
        guard listener >= 0 else { throw Failure(description: "no free port: errno \(-listener)") }
        defer { Descriptors.close(listener) }
        return UInt16(sluice_socket_local_port(listener))
    }

    private static func accepts(port: UInt16) -> Bool {
        guard let descriptor = try? Descriptors.connect(to: .tcp(address: "127.0.0.1", port: port)) else { return false }
        defer { Descriptors.close(descriptor) }
        var wanted = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
        guard unsafe poll(&wanted, 1, 1_000) == 1 else { return false }
        return Descriptors.connectError(descriptor) == 0
    }
}

final class Shared<Value: ~Copyable & Sendable>: Sendable {
    let value: Value
    init(_ value: consuming Value) { self.value = value }
}

/// The built executable, beside the test bundle.
enum BuiltExecutable {
    static func path() throws -> String {
        let candidates =
            [
                CommandLine.arguments.first { $0.hasSuffix(".xctest") },
                try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe"),
            ]
            .compactMap { $0 }.map { URL(fileURLWithPath: $0).deletingLastPathComponent().path + "/sluice" }
        guard let path = candidates.first(where: FileManager.default.isExecutableFile) else {
            throw Broker.Failure(description: "the executable is built with the tests, and stands in none of \(candidates)")
        }
        return path
    }
}

enum Command {
    /// Runs a program to its end; its output is dropped.
    static func run(_ arguments: String...) throws {
        let pid = spawn(arguments, diesWithThread: false)
        guard pid > 0 else { throw Broker.Failure(description: "\(arguments[0]): errno \(-pid)") }
        var status: CInt = 0
        while unsafe waitpid(pid, &status, 0) < 0, errno == EINTR {}
        guard status == 0 else { throw Broker.Failure(description: "\(arguments.joined(separator: " ")): status \(status)") }
    }

    static func spawn(_ arguments: [String], diesWithThread: Bool) -> pid_t {
        let argv: [UnsafeMutablePointer<CChar>?] = unsafe arguments.map { unsafe strdup($0) } + [nil]
        defer { for index in unsafe argv.indices { unsafe free(argv[index]) } }
        return unsafe argv.withUnsafeBufferPointer { argv in
            var request = unsafe sluice_spawn_request(
                path: argv[0]!, argv: argv.baseAddress!, envp: environ, directory: nil, standard_input: -1, standard_output: -1,
                standard_error: -1, change_user: false, uid: 0, gid: 0, parent_death_signal: diesWithThread ? SIGKILL : 0,
                new_session: false)
            return unsafe sluice_process_spawn(&request)
        }
    }
}
