import Foundation
import Kafka
import Loop
import Postgres
import Redis
import Store
import Testing

@testable import Operate
@testable import TestSupport

/// `sluice doctor` before real servers: a system that is well, and each setting broken there.
@Suite(.serialized) struct DoctorServerTests {
    /// A primary with a confirming standby, a log and Redis, set up as the promises want them.
    private final class Scene {
        let primary: TestServer
        let standby: TestServer
        let broker: Broker
        let redis: RedisServer
        var doctor = Doctor()

        init() throws {
            primary = try TestServer(settings: ["fsync=on", "max_connections=100"])
            standby = try TestServer(standbyOf: primary, settings: ["max_connections=100"])
            try primary.connect().run("ALTER SYSTEM SET synchronous_standby_names = '*'")
            try primary.connect().run("SELECT pg_reload_conf()")
            broker = try Broker()
            redis = try RedisServer(options: ["--maxmemory", "64mb", "--maxmemory-policy", "noeviction"])
            let kafka = KafkaConfiguration(bootstrapServers: broker.bootstrapServers)
            var migrator = Migrator(database: PostgresConfiguration(connectionString: primary.connectionString), kafka: kafka)
            migrator.partitions = 2
            try migrator.run { _ in }
            try primary.connect().run(
                """
                CREATE ROLE test_worker LOGIN IN ROLE pg_monitor;
                CREATE ROLE test_gateway LOGIN CONNECTION LIMIT 60 IN ROLE pg_read_all_data;
                """)
            #expect(try WorkerRights(role: "test_worker").grant(on: primary.connect()))
            var setUp = RedisConfiguration(endpoint: redis.endpoint)
            setUp.setUp = RedisFunctions.setUp
            _ = try RedisConnection(setUp)
            doctor.kafka = kafka
            doctor.database = PostgresConfiguration(connectionString: at(primary, "test_worker"))
            doctor.replicas = [PostgresConfiguration(connectionString: at(standby, "test_gateway"))]
            doctor.redis = RedisConfiguration(endpoint: redis.endpoint)
            doctor.looksAtSystem = false
            doctor.workerRole = "test_worker"
        }

        deinit { redis.stop() }

        private func at(_ server: TestServer, _ role: String) -> String {
            "host=\(server.folder) port=\(server.port) user=\(role) dbname=postgres"
        }

        /// What fails, by name.
        func failures() -> [String] {
            let report = doctor.run()
            return report.findings.filter { $0.level == .failure }.map(\.check)
        }

        func sql(_ script: String) throws {
            // ALTER SYSTEM stands in no transaction, and a commit must not wait for a standby that is not there any longer.
            let connection = try primary.connect()
            for command in ["SET synchronous_commit = local"] + script.components(separatedBy: ";") { try connection.run(command) }
        }
    }

    @Test func `a good system has no failure, and each broken setting is found and named`() throws {
        let scene = try Scene()
        #expect(scene.failures() == [])

        let reload = "SELECT pg_reload_conf()"
        let broken: [(breaks: String, mends: String, check: String)] = [
            (
                "ALTER SYSTEM SET full_page_writes = off; \(reload)", "ALTER SYSTEM RESET full_page_writes; \(reload)",
                "ledger.full_page_writes"
            ),
            (
                "ALTER ROLE test_worker SET synchronous_commit = off", "ALTER ROLE test_worker RESET synchronous_commit",
                "ledger.synchronous-commit"
            ),
            (
                "ALTER SYSTEM SET synchronous_standby_names = ''; \(reload)", "ALTER SYSTEM SET synchronous_standby_names = '*'; \(reload)",
                "ledger.standby"
            ),
            (
                "ALTER SYSTEM SET synchronous_standby_names = 'nobody'; \(reload)",
                "ALTER SYSTEM SET synchronous_standby_names = '*'; \(reload)", "ledger.standby"
            ),
            ("ALTER ROLE test_worker SUPERUSER", "ALTER ROLE test_worker NOSUPERUSER", "ledger.role"),
            (
                "UPDATE sluice.kafka_offset SET log_incarnation = 'another' WHERE partition = 1",
                "UPDATE sluice.kafka_offset SET log_incarnation = NULL", "ledger.log"
            ),
            (
                "UPDATE sluice.kafka_offset SET next_offset = 7 WHERE partition = 1", "UPDATE sluice.kafka_offset SET next_offset = 0",
                "ledger.ahead"
            ),
            (
                "DELETE FROM sluice.kafka_offset WHERE partition = 1",
                "INSERT INTO sluice.kafka_offset (topic, partition) VALUES ('payments.commands', 1)", "ledger.partitions"
            ),
            (
                "UPDATE sluice.schema_migration SET number = 99 WHERE number = 6",
                "UPDATE sluice.schema_migration SET number = 6 WHERE number = 99", "ledger.schema"
            ),
        ]
        for (breaks, mends, check) in broken {
            try scene.sql(breaks)
            // A reload takes the server a moment.
            try wait(upTo: 10) { scene.failures() == [check] }
            try scene.sql(mends)
            try wait(upTo: 10) { scene.failures() == [] }
        }

        let redis = try RedisConnection(RedisConfiguration(endpoint: scene.redis.endpoint))
        func functions() -> DoctorReport.Finding? { scene.doctor.run().findings.first { $0.check == "redis.functions" } }
        _ = try redis.command(["FUNCTION", "LOAD", "#!lua name=sluice_1\nredis.register_function('sluice_1_f', function() return 1 end)"])
        #expect(functions().map { [$0.level == .ok, $0.seen.hasSuffix("of other builds there is sluice_1")] } == [true, true])
        _ = try redis.command(["FUNCTION", "DELETE", "\(RedisFunctions.prefix)".dropLast().description])
        #expect(functions().map { [$0.level == .warning, $0.seen.contains("are not loaded")] } == [true, true])
        _ = try redis.command(RedisFunctions.setUp[0])
        _ = try redis.command(["CONFIG", "SET", "maxmemory-policy", "allkeys-lru"])
        #expect(scene.failures() == ["redis.eviction"])
        _ = try redis.command(["CONFIG", "SET", "maxmemory-policy", "noeviction"])
        _ = try redis.command(["REPLICAOF", "127.0.0.1", "1"])
        #expect(scene.failures() == ["redis.role"])
        _ = try redis.command(["REPLICAOF", "NO", "ONE"])
        _ = try redis.command(["ACL", "SETUSER", "narrow", "on", ">secret", "~*", "+@all", "-client|tracking", "-function|list"])
        scene.doctor.redis?.username = "narrow"
        scene.doctor.redis?.password = "secret"
        #expect(scene.failures() == ["redis.tracking"])
        scene.doctor.redis?.password = "wrong"
        #expect(scene.failures() == ["redis.reached"])
        scene.redis.kill()
        #expect(scene.failures() == ["redis.reached"])
        scene.doctor.redis = nil

        scene.standby.stop()
        #expect(scene.failures() == ["ledger.standby", "replica.reached"])
        scene.doctor.replicas = []
        scene.broker.kill()
        #expect(scene.failures() == ["log.reached", "ledger.standby"])
        scene.doctor.kafka?.extra = [("acks", "1")]
        #expect(scene.failures() == ["client.settings", "ledger.standby"])
        scene.primary.stop()
        #expect(scene.failures() == ["client.settings", "ledger.reached"])
    }

