internal import Ledger
internal import Postgres

/// How a batch stores payments and the money they moved: from arrays, one statement each.
enum PaymentQueries {
    /// Nothing, or one statement for plain payments, one for those with a trace, and one for those that are or were held, or that were
    /// changed already.
    static func insert(_ effects: Book.Effects, at positions: [LogPosition]) -> [Query] {
        precondition(effects.payments.count == positions.count, "a payment without its place in the log")
        // In the order of the ids: neighbours in the index are inserted together.
        let order = effects.payments.indices.sorted { effects.payments[$0].payment.id < effects.payments[$1].payment.id }
        var plain = Columns(reserving: order.count)
        var traced = Columns(reserving: 0)
        var traces = PostgresArray(of: .text)
        var others = Columns(reserving: 0)
        var life = LifeColumns()
        for index in order {
            let decided = effects.payments[index]
            if decided.payment.request.capture == .automatic, decided.payment.history.isEmpty {
                if let trace = decided.payment.traceparent {
                    traced.append(decided, positions[index])
                    traces.append(text: trace)
                } else {
                    plain.append(decided, positions[index])
                }
            } else {
                others.append(decided, positions[index])
                life.append(decided.payment)
            }
        }
        var queries: [Query] = []
        if plain.count > 0 {
            var parameters = Parameters()
            for column in plain.all { parameters.append(orNull: column) }
            queries.append(Query(insertStatement, parameters))
        }
        if traced.count > 0 {
            var parameters = Parameters()
            for column in traced.all { parameters.append(orNull: column) }
            parameters.append(traces)
            queries.append(Query(insertTracedStatement, parameters))
        }
        if others.count > 0 {
            var parameters = Parameters()
            for column in others.all { parameters.append(orNull: column) }
            for column in life.all { parameters.append(column) }
            queries.append(Query(insertWithLifeStatement, parameters))
        }
        return queries
    }

    /// Refuses the batch (`oldIDState`) when another command than a payment was decided under one of its payments' ids. That no payment
    /// was, the primary key says.
    static func expectNew(_ effects: Book.Effects) -> Query {
        var parameters = Parameters()
        parameters.append(LearnQueries.array(effects.payments.map(\.payment.id)))
        return Query(expectNewStatement, parameters)
    }

    /// What `sluice.expect_new` raises.
    static let oldIDState: SQLState = "SL002"

    private static let expectNewStatement = Statement(
        "batch_expect_new", "SELECT sluice.expect_new((SELECT count(*) FROM sluice.operation WHERE id = ANY($1::uuid[])))")

    /// Only from the revision that the book knew.
    static func update(_ changes: [(expectedRevision: Int64, payment: Payment)]) -> Query {
        var ids = PostgresArray(of: .uuid)
        var expected = PostgresArray(of: .int64)
        var statuses = PostgresArray(of: .int16)
        var captured = PostgresArray(of: .int64)
        var refunded = PostgresArray(of: .int64)
        var revisions = PostgresArray(of: .int64)
        for (revision, payment) in changes {
            ids.append(uuid: payment.id.high, low: payment.id.low)
            expected.append(int64: revision)
            statuses.append(int16: Int16(payment.status.rawValue))
            captured.append(int64: payment.captured)
            refunded.append(int64: payment.refunded)
            revisions.append(int64: payment.revision)
        }
        var parameters = Parameters()
        for column in [ids, expected, statuses, captured, refunded, revisions] { parameters.append(column) }
        parameters.append(int64: Int64(changes.count))
        return Query(updateStatement, parameters)
    }

    private struct LifeColumns {
        var manual = PostgresArray(of: .bool)
        var captureBefore = PostgresArray(of: .timestamp)
        var holdUntil = PostgresArray(of: .timestamp)
        var captured = PostgresArray(of: .int64)
        var refunded = PostgresArray(of: .int64)
        var traces = PostgresArray(of: .text)

        var all: [PostgresArray] { [manual, captureBefore, holdUntil, captured, refunded, traces] }

        mutating func append(_ payment: Payment) {
            if payment.request.capture == .manual { manual.append(bool: true) } else { manual.appendNull() }
            if let time = payment.request.captureBefore {
                captureBefore.append(timestamp: time.microseconds)
            } else {
                captureBefore.appendNull()
            }
            if let time = payment.holdUntil { holdUntil.append(timestamp: time.microseconds) } else { holdUntil.appendNull() }
            captured.append(int64: payment.captured)
            refunded.append(int64: payment.refunded)
            if let trace = payment.traceparent { traces.append(text: trace) } else { traces.appendNull() }
        }
    }

