import ArgumentParser

/// Not an async command: its main would leave the main thread waiting and run everything on others, and
/// the signals that a role blocks in its own thread would end the process through the main one.
@main
struct Sluice: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "sluice", abstract: "A payment system for peaks.",
        discussion: """
            A setting is taken from the command line, else from the environment variable in brackets, else from the file that VARIABLE_FILE \
            names, else from the file of NAME=VALUE lines that SLUICE_SETTINGS names. Secrets are never taken from the command line.

            Exits with 0 when done or told to end, 1 when it could not be done or the answer is no, 2 when a setting is missing or wrong, \
            64 for an option that does not exist. audit, bench and status have more: their own help tells.
            """,
        subcommands: [
            UpCommand.self, DownCommand.self, StatusCommand.self,
            BrokerCommand.self, GatewayCommand.self, WorkerCommand.self,
            MigrateCommand.self, DoctorCommand.self, KeysCommand.self, SubmitCommand.self, DeadCommand.self, AuditCommand.self,
            BenchCommand.self,
        ])
}