    @Test func `topics that were made otherwise than migrate makes them are named, as is a database without fsync`() throws {
        let broker = try Broker()
        let kafka = KafkaConfiguration(bootstrapServers: broker.bootstrapServers)
        try KafkaAdmin.createTopic(
            kafka, name: Topic.commands, partitions: 3, replication: 1,
            settings: [("retention.ms", "60000"), ("retention.bytes", "1000000")])
        try KafkaAdmin.createTopic(
            kafka, name: Topic.events, partitions: 2, replication: 1, settings: [("max.message.bytes", "1000"), ("retention.ms", "-1")])
        var doctor = Doctor()
        doctor.kafka = kafka
        doctor.database = PostgresConfiguration(connectionString: TestServer.shared.connectionString)
        doctor.looksAtSystem = false
        let failures = doctor.run().findings.filter { $0.level == .failure }.map(\.check)
        for check in [
            "log.retention-time", "log.retention-size", "log.record-size", "log.partitions", "log.topic", "ledger.fsync", "ledger.standby",
            "ledger.schema",
        ] {
            #expect(failures.contains(check), "\(check) is not among \(failures)")
        }
    }

    @Test func `a probe proves that what is acknowledged is kept in order, and leaves no topic behind`() throws {
        let broker = try Broker()
        let kafka = KafkaConfiguration(bootstrapServers: broker.bootstrapServers)
        var report = DoctorReport()
        LogProbe(kafka: kafka, brokers: 2, records: 101).run(into: &report)
        // Two copies are more than one broker has: the topic cannot be made, and that is said.
        #expect(report.findings.map(\.check) == ["probe.topic"] && report.worst == .failure)

        report = DoctorReport()
        LogProbe(kafka: kafka, brokers: 1, records: 101).run(into: &report)
        #expect(report.failures == 0, "\(report.text)")
        let probe = try #require(report.probe)
        #expect(probe.records == 101 && probe.lost == 0 && probe.doubled == 0 && probe.disordered == 0)
        let (reported, consumed) = (try #require(probe.produceToReport), try #require(probe.produceToConsume))
        #expect(reported.p50 > 0 && reported.p50 <= reported.p99 && consumed.p99 <= consumed.max)
        #expect(try KafkaAdmin.topic(kafka, name: probe.topic) == nil)
    }

    @Test(.timeLimit(.minutes(1))) func `a probe whose records are refused at once ends, and is no success`() throws {
        let broker = try Broker()
        // Longer than this client may send.
        let kafka = KafkaConfiguration(bootstrapServers: broker.bootstrapServers, extra: [("message.max.bytes", "1000")])
        var report = DoctorReport()
        LogProbe(kafka: kafka, brokers: 1, records: 20, valueBytes: 2_000, idleMilliseconds: 500).run(into: &report)
        #expect(report.findings.filter { $0.level == .failure }.map(\.check) == ["probe.acknowledged"], "\(report.text)")
        let probe = try #require(report.probe)
        #expect(probe.records == 0 && probe.lost == 0)
    }
}
