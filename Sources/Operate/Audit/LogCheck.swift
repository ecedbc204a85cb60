internal import Kafka
internal import Ledger
internal import Postgres
internal import Store
internal import Wire

/// Every command has one outcome, and every outcome a command: the log and the ledger are read side by side, by offset.
struct LogCheck {
    static let check = AuditReport.Check(
        "log", "each command that is applied has exactly one outcome, and each outcome its command")
    /// Records without an outcome of their own that are looked up together.
    private static let repeatsMax = 512

    let kafka: KafkaConfiguration
    let connection: PostgresConnection
    let scope: AuditScope
    private(set) var incarnation: String?
    private(set) var partitions: [AuditReport.Partition] = []
    private(set) var undecided: Int64 = 0
    private var repeats: [(offset: Int64, id: OperationID, fingerprint: Fingerprint)] = []
    private let reader = RequestReader()

    init(kafka: KafkaConfiguration, connection: PostgresConnection, scope: AuditScope) {
        self.kafka = kafka
        self.connection = connection
        self.scope = scope
    }

    mutating func run(_ check: inout AuditReport.Check) throws(OperateError) {
        let kafka = kafka
        let connection = connection
        guard let identity = try withKafka({ () throws(KafkaError) in try KafkaAdmin.clusterID(kafka) }) else {
            throw .refused("the brokers have no cluster id, by which a log is known")
        }
        incarnation = identity
        let rows = try withPostgres { () throws(PostgresError) in try OffsetRows.read(connection) }
        let scope = scope
        let outcomes = try withPostgres { () throws(PostgresError) in
            try OutcomeCursor(connection, scope, incarnation: identity)
        }
        for row in rows { try compare(row, identity, outcomes, &check) }
        while let outcome = outcomes.peek {
            check.find("offset \(outcome.partition)/\(outcome.offset)", "has an outcome, and there is no such partition")
            try skip(outcomes)
        }
        check.notes += try DeadLetters.lines(scope, connection)
    }

    private mutating func compare(
        _ row: OffsetRow, _ identity: String, _ outcomes: OutcomeCursor, _ check: inout AuditReport.Check
    ) throws(OperateError) {
        let kafka = kafka
        let place = "partition \(row.partition)"
        let bounds = try withKafka { () throws(KafkaError) in
            try KafkaAdmin.watermarks(kafka, topic: Topic.commands, partition: row.partition)
        }
        partitions.append(
            AuditReport.Partition(
                partition: row.partition, low: bounds.low, high: bounds.high, nextOffset: row.nextOffset,
                publishedOffset: row.publishedOffset, incarnation: row.logIncarnation))
        if let other = row.logIncarnation, other != identity {
            check.find(place, "its offsets count in log \(other), and this is log \(identity)")
            return try skipAll(outcomes, of: row.partition)
        }
        if row.nextOffset > bounds.high {
            check.find(place, "is applied up to offset \(row.nextOffset), and the log ends at \(bounds.high): commands are lost")
        }
        if row.nextOffset < bounds.low {
            check.find(
                place, "is applied up to offset \(row.nextOffset), and the log begins at \(bounds.low): commands were deleted unapplied")
        }
        undecided += max(0, bounds.high - max(row.nextOffset, bounds.low))
        try skipDeleted(outcomes, row.partition, below: bounds.low, &check)
        let end = min(row.nextOffset, bounds.high)
        if bounds.low < end { try read(row.partition, bounds.low, end, outcomes, &check) }
        try lookUpRepeats(row.partition, &check)
        // What is left of the partition stands behind everything that is applied.
        while let outcome = outcomes.peek, outcome.partition == row.partition {
            check.find("offset \(outcome.partition)/\(outcome.offset)", "has an outcome, and no command that is applied")
            try skip(outcomes)
        }
    }

    /// Outcomes whose commands the log no longer has.
    private func skipDeleted(
        _ outcomes: OutcomeCursor, _ partition: Int32, below low: Int64, _ check: inout AuditReport.Check
    ) throws(OperateError) {
        var count = 0
        while let outcome = outcomes.peek, outcome.partition == partition, outcome.offset < low {
            count += 1
            try skip(outcomes)
        }
        if low > 0 {
            check.notes.append(
                "partition \(partition): the log reaches back to offset \(low); \(count) outcomes before it are not compared")
        }
    }

