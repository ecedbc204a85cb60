import ArgumentParser
import Worker

/// `sluice worker`: consumes the log and owns the ledger's transactions.
struct WorkerCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "worker", abstract: "Settle what the log holds.",
        discussion: "Each option may be given by the environment variable in brackets. Ends with 2 when a setting is wrong.")

    @Option(help: "Unique among the workers, the same after a restart. [SLUICE_NAME] (default: worker-1)")
    var name: String?

    @OptionGroup var kafka: KafkaOptions
    @OptionGroup var database: DatabaseOptions
    @OptionGroup var redis: RedisOptions
    @OptionGroup var admin: AdminOptions
    @OptionGroup var check: CheckConfigOption

    func run() throws {
        let options = try withSettings { () throws(SettingError) in try readOptions() }
        if check.checkConfig { return say(CheckConfigOption.table()) }
        let code = WorkerRole.run(options)
        if code != 0 { throw ExitCode(code) }
    }

    private func readOptions() throws(SettingError) -> WorkerOptions {
        let name = try Settings.instanceName(name, absent: "worker-1")
        try RoleProcess.begin(name)
        return WorkerOptions(
            name: name, kafka: try kafka.configuration(clientID: name), database: try database.configuration(applicationName: name),
            redis: try redis.configuration(), admin: try admin.address())
    }
}
