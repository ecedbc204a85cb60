import ArgumentParser
import Operate

/// `sluice audit`: proves the promises.
struct AuditCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "audit", abstract: "Prove that the money adds up, on a system in use or at rest.",
        discussion: """
            Reads the ledger in one snapshot, the log beside it, and Redis; changes nothing and blocks nobody. \
            Commands that are in the log and not decided yet are lag, not a failure.

            Exits with 0 when all is as promised, 1 with findings, 2 when it could not look.
            """)

    @OptionGroup var database: DatabaseOptions
    @OptionGroup var kafka: KafkaOptions
    @OptionGroup var redis: RedisOptions

    @Option(help: "Look at one tenant only.") var tenant: String?
    @Flag(help: "Leave the log out.") var skipLog = false
    @Flag(help: "Leave Redis out.") var skipRedis = false
    @Option(
        help: ArgumentHelp("Leave the figures in this file too, in Prometheus's text format. [SLUICE_AUDIT_METRICS]", valueName: "path"))
    var auditMetrics: String?
    @Flag(help: "Print the report as a JSON object, which sluice migrate --adopt-log takes.") var json = false

    func run() throws {
        let (auditor, figures) = try withSettings { () throws(SettingError) in
            var auditor = Auditor(database: try database.configuration(applicationName: "sluice-audit"))
            if !skipLog { auditor.kafka = try kafka.configuration(clientID: "sluice-audit") }
            if !skipRedis { auditor.redis = try redis.configuration() }
            auditor.tenant = tenant
            return (auditor, try Settings.text("audit-metrics", auditMetrics, allowed: "a path"))
        }
        let report = try reporting(exitCode: CommandExit.wrongSetting) { () throws(OperateError) in try auditor.run() }
        // Those of a part of the ledger, or without the log, are not the system's.
        if let figures, tenant == nil, !skipLog, !skipRedis {
            try reporting(exitCode: CommandExit.wrongSetting) { () throws(OperateError) in try report.writeMetrics(path: figures) }
        }
        say(json ? report.json : report.text)
        if !report.isClean { throw ExitCode.failure }
    }
}