    /// Numbers that may be missing are 0 where they are: an array without NULL is read by place, one with NULL from its beginning.
    private struct Columns {
        var ids: PostgresArray
        var tenants: PostgresArray
        var fingerprints: PostgresArray
        var debits: PostgresArray
        var credits: PostgresArray
        var amounts: PostgresArray
        var currencies: PostgresArray
        var references: PostgresArray
        var metadata: PostgresArray
        var expiries: PostgresArray
        var statuses: PostgresArray
        var reasons: PostgresArray
        var accepted: PostgresArray
        var decidedTimes: PostgresArray
        var revisions: PostgresArray
        var debitAccounts: PostgresArray
        var debitSequences: PostgresArray
        var partitions: PostgresArray
        var offsets: PostgresArray
        private(set) var count = 0

        /// - Parameter count: payments to make room for at once.
        init(reserving count: Int) {
            ids = PostgresArray(of: .uuid, reserving: 2 * count)
            tenants = PostgresArray(of: .int64, reserving: count)
            fingerprints = PostgresArray(of: .uuid, reserving: 2 * count)
            debits = PostgresArray(of: .text, reserving: count)
            credits = PostgresArray(of: .text, reserving: count)
            amounts = PostgresArray(of: .int64, reserving: count)
            currencies = PostgresArray(of: .text, reserving: count)
            references = PostgresArray(of: .text, reserving: count)
            metadata = PostgresArray(of: .text, reserving: count)
            expiries = PostgresArray(of: .timestamp, reserving: count)
            statuses = PostgresArray(of: .int16, reserving: count)
            reasons = PostgresArray(of: .int16, reserving: count)
            accepted = PostgresArray(of: .timestamp, reserving: count)
            decidedTimes = PostgresArray(of: .timestamp, reserving: count)
            revisions = PostgresArray(of: .int64, reserving: count)
            debitAccounts = PostgresArray(of: .int64, reserving: count)
            debitSequences = PostgresArray(of: .int64, reserving: count)
            partitions = PostgresArray(of: .int32, reserving: count)
            offsets = PostgresArray(of: .int64, reserving: count)
        }

        var all: [PostgresArray] {
            [
                ids, tenants, fingerprints, debits, credits, amounts, currencies, references, metadata, expiries, statuses, reasons,
                accepted, decidedTimes, revisions, debitAccounts, debitSequences, partitions, offsets,
            ]
        }

        mutating func append(_ decided: Book.DecidedPayment, _ position: LogPosition) {
            let (payment, fingerprint) = (decided.payment, decided.fingerprint)
            count += 1
            guard let decidedAt = payment.decidedAt else { preconditionFailure("a payment is stored once it is decided") }
            ids.append(uuid: payment.id.high, low: payment.id.low)
            tenants.append(int64: payment.tenant.rawValue)
            fingerprints.append(uuid: fingerprint.high, low: fingerprint.low)
            debits.append(text: payment.request.debit.text)
            credits.append(text: payment.request.credit.text)
            amounts.append(int64: payment.request.amount)
            currencies.append(text: payment.request.currency.description)
            if let reference = payment.request.reference { references.append(text: reference) } else { references.appendNull() }
            if let text = payment.request.metadata { metadata.append(text: text) } else { metadata.appendNull() }
            if let time = payment.request.expiresAt { expiries.append(timestamp: time.microseconds) } else { expiries.appendNull() }
            statuses.append(int16: Int16(payment.status.rawValue))
            reasons.append(int16: payment.declineReason.map { Int16($0.rawValue) } ?? 0)
            accepted.append(timestamp: payment.acceptedAt.microseconds)
            decidedTimes.append(timestamp: decidedAt.microseconds)
            revisions.append(int64: payment.revision)
            debitAccounts.append(int64: decided.debitAccount ?? 0)
            debitSequences.append(int64: payment.debitResult?.sequence ?? 0)
            partitions.append(int32: position.partition)
            offsets.append(int64: position.offset)
        }
    }

    static func insertMovements(_ effects: Book.Effects) -> Query {
        var payments = PostgresArray(of: .uuid, reserving: 2 * effects.movements.count)
        var numbers = [PostgresArray](repeating: PostgresArray(of: .int64, reserving: effects.movements.count), count: 9)
        var decided = PostgresArray(of: .timestamp, reserving: effects.movements.count)
        // In the order of the debit entries: neighbours in their index are inserted together.
        let movements = effects.movements
        let order = movements.indices.sorted {
            (movements[$0].debitAccount, movements[$0].debit.sequence) < (movements[$1].debitAccount, movements[$1].debit.sequence)
        }
        for index in order {
            let movement = movements[index]
            payments.append(uuid: movement.payment.high, low: movement.payment.low)
            decided.append(timestamp: movement.decidedAt.microseconds)
            numbers[0].append(int64: movement.debitAccount)
            numbers[1].append(int64: movement.creditAccount)
            numbers[2].append(int64: movement.amount)
            numbers[3].append(int64: movement.debit.sequence)
            numbers[4].append(int64: movement.credit.sequence)
            numbers[5].append(int64: movement.debit.postedAfter)
            numbers[6].append(int64: movement.credit.postedAfter)
            numbers[7].append(int64: movement.debit.revision)
            numbers[8].append(int64: movement.credit.revision)
        }
        var parameters = Parameters()
        parameters.append(payments)
        for column in numbers { parameters.append(column) }
        parameters.append(decided)
        return Query(movementsStatement, parameters)
    }

