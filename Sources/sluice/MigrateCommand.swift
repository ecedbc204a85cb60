import ArgumentParser
import Operate

/// `sluice migrate`: the schema and the topics.
struct MigrateCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "migrate", abstract: "Create or upgrade the schema and the topics.",
        discussion: "Applies what is left to apply, and nothing when all is there: safe to repeat, and in several processes at once. "
            + "Exits with 0 when done, 1 when it could not be done, 2 when a setting is wrong.")

    @OptionGroup var database: DatabaseOptions
    @OptionGroup var kafka: KafkaOptions

    @Option(help: "Partitions of payments.commands and payments.events. (default: as they are, else 12)")
    var partitions: Int32?

    @Option(help: "Copies of each partition of a topic that is created. (default: 3, or as many as there are brokers)")
    var replication: Int16?

    @Option(
        help: ArgumentHelp("The role of the workers, if there is one: it gets the rights it needs and loses others.", valueName: "role"))
    var workerRole = "sluice_worker"

    @Option(
        help: ArgumentHelp(
            "Move on to the brokers' log from another one that is drained, as the report of an audit shows.",
            discussion: "Stop the gateways, wait until the worker has caught up, run sluice audit --json > audit.json against the old "
                + "log, then this against the new one.", valueName: "audit.json"))
    var adoptLog: String?

    @Flag(
        help: ArgumentHelp(
            "Go on in a new line of revisions: a volume snapshot or another copy of the database's files was put back.",
            discussion: "Stop the workers before. Promotions, restores to a point in time, pg_dump and pg_upgrade are found out without it."
        ))
    var newLine = false

    @Option(help: ArgumentHelp("How long to wait for the database and the brokers.", valueName: "seconds"))
    var wait = 30

    func validate() throws {
        if let partitions, !(1...1_000).contains(partitions) { throw ValidationError("--partitions: use 1 to 1000") }
        if let replication, !(1...9).contains(replication) { throw ValidationError("--replication: use 1 to 9") }
        if !(0...3_600).contains(wait) { throw ValidationError("--wait: use 0 to 3600") }
    }

    func run() throws {
        var migrator = try withSettings { () throws(SettingError) in
            Migrator(
                database: try database.configuration(applicationName: "sluice-migrate"),
                kafka: try kafka.configuration(clientID: "sluice-migrate"))
        }
        migrator.partitions = partitions
        migrator.replication = replication
        migrator.waitSeconds = wait
        migrator.workerRole = workerRole
        migrator.beginsNewLine = newLine
        try reporting { () throws(OperateError) in
            if let adoptLog { migrator.adoption = try AuditReport.read(path: adoptLog) }
            try migrator.run { say($0) }
        }
    }
}

/// Runs what may fail for a reason outside of us: says so on standard error and ends the process.
///
/// - Parameter exitCode: of a failure.
func reporting<Result>(exitCode: ExitCode = .failure, _ body: () throws(OperateError) -> Result) throws -> Result {
    do {
        return try body()
    } catch {
        complain("\(error)")
        throw exitCode
    }
}
