import ArgumentParser

/// Not an async command: its main would leave the main thread waiting and run everything on others, and
/// the signals that a role blocks in its own thread would end the process through the main one.
@main
struct Sluice: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "sluice", abstract: "A payment system for peaks.",
        subcommands: [
            UpCommand.self, DownCommand.self, StatusCommand.self,
            BrokerCommand.self, GatewayCommand.self, WorkerCommand.self,
            MigrateCommand.self, DoctorCommand.self, KeysCommand.self, SubmitCommand.self, DeadCommand.self, AuditCommand.self,
            BenchCommand.self,
        ])
}
