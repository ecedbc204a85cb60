public import Kafka
public import Postgres
public import Redis
internal import Store

/// `sluice doctor`: whether what is configured can keep the promises. Reads only, but for `probeRecords`.
public struct Doctor {
    /// What is looked at; nil for what is left out.
    public var kafka: KafkaConfiguration?
    /// The primary, as the worker connects to it.
    public var database: PostgresConfiguration?
    /// As the gateways connect to them.
    public var replicas: [PostgresConfiguration] = []
    public var redis: RedisConfiguration?
    /// Where clients connect.
    public var edge: SubmitTarget?
    public var looksAtSystem = true
    /// How many there are or will be, for the sum of connections.
    public var gateways = 2
    public var workers = 2
    /// Whose rights are looked at on the primary, where there is such a role.
    public var workerRole = "sluice_worker"
    /// Connections of one gateway to one server.
    public var serverConnections = 24
    /// Records to produce on a topic of its own; 0 for none.
    public var probeRecords = 0

    /// Beyond it a gateway leaves a replica out.
    private static let lagMillisecondsMax: Int64 = 5_000

    public init() {}

    /// Blocks for seconds. What cannot be reached is a finding.
    public func run() -> DoctorReport {
        var report = DoctorReport()
        let cluster = kafka.flatMap { lookAtLog($0, &report) }
        if let database { lookAtLedger(database, cluster, &report) }
        for (index, replica) in replicas.enumerated() { lookAtReplica(replica, "replica \(index + 1)", &report) }
        if let redis { lookAtRedis(redis, &report) }
        if let edge { lookAtEdge(edge, &report) }
        if looksAtSystem { SystemRules(facts: SystemFacts.read()).judge(into: &report) }
        if let kafka, let cluster, probeRecords > 0 {
            LogProbe(kafka: kafka, brokers: cluster.brokers.count, records: probeRecords).run(into: &report)
        }
        return report
    }

    private func lookAtLog(_ kafka: KafkaConfiguration, _ report: inout DoctorReport) -> ClusterView? {
        do throws(KafkaError) {
            let inForce = try KafkaAdmin.settingsInForce(of: ProducerConfiguration(base: kafka), names: ProducerRules.names)
            ProducerRules(inForce: inForce, isLocal: Self.isLocal(kafka.bootstrapServers)).judge(into: &report)
        } catch {
            report.fail("client.settings", seen: "\(error)", risk: "no gateway and no worker starts", mend: "SLUICE_KAFKA_SETTINGS")
            return nil
        }
        do throws(KafkaError) {
            let cluster = try KafkaAdmin.view(kafka, topics: Topic.all)
            report.judge("log.reached", true, seen: "log \(cluster.identity ?? "without an identity")", risk: "", mend: "")
            report.judge(
                "log.identity", cluster.identity != nil,
                seen: cluster.identity == nil ? "the cluster has no identity" : "the cluster has an identity",
                risk: "offsets of another log would be taken for this one's",
                mend: "brokers that tell a cluster id (Apache Kafka 0.10.1 or later)")
            LogRules(cluster: cluster).judge(into: &report)
            return cluster
        } catch {
            report.fail(
                "log.reached", seen: "\(kafka.bootstrapServers): \(error)", risk: "no payment can be accepted",
                mend: "SLUICE_KAFKA, SLUICE_KAFKA_SETTINGS (security), and whether the brokers are up")
            return nil
        }
    }

    private static func isLocal(_ brokers: String) -> Bool {
        brokers.split(separator: ",").allSatisfy { $0.hasPrefix("127.") || $0.hasPrefix("localhost:") || $0.hasPrefix("[::1]") }
    }

    private func lookAtLedger(_ database: PostgresConfiguration, _ cluster: ClusterView?, _ report: inout DoctorReport) {
        do throws(OperateError) {
            let connection = try connect(database)
            let facts = try ServerFacts.read(connection, role: workerRole)
            report.judge("ledger.reached", true, seen: "the primary answers", risk: "", mend: "")
            LedgerRules(facts: facts, gateways: gateways, workers: workers, serverConnections: serverConnections).judge(into: &report)
            ClockRules.judge(
                "ledger.clock", of: "the primary", difference: facts.clockDifference, uncertainty: facts.clockUncertainty, into: &report)
            guard try hasSchema(connection, &report), let kafka, let cluster else { return }
            try compare(connection, kafka, cluster, &report)
        } catch {
            report.fail(
                "ledger.reached", seen: "\(error)", risk: "payments are accepted and not settled",
                mend: "SLUICE_DATABASE, and whether the primary is up")
        }
    }

    private func hasSchema(_ connection: PostgresConnection, _ report: inout DoctorReport) throws(OperateError) -> Bool {
        do throws(OperateError) {
            let applied = try SchemaMigrator(connection: connection).applied()
            let remaining = try MigrationPlan.remaining(applied: Array(applied.prefix(Migration.all.count)), known: Migration.all)
            if let newest = applied.dropFirst(Migration.all.count).last {
                report.warn(
                    "ledger.schema", seen: "the schema is newer than this build: it has migration \(newest.number) (\(newest.name))",
                    risk: "workers and gateways of this build work on it, and know nothing of what is new", mend: "the newer build")
                return true
            }
            report.judge(
                "ledger.schema", remaining.isEmpty,
                seen: remaining.isEmpty ? "the schema is this build's" : "\(remaining.count) migrations are not applied",
                risk: "workers and gateways of this build do not get ready", mend: "sluice migrate")
            return remaining.isEmpty
        } catch {
            guard case .refused(let sentence) = error else { throw error }
            report.fail(
                "ledger.schema", seen: sentence, risk: "workers and gateways of this build do not get ready", mend: "sluice migrate")
            return false
        }
    }

