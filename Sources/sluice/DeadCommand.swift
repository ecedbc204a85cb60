import ArgumentParser
import Foundation
import Operate
import Postgres

/// `sluice dead`: what could not be applied, and what to do about it.
struct DeadCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "dead", abstract: "List, show and replay dead letters: records of the log that could not be applied.",
        discussion: """
            A record that cannot be read, or that the database refuses for what is in it, is kept as a dead letter and the \
            partition goes on. Find the cause first (show), mend it (mostly: upgrade the workers), then replay.
            """,
        subcommands: [List.self, Show.self, Replay.self])
}

private func parsedPlace(_ text: String) throws -> DeadLetterBox.Place {
    guard let place = DeadLetterBox.Place(text) else { throw ValidationError("'\(text)' is no place: use PARTITION/OFFSET") }
    return place
}

extension DeadCommand {
    struct List: ParsableCommand {
        static let configuration = CommandConfiguration(commandName: "list", abstract: "List dead letters, those seen last in front.")

        @OptionGroup var database: DatabaseOptions
        @Option(help: "Of one tenant only.") var tenant: String?
        @Option(help: "How many at most.") var limit = 100
        @Flag(help: "Only those whose command has no outcome yet.") var open = false

        func validate() throws {
            guard (1...100_000).contains(limit) else { throw ValidationError("--limit must be 1 to 100000") }
        }

        func run() throws {
            let letters = try database.connected(as: "sluice-dead") { connection throws(OperateError) in
                try DeadLetterBox(connection).list(tenant: tenant, open: open, limit: limit)
            }
            var table = TextTable(["PLACE", "SEEN", "TENANT", "OPERATION", "STATE", "REASON"])
            for letter in letters {
                let state = letter.isDecided ? "decided" : letter.replayedAtMicroseconds == nil ? "open" : "replayed"
                table.add([
                    "\(letter.place)", time(letter.seenAtMicroseconds), letter.tenant ?? "-", letter.operation ?? "-", state, letter.reason,
                ])
            }
            say(table.text)
        }
    }

    struct Show: ParsableCommand {
        static let configuration = CommandConfiguration(commandName: "show", abstract: "Show a dead letter with all that is kept of it.")

        @OptionGroup var database: DatabaseOptions
        @Argument(help: "PARTITION/OFFSET, as list shows it.", transform: parsedPlace(_:)) var place: DeadLetterBox.Place

        func run() throws {
            let letter = try database.connected(as: "sluice-dead") { connection throws(OperateError) in
                try DeadLetterBox(connection).find(place)
            }
            var lines = [
                "place:     \(letter.place) of log \(letter.logIncarnation)", "seen:      \(time(letter.seenAtMicroseconds))",
                "tenant:    \(letter.tenant ?? "-")", "operation: \(letter.operation ?? "-")", "reason:    \(letter.reason)",
                "decided:   \(letter.isDecided ? "yes" : "no")",
            ]
            if let replayed = letter.replayedAtMicroseconds { lines.append("replayed:  \(time(replayed))") }
            lines.append("key:       \(String(decoding: letter.key, as: UTF8.self))")
            for (name, value) in letter.headers.sorted(by: { $0.key < $1.key }) { lines.append("header:    \(name): \(value)") }
            lines.append("value:     \(String(decoding: letter.value, as: UTF8.self))")
            // What a client wrote is shown, not obeyed: no control character reaches the terminal.
            say(
                lines.map { String($0.unicodeScalars.map { $0.properties.generalCategory == .control ? "\u{FFFD}" : Character($0) }) }
                    .joined(separator: "\n"))
        }
    }

    struct Replay: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "replay", abstract: "Put dead letters into the log again.",
            discussion: """
                Safe to repeat: a letter keeps its operation's id, so its command is decided at most once. It is decided as of now, behind \
                everything that was accepted since.

                Exits with 1 when one of them could not be replayed; the others are.
                """)

        @OptionGroup var database: DatabaseOptions
        @OptionGroup var kafka: KafkaOptions
        @Argument(help: "PARTITION/OFFSET, as list shows it.", transform: parsedPlace(_:)) var places: [DeadLetterBox.Place]

        func run() throws {
            let brokers = try withSettings { () throws(SettingError) in try kafka.configuration(clientID: "sluice-dead") }
            let failed = try database.connected(as: "sluice-dead") { (connection: PostgresConnection) throws(OperateError) -> Int in
                let replay = DeadLetterReplay(connection, kafka: brokers)
                var failed = 0
                for place in places {
                    do throws(OperateError) {
                        switch try replay.replay(place) {
                        case .replayed: say("\(place): in the log again")
                        case .alreadyDecided: say("\(place): its command has an outcome already; nothing was done")
                        }
                    } catch {
                        guard case .refused(let sentence) = error else { throw error }
                        failed += 1
                        say("\(place): \(sentence)")
                    }
                }
                return failed
            }
            if failed > 0 { throw ExitCode.failure }
        }
    }
}