    private mutating func read(
        _ partition: Int32, _ from: Int64, _ to: Int64, _ outcomes: OutcomeCursor, _ check: inout AuditReport.Check
    ) throws(OperateError) {
        var failure: OperateError?
        let kafka = kafka
        var this = self
        _ = try withKafka { () throws(KafkaError) in
            try KafkaAdmin.readAll(kafka, topic: Topic.commands, partition: partition, from: from, to: to) { record in
                do throws(OperateError) {
                    try this.meet(record, outcomes, &check)
                    return true
                } catch {
                    failure = error
                    return false
                }
            }
        }
        self = this
        if let failure { throw failure }
    }

    /// One record of the log and what the ledger says about its offset.
    private mutating func meet(_ record: borrowing Record, _ outcomes: OutcomeCursor, _ check: inout AuditReport.Check) throws(OperateError)
    {
        let (partition, offset) = (record.partition, record.offset)
        while let outcome = outcomes.peek, outcome.partition == partition, outcome.offset < offset {
            check.find("offset \(partition)/\(outcome.offset)", "has an outcome, and the log has no record there")
            try skip(outcomes)
        }
        var headers = RecordHeaders()
        for header in record.headers {
            let name: [UInt8] = Array(header.name.utf8)
            headers.add(name: name.span, value: header.value.span)
        }
        if let wanted = scope.tenant, headers.operation?.tenant.rawValue != wanted { return }
        check.looked += 1
        var found: [LoggedOutcome] = []
        while let outcome = outcomes.peek, outcome.partition == partition, outcome.offset == offset {
            found.append(outcome)
            try skip(outcomes)
        }
        judge(reader.record(value: record.value, headers: headers), headers.operation?.id, partition, offset, found, &check)
        if repeats.count >= Self.repeatsMax { try lookUpRepeats(partition, &check) }
    }

    private mutating func judge(
        _ record: Result<CommandRecord, RecordProblem>, _ id: OperationID?, _ partition: Int32, _ offset: Int64, _ found: [LoggedOutcome],
        _ check: inout AuditReport.Check
    ) {
        let place = "offset \(partition)/\(offset)" + (id.map { ", operation \($0)" } ?? "")
        guard found.count <= 1 else { return check.find(place, "has \(found.count) outcomes") }
        switch (record, found.first) {
        case (_, let outcome?) where outcome.kind == .deadLetter: return
        case (.failure, nil): check.find(place, "has no outcome: it cannot be read, and is no dead letter")
        case (.failure, .some): check.find(place, "has an outcome, and cannot be read")
        case (.success(let command), nil):
            repeats.append((offset, command.envelope.id, command.envelope.fingerprint))
        case (.success(let command), let outcome?):
            if outcome.id != command.envelope.id || outcome.fingerprint != command.envelope.fingerprint {
                check.find(place, "its outcome is that of another request: \(outcome.id.map { "\($0)" } ?? "none")")
            } else if case .pay(let pay) = command.envelope.command, let accounts = outcome.accounts, let amount = outcome.amount,
                pay.amount != amount || pay.debit.text != accounts.debit || pay.credit.text != accounts.credit
            {
                check.find(
                    place,
                    "asks for \(pay.amount) from \(pay.debit) to \(pay.credit), and its outcome says \(amount) from \(accounts.debit) to "
                        + accounts.credit)
            }
        }
    }

    /// A command without an outcome of its own must repeat one that has: the same id and the same request.
    private mutating func lookUpRepeats(_ partition: Int32, _ check: inout AuditReport.Check) throws(OperateError) {
        guard !repeats.isEmpty else { return }
        let connection = connection
        let query = LearnQueries.priorDecisions(of: repeats.map(\.id))
        let rows = try withPostgres { () throws(PostgresError) in try connection.query(query.statement.sql, query.parameters) }
        var known: [OperationID: Fingerprint] = [:]
        for (id, decision) in LearnQueries.priorDecisions(rows) { known[id] = decision.fingerprint }
        for (offset, id, fingerprint) in repeats {
            let place = "offset \(partition)/\(offset), operation \(id)"
            switch known[id] {
            case nil: check.find(place, "has no outcome")
            case fingerprint?: break
            case .some: check.find(place, "is another request under a key that was used, and there is no outcome that says so")
            }
        }
        repeats.removeAll(keepingCapacity: true)
    }

    private func skip(_ outcomes: OutcomeCursor) throws(OperateError) {
        _ = try withPostgres { () throws(PostgresError) in try outcomes.take() }
    }

    private func skipAll(_ outcomes: OutcomeCursor, of partition: Int32) throws(OperateError) {
        while let outcome = outcomes.peek, outcome.partition == partition { try skip(outcomes) }
    }
}