    /// The ledger's offsets against the log that is there.
    private func compare(
        _ connection: PostgresConnection, _ kafka: KafkaConfiguration, _ cluster: ClusterView, _ report: inout DoctorReport
    ) throws(OperateError) {
        let rows = try withPostgres { () throws(PostgresError) in try OffsetRows.read(connection) }
        guard let topic = cluster.topics[Topic.commands] else { return }
        let marks = try withKafka { () throws(KafkaError) in
            try KafkaAdmin.watermarks(kafka, topic: Topic.commands, partitions: topic.partitions.map(\.number))
        }
        OffsetRules(rows: rows, identity: cluster.identity, marks: marks).judge(into: &report)
    }

    private func lookAtReplica(_ replica: PostgresConfiguration, _ name: String, _ report: inout DoctorReport) {
        do throws(OperateError) {
            let facts = try ServerFacts.read(try connect(replica))
            ReplicaRules(
                facts: facts, name: name, gateways: gateways, serverConnections: serverConnections,
                lagMillisecondsMax: Self.lagMillisecondsMax
            ).judge(into: &report)
        } catch {
            report.fail(
                "replica.reached", seen: "\(name): \(error)", risk: "it serves no reads; the others and the primary carry them",
                mend: "SLUICE_REPLICAS, and whether it is up")
        }
    }

    private func lookAtRedis(_ redis: RedisConfiguration, _ report: inout DoctorReport) {
        do throws(OperateError) {
            let facts = try RedisFacts.read(redis)
            RedisRules(facts: facts).judge(into: &report)
            ClockRules.judge(
                "redis.clock", of: "Redis", difference: facts.clockDifference, uncertainty: facts.clockUncertainty, into: &report)
        } catch {
            report.fail(
                "redis.reached", seen: "\(error)", risk: "every read asks a database, and repeats are noticed late",
                mend: "SLUICE_REDIS, SLUICE_REDIS_PASSWORD, and whether it is up")
        }
    }

    private func lookAtEdge(_ edge: SubmitTarget, _ report: inout DoctorReport) {
        do throws(OperateError) { EdgeRules(facts: try EdgeFacts.read(edge)).judge(into: &report) } catch {
            report.fail("edge.reached", seen: "\(error)", risk: "no client is served", mend: "whether nginx is up, and its address")
        }
    }

    private func connect(_ database: PostgresConfiguration) throws(OperateError) -> PostgresConnection {
        try withPostgres { () throws(PostgresError) in
            try PostgresConnection(database.connectionString, applicationName: database.applicationName)
        }
    }
}

/// Where the ledger stands in the log. Pure.
struct OffsetRules {
    let rows: [OffsetRow]
    let identity: String?
    let marks: [Int32: KafkaAdmin.Watermarks]

    func judge(into report: inout DoctorReport) {
        let unknown = marks.keys.filter { partition in !rows.contains { $0.partition == partition } }.sorted()
        report.judge(
            "ledger.partitions", unknown.isEmpty, seen: "\(rows.count) partitions in the ledger, \(marks.count) in the log",
            risk: "a tenant on a partition that the ledger does not know waits for ever", mend: "sluice migrate")
        let others = Set(rows.compactMap(\.logIncarnation)).filter { $0 != identity }
        report.judge(
            "ledger.log", others.isEmpty,
            seen: others.isEmpty ? "the ledger counts in this log" : "the ledger counts in log \(others.sorted().joined(separator: ", "))",
            risk: "no worker applies anything: offsets of one log mean nothing in another",
            mend: "the right cluster in SLUICE_KAFKA, or sluice migrate --adopt-log")
        guard others.isEmpty else { return }
        var deleted: [Int32] = []
        var missing: [Int32] = []
        for row in rows {
            guard let mark = marks[row.partition] else { continue }
            if mark.low > row.nextOffset { deleted.append(row.partition) }
            if mark.high < row.nextOffset { missing.append(row.partition) }
        }
        func list(_ some: [Int32]) -> String { some.map(String.init).joined(separator: ", ") }
        report.judge(
            "ledger.unread", deleted.isEmpty,
            seen: deleted.isEmpty
                ? "all that is not applied is in the log" : "partitions \(list(deleted)): the log begins after what is applied",
            risk: "accepted payments were deleted before they were settled",
            mend: "stop the workers, find the records in a backup; retention.ms=-1")
        report.judge(
            "ledger.ahead", missing.isEmpty,
            seen: missing.isEmpty ? "the log has all that is applied" : "partitions \(list(missing)): the log ends before what is applied",
            risk: "the log has lost its end: new payments would be taken for applied ones",
            mend: "stop the workers; find out what the brokers have lost")
    }
}
