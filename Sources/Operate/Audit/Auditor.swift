public import Kafka
public import Postgres
public import Redis
internal import Store
internal import Telemetry

/// `sluice audit`: tests what Sluice promises on a system that may be in use. Blocks its thread; changes nothing.
///
/// The ledger is looked at in one snapshot, so that a payment decided meanwhile is seen whole or not at all. Memory is
/// bounded whatever the ledger's size: rows are streamed, and large sorts are PostgreSQL's, on its disk.
public struct Auditor {
    public var database: PostgresConfiguration
    /// Nil leaves the log out.
    public var kafka: KafkaConfiguration?
    /// Nil leaves Redis out.
    public var redis: RedisConfiguration?
    /// Nil looks at all tenants.
    public var tenant: String?
    /// Payments that must have an outcome by now; nil when nobody kept them.
    public var acknowledged: AcknowledgedPayments?

    public init(database: PostgresConfiguration) { self.database = database }

    /// - Parameter onCheck: called after each check.
    public func run(onCheck: (AuditReport.Check) -> Void = { _ in }) throws(OperateError) -> AuditReport {
        let start = Clock.monotonicMilliseconds
        let connection = try connect()
        try requireSchema(connection)
        let scope = try scope(connection)
        var report = AuditReport(tenant: tenant)

        func check(_ check: AuditReport.Check, _ body: (inout AuditReport.Check) throws(OperateError) -> Void) throws(OperateError) {
            var check = check
            let start = Clock.monotonicMilliseconds
            try body(&check)
            check.milliseconds = Int(Clock.monotonicMilliseconds - start)
            report.checks.append(check)
            onCheck(check)
        }

        try withPostgres { () throws(PostgresError) in try connection.run(Self.begin) }
        try check(ConservationCheck.check) { check throws(OperateError) in try ConservationCheck.run(scope, connection, &check) }
        try check(EntryCheck.check) { check throws(OperateError) in try EntryCheck.run(scope, connection, &check) }
        try check(PaymentCheck.check) { check throws(OperateError) in try PaymentCheck.run(scope, connection, &check) }
        try check(ChangeCheck.check) { check throws(OperateError) in try ChangeCheck.run(scope, connection, &check) }
        try check(OpeningCheck.check) { check throws(OperateError) in try OpeningCheck.run(scope, connection, &check) }
        try check(KeyCheck.check) { check throws(OperateError) in try KeyCheck.run(scope, connection, &check) }
        if let acknowledged {
            try check(AcknowledgedCheck.check) { check throws(OperateError) in
                try AcknowledgedCheck(payments: acknowledged, connection: connection).run(&check)
            }
        }
        report.deadLetters = try DeadLetters.count(scope, connection)
        if let kafka {
            try check(LogCheck.check) { check throws(OperateError) in
                var log = LogCheck(kafka: kafka, connection: connection, scope: scope)
                try log.run(&check)
                (report.incarnation, report.partitions, report.undecided) = (log.incarnation, log.partitions, log.undecided)
            }
        }
        try withPostgres { () throws(PostgresError) in try connection.run("COMMIT") }
        // Not in the snapshot: Redis is compared with what is committed now.
        if let redis {
            try check(CacheCheck.check) { check throws(OperateError) in
                try CacheCheck(redis: redis, connection: connection, scope: scope).run(&check)
            }
        }
        report.seconds = Double(Clock.monotonicMilliseconds - start) / 1_000
        return report
    }

    private static let begin = """
        BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;
        SET LOCAL statement_timeout = 0;
        SET LOCAL idle_in_transaction_session_timeout = 0;
        SET LOCAL work_mem = '64MB'
        """

    private func connect() throws(OperateError) -> PostgresConnection {
        try withPostgres { () throws(PostgresError) in
            try PostgresConnection(database.connectionString, applicationName: database.applicationName)
        }
    }

    /// What a newer build has changed is not understood here.
    private func requireSchema(_ connection: PostgresConnection) throws(OperateError) {
        let remaining = try MigrationPlan.remaining(applied: try SchemaMigrator(connection: connection).applied(), known: Migration.all)
        guard let first = remaining.first else { return }
        throw .refused("migration \(first.number) (\(first.name)) is not applied: run `sluice migrate` first")
    }

    private func scope(_ connection: PostgresConnection) throws(OperateError) -> AuditScope {
        let tenants = try Tenants(connection).all()
        let names = Dictionary(uniqueKeysWithValues: tenants.map { ($0.number, $0.name) })
        guard let tenant else { return AuditScope(tenant: nil, names: names) }
        guard let number = tenants.first(where: { $0.name == tenant })?.number else {
            throw .refused("there is no tenant `\(tenant)`")
        }
        return AuditScope(tenant: number, names: names)
    }
}

/// Whose ledger is looked at, and what tenants are called.
struct AuditScope {
    /// Nil for all.
    let tenant: Int64?
    let names: [Int64: String]

    /// One parameter: the tenant, or NULL for all.
    var parameters: Parameters {
        var parameters = Parameters()
        if let tenant { parameters.append(int64: tenant) } else { parameters.appendNull(.int64) }
        return parameters
    }

    /// What an account is called in a finding: `shop/alice`.
    func name(tenant: Int64, account: String) -> String { "account \(names[tenant] ?? "\(tenant)")/\(account)" }
}
