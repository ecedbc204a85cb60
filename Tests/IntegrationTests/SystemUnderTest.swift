import Foundation
import Glibc
import Synchronization
import Testing

/// The whole of Sluice with real servers, started by the built executable in a private folder.
final class SystemUnderTest: Sendable {
    struct Failure: Error, CustomStringConvertible { let description: String }

    /// The one that the suite runs against.
    @TaskLocal static var current: SystemUnderTest?
    static var shared: SystemUnderTest {
        guard let current else { preconditionFailure("a test of the whole system stands outside of its suite") }
        return current
    }

    /// Below /tmp, because as root PostgreSQL and nginx's workers are other users who must pass through.
    let data: String
    private let supervisor: GuardedProcess
    private let firstParts = Mutex<[Part]>([])

    /// One process as `sluice status --json` shows it.
    struct Part: Decodable, Sendable {
        let name: String
        let pid: Int32?
        let address: String
        let admin: String?
        let state: String
        let restarts: Int
    }

    // MARK: Start and stop

    init() throws {
        var template = Array("/tmp/sluice-test-XXXXXX".utf8CString)
        guard unsafe mkdtemp(&template) != nil else { throw Failure(description: "no private folder below /tmp") }
        let folder = unsafe template.withUnsafeBufferPointer { unsafe String(cString: $0.baseAddress!) }
        _ = unsafe chmod(folder, 0o755)
        data = folder + "/data"
        // Where a debug build's worker is told at which step to die (FailPoint); it is read and emptied by whoever runs as it.
        try FileManager.default.createDirectory(
            atPath: folder + "/fail", withIntermediateDirectories: true, attributes: [.posixPermissions: 0o777])
        _ = unsafe setenv("SLUICE_FAIL_FOLDER", folder + "/fail", 1)
        supervisor = try GuardedProcess(
            try Self.executable(), ["up", "--data", data, "--port-base", "0", "--threads", "2"], output: folder + "/up.log")
        var phase = ""
        let isUp = eventually(seconds: 180) {
            phase = self.phase
            return phase == "running" || supervisor.exitCode != nil
        }
        guard isUp, phase == "running" else {
            let log = text(of: folder + "/up.log")
            stop()
            throw Failure(description: "sluice up did not come up:\n\(log)")
        }
    }

    /// Stops everything and removes the folder. What is left running is killed and told.
    @discardableResult
    func stop() -> [String] {
        thawAll()
        if supervisor.exitCode == nil { kill(supervisor.pid, SIGTERM) }
        var problems: [String] = []
        switch supervisor.waitForEnd(seconds: 60) {
        case .some(0): break
        case .some(let code): problems.append("sluice up ended with \(code):\n\(text(of: folder + "/up.log"))")
        case nil:
            problems.append("sluice up did not end within 60 s")
            kill(supervisor.pid, SIGKILL)
        }
        let left = ProcessTree.mentioning(folder)
        problems += left.map { "left running: \($0)" }
        problems += SecretSearch(data: data).leaks
        for line in left { if let pid = pid_t(line.prefix { $0 != ":" }) { kill(pid, SIGKILL) } }
        if ProcessInfo.processInfo.environment["SLUICE_KEEP"] == nil { try? FileManager.default.removeItem(atPath: folder) }
        return problems
    }

    private var folder: String { String(data.dropLast("/data".count)) }

    /// `sluice` beside the tests' own program, or what SLUICE_EXECUTABLE names.
    static func executable() throws -> String {
        if let named = ProcessInfo.processInfo.environment["SLUICE_EXECUTABLE"] { return named }
        let own = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
        // The tests are loaded by a program of the toolchain or are one: their bundle is among the arguments then.
        for start in [own] + CommandLine.arguments {
            let candidate = URL(fileURLWithPath: start).deletingLastPathComponent().path + "/sluice"
            if FileManager.default.isExecutableFile(atPath: candidate) { return candidate }
        }
        throw Failure(description: "no executable sluice beside \(own): build it, or name it in SLUICE_EXECUTABLE")
    }

    private func text(of path: String) -> String {
        FileManager.default.contents(atPath: path).map { String(decoding: $0, as: UTF8.self) } ?? ""
    }

    // MARK: What runs

    private var phase: String {
        struct State: Decodable { let phase: String }
        let contents = FileManager.default.contents(atPath: data + "/state.json")
        return contents.flatMap { try? JSONDecoder().decode(State.self, from: $0) }?.phase ?? ""
    }

    func parts() throws -> [Part] {
        let result = try sluice(["status", "--json", "--data", data])
        return try JSONDecoder().decode([Part].self, from: Data(result.output.utf8))
    }

    func part(_ name: String) throws -> Part {
        guard let part = try parts().first(where: { $0.name == name }) else { throw Failure(description: "there is no \(name)") }
        return part
    }

    /// Waits for a part that is just being started again.
    func pid(_ name: String) throws -> pid_t {
        var pid: pid_t?
        let runs = try eventually(seconds: 20) {
            pid = try part(name).pid
            return pid != nil
        }
        guard runs, let pid else { throw Failure(description: "\(name) does not run") }
        return pid
    }

    /// Waits until `sluice status` says that every part is healthy.
    func waitUntilHealthy(seconds: Double = 60, sourceLocation: SourceLocation = #_sourceLocation) throws {
        var last: [Part] = []
        let isHealthy = try eventually(seconds: seconds, everyMilliseconds: 100) {
            last = try parts()
            return !last.isEmpty && last.allSatisfy { $0.state == "healthy" }
        }
        let others = last.filter { $0.state != "healthy" }.map { "\($0.name) is \($0.state)" }
        try #require(isHealthy, "\(others)", sourceLocation: sourceLocation)
    }

