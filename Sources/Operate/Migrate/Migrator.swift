public import Kafka
public import Postgres
internal import Store

/// `sluice migrate`: the schema, the topics, and a row for each partition.
public struct Migrator {
    public var database: PostgresConfiguration
    public var kafka: KafkaConfiguration
    /// Of `payments.commands` and `payments.events`; nil takes what is there, or 12.
    public var partitions: Int32?
    /// Copies of each partition of a topic that is made; nil for 3, or fewer where there are fewer brokers.
    public var replication: Int16?
    /// The role that workers connect as, which is given its rights; nothing is done when there is none.
    public var workerRole = "sluice_worker"
    /// Whether the ledger goes on in a new line of its history, because it was put back by a copy of its files.
    public var beginsNewLine = false
    /// The report of an audit of the old log, to move on from it to the one that the brokers have now.
    public var adoption: AuditReport?
    /// How long servers that are not there yet are waited for.
    public var waitSeconds = 30

    public init(database: PostgresConfiguration, kafka: KafkaConfiguration) {
        self.database = database
        self.kafka = kafka
    }

    /// Does what is left to do; nothing when it was done before. Safe to run in several processes at once. Blocks.
    ///
    /// - Parameter say: gets a line for each thing that was done.
    public func run(say: @escaping (String) -> Void) throws(OperateError) {
        let patience = Patience(seconds: waitSeconds, say: say)
        let connection = try patience.attempt { () throws(OperateError) in try Self.connectToPrimary(database) }
        let applied = try SchemaMigrator(connection: connection).run()
        for migration in applied { say("migration \(migration.number) (\(migration.name)): applied") }
        if applied.isEmpty { say("schema: up to date") }

        let rights = WorkerRights(role: workerRole)
        if try withPostgres({ () throws(PostgresError) in try rights.grant(on: connection) }), !applied.isEmpty {
            say("role \(workerRole): has a worker's rights")
        }

        if beginsNewLine {
            let line = try withPostgres { () throws(PostgresError) in try connection.query("SELECT sluice.line_now(true)").int64(0, 0) }
            say("line \(line) of the ledger's history: begun")
        }

        let setup = TopicSetup(kafka: kafka, partitions: partitions, replication: replication, say: say)
        let count = try patience.attempt { () throws(OperateError) in try setup.run() }
        if let adoption {
            let move = LogAdoption(report: adoption, connection: connection, kafka: kafka, partitions: count)
            say(try move.run().map { "log \($0): adopted" } ?? "log: the ledger is on it already")
        } else {
            try checkLog(connection)
        }
        let made = try withPostgres { () throws(PostgresError) in try OffsetRows.insert(partitions: count, on: connection) }
        say("partitions: \(count)" + (made > 0 ? ", \(made) of them new" : ""))
    }

    /// Offsets of another log mean nothing in this one.
    private func checkLog(_ connection: PostgresConnection) throws(OperateError) {
        let known = Set(try withPostgres { () throws(PostgresError) in try OffsetRows.read(connection) }.compactMap(\.logIncarnation))
        guard !known.isEmpty else { return }
        let current = try withKafka { () throws(KafkaError) in try KafkaAdmin.clusterID(kafka) } ?? "without an identity"
        guard let other = known.first(where: { $0 != current }) else { return }
        throw .refused(
            "the ledger's offsets count in log \(other), and these brokers have log \(current): connect to the right cluster, or move on to "
                + "this log with --adopt-log and the report of an audit of the old one")
    }

    /// A standby would only refuse later, and with words of its own.
    static func connectToPrimary(_ database: PostgresConfiguration) throws(OperateError) -> PostgresConnection {
        let connection = try withPostgres { () throws(PostgresError) in
            try PostgresConnection(database.connectionString, applicationName: database.applicationName)
        }
        let rows = try withPostgres { () throws(PostgresError) in try connection.query("SELECT pg_is_in_recovery()") }
        guard !rows.bool(0, 0) else { throw .refused("the database is a standby, which takes no changes: connect to the primary") }
        return connection
    }
}
