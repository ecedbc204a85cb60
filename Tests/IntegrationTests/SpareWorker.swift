import Foundation
import Glibc
import Testing

/// A worker beside that of the system: partitions move to it when it comes and back when it goes.
final class SpareWorker {
    private let process: GuardedProcess
    var pid: pid_t { process.pid }
    var hasEnded: Bool { process.exitCode != nil }

    init() throws {
        let system = SystemUnderTest.shared
        let name = "spare-worker-\(UInt32.random(in: 0 ... .max))"
        let settings = system.settings.filter { $0.key.hasPrefix("SLUICE_") }.map { "\($0.key)=\($0.value)" }
        process = try GuardedProcess(
            "/usr/bin/env", settings + ["SLUICE_NAME=\(name)", "SLUICE_ADMIN=127.0.0.1:0", try SystemUnderTest.executable(), "worker"],
            output: "\(system.data)/logs/\(name).log")
    }

    deinit { if !hasEnded { kill(pid, SIGKILL) } }

    /// Gives its partitions back and ends.
    func stop(sourceLocation: SourceLocation = #_sourceLocation) {
        guard !hasEnded else { return }
        kill(pid, SIGTERM)
        #expect(process.waitForEnd(seconds: 20) != nil, "the spare worker does not stop", sourceLocation: sourceLocation)
    }

    func kill9() {
        kill(pid, SIGKILL)
        _ = process.waitForEnd(seconds: 5)
    }
}
