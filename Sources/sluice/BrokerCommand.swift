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

        @Option(help: "Data folder; made if it is not there. [SLUICE_BROKER_DATA]")
        var data: String?
        @Option(help: "Address and port; port 0 takes a free one. [SLUICE_BROKER_LISTEN] (default: 127.0.0.1:9092)")
        var listen: String?
        @Option(
            help: "HOST:PORT that clients are told to connect to. [SLUICE_BROKER_ADVERTISE] (default: the listening address)")
        var advertise: String?
        @Flag(help: "Allow an address beyond this machine. There is no authentication. [SLUICE_BROKER_ALLOW_REMOTE=1]")
        var allowRemote = false
        @Option(
            help:
                "`always`: records are on the disk before they are acknowledged. `interval`: every --flush-interval-ms. [SLUICE_BROKER_FLUSH] (default: always)"
        )
        var flush: String?
        @Option(
            help:
                "With `--flush interval`: what a power loss may take, milliseconds. [SLUICE_BROKER_FLUSH_INTERVAL_MS] (default: 1000)")
        var flushIntervalMs: String?
        @Option(
            help: "Partitions of topics that clients may make by naming them; 0: none. [SLUICE_BROKER_AUTO_CREATE_PARTITIONS] (default: 0)"
        )
        var autoCreatePartitions: String?
        @Option(help: "Write the bound port to this file when ready. [SLUICE_BROKER_PORT_FILE]")
        var portFile: String?
        @OptionGroup var check: CheckConfigOption

        func run() throws {
            Log.configure(process: "broker", debug: false)
            let options = try withSettings { () throws(SettingError) in try readOptions() }
            if check.checkConfig { return say(CheckConfigOption.table()) }
            try Broker.run(options)
        }

        private static func name(_ flag: String) -> SettingName { SettingName(flag: flag, of: "BROKER_") }

        private func readOptions() throws(SettingError) -> BrokerOptions {
            let data = try Settings.required(Self.name("data"), data, "a folder; its parent must exist")
            let place = Self.name("listen")
            let allowed = "ADDRESS:PORT"
            let listen = try Settings.text(place, listen, allowed: allowed, absent: "127.0.0.1:9092")
            guard let address = SocketAddress(listen), case .tcp = address else {
                throw SettingError(place, "'\(listen)' is not allowed: use an address and a port, as 127.0.0.1:9092")
            }
            var options = BrokerOptions(dataFolder: data, address: address)
            let advertised = Self.name("advertise")
            if let text = try Settings.text(advertised, advertise, allowed: "HOST:PORT") {
                guard case .tcp(let host, let port)? = SocketAddress(text) else {
                    throw SettingError(advertised, "'\(text)' is not allowed: use HOST:PORT")
                }
                options.advertised = (host, port)
            }
            let remote = Self.name("allow-remote")
            let allows = try Settings.text(remote, allowRemote ? "1" : nil, allowed: "0 or 1", absent: "0")
            guard ["0", "1"].contains(allows) else { throw SettingError(remote, "'\(allows)' is not allowed: use 0 or 1") }
            options.allowsRemote = allows == "1"
            options.flush = try readFlush()
            options.autoCreatePartitions = Int32(
                try Settings.integer(Self.name("auto-create-partitions"), autoCreatePartitions, in: 0...1_000, absent: 0))
            options.portFile = try Settings.text(Self.name("port-file"), portFile, allowed: "a path")
            return options
        }

        private func readFlush() throws(SettingError) -> BrokerOptions.Flush {
            let name = Self.name("flush")
            let kind = try Settings.text(name, flush, allowed: "always or interval", absent: "always")
            let milliseconds = try Settings.integer(Self.name("flush-interval-ms"), flushIntervalMs, in: 1...86_400_000, absent: 1_000)
            switch kind {
            case "always": return .always
            case "interval": return .interval(milliseconds: milliseconds)
            default: throw SettingError(name, "'\(kind)' is not allowed: use always or interval")
            }
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
