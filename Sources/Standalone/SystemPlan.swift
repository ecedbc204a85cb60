import CSystem
import Foundation
import Glibc

/// The whole system on one machine: every part's files and processes, in the order of their start.
struct SystemPlan: Sendable {
    let layout: Layout
    let ports: Ports
    let processes: [ProcessPlan]

    /// Decides everything and writes the configuration; starts nothing. The layout's folders exist.
    static func make(
        _ options: StandaloneOptions, layout: Layout, ports: Ports, users: ServiceUsers, broker: some BrokerProgram
    ) throws(StandaloneError) -> SystemPlan {
        let parts = options.components
        var processes: [ProcessPlan] = []
        // Stages 0 to 5 bring PostgreSQL up; what does not depend on it starts beside its first.
        let secrets = try Secrets.load(layout)
        let postgres = PostgresPlans(
            layout: layout, ports: ports, user: users.postgres, secrets: secrets,
            binaries: PostgresPlans.debianBinaries)
        if parts.contains(.postgres) {
            _ = try Programs.require("\(postgres.binaries)/postgres", package: "postgresql-15")
            try postgres.writeFiles()
            processes += postgres.plans(from: 0)
        }
        if parts.contains(.redis) {
            let redis = RedisPlan(layout: layout, executable: try Programs.find("redis-server", package: "redis-server"), secrets: secrets)
            try redis.writeFiles()
            processes.append(redis.plan(stage: 0))
        }
        if parts.contains(.broker) { processes.append(try broker.plan(layout: layout, ports: ports, stage: 0)) }
        let application = ApplicationPlans(
            layout: layout, ports: ports, threads: options.threads, database: postgres.primaryConninfo,
            gatewayDatabase: postgres.gatewayConninfo, workerDatabase: postgres.workerConninfo, replicas: postgres.replicaConninfos,
            redis: "unix:\(layout.redisSocket)")
        try SystemCall.writeFile(layout.data + "/settings.env", application.settingsFile, mode: 0o600)
        if parts.contains(.application) { processes += application.plans(from: 6) }
        if parts.contains(.nginx) {
            let nginx = NginxPlan(
                layout: layout, ports: ports, user: users.nginx, threads: options.threads,
                executable: try Programs.find("nginx", package: "nginx"),
                workers: max(1, min(4, ProcessInfo.processInfo.activeProcessorCount / 2)),
                descriptorsMax: sluice_descriptor_limit_raise())
            try nginx.writeFiles()
            processes.append(nginx.plan(stage: 9))
        }
        return SystemPlan(layout: layout, ports: ports, processes: processes)
    }

    /// The ports that these parts listen on.
    static func ports(of parts: Set<Component>) -> [PortName] {
        PortName.allCases.filter { name in
            switch name {
            case .nginx: parts.contains(.nginx)
            case .broker: parts.contains(.broker)
            case .postgresPrimary, .postgresStandby, .postgresReplica: parts.contains(.postgres)
            case .gatewayA, .gatewayB, .gatewayAAdmin, .gatewayBAdmin, .workerAdmin: parts.contains(.application)
            }
        }
    }
}

/// Finds what other packages install.
enum Programs {
    /// Where Debian puts servers; /usr/sbin is not in every user's PATH.
    private static let folders = ["/usr/bin", "/usr/sbin", "/usr/local/bin", "/usr/local/sbin"]

    static func find(_ name: String, package: String) throws(StandaloneError) -> String {
        for folder in folders where unsafe access("\(folder)/\(name)", X_OK) == 0 { return "\(folder)/\(name)" }
        throw missing(name, package)
    }

    static func require(_ path: String, package: String) throws(StandaloneError) -> String {
        guard unsafe access(path, X_OK) == 0 else { throw missing(path, package) }
        return path
    }

    private static func missing(_ program: String, _ package: String) -> StandaloneError {
        .brokenSetup("\(program) is not installed: run infra/setup, or apt-get install \(package)")
    }
}
