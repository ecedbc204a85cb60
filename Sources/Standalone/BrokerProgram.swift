import Foundation
import Glibc

/// A program that serves Kafka's protocol on one loopback port: all that the rest of the system knows
/// of the broker, so that another one can take its place.
protocol BrokerProgram: Sendable {
    /// How it is started, with `address` as the bootstrap server clients are given.
    func plan(layout: Layout, ports: Ports, stage: Int) throws(StandaloneError) -> ProcessPlan
}

/// `sluice broker`: our own log. It acknowledges what is on the disk, so it may be killed at any time.
struct EmbeddedBroker: BrokerProgram {
    func plan(layout: Layout, ports: Ports, stage: Int) -> ProcessPlan {
        // What the allocator and sanitizers are told reaches all of our processes.
        let debugging = ProcessInfo.processInfo.environment.filter { $0.key == "MALLOC_CONF" || $0.key.hasSuffix("SAN_OPTIONS") }
        let own = ["PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "TZ": "UTC", "HOME": layout.broker]
        return ProcessPlan(
            name: "broker", stage: stage, executable: layout.executable,
            arguments: ["broker", "--data", layout.broker, "--listen", ports.address(.broker)],
            environment: debugging.merging(own) { _, ours in ours },
            directory: layout.broker, log: layout.log("broker"), address: ports.address(.broker),
            readiness: .kafka(.tcp(port: ports[.broker])), stop: [.init(signal: SIGTERM, waitMilliseconds: 5_000)])
    }
}
