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
    @Flag(help: "Print the report as a JSON object, which sluice migrate --adopt-log takes.") var json = false

    func run() throws {
        let auditor = try withSettings { () throws(SettingError) in
            var auditor = Auditor(database: try database.configuration(applicationName: "sluice-audit"))
            if !skipLog { auditor.kafka = try kafka.configuration(clientID: "sluice-audit") }
            if !skipRedis { auditor.redis = try redis.configuration() }
            auditor.tenant = tenant
            return auditor
        }
        let report = try reporting(exitCode: CommandExit.wrongSetting) { () throws(OperateError) in try auditor.run() }
        say(json ? report.json : report.text)
        if !report.isClean { throw ExitCode.failure }
    }
}
