import ArgumentParser
import Broker
import Loop
import Telemetry

/// `sluice broker`: the embedded log.
struct BrokerCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "broker", abstract: "The embedded log: one node that speaks Kafka's protocol.",
        discussion: "One node, no replication, no transactions. docs/broker.md says what it promises.",
        subcommands: [Run.self, Inspect.self, Verify.self], defaultSubcommand: Run.self)

    struct Run: ParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Serve until SIGTERM.")

        @Option(help: "Data folder; made if it is not there.")
        var data: String
        @Option(help: "Address and port; port 0 takes a free one.")
        var listen = "127.0.0.1:9092"
        @Option(help: "HOST:PORT that clients are told to connect to; the listening address if not given.")
        var advertise: String?
        @Flag(help: "Allow an address beyond this machine. There is no authentication.")
        var allowRemote = false
        @Option(help: "`always`: records are on the disk before they are acknowledged. `interval`: every --flush-interval-ms.")
        var flush = "always"
        @Option(help: "With `--flush interval`: what a power loss may take, milliseconds.")
        var flushIntervalMs = 1_000
        @Option(help: "Partitions of topics that clients may make by naming them; 0: none.")
        var autoCreatePartitions: Int32 = 0
        @Option(help: "Write the bound port to this file when ready.")
        var portFile: String?

        func run() throws {
            Log.configure(process: "broker", debug: false)
            guard let address = SocketAddress(listen) else { throw ValidationError("--listen takes ADDRESS:PORT") }
            var options = BrokerOptions(dataFolder: data, address: address)
            switch flush {
            case "always": options.flush = .always
            case "interval" where flushIntervalMs > 0: options.flush = .interval(milliseconds: flushIntervalMs)
            default: throw ValidationError("--flush is `always`, or `interval` with a positive --flush-interval-ms")
            }
            if let advertise {
                guard case .tcp(let host, let port)? = SocketAddress(advertise) else {
                    throw ValidationError("--advertise takes HOST:PORT")
                }
                options.advertised = (host, port)
            }
            options.allowsRemote = allowRemote
            options.autoCreatePartitions = autoCreatePartitions
            options.portFile = portFile
            try Broker.run(options)
        }
    }

    struct Inspect: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Show topics, offsets, groups and lag of a data folder, or its records.",
            discussion: "Changes nothing; a broker may be serving the folder.")

        @Argument(help: "Data folder.")
        var folder: String
        @Option(help: "Dump this topic's records, as JSON lines.")
        var topic: String?
        @Option(help: "Of this partition.")
        var partition: Int32 = 0
        @Option(help: "From this offset.")
        var from: Int64 = 0
        @Option(help: "At most this many.")
        var count = 100

        func run() throws {
            let inspection = try Inspection(folder: folder)
            if let topic {
                try inspection.dump(topic: topic, partition: partition, from: from, count: count) { print($0) }
            } else {
                for line in try inspection.summary() { print(line) }
            }
        }
    }

    struct Verify: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Check every byte of a stopped broker's data folder; ends with 1 if something is wrong.")

        @Argument(help: "Data folder.")
        var folder: String

        func run() throws {
            let found = try Verification(folder: folder)
            for note in found.notes { print("note: \(note)") }
            for problem in found.problems { print("damage: \(problem)") }
            print(
                "\(found.files) files, \(found.batches) batches, \(found.records) records, \(found.bytes) bytes, \(found.problems.count) damaged"
            )
            if !found.problems.isEmpty { throw ExitCode.failure }
        }
    }
}
