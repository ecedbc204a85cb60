import Foundation
import Gateway
import Kafka
import Loop
import Postgres
import Redis
import Testing

@testable import Operate

/// What all processes together open at one database server, by the defaults and in the sets that come with the source.
@Suite struct ConnectionBudgetTests {
    /// A database server of every set allows so many, for whatever purpose.
    private static let connectionsMax = 250
    private static let gateways = 10

    private func text(_ path: String) throws -> String {
        let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("../..")
        return try String(contentsOf: root.appendingPathComponent(path), encoding: .utf8)
    }

    /// The first number that the pattern has in a file.
    private func number(_ pattern: Regex<(Substring, Substring)>, in path: String) throws -> Int {
        let match = try #require(try text(path).firstMatch(of: pattern), "\(path)")
        return try #require(Int(match.1))
    }

    /// What a gateway of so many threads opens at one server; nil when it does not start.
    private func connections(threads: Int) -> Int? {
        let database = PostgresConfiguration(connectionString: "host=a")
        var options = GatewayOptions(
            name: "gateway", admin: .tcp(address: "127.0.0.1", port: 0), kafka: KafkaConfiguration(bootstrapServers: "a:1"),
            primary: database, replicas: [database], redis: RedisConfiguration(endpoint: .tcp(address: "127.0.0.1", port: 1)))
        options.listen = .tcp(address: "127.0.0.1", port: 1)
        options.threads = threads
        // Reads and one for lists; at the primary one of each.
        return options.problem == nil ? threads * max(options.limits.sessionsPerReplica + 1, 2) : nil
    }

    @Test func `ten gateways at their most and the workers of a set have less than 250 connections to a server`() throws {
        let most = (1...64).compactMap { connections(threads: $0) }.max()
        // As many threads as a gateway takes by itself, at most.
        #expect(most == connections(threads: 8) && most == GatewayLimits().connectionsPerServerMax)
        let workers = try text("infra/compose/compose.yaml").matches(of: /\n  worker-\d+:/).count
        #expect(try workers >= 2 && workers == number(/name: worker\n[^-]*?replicas: (\d+)/, in: "infra/kubernetes/sluice.yaml"))
        let sum = Self.gateways * (most ?? .max) + workers * LedgerRules.connectionsOfAWorker
        #expect(sum < Self.connectionsMax, "\(sum)")
    }

    @Test func `the servers of the sets hold gateways to what leaves room for the workers and for operators`() throws {
        for path in ["infra/standalone/postgres.conf.template", "infra/compose/compose.yaml", "infra/compose/postgres-standby.sh"] {
            #expect(try number(/max_connections ?= ?(\d+)/, in: path) == Self.connectionsMax, "\(path)")
        }
        let reserved = try number(/superuser_reserved_connections = (\d+)/, in: "infra/standalone/postgres.conf.template")
        let ofGateways = try number(/ALTER ROLE sluice_gateway CONNECTION LIMIT (\d+)/, in: "infra/standalone/roles.sql")
        #expect(ofGateways + 2 * LedgerRules.connectionsOfAWorker + LedgerRules.connectionsOfOthers + reserved < Self.connectionsMax)
        // Ten of the gateways that the sets start are within it.
        let threads = [
            try number(/SLUICE_THREADS: (\d+)/, in: "infra/compose/compose.yaml"),
            try number(/SLUICE_THREADS, value: "(\d+)"/, in: "infra/kubernetes/sluice.yaml"),
        ]
        for threads in threads { #expect(try Self.gateways * #require(connections(threads: threads)) <= ofGateways) }
    }
}
