import ArgumentParser
import Operate

/// `sluice doctor`: whether a cluster's settings can keep the promises.
struct DoctorCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "doctor", abstract: "Check that what is configured can keep the promises.",
        discussion: """
            Connects to the log, the primary, the replicas and Redis as gateways and workers do, and looks at this machine: run it with \
            their settings, where they run. Each finding says what is at risk and which setting mends it. It reads only and takes no lock, \
            so it may look at a live system; --probe writes to a topic of its own, sluice.doctor.*, and deletes it.

              sluice doctor --only log,ledger
              sluice doctor --nginx http://127.0.0.1:8080 --gateways 4 --probe --json

            Exits with 0 when there is no failure (warnings are none), 1 with failures, 2 when a setting is wrong.
            """)

    @OptionGroup var kafka: KafkaOptions
    @OptionGroup var database: DatabaseOptions
    @OptionGroup var replicas: ReplicaOptions
    @OptionGroup var redis: RedisOptions

    @Option(help: ArgumentHelp("What is in front of the gateways. [SLUICE_URL]", valueName: "http://host:port")) var nginx: String?
    @Option(
        help: ArgumentHelp(
            "Look at these only. (default: all that is configured)", valueName: Part.allCases.map(\.rawValue).joined(separator: ",")))
    var only: String?
    @Option(help: "Gateways, for the sum of connections.") var gateways = 2
    @Option(help: "Workers, for the same.") var workers = 2
    @Option(help: "The role of the workers, whose rights are looked at.") var workerRole = "sluice_worker"
    @Option(
        help: ArgumentHelp("Connections of a gateway to one server. [SLUICE_SERVER_CONNECTIONS] (default: 24)", valueName: "n"))
    var serverConnections: String?
    @Flag(help: "Produce and consume a topic of its own: prove that the cluster keeps what it acknowledges, and in order.") var probe =
        false
    @Option(help: "Records of the probe, at 500 a second.") var probeRecords = 1_000
    @Flag(help: "Print the report as a JSON object.") var json = false

    enum Part: String, CaseIterable { case log, ledger, replicas, redis, edge, system }

    func validate() throws {
        if !(1...1_000).contains(gateways) { throw ValidationError("--gateways: use 1 to 1000") }
        if !(1...1_000).contains(workers) { throw ValidationError("--workers: use 1 to 1000") }
        if !(10...1_000_000).contains(probeRecords) { throw ValidationError("--probe-records: use 10 to 1000000") }
        for name in (only ?? "").split(separator: ",") where Part(rawValue: String(name)) == nil {
            throw ValidationError("--only \(name): use some of \(Part.allCases.map(\.rawValue).joined(separator: ","))")
        }
    }

    func run() throws {
        let (options, url) = try withSettings { () throws(SettingError) in
            (try readOptions(), parts.contains(.edge) ? try Settings.text("url", nginx) : nil)
        }
        var doctor = options
        if let url {
            doctor.edge = try reporting(exitCode: CommandExit.wrongSetting) { () throws(OperateError) in try SubmitTarget.resolve(url) }
        }
        let report = doctor.run()
        say(json ? report.json : report.text)
        if report.failures > 0 { throw ExitCode.failure }
    }

    private var parts: Set<Part> {
        guard let only else { return Set(Part.allCases) }
        return Set(only.split(separator: ",").compactMap { Part(rawValue: String($0)) })
    }

    private func readOptions() throws(SettingError) -> Doctor {
        var doctor = Doctor()
        let name = "sluice-doctor"
        if parts.contains(.log) { doctor.kafka = try kafka.configuration(clientID: name) }
        if parts.contains(.ledger) { doctor.database = try database.configuration(applicationName: name) }
        if parts.contains(.replicas) { doctor.replicas = try replicas.configurations(applicationName: name) }
        if parts.contains(.redis) { doctor.redis = try redis.configuration() }
        doctor.looksAtSystem = parts.contains(.system)
        doctor.gateways = gateways
        doctor.workers = workers
        doctor.workerRole = workerRole
        doctor.serverConnections = try Settings.integer(
            "server-connections", serverConnections, in: 2...1_000, absent: doctor.serverConnections)
        if probe {
            guard doctor.kafka != nil else { throw SettingError("probe", "needs the log: leave --only out, or name it there") }
            doctor.probeRecords = probeRecords
        }
        return doctor
    }
}
