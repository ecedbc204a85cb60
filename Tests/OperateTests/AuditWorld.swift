import Bytes
import Foundation
import Kafka
import Ledger
import Loop
import Postgres
import Redis
import Store
import Testing
import Wire

@testable import Operate
@testable import TestSupport

/// A ledger that was written as a worker writes it, by the same rules and statements, with its commands in a real log where a
/// test wants one.
final class AuditWorld {
    static let partition: Int32 = 0
    let database: TestDatabase
    let broker: Broker?
    let tenant: TenantID
    private(set) var envelopes: [Envelope] = []
    private var book = Book()
    private let identity = Identity()
    private var nextOffset: Int64 = 0
    private var accountNumber: Int64 = 0
    private let incarnation: String
    private let grant: PartitionGrant

    var connection: PostgresConnection { database.connection }
    var kafka: KafkaConfiguration { KafkaConfiguration(bootstrapServers: broker?.bootstrapServers ?? "") }

    init(broker: Broker? = nil) throws {
        self.broker = broker
        database = try TestDatabase()
        _ = try SchemaMigrator(connection: database.connection).run()
        _ = try OffsetRows.insert(partitions: 2, on: database.connection)
        tenant = TenantID(try Tenants(database.connection).create("demo", partition: Self.partition).number)
        if let broker {
            let kafka = KafkaConfiguration(bootstrapServers: broker.bootstrapServers)
            try KafkaAdmin.createTopic(kafka, name: Topic.commands, partitions: 2, replication: 1)
            incarnation = try #require(try KafkaAdmin.clusterID(kafka))
        } else {
            incarnation = "test-log"
        }
        let acquire = PartitionQueries.acquire([0, 1], owner: "test", logIncarnation: incarnation)
        grant = try #require(
            PartitionQueries.grants(try database.connection.query(acquire.statement.sql, acquire.parameters)).first { $0.partition == 0 })
    }

    /// Five accounts and a dozen payments, three of them declined, one command twice and one key reused.
    func fill() throws {
        try apply([
            open("world", kind: .external), open("alice"), open("bob"), open("carol"), open("dave"), pay("world", "alice", 1_000),
            pay("world", "bob", 500),
        ])
        try apply([pay("alice", "bob", 300), pay("bob", "carol", 700), pay("carol", "dave", 100), pay("dave", "alice", 5_000)])
        let repeated = pay("alice", "carol", 50)
        try apply([repeated, repeated, pay("alice", "dave", 10_000), pay("nobody", "alice", 1), reuse(of: repeated)])
        try apply([pay("carol", "alice", 20), pay("alice", "dave", 30)])
    }

    func open(_ id: String, kind: AccountKind = .normal) -> Envelope {
        envelope(.openAccount(OpenAccount(account: AccountID(id)!, currency: Currency("CZK")!, kind: kind, overdraftLimit: 0)))
    }

    func pay(_ debit: String, _ credit: String, _ amount: Int64) -> Envelope {
        envelope(.pay(Pay(debit: AccountID(debit)!, credit: AccountID(credit)!, amount: amount, currency: Currency("CZK")!)))
    }

    func hold(_ debit: String, _ credit: String, _ amount: Int64) -> Envelope {
        envelope(
            .pay(
                Pay(
                    debit: AccountID(debit)!, credit: AccountID(credit)!, amount: amount, currency: Currency("CZK")!, capture: .manual)))
    }

    func change(_ payment: Envelope, _ change: ChangePayment.Change) -> Envelope {
        envelope(.changePayment(ChangePayment(payment: payment.id, change: change)))
    }

    func change(_ account: String, _ change: ChangeAccount.Change) -> Envelope {
        envelope(.changeAccount(ChangeAccount(account: AccountID(account)!, change: change)))
    }

    /// Holds that are open, captured in part, voided and run out, refunds of a capture and of a plain payment, declined changes, an
    /// account that was frozen, one with another limit and one that was closed. On top of `fill`.
    func live() throws {
        let (open, partly, gone, late) = (
            hold("alice", "bob", 101), hold("alice", "carol", 102), hold("alice", "dave", 103), hold("alice", "bob", 104)
        )
        let plain = pay("alice", "carol", 7)
        try apply([open, partly, change(partly, .capture(amount: 40, isFinal: false)), gone, plain])
        try apply([
            change(partly, .capture(amount: 2, isFinal: true)), change(gone, .void), late, change(partly, .refund(amount: 12)),
            change(plain, .refund(amount: nil)), change(gone, .capture(amount: nil, isFinal: false)),
        ])
        try apply([change(late, .expire), change(open, .capture(amount: 1, isFinal: false)), change(plain, .refund(amount: 1))])
        try apply([
            self.open("empty"), change("empty", .close), change("bob", .freeze(.sides)), change("bob", .unfreeze(.debitFrozen)),
            change("dave", .setOverdraftLimit(9)), change("nobody", .close),
        ])
    }

    /// Another request under the key of `first`.
    func reuse(of first: Envelope) -> Envelope {
        let other = pay("alice", "bob", 1)
        return Envelope(
            id: first.id, tenant: tenant, fingerprint: other.fingerprint, acceptedAt: other.acceptedAt, command: other.command)
    }

    private var made = 0

    private func envelope(_ command: Ledger.Command) -> Envelope {
        made += 1
        let key: [UInt8] = Array("test-key-\(made)".utf8)
        var canonical: [UInt8] = []
        canonical.append(canonical: command)
        return Envelope(
            id: identity.operation(tenant: tenant, key: key.span), tenant: tenant,
            fingerprint: identity.fingerprint(method: "POST", path: "/v1/x", canonical: canonical.span),
            acceptedAt: Timestamp(microseconds: 1_800_000_000_000_000 + Int64(made)), command: command)
    }

    /// Decides and stores commands as one batch.
    ///
    /// - Parameter isLogged: whether they are produced as well.
    func apply(_ batch: [Envelope], isLogged: Bool = true) throws {
        if isLogged { try produce(batch) }
        for key in Set(batch.flatMap(\.accounts)) where !book.knows(key) { book.learnAbsent(key) }
        let prior = LearnQueries.priorDecisions(of: batch.map(\.id))
        for (id, decision) in LearnQueries.priorDecisions(try connection.query(prior.statement.sql, prior.parameters)) {
            book.learn(decision, of: id)
        }
        let changed: [OperationID] = batch.compactMap { envelope in
            if case .changePayment(let change) = envelope.command { change.payment } else { nil }
        }
        if !changed.isEmpty {
            let known = LearnQueries.payments(changed)
            let rows = try connection.query(known.statement.sql, known.parameters)
            for row in 0..<rows.count { book.learn(PaymentColumns.payment(rows, row)) }
        }
        var stored = StoredBatch(logIncarnation: incarnation)
        let now = Timestamp(microseconds: 1_800_000_001_000_000 + nextOffset)
        for envelope in batch {
            let position = LogPosition(partition: Self.partition, offset: nextOffset)
            nextOffset += 1
            accountNumber += 1
            switch book.decide(envelope, at: now, newAccountNumber: accountNumber) {
            case .payment: stored.paymentPositions.append(position)
            case .opened(let account), .accountChanged(let account):
                stored.operations.append(
                    .init(
                        envelope: envelope, account: account.key.account, accountRevision: account.revision, declineReason: nil,
                        decidedAt: now, position: position))
            case .paymentChanged(let change): stored.operations.append(.init(envelope: envelope, change: change, position: position))
            case .accountDeclined(let key, let reason):
                stored.operations.append(
                    .init(envelope: envelope, account: key.account, declineReason: reason, decidedAt: now, position: position))
            case .repeated: break
            case .keyReused: stored.conflicts.append(.init(envelope: envelope, decidedAt: now, position: position))
            }
        }
        stored.effects = book.effects
        stored.advances = [
            OffsetAdvance(
                partition: Self.partition, epoch: grant.epoch, expectedOffset: nextOffset - Int64(batch.count), nextOffset: nextOffset,
                publishedOffset: nextOffset, relayedOffset: nextOffset, lastDecidedAt: now)
        ]
        try connection.transaction { () throws(PostgresError) in
            for query in stored.queries { _ = try connection.query(query.statement.sql, query.parameters) }
        }
        book.commit()
        envelopes += batch
    }

    /// Puts commands into the log, as a gateway does.
    func produce(_ batch: [Envelope]) throws {
        for envelope in batch {
            let record = CommandRecord(envelope: envelope)
            var value: [UInt8] = []
            record.appendValue(to: &value)
            var headers = HeaderList()
            var scratch: [UInt8] = []
            record.forEachHeader(scratch: &scratch) { headers.append($0, $1) }
            try produce(value: value, headers: headers)
        }
    }

    /// Puts one record into the log.
    func produce(value: [UInt8], headers: HeaderList) throws {
        guard let broker else { return }
        let loop = EventLoop()
        var isDelivered = false
        let configuration = ProducerConfiguration(base: KafkaConfiguration(bootstrapServers: broker.bootstrapServers))
        let producer = try Producer(loop: loop, configuration: configuration) { _, report in
            if case .delivered = report { isDelivered = true }
            loop.stop()
        }
        let result = producer.produce(
            topic: Topic.commands, partition: Self.partition, key: Array("1".utf8).span, value: value.span, headers: headers,
            timestampMilliseconds: 0, token: 1)
        try #require(result == .queued)
        loop.run()
        producer.close { loop.stop() }
        loop.run()
        try #require(isDelivered)
    }

    /// Changes what nothing may change.
    func corrupt(_ sql: String) throws {
        try connection.run(
            "ALTER TABLE sluice.movement DISABLE TRIGGER ALL; ALTER TABLE sluice.operation DISABLE TRIGGER ALL; "
                + "ALTER TABLE sluice.payment DROP CONSTRAINT IF EXISTS captured_and_refunded; " + sql)
    }

    /// - Parameter acknowledged: what clients were told is accepted; nil when nobody kept it.
    func audit(tenant: String? = nil, redis: RedisConfiguration? = nil, acknowledged: [OperationID]? = nil) throws -> AuditReport {
        var auditor = Auditor(database: PostgresConfiguration(connectionString: database.connectionString))
        auditor.kafka = broker == nil ? nil : kafka
        auditor.redis = redis
        auditor.tenant = tenant
        if let acknowledged {
            var payments = AcknowledgedPayments()
            for id in acknowledged { payments.append(high: id.high, low: id.low) }
            auditor.acknowledged = payments
        }
        return try auditor.run()
    }

    /// `check: subject: problem` of everything that an audit finds.
    func findings(redis: RedisConfiguration? = nil) throws -> [String] {
        try audit(redis: redis).checks.flatMap { check in check.first.map { "\(check.name): \($0.subject): \($0.problem)" } }
    }

    /// The id of the payment with this amount.
    func payment(_ amount: Int64) -> String {
        let found = envelopes.first { if case .pay(let pay) = $0.command { pay.amount == amount } else { false } }
        return found.map { "\($0.id)" } ?? "none"
    }
}
