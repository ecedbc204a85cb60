import ArgumentParser
import Foundation
import Standalone

/// `sluice up`: everything on one machine.
struct UpCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "up", abstract: "Bring the whole system up on this machine.",
        discussion: "Starts PostgreSQL (primary, synchronous standby, read replica), Redis, a Kafka broker, two gateways, "
            + "a worker and nginx, keeps them up, and stops them all on Ctrl-C.")

    @OptionGroup var folder: DataFolderOption

    @Option(help: "Public port; the others follow it. 0 picks free ports and remembers them. (default: as last time, else 8080)")
    var portBase: Int?

    @Option(help: "Event-loop threads of each gateway. (default: half of the cores, at most 8)")
    var threads: Int?

    @Option(help: ArgumentHelp("Bring only these up.", valueName: "\(Component.allCases.map(\.rawValue).joined(separator: ","))"))
    var only: String?

    @Option(help: "Sluice's own folder, with nginx/ and infra/. (default: found from the executable)")
    var home: String?

    @Flag(help: "Return when all is up; stop with sluice down.")
    var detach = false

    func run() throws {
        var options = StandaloneOptions()
        options.dataFolder = folder.data
        options.portBase = portBase
        options.gatewayThreads = threads
        options.home = home
        if let only {
            guard let components = StandaloneOptions.components(only) else {
                throw ValidationError("--only \(only): use some of \(Component.allCases.map(\.rawValue).joined(separator: ","))")
            }
            options.components = components
        }
        do {
            if detach {
                let arguments = CommandLine.arguments.dropFirst().filter { $0 != "--detach" }
                try Standalone.upDetached(options, arguments: Array(arguments)) { say($0) }
            } else {
                try Standalone.up(options) { say($0) }
            }
        } catch {
            throw fail(error)
        }
    }
}

/// `--data`, which up, down and status share.
struct DataFolderOption: ParsableArguments {
    @Option(help: ArgumentHelp("Where everything of this system is kept.", valueName: "folder"))
    var data = ".sluice"
}

/// Writes a line at once, also when the output is a file or a pipe, which `print` would buffer.
func say(_ line: String) {
    FileHandle.standardOutput.write(Data((line + "\n").utf8))
}

/// Says on standard error why a command ends.
func complain(_ problem: String) {
    FileHandle.standardError.write(Data("sluice: \(problem)\n".utf8))
}

/// Says what went wrong on standard error and returns what ends the process with code 1.
func fail(_ error: StandaloneError) -> ExitCode {
    FileHandle.standardError.write(Data("sluice: \(error)\n".utf8))
    return .failure
}
