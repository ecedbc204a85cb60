import ArgumentParser
import Standalone

/// `sluice down`: stops what `sluice up` started.
struct DownCommand: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "down", abstract: "Stop the system that runs in a data folder.")

    @OptionGroup var folder: DataFolderOption

    func run() throws {
        do {
            if try !Standalone.down(dataFolder: folder.data, print: { print($0) }) { print("not running") }
        } catch {
            throw fail(error)
        }
    }
}
