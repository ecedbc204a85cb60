import Foundation
import Glibc
import Synchronization
import Testing

@testable import Standalone

/// The real servers, brought up by the real plan.
@Suite struct SystemTests {
    /// Everything but our own processes, in a folder of its own, until `body` has returned.
    private static func withSystem(
        _ folder: String, _ components: Set<Component>, _ body: @escaping @Sendable () throws -> Void
    ) async throws -> [String] {
        var options = StandaloneOptions()
        options.dataFolder = folder
        options.portBase = 0
        options.components = components
        options.home = sourceFolder
        options.executable = try ExecutableTests.sluice()
        let given = options
        let stop = StopPipe()
        let lines = Lines()
        async let supervised: Void = onThread {
            try Standalone.up(given, stopRequests: stop.readEnd, isStop: StopPipe.drain, broker: EmbeddedBroker()) { lines.append($0) }
        }
        try await onThread {
            defer { stop.request() }
            try #require(eventually(seconds: 120) { StateFile.read(dataFolder: folder)?.phase == "running" }, "\(lines.all)")
            try body()
        }
        try await supervised
        return lines.all
    }

    private static func psql(_ folder: String, _ server: PortName, _ sql: String) throws -> String {
        let text = try #require(SystemCall.readFile(folder + "/ports.json"))
        let ports = try JSONDecoder().decode(Ports.self, from: Data(text.utf8))
        let database = "host=\(folder)/run/pg port=\(ports[server]) dbname=sluice user=postgres passfile=\(folder)/postgres/pgpass"
        return try run("\(PostgresPlans.debianBinaries)/psql", ["-XAtq", "-v", "ON_ERROR_STOP=1", "-c", sql, database]).output
            .trimmingCharacters(in: .newlines)
    }

    @Test func `the servers come up, replicate, survive a killed primary, and leave nothing`() async throws {
        let folder = "/tmp/sluice-test-\(UUID().uuidString.prefix(8))"
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let first = try await Self.withSystem(folder, [.postgres, .redis, .broker, .nginx]) {
            let status = Standalone.status(dataFolder: folder)
            #expect(status.exitCode == 0, "\(status.table)")
            #expect(
                Set(status.processes.map(\.name)) == [
                    "postgres-primary", "postgres-standby", "postgres-replica", "redis", "broker", "nginx",
                ])
            // The roles that design gives the two standbys.
            let replication = try Self.psql(
                folder, .postgresPrimary, "SELECT application_name, state, sync_state FROM pg_stat_replication ORDER BY 1")
            #expect(replication == "sluice_replica|streaming|async\nsluice_standby|streaming|sync")
            _ = try Self.psql(folder, .postgresPrimary, "CREATE TABLE kept (n int); INSERT INTO kept VALUES (1)")
            #expect(try Self.psql(folder, .postgresStandby, "SELECT n FROM kept") == "1", "a synchronous commit is there at once")
            #expect(eventually { (try? Self.psql(folder, .postgresReplica, "SELECT n FROM kept")) == "1" })

            // A second one is refused by name.
            var options = StandaloneOptions()
            options.dataFolder = folder
            options.home = sourceFolder
            let second = options
            #expect(throws: StandaloneError.alreadyRunning(pid: getpid(), dataFolder: folder)) {
                try Standalone.up(second, stopRequests: -1, isStop: { _ in true }, broker: EmbeddedBroker()) { _ in }
            }

            let primary = try #require(status.processes.first { $0.name == "postgres-primary" }?.pid)
            #expect(kill(primary, SIGKILL) == 0)
            try #require(
                eventually(seconds: 60) {
                    let now = Standalone.status(dataFolder: folder).processes.first { $0.name == "postgres-primary" }
                    return now?.restarts == 1 && now?.state == "healthy"
                })
            // Waits for the standby to be back as well: the commit needs it.
            #expect(try Self.psql(folder, .postgresPrimary, "INSERT INTO kept VALUES (2); SELECT sum(n) FROM kept") == "3")
        }
        #expect(first.contains { $0.contains("postgres-primary is backing-off") })
        #expect(Standalone.status(dataFolder: folder).exitCode == 1)
        #expect(try run("/usr/bin/pgrep", ["-f", folder]).output.isEmpty)

        // The second start makes nothing anew and keeps ports and data.
        let ports = SystemCall.readFile(folder + "/ports.json")
        _ = try await Self.withSystem(folder, [.postgres]) {
            let sum = try Self.psql(folder, .postgresReplica, "SELECT sum(n) FROM kept")
            #expect(sum == "3")
            #expect(!SystemCall.exists(folder + "/logs/postgres-initdb.log"))
        }
        #expect(SystemCall.readFile(folder + "/ports.json") == ports)
        #expect(try run("/usr/bin/pgrep", ["-f", folder]).output.isEmpty)
    }

    @Test func `a start that fails says which process, quotes its log, and stops the rest`() async throws {
        let folder = "/tmp/sluice-test-\(UUID().uuidString.prefix(8))"
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let home = folder + "-home"
        try FileManager.default.createDirectory(atPath: home + "/infra", withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: home) }
        for name in ["nginx", "infra/standalone"] {
            try FileManager.default.copyItem(atPath: "\(sourceFolder)/\(name)", toPath: "\(home)/\(name)")
        }
        try SystemCall.writeFile(home + "/nginx/log.conf", "nonsense;\n", mode: 0o644)
        var options = StandaloneOptions()
        options.dataFolder = folder
        options.portBase = 0
        options.components = [.redis, .nginx]
        options.home = home
        let given = options
        let stop = StopPipe()
        let error = await #expect(throws: StandaloneError.self) {
            try await onThread {
                try Standalone.up(given, stopRequests: stop.readEnd, isStop: StopPipe.drain, broker: EmbeddedBroker()) { _ in }
            }
        }
        let text = try #require(error.map { "\($0)" })
        #expect(text.hasPrefix("nginx ended with exit code 1 before it was ready\nthe end of \(folder)/logs/nginx.log:\n"))
        #expect(text.contains(#"unknown directive "nonsense""#))
        #expect(try run("/usr/bin/pgrep", ["-f", folder]).output.isEmpty)
    }
}

/// Lines that another thread collects.
private final class Lines: Sendable {
    private let lines = Mutex<[String]>([])
    var all: [String] { lines.withLock { $0 } }
    func append(_ line: String) { lines.withLock { $0.append(line) } }
}
