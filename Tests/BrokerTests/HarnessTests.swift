import CSystem
import Glibc
import Testing

/// The tests that need the broker as a process: independent clients, kills, cuts, a frozen broker, a full disk.
/// The scripts in `Harness` start it on a free port and a private folder; they run under Debian's Python with its Kafka clients.
///
/// `SLUICE_BROKER_ROUNDS` makes the rounds of kills more than the few of an ordinary run (`make test-broker`: 100).
@Suite(.serialized) struct HarnessTests {
    static var rounds: Int { unsafe getenv("SLUICE_BROKER_ROUNDS").flatMap { unsafe Int(String(cString: $0)) } ?? 5 }

    @Test(arguments: [
        "codecs", "python_producer", "groups", "mixed_group", "static_member", "eviction", "resume", "times", "administration", "identity",
        "unserved",
        "bounds", "fetch_limits", "retention", "stopping", "damage",
    ])
    func `independent clients find what Kafka promises them`(what: String) throws {
        let result = try Script.run("clients.py", [what], limitSeconds: 120)
        #expect(result.code == 0 && result.output.contains("ok      \(what)"), "\(result.output)")
    }

    @Test(arguments: ["versions", "long_poll", "fetch_sizes", "pipelining", "slow_readers", "bounded_groups", "unserved"])
    func `every answer is the protocol's, within its bounds`(what: String) throws {
        let result = try Script.run("protocol.py", [what], limitSeconds: 120)
        #expect(result.code == 0 && result.output.contains("ok      \(what)"), "\(result.output)")
    }

    @Test(arguments: ["addresses", "settings_take_effect", "tools", "failed_sync", "full_journal"])
    func `whoever runs the broker can rely on it`(what: String) throws {
        let result = try Script.run("operation.py", [what], limitSeconds: 120)
        #expect(result.code == 0 && result.output.contains("ok      \(what)"), "\(result.output)")
    }

    @Test func `a ledger moves to another log and back without losing a payment`() throws {
        let result = try Script.run("move.py", [], limitSeconds: 300)
        #expect(result.code == 0 && result.output.contains("moved there and back"), "\(result.output)")
    }

    @Test(arguments: ["kill", "powercut"])
    func `nothing acknowledged is lost, doubled or moved`(how: String) throws {
        let result = try Script.run("durability.py", [how, "--rounds", "\(Self.rounds)"], limitSeconds: 120 + Self.rounds * 10)
        #expect(result.code == 0 && result.output.contains("0 problems"), "\(result.output)")
    }

    @Test func `flushing at intervals loses nothing by kill -9`() throws {
        let result = try Script.run("durability.py", ["kill", "--rounds", "3", "--interval"], limitSeconds: 120)
        #expect(result.code == 0 && result.output.contains("0 problems"), "\(result.output)")
    }

    @Test func `the same cuts with flushing off lose records, so the check can fail`() throws {
        let result = try Script.run("durability.py", ["powercut", "--rounds", "4", "--unsafe"], limitSeconds: 240)
        #expect(result.code == 0 && result.output.contains("a loss was found"), "\(result.output)")
    }

    @Test func `a broker frozen for five seconds loses and doubles nothing`() throws {
        let result = try Script.run("durability.py", ["freeze", "--rounds", "1"], limitSeconds: 180)
        #expect(result.code == 0 && result.output.contains("0 problems"), "\(result.output)")
    }

    @Test func `a full disk refuses for a while, and nothing is lost`() throws {
        let result = try Script.run("durability.py", ["full", "--rounds", "3"], limitSeconds: 180)
        #expect(result.code == 0 && result.output.contains("0 problems"), "\(result.output)")
    }
}

/// Runs a script of the harness against the executable that was built with these tests.
enum Script {
    struct Failure: Error, CustomStringConvertible { let description: String }

    static func run(_ name: String, _ arguments: [String], limitSeconds: Int) throws -> (code: CInt, output: String) {
        let folder = "\(#filePath)".split(separator: "/").dropLast().joined(separator: "/")
        let built = CommandLine.arguments[0].split(separator: "/").dropLast().joined(separator: "/")
        let sluice = "/" + built + "/sluice"
        guard unsafe access(sluice, X_OK) == 0 else { throw Failure(description: "\(sluice) is not there: build the executable first") }
        var template = Array("/tmp/sluice-harness-XXXXXX".utf8CString)
        let output = unsafe mkstemp(&template)
        guard output >= 0 else { throw Failure(description: "no temporary file: errno \(errno)") }
        defer {
            close(output)
            unsafe unlink(template)
        }
        let pid = try spawn(["/usr/bin/python3", "/\(folder)/Harness/\(name)", sluice] + arguments, output: output)
        var status: CInt = 0
        for _ in 0..<limitSeconds * 20 {
            if unsafe waitpid(pid, &status, WNOHANG) == pid { return (status >> 8 & 0xff | status & 0x7f, text(of: output)) }
            usleep(50_000)
        }
        kill(pid, SIGKILL)
        unsafe waitpid(pid, &status, 0)
        throw Failure(description: "\(name) took longer than \(limitSeconds) s: \(text(of: output))")
    }

    private static func spawn(_ arguments: [String], output: CInt) throws -> pid_t {
        var argv = unsafe arguments.map { unsafe strdup($0) } + [nil]
        defer { for index in unsafe argv.indices { unsafe free(argv[index]) } }
        return try unsafe arguments[0].withCString { path in
            try unsafe argv.withUnsafeMutableBufferPointer { list in
                // The kernel kills the script when the thread that started it ends: this one waits for it.
                var request = unsafe sluice_spawn_request(
                    path: path, argv: list.baseAddress!, envp: environ, directory: nil, standard_input: -1, standard_output: output,
                    standard_error: output, change_user: false, uid: 0, gid: 0, parent_death_signal: SIGKILL, new_session: false)
                let pid = unsafe sluice_process_spawn(&request)
                guard pid > 0 else { throw Failure(description: "\(arguments[0]) did not start: errno \(-pid)") }
                return pid
            }
        }
    }

    /// The last of it: a hundred rounds say more than anybody wants to read, and the verdict comes at the end.
    private static func text(of descriptor: CInt) -> String {
        var buffer = [UInt8](repeating: 0, count: 64 << 10)
        let start = max(0, lseek(descriptor, 0, SEEK_END) - buffer.count)
        let count = unsafe pread(descriptor, &buffer, buffer.count, start)
        return String(decoding: buffer.prefix(max(0, count)), as: UTF8.self)
    }
}