    // MARK: Faults

    /// The steps of a batch at which a worker can be made to die, in their order: the names of FailPoint.
    static let steps = ["fetched", "learned", "decided", "sent", "committed", "published", "relayed"]

    /// Has the worker die at a step of a batch, the next time it comes there, and waits until it did.
    func die(at step: String, seconds: Double = 40, sourceLocation: SourceLocation = #_sourceLocation) throws {
        let path = folder + "/fail/" + step
        try #require(FileManager.default.createFile(atPath: path, contents: nil), sourceLocation: sourceLocation)
        let isDead = eventually(seconds: seconds) { !FileManager.default.fileExists(atPath: path) }
        try #require(isDead, "no worker came to the step `\(step)`", sourceLocation: sourceLocation)
    }

    /// `kill -9`; the supervisor starts it again.
    func kill9(_ name: String) throws { kill(try pid(name), SIGKILL) }

    /// Runs `body` while a part and all of its children are frozen. The kernel still takes connections and bytes for them.
    func whileFrozen<Result>(_ name: String, _ body: () throws -> Result) throws -> Result {
        let pid = try pid(name)
        ProcessTree.freeze(pid)
        defer { ProcessTree.thaw(pid) }
        return try body()
    }

    /// Runs `body` while the read replica answers and learns nothing new: the process that replays the primary's log stands still.
    func whileReplicaIsStale<Result>(_ body: () throws -> Result) throws -> Result {
        let replay = ProcessTree.descendants(of: try pid("postgres-replica"), named: "startup")
        guard replay.count == 1 else { throw Failure(description: "the replica replays in \(replay.count) processes") }
        kill(replay[0], SIGSTOP)
        defer { kill(replay[0], SIGCONT) }
        return try body()
    }

    private func thawAll() { for pid in ((try? parts()) ?? []).compactMap(\.pid) { ProcessTree.thaw(pid) } }

    // MARK: Programs

    /// Runs a command of the executable with this system's settings in its environment.
    func sluice(_ arguments: [String], seconds: Int = 60) throws -> ProgramResult {
        let settings = self.settings.filter { $0.key.hasPrefix("SLUICE_") }.map { "\($0.key)=\($0.value)" }
        return try run("/usr/bin/env", settings + [try Self.executable()] + arguments, seconds: seconds)
    }

    /// The socket of Redis.
    var redisSocket: String { String((settings["SLUICE_REDIS"] ?? "").dropFirst("unix:".count)) }

    /// What Redis answers its operator; an error that it answers is text as well.
    @discardableResult
    func redis(_ arguments: [String]) throws -> String {
        let result = try run("/usr/bin/redis-cli", ["-s", redisSocket] + arguments)
        guard result.code == 0 else { throw Failure(description: "redis-cli: \(result)") }
        return result.output.trimmingCharacters(in: .whitespacesAndNewlines)
    }

    @discardableResult
    func redis(_ arguments: String...) throws -> String { try redis(arguments) }

    /// What `settings.env` says: where the servers are.
    var settings: [String: String] {
        let lines = text(of: data + "/settings.env").split(separator: "\n").filter { !$0.hasPrefix("#") }
        let pairs = lines.compactMap { line -> (String, String)? in
            guard let equals = line.firstIndex(of: "=") else { return nil }
            return (String(line[..<equals]), line[line.index(after: equals)...].trimmingCharacters(in: ["'"]))
        }
        return Dictionary(uniqueKeysWithValues: pairs)
    }

    /// The tail of a part's log, for messages.
    func log(_ name: String, lines: Int = 20) -> String {
        text(of: "\(data)/logs/\(name).log").split(separator: "\n").suffix(lines).joined(separator: "\n")
    }

    // MARK: Ways in

    /// The first key of the tenant `demo`.
    var demoKey: String { text(of: data + "/demo.key").trimmingCharacters(in: .whitespacesAndNewlines) }

    func nginx() throws -> Endpoint { try gateway("nginx") }
    func gateway(_ name: String) throws -> Endpoint { try Endpoint(known(name).address) }
    func admin(_ name: String) throws -> Endpoint {
        guard let address = try known(name).admin else { throw Failure(description: "\(name) has no admin listener") }
        return try Endpoint(address)
    }
    /// A part as it was when the system had come up: where it listens does not change.
    private func known(_ name: String) throws -> Part {
        let parts = try firstParts.withLock { known in
            if known.isEmpty { known = try self.parts() }
            return known
        }
        guard let part = parts.first(where: { $0.name == name }) else { throw Failure(description: "there is no \(name)") }
        return part
    }
    /// The Unix socket of one thread of a gateway, which nginx uses.
    func gatewaySocket(_ name: String, thread: Int) -> Endpoint { .unix(path: "\(data)/run/edge/\(name).\(thread)") }

    /// A client with the first key, through nginx.
    func client() throws -> APIClient { APIClient(try nginx(), key: demoKey) }
    func client(at gateway: String) throws -> APIClient { APIClient(try self.gateway(gateway), key: demoKey) }

    /// What series that begin so come to, of both gateways' threads.
    func gatewaySum(_ names: String...) throws -> Int {
        try ["gateway-a", "gateway-b"].reduce(0) { sum, gateway in
            let page = try APIClient(admin(gateway), key: nil).get("/metrics").text
            let lines = page.split(separator: "\n").filter { line in names.contains { line.hasPrefix($0) } }
            return sum + lines.compactMap { $0.split(separator: " ").last.flatMap { Int($0) } }.reduce(0, +)
        }
    }
}
