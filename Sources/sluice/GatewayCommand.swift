import ArgumentParser
import Foundation
import Gateway

/// `sluice gateway`: the HTTP front end.
struct GatewayCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "gateway", abstract: "Serve the API.",
        discussion: "Each option may be given by the environment variable in brackets. Ends with 2 when a setting is wrong.")

    @Option(help: "Unique among the gateways. [SLUICE_NAME] (default: gateway-1)")
    var name: String?

    @Option(
        help: ArgumentHelp(
            "What is served. [SLUICE_ROLE] (default: all)", valueName: ServedRole.allCases.map(\.rawValue).joined(separator: "|")))
    var role: String?

    @Option(help: "Event-loop threads, 1 to 64. [SLUICE_THREADS] (default: half of the cores, at most 8)")
    var threads: String?

    @Option(help: ArgumentHelp("Where clients connect. [SLUICE_LISTEN]", valueName: "address:port"))
    var listen: String?

    @Option(help: ArgumentHelp("Unix sockets for nginx: thread N listens on PREFIX.N. [SLUICE_LISTEN_UNIX]", valueName: "prefix"))
    var listenUnix: String?

    @Option(
        help: ArgumentHelp(
            "Connections of all threads to any one database server, at most. [SLUICE_SERVER_CONNECTIONS] (default: 24)", valueName: "n"))
    var serverConnections: String?

    @Option(
        help: ArgumentHelp(
            "Memory of each thread for copies of what Redis holds, KiB, 64 to 4194304; 0 for none. [SLUICE_NEAR_KIB] (default: 8192)",
            valueName: "KiB"))
    var nearKib: String?

    @Option(
        help: ArgumentHelp(
            "Bounds and times other than the default ones. [SLUICE_LIMITS]", valueName: "name=value;..."))
    var limits: String?

    @Option(
        help: ArgumentHelp(
            "Where sluice audit leaves its figures, to show them with the metrics. [SLUICE_AUDIT_METRICS]", valueName: "path"))
    var auditMetrics: String?

    @Flag(help: "List the limits with their values and ranges, and do nothing else.")
    var showLimits = false

    @OptionGroup var admin: AdminOptions
    @OptionGroup var kafka: KafkaOptions
    @OptionGroup var database: DatabaseOptions
    @OptionGroup var replicas: ReplicaOptions
    @OptionGroup var redis: RedisOptions
    @OptionGroup var check: CheckConfigOption

    func run() throws {
        if showLimits {
            let limits = try withSettings { () throws(SettingError) in try readLimits() }
            for setting in LimitSetting.all {
                say(
                    "\(setting.name)=\(setting.value(in: limits))  (\(setting.range.lowerBound) to \(setting.range.upperBound))  \(setting.meaning)"
                )
            }
            return
        }
        let options = try withSettings { () throws(SettingError) in try readOptions() }
        if check.checkConfig {
            say(CheckConfigOption.table(limitLines(options.limits)))
            if let problem = options.problem {
                complain(problem)
                throw CommandExit.wrongSetting
            }
            return
        }
        let code = GatewayRole.run(options)
        if code != 0 { throw ExitCode(code) }
    }

    private func readOptions() throws(SettingError) -> GatewayOptions {
        let name = try Settings.instanceName(name, absent: "gateway-1")
        try RoleProcess.begin(name)
        var options = GatewayOptions(
            name: name, admin: try admin.address(), kafka: try kafka.configuration(clientID: name),
            primary: try database.configuration(applicationName: name), replicas: try replicas.configurations(applicationName: name),
            redis: try redis.configuration())
        options.role = try servedRole()
        let cores = ProcessInfo.processInfo.activeProcessorCount
        options.threads = try Settings.integer("threads", threads, in: 1...64, absent: max(1, min(8, cores / 2)))
        options.limits = try readLimits()
        options.limits.connectionsPerServerMax = try Settings.integer(
            "server-connections", serverConnections, in: 2...1_000, absent: options.limits.connectionsPerServerMax)
        let nearKibibytes = try Settings.integer("near-kib", nearKib, in: 0...4_194_304, absent: options.limits.nearBytes / 1_024)
        guard nearKibibytes == 0 || nearKibibytes >= 64 else { throw SettingError("near-kib", "must be 0, or 64 and more") }
        options.limits.nearBytes = nearKibibytes * 1_024
        options.auditMetrics = try Settings.text("audit-metrics", auditMetrics, allowed: "a path")
        options.listen = try Settings.address("listen", listen)
        options.listenUnixPrefix = try Settings.text(
            "listen-unix", listenUnix, allowed: "a path of 1 to 104 bytes; thread N listens on PATH.N")
        if options.listen == nil, options.listenUnixPrefix == nil {
            throw SettingError("listen", "missing: give a TCP address to listen on, or a prefix of Unix sockets as SLUICE_LISTEN_UNIX")
        }
        return options
    }

    /// Those of the gateway, as `SLUICE_LIMITS` names them.
    private func limitLines(_ limits: GatewayLimits) -> [(name: String, value: String, source: String, allowed: String)] {
        let given = Settings.all.first { $0.name == "limits" }
        return LimitSetting.all.map { setting in
            let isDefault = setting.value(in: limits) == setting.value(in: GatewayLimits())
            return (
                setting.name, "\(setting.value(in: limits))", isDefault ? "default" : given?.source ?? "-",
                "\(setting.range.lowerBound) to \(setting.range.upperBound)"
            )
        }
    }

    private func readLimits() throws(SettingError) -> GatewayLimits {
        var result = GatewayLimits()
        if let text = try Settings.text("limits", limits, allowed: "NAME=VALUE of the limits, separated by semicolons"),
            let problem = result.set(text)
        {
            throw SettingError("limits", problem)
        }
        if let problem = result.problem { throw SettingError("limits", problem) }
        return result
    }

    private func servedRole() throws(SettingError) -> ServedRole {
        let allowed = ServedRole.allCases.map(\.rawValue).joined(separator: ", ")
        let text = try Settings.text("role", role, allowed: allowed, absent: ServedRole.all.rawValue)
        guard let role = ServedRole(rawValue: text) else { throw SettingError("role", "'\(text)' is not allowed: use \(allowed)") }
        return role
    }
}
