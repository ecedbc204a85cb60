import Foundation
import Glibc
import Testing

@testable import Standalone

/// The built executable, because signals and the deaths of parents are the process's own.
@Suite struct ExecutableTests {
    /// Beside the test bundle in the build folder.
    static func sluice() throws -> String {
        let path = URL(fileURLWithPath: try Home.executable()).deletingLastPathComponent().path + "/sluice"
        let built = CommandLine.arguments.first { $0.hasSuffix(".xctest") }.map {
            URL(fileURLWithPath: $0).deletingLastPathComponent().path + "/sluice"
        }
        return try #require([path, built ?? path].first(where: SystemCall.exists), "the executable is built with the tests")
    }

    private static func up(_ sluice: String, _ folder: String, _ more: String...) throws -> (code: Int32, output: String) {
        try run(sluice, ["up", "--data", folder, "--port-base", "0", "--only", "redis", "--home", sourceFolder] + more)
    }

    @Test func `up in the background, status, down`() async throws {
        let sluice = try Self.sluice()
        try await onThread {
            try withTemporaryFolder { folder in
                let up = try Self.up(sluice, folder, "--detach")
                try #require(up.code == 0, "\(up.output)")
                defer { _ = try? run(sluice, ["down", "--data", folder]) }
                let status = try run(sluice, ["status", "--data", folder, "--json"])
                #expect(status.code == 0)
                let processes = try JSONDecoder().decode([ProcessStatus].self, from: Data(status.output.utf8))
                #expect(processes.map(\.name) == ["redis"] && processes[0].state == "healthy")
                let redis = try #require(processes[0].pid.flatMap(ProcessTable.identity))
                #expect(try Self.up(sluice, folder).output.contains("is in use by sluice up with pid"))
                let down = try run(sluice, ["down", "--data", folder])
                #expect(down.code == 0 && down.output == "stopped\n")
                #expect(!ProcessTable.isAlive(redis))
                #expect(
                    LogFile(path: folder + "/logs/supervisor.log").tail(lines: 2) == "stopping\nstopped", "an orderly stop, not a death")
                #expect(try run(sluice, ["status", "--data", folder]).code == 1)
                #expect(try run(sluice, ["down", "--data", folder]).output == "not running\n")
            }
        }
    }

    @Test func `when the supervisor is killed its children go, and the next start is clean`() async throws {
        let sluice = try Self.sluice()
        try await onThread {
            try withTemporaryFolder { folder in
                try #require(try Self.up(sluice, folder, "--detach").code == 0)
                defer { _ = try? run(sluice, ["down", "--data", folder]) }
                let supervisor = try #require(FolderLock.holder(dataFolder: folder))
                let redis = try #require(StateFile.read(dataFolder: folder)?.records.first?.status.pid.flatMap(ProcessTable.identity))
                #expect(kill(supervisor, SIGKILL) == 0)
                #expect(eventually { !ProcessTable.isAlive(redis) })
                #expect(try run(sluice, ["status", "--data", folder]).code == 1)
                try #require(try Self.up(sluice, folder, "--detach").code == 0)
                #expect(try run(sluice, ["status", "--data", folder]).code == 0)
            }
        }
    }

    @Test func `an option that cannot work is refused by name`() async throws {
        let sluice = try Self.sluice()
        let refused = try await onThread { try run(sluice, ["up", "--port-base", "80"]) }
        #expect(refused.code == 1 && refused.output.contains("--port-base 80 is out of range"))
        let unknown = try await onThread { try run(sluice, ["up", "--only", "postgress"]) }
        #expect(unknown.code != 0 && unknown.output.contains("postgres,redis,broker,application,nginx"))
    }
}
