import Foundation
import Postgres
import Synchronization

/// A PostgreSQL 15 of its own for tests: a private folder under /tmp, a Unix socket in it and a free TCP port.
///
/// A shell stands between: it holds the server as its child and stops it when its standard input ends. So the server
/// also goes when the test process is killed. Nothing here is durable (fsync is off).
final class TestServer: Sendable {
    /// Shared by the tests that leave the server as they found it; stopped when the process ends.
    static let shared = makeShared()

    let folder: String
    let port: UInt16
    private let settings: [String]
    private let keeper = Mutex<Keeper?>(nil)

    private struct Keeper: Sendable {
        let process: Process
        let input: FileHandle
    }

    /// Makes the cluster and starts it.
    /// - Parameter standbyOf: streams from this server instead of being a cluster of its own.
    init(standbyOf primary: TestServer? = nil, settings: [String] = []) throws {
        folder = "/tmp/sluice-pg-" + String(UInt32.random(in: 0...UInt32.max), radix: 36)
        port = Self.freePort()
        self.settings = settings
        let make =
            if let primary {
                "pg_basebackup -D data -R --checkpoint=fast --no-sync -h 127.0.0.1 -p \(primary.port) -U postgres"
            } else {
                "initdb -D data -A trust --no-sync -U postgres -E UTF8 --locale=C >initdb.log"
            }
        try Self.shell("install -d -m 700 $owner \(folder) && cd \(folder) && $as_postgres \(make)")
        if primary == nil {
            // Before the lines that trust everyone: one user who must know the password.
            try Self.shell("cd \(folder)/data && sed -i '1i host all with_password 127.0.0.1/32 scram-sha-256' pg_hba.conf")
        }
        try start()
        guard primary == nil else { return }
        try connect().run("SET password_encryption = 'scram-sha-256'; CREATE ROLE with_password LOGIN PASSWORD 'right'")
    }

    deinit {
        stop(keepsFolder: false)
        // A server that a test had stopped has kept its folder.
        try? FileManager.default.removeItem(atPath: folder)
    }

    private static func makeShared() -> TestServer {
        do { return try TestServer() } catch { preconditionFailure("PostgreSQL did not start: \(error)") }
    }

    /// For the superuser, over the Unix socket.
    var connectionString: String { "host=\(folder) port=\(port) user=postgres dbname=postgres" }
    /// The same over TCP.
    var tcpConnectionString: String { "hostaddr=127.0.0.1 port=\(port) user=postgres dbname=postgres" }

    func connect() throws -> PostgresConnection { try PostgresConnection(connectionString) }

    /// Starts the server and waits until it answers.
    func start() throws {
        let options = ["fsync=off", "listen_addresses=127.0.0.1", "max_connections=50", "shared_buffers=16MB"] + settings
        let script = """
            cd \(folder) || exit 1
            $as_postgres postgres -D data -k \(folder) -p \(port) \(options.map { "-c '\($0)'" }.joined(separator: " ")) >>server.log 2>&1 &
            read -r order
            kill -CONT $(cat server.pids) 2>/dev/null
            kill -QUIT $!
            wait $!
            [ "$order" = keep ] || rm -rf \(folder)
            """
        let pipe = Pipe()
        let process = Self.process(script)
        process.standardInput = pipe
        process.standardOutput = FileHandle.nullDevice
        process.standardError = FileHandle.nullDevice
        try process.run()
        try? pipe.fileHandleForReading.close()
        keeper.withLock { $0 = Keeper(process: process, input: pipe.fileHandleForWriting) }
        try wait(upTo: 30) { (try? connect()) != nil }
    }

    /// Stops the server at once, as a crash would: open connections break, what was committed is recovered.
    func stop(keepsFolder: Bool = true) {
        let running = keeper.withLock { keeper in
            defer { keeper = nil }
            return keeper
        }
        guard let keeper = running else { return }
        if keepsFolder { try? keeper.input.write(contentsOf: Data("keep\n".utf8)) }
        try? keeper.input.close()
        keeper.process.waitUntilExit()
    }

    /// Copies one of its databases into a new one of a server, by `pg_dump`.
    func copy(_ database: String, to target: TestServer, as name: String) throws {
        let (from, to) = ("-h \(folder) -p \(port) -U postgres", "-h \(target.folder) -p \(target.port) -U postgres")
        try Self.shell(
            "set -o pipefail; createdb \(to) \(name) && pg_dump \(from) \(database) | psql -X -q -v ON_ERROR_STOP=1 \(to) \(name) >/dev/null"
        )
    }

    /// Freezes the server and all its processes: connections stay open and nothing answers.
    func freeze() throws { try Self.shell("cd \(folder) && \(Self.listProcesses) >server.pids && kill -STOP $(cat server.pids)") }

    /// Freezes only the process that takes connections: those there are go on.
    func freezePostmaster() throws {
        try Self.shell("cd \(folder) && head -1 data/postmaster.pid >server.pids && kill -STOP $(cat server.pids)")
    }

    func thaw() throws { try Self.shell("cd \(folder) && kill -CONT $(cat server.pids) && rm server.pids") }

    /// Freezes only the process that receives the primary's log.
    func freezeReceiver() throws {
        try Self.shell(
            "cd \(folder) && pgrep -P $(head -1 data/postmaster.pid) -f walreceiver >server.pids && kill -STOP $(cat server.pids)")
    }

    private static let listProcesses = "p=$(head -1 data/postmaster.pid) && echo $p $(pgrep -P $p)"

    static func freePort() -> UInt16 {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(descriptor) }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        unsafe withUnsafeMutablePointer(to: &address) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { pointer in
                let code = unsafe bind(descriptor, pointer, length) == 0 && getsockname(descriptor, pointer, &length) == 0
                precondition(code)
            }
        }
        return UInt16(bigEndian: address.sin_port)
    }

    private static func shell(_ script: String) throws {
        let process = process("set -e\n" + script)
        process.standardInput = FileHandle.nullDevice
        try process.run()
        process.waitUntilExit()
        guard process.terminationStatus == 0 else { throw Failure(description: "failed: \(script)") }
    }

    /// A shell with PostgreSQL's programs in its path; `$as_postgres` gives up root's rights, which the server refuses to have.
    private static func process(_ script: String) -> Process {
        let prelude = """
            PATH=/usr/lib/postgresql/15/bin:$PATH; LC_ALL=C; export PATH LC_ALL; umask 077
            if [ $(id -u) = 0 ]; then owner='-o postgres -g postgres'; as_postgres='setpriv --reuid=postgres --regid=postgres --clear-groups'
            else owner=; as_postgres=; fi

            """
        let process = Process()
        // Not sh: dash waits for ever where SIGCHLD was inherited blocked, as the test runner leaves it.
        process.executableURL = URL(fileURLWithPath: "/bin/bash")
        process.arguments = ["-c", prelude + script]
        return process
    }
}

struct Failure: Error, CustomStringConvertible { let description: String }

/// Waits, asking every 10 ms, until the condition holds; throws when it does not within the time.
func wait(upTo seconds: Double, _ condition: () throws -> Bool) throws {
    let end = Date(timeIntervalSinceNow: seconds)
    while try !condition() {
        guard Date() < end else { throw Failure(description: "not within \(seconds) s") }
        usleep(10_000)
    }
}
