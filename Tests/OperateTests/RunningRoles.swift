import Foundation
import Kafka
import Loop
import Postgres
import Redis

@testable import Operate
@testable import TestSupport

/// Gateways and workers of the built executable, as processes of a test, on servers of its own.
final class RunningRoles {
    let broker: Broker
    let redis: RedisServer
    private let folder: String
    private var processes: [String: ExecutableProcess] = [:]

    init() throws {
        broker = try Broker()
        redis = try RedisServer()
        folder = FileManager.default.temporaryDirectory.path + "/sluice-roles-" + String(UInt32.random(in: 0...UInt32.max), radix: 36)
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    }

    deinit {
        for process in processes.values { process.kill() }
        redis.stop()
        try? FileManager.default.removeItem(atPath: folder)
    }

    var kafka: KafkaConfiguration { KafkaConfiguration(bootstrapServers: broker.bootstrapServers) }

    /// The topics, with one partition.
    func makeTopics() throws { _ = try TopicSetup(kafka: kafka, partitions: 1, replication: nil, say: { _ in }).run() }

    /// The topics, and the schema of this build.
    func migrate(_ connectionString: String) throws {
        try makeTopics()
        try Migrator(database: PostgresConfiguration(connectionString: connectionString), kafka: kafka).run { _ in }
    }

    func start(_ role: String, database: String, _ more: [String] = []) throws {
        let options = [
            role, "--name", "test-\(role)", "--kafka", broker.bootstrapServers, "--redis", redis.endpoint.description, "--database",
            database,
            "--admin", "unix:\(folder)/\(role)",
        ]
        processes[role] = try ExecutableProcess(options + (role == "gateway" ? ["--listen-unix", "\(folder)/listen"] : []) + more)
    }

    /// kill -9.
    func kill(_ role: String) { processes.removeValue(forKey: role)?.kill() }

    /// What `/readyz` says; empty while nobody listens.
    func readiness(_ role: String) throws -> String { try page("readyz", of: role) }

    /// A page of the admin listener.
    func page(_ path: String, of role: String) throws -> String {
        let curl = Process()
        let output = Pipe()
        curl.executableURL = URL(fileURLWithPath: "/usr/bin/curl")
        curl.arguments = ["-s", "--max-time", "2", "--unix-socket", "\(folder)/\(role)", "http://\(role)/\(path)"]
        curl.standardOutput = output
        try curl.run()
        let text = output.fileHandleForReading.readDataToEndOfFile()
        curl.waitUntilExit()
        return String(decoding: text, as: UTF8.self)
    }

    /// The number that the lease of partition 0 is of; nil for no lease.
    func leaseOwner() throws -> Int64? {
        let lease = try RedisConnection(RedisConfiguration(endpoint: redis.endpoint)).command(["GET", "l:0"])
        return lease.text.flatMap { Int64($0.prefix { $0 != " " }) }
    }
}
