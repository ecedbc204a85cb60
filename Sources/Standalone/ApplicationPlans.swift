import Foundation
import Glibc

/// Our own processes: migrate, the first key, two gateways and a worker, all started from one
/// executable and configured by environment, so that no secret stands in an argument list.
struct ApplicationPlans: Sendable {
    let layout: Layout
    let ports: Ports
    /// Event-loop threads of each gateway.
    let threads: Int
    let database: String
    /// The same database, in the gateways' role; that is also the role of `replicas`.
    let gatewayDatabase: String
    /// The same in the worker's role.
    let workerDatabase: String
    let replicas: [String]
    let redis: String

    static let gateways = ["gateway-a", "gateway-b"]

    /// What every command needs to find the servers; also written to `settings.env` for commands that
    /// people run.
    var connections: [String: String] {
        [
            "SLUICE_KAFKA": ports.address(.broker),
            "SLUICE_DATABASE": database,
            "SLUICE_REPLICAS": replicas.joined(separator: ";"),
            "SLUICE_REDIS": redis,
            "SLUICE_AUDIT_METRICS": layout.auditMetrics,
        ]
    }

    /// For `set -a; . settings.env`: the connections, and what a client needs.
    var settingsFile: String {
        let client = ["SLUICE_URL": "http://\(ports.address(.nginx))", "SLUICE_KEY_FILE": layout.demoKey]
        let lines = connections.merging(client) { ours, _ in ours }.map { "\($0)='\($1)'" }.sorted()
        return "# Written by sluice up. Passwords are in the files named here, not in this one.\n" + lines.joined(separator: "\n") + "\n"
    }

    func plans(from stage: Int) -> [ProcessPlan] {
        var migrate = base("migrate", ["migrate"], stage: stage)
        migrate.kind = .task
        migrate.startDeadlineMilliseconds = 120_000
        var key = base("first-key", ["keys", "bootstrap", "--tenant", "demo", "--out", layout.demoKey], stage: stage + 1)
        key.kind = .task
        // Readiness of a gateway may depend on a worker, so they start together.
        return [migrate, key] + ApplicationPlans.gateways.map { gateway($0, stage: stage + 2) } + [worker(stage: stage + 2)]
    }

    private func gateway(_ name: String, stage: Int) -> ProcessPlan {
        let (port, admin): (PortName, PortName) = name == "gateway-a" ? (.gatewayA, .gatewayAAdmin) : (.gatewayB, .gatewayBAdmin)
        var plan = service(name, ["gateway"], admin: admin, stage: stage)
        plan.address = ports.address(port)
        plan.environment["SLUICE_DATABASE"] = gatewayDatabase
        connect(&plan, as: .gateway)
        plan.environment["SLUICE_LISTEN"] = ports.address(port)
        plan.environment["SLUICE_LISTEN_UNIX"] = layout.gatewaySocketPrefix(name)
        plan.environment["SLUICE_THREADS"] = "\(threads)"
        plan.environment["SLUICE_ROLE"] = "all"
        return plan
    }

    private func worker(stage: Int) -> ProcessPlan {
        var plan = service("worker-1", ["worker"], admin: .workerAdmin, stage: stage)
        plan.address = ports.address(.workerAdmin)
        plan.environment["SLUICE_DATABASE"] = workerDatabase
        connect(&plan, as: .worker)
        return plan
    }

    private func connect(_ plan: inout ProcessPlan, as user: RedisUser) {
        plan.environment["SLUICE_REDIS_USER"] = user.name
        plan.environment["SLUICE_REDIS_PASSWORD_FILE"] = layout.redisPassword(user)
    }

    private func service(_ name: String, _ arguments: [String], admin: PortName, stage: Int) -> ProcessPlan {
        var plan = base(name, arguments, stage: stage)
        plan.admin = ports.address(admin)
        plan.environment["SLUICE_NAME"] = name
        plan.environment["SLUICE_ADMIN"] = ports.address(admin)
        plan.readiness = .http(.tcp(port: ports[admin]), path: "/readyz")
        plan.startDeadlineMilliseconds = 60_000
        // Longer than a gateway's longest wait for a payment's outcome.
        plan.stop = [.init(signal: SIGTERM, waitMilliseconds: 15_000)]
        return plan
    }

    private func base(_ name: String, _ arguments: [String], stage: Int) -> ProcessPlan {
        // The caller's environment first: MALLOC_CONF and further SLUICE_ settings reach our processes.
        let environment = ProcessInfo.processInfo.environment.merging(connections) { _, ours in ours }
        return ProcessPlan(
            name: name, stage: stage, executable: layout.executable, arguments: arguments, environment: environment,
            directory: layout.home, log: layout.log(name))
    }
}
