import Foundation
import Glibc

/// A program that serves Kafka's protocol on one loopback port: all that the rest of the system knows
/// of the broker, so that another one can take its place.
protocol BrokerProgram: Sendable {
    /// How it is started, with `address` as the bootstrap server clients are given.
    func plan(layout: Layout, ports: Ports, stage: Int) throws(StandaloneError) -> ProcessPlan
}

/// noida-db 0.2.3 in the private Python environment that `infra/setup` makes.
///
/// It keeps its log in memory and rewrites one file each second without fsync: `kill -9` of *this* broker
/// loses what it acknowledged last. Clients must raise `receive.message.max.bytes`, since it
/// ignores fetch limits.
struct NoidaBroker: BrokerProgram {
    func plan(layout: Layout, ports: Ports, stage: Int) throws(StandaloneError) -> ProcessPlan {
        ProcessPlan(
            name: "broker", stage: stage, executable: try program(layout),
            arguments: ["start", "--only", "kafka", "--kafka-port", "\(ports[.broker])", "--data-dir", layout.broker],
            environment: ["PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "TZ": "UTC", "HOME": layout.broker],
            directory: layout.broker, log: layout.log("broker"), address: ports.address(.broker),
            // It names the last run's control port, where nobody listens any more.
            before: [.remove(layout.broker + "/noida.control.json")],
            readiness: .kafka(.tcp(port: ports[.broker])),
            // Writing a large log out takes many seconds.
            stop: [.init(signal: SIGTERM, waitMilliseconds: 20_000)])
    }

    /// The native program inside the package: the `noida-db` script beside Python starts it as a child and
    /// does not pass signals on.
    private func program(_ layout: Layout) throws(StandaloneError) -> String {
        let libraries = layout.home + "/.build/broker-venv/lib"
        for version in ((try? FileManager.default.contentsOfDirectory(atPath: libraries)) ?? []).sorted() {
            let path = "\(libraries)/\(version)/site-packages/noida_db/noida-db"
            guard SystemCall.exists(path) else { continue }
            // The package forgets the mode; its script sets it at each start.
            if unsafe access(path, X_OK) != 0, unsafe chmod(path, 0o755) != 0 { throw .system(call: "chmod", subject: path, code: errno) }
            return path
        }
        throw .brokenSetup("the Kafka broker is not installed in \(libraries): run infra/setup")
    }
}
