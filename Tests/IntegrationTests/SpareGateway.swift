import Foundation
import Glibc
import Testing

/// A gateway beside those of the system, with limits of its own, for as long as a test needs it.
final class SpareGateway {
    let endpoint: Endpoint
    /// The Unix socket of its one thread.
    let socket: Endpoint
    let admin: Endpoint
    let key: String
    private let process: GuardedProcess
    var pid: pid_t { process.pid }

    /// Returns once it is ready, or at once.
    ///
    /// - Parameter more: settings other than the system's.
    init(_ limits: String, _ more: [String] = [], waits: Bool = true) throws {
        let system = SystemUnderTest.shared
        let name = "spare-\(UInt32.random(in: 0 ... .max))"
        let (port, adminPort) = (try freePort(), try freePort())
        endpoint = .tcp(port: port)
        admin = .tcp(port: adminPort)
        socket = .unix(path: "\(system.data)/run/edge/\(name).0")
        key = system.demoKey
        let settings = system.settings.filter { $0.key.hasPrefix("SLUICE_") }.map { "\($0.key)=\($0.value)" }
        let own = [
            "SLUICE_NAME=\(name)", "SLUICE_LIMITS=\(limits)", "SLUICE_THREADS=1", "SLUICE_LISTEN=127.0.0.1:\(port)",
            "SLUICE_LISTEN_UNIX=\(system.data)/run/edge/\(name)", "SLUICE_ADMIN=127.0.0.1:\(adminPort)",
        ]
        process = try GuardedProcess(
            "/usr/bin/env", settings + own + more + [try SystemUnderTest.executable(), "gateway"], output: "\(system.data)/logs/\(name).log"
        )
        guard waits else { return }
        let isReady = eventually(seconds: 20) { (try? get("/readyz", at: admin).status) == 200 }
        try #require(isReady, "the spare gateway is not ready: \(system.log(name))")
    }

    deinit { if process.exitCode == nil { kill(process.pid, SIGKILL) } }

    func waitForEnd(seconds: Double) -> Int32? { process.waitForEnd(seconds: seconds) }

    /// A series' value; it has one thread.
    func metric(_ name: String) throws -> Double {
        let page = try get("/metrics", at: admin).text
        for line in page.split(separator: "\n") where line.hasPrefix(name + "{") || line.hasPrefix(name + " ") {
            return Double(line.split(separator: " ").last ?? "") ?? -1
        }
        throw SystemUnderTest.Failure(description: "there is no series \(name)")
    }

    /// The value of one series, which `name` is with its labels.
    func metric(exactly name: String) throws -> Double {
        let line = try get("/metrics", at: admin).text.split(separator: "\n").first { $0.hasPrefix(name + " ") }
        return line.flatMap { Double($0.dropFirst(name.count + 1)) } ?? 0
    }

    /// Sets how many files it may have open; returns how many it could before.
    @discardableResult
    func limitFiles(to count: UInt) throws -> UInt {
        let old = try limits("SOFT")
        let result = try run("/usr/bin/prlimit", ["--pid", "\(pid)", "--nofile=\(count):\(try limits("HARD"))"])
        guard result.code == 0 else { throw SystemUnderTest.Failure(description: "prlimit: \(result.errors)") }
        return old
    }

    private func limits(_ column: String) throws -> UInt {
        let result = try run("/usr/bin/prlimit", ["--pid", "\(pid)", "--nofile", "--raw", "--noheadings", "--output", column])
        guard let number = UInt(result.output.trimmingCharacters(in: .whitespacesAndNewlines)) else {
            throw SystemUnderTest.Failure(description: "prlimit: \(result)")
        }
        return number
    }

    /// CPU time it has used, hundredths of a second.
    func cpuTicks() throws -> Int {
        let text = try String(contentsOfFile: "/proc/\(pid)/stat", encoding: .utf8)
        let fields = text[text.lastIndex(of: ")")!...].split(separator: " ")
        return (Int(fields[12]) ?? 0) + (Int(fields[13]) ?? 0)
    }
}

private func get(_ target: String, at endpoint: Endpoint) throws -> HTTPResponse { try APIClient(endpoint, key: nil).get(target) }

/// A port of this machine that nobody listens on now.
private func freePort() throws -> UInt16 {
    let descriptor = Glibc.socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    defer { close(descriptor) }
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
    var length = socklen_t(MemoryLayout<sockaddr_in>.size)
    let code = unsafe withUnsafeMutablePointer(to: &address) { pointer in
        unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
            unsafe bind(descriptor, $0, length) == 0 ? getsockname(descriptor, $0, &length) : -1
        }
    }
    guard code == 0 else { throw SystemUnderTest.Failure(description: "no free port") }
    return UInt16(bigEndian: address.sin_port)
}