    // Each function in FROM keeps its rows aside before they are joined, which costs more than all else that is done with a value. So only
    // texts, which have no fixed place in their array, are unnested; everything else is read from its array by the row's number.
    private static let columns = """
        id, tenant_id, fingerprint, debit, credit, amount, currency, reference, metadata, expires_at, status, decline_reason, accepted_at, \
        decided_at, revision, debit_account, debit_sequence, log_partition, log_offset
        """
    private static let values = """
        ($1::uuid[])[k.i], ($2::bigint[])[k.i], ($3::uuid[])[k.i], k.debit, k.credit, ($6::bigint[])[k.i], k.currency, k.reference,
            k.metadata::json, k.expires_at, ($11::smallint[])[k.i], nullif(($12::smallint[])[k.i], 0::smallint),
            ($13::timestamptz[])[k.i], ($14::timestamptz[])[k.i], ($15::bigint[])[k.i], nullif(($16::bigint[])[k.i], 0),
            nullif(($17::bigint[])[k.i], 0), ($18::integer[])[k.i], ($19::bigint[])[k.i]
        """
    private static let rows = """
        unnest($4::text[], $5::text[], $7::text[], $8::text[], $9::text[], $10::timestamptz[]) WITH ORDINALITY
            AS k (debit, credit, currency, reference, metadata, expires_at, i)
        """

    private static let rowsWithTrace = """
        unnest($4::text[], $5::text[], $7::text[], $8::text[], $9::text[], $10::timestamptz[], $20::text[]) WITH ORDINALITY
            AS k (debit, credit, currency, reference, metadata, expires_at, traceparent, i)
        """

    // An id that is there already is an error that names `payment_pkey`.
    private static let insertStatement = Statement(
        "batch_insert_payments", "INSERT INTO sluice.payment (\(columns)) SELECT \(values) FROM \(rows)")

    // A statement of its own: payments without a trace pay nothing for those that have one.
    private static let insertTracedStatement = Statement(
        "batch_insert_traced_payments",
        "INSERT INTO sluice.payment (\(columns), traceparent) SELECT \(values), k.traceparent FROM \(rowsWithTrace)")

    private static let insertWithLifeStatement = Statement(
        "batch_insert_payments_with_life",
        """
        INSERT INTO sluice.payment (\(columns), manual, capture_before, hold_until, captured, refunded, traceparent)
        SELECT \(values), l.manual, l.capture_before, l.hold_until, l.captured, l.refunded, l.traceparent
        FROM \(rows)
        JOIN unnest($20::boolean[], $21::timestamptz[], $22::timestamptz[], $23::bigint[], $24::bigint[], $25::text[]) WITH ORDINALITY
            AS l (manual, capture_before, hold_until, captured, refunded, traceparent, i) ON l.i = k.i
        """)

    private static let updateStatement = Statement(
        "batch_update_payments",
        """
        WITH changed AS (
            UPDATE sluice.payment p
            SET status = k.status, captured = k.captured, refunded = k.refunded, revision = k.revision
            FROM unnest($1::uuid[], $2::bigint[], $3::smallint[], $4::bigint[], $5::bigint[], $6::bigint[])
                AS k (id, expected_revision, status, captured, refunded, revision)
            WHERE p.id = k.id AND p.revision = k.expected_revision
            RETURNING 1)
        SELECT sluice.expect((SELECT count(*) FROM changed), $7::bigint, 'payments changed')
        """)

    private static let movementsStatement = Statement(
        "batch_insert_movements",
        """
        INSERT INTO sluice.movement (payment_id, debit_account, credit_account, amount, debit_sequence, credit_sequence,
            debit_posted_after, credit_posted_after, debit_revision, credit_revision, decided_at)
        SELECT ($1::uuid[])[k.i], k.debit_account, ($3::bigint[])[k.i], ($4::bigint[])[k.i], ($5::bigint[])[k.i], ($6::bigint[])[k.i],
            ($7::bigint[])[k.i], ($8::bigint[])[k.i], ($9::bigint[])[k.i], ($10::bigint[])[k.i], ($11::timestamptz[])[k.i]
        FROM unnest($2::bigint[]) WITH ORDINALITY AS k (debit_account, i)
        """)
}
