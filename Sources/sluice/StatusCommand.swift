import ArgumentParser
import Standalone

/// `sluice status`: what runs, and whether it is healthy.
struct StatusCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "status", abstract: "Show what runs in a data folder.",
        discussion: "Exits with 0 when all is healthy, 3 when something is not, 1 when nothing runs.")

    @OptionGroup var folder: DataFolderOption

    @Flag(help: "A JSON array of objects: name, pid, address, admin, state, restarts.")
    var json = false

    func run() throws {
        let status = Standalone.status(dataFolder: folder.data)
        print(json ? status.json : status.table, terminator: json ? "" : "\n")
        if status.exitCode != 0 { throw ExitCode(status.exitCode) }
    }
}
