internal import Ledger
internal import Postgres

/// How a batch stores payments and the money they moved: from arrays, one statement each.
enum PaymentQueries {
    /// Nothing, or one statement for plain payments and one for those that are or were held, or that were changed already.
    static func insert(_ effects: Book.Effects, at positions: [LogPosition]) -> [Query] {
        precondition(effects.payments.count == positions.count, "a payment without its place in the log")
        // In the order of the ids: neighbours in the index are inserted together.
        let order = effects.payments.indices.sorted { effects.payments[$0].payment.id < effects.payments[$1].payment.id }
        var plain = Columns()
        var others = Columns()
        var life = LifeColumns()
        for index in order {
            let decided = effects.payments[index]
            if decided.payment.request.capture == .automatic, decided.payment.history.isEmpty {
                plain.append(decided, positions[index])
            } else {
                others.append(decided, positions[index])
                life.append(decided.payment)
            }
        }
        var queries: [Query] = []
        if plain.count > 0 {
            var parameters = Parameters()
            for column in plain.all { parameters.append(column) }
            parameters.append(int64: Int64(plain.count))
            queries.append(Query(insertStatement, parameters))
        }
        if others.count > 0 {
            var parameters = Parameters()
            for column in others.all + life.all { parameters.append(column) }
            parameters.append(int64: Int64(others.count))
            queries.append(Query(insertWithLifeStatement, parameters))
        }
        return queries
    }

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

        var all: [PostgresArray] { [manual, captureBefore, holdUntil, captured, refunded] }

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
        }
    }

    private struct Columns {
        var ids = PostgresArray(of: .uuid)
        var tenants = PostgresArray(of: .int64)
        var fingerprints = PostgresArray(of: .uuid)
        var debits = PostgresArray(of: .text)
        var credits = PostgresArray(of: .text)
        var amounts = PostgresArray(of: .int64)
        var currencies = PostgresArray(of: .text)
        var references = PostgresArray(of: .text)
        var metadata = PostgresArray(of: .text)
        var expiries = PostgresArray(of: .timestamp)
        var statuses = PostgresArray(of: .int16)
        var reasons = PostgresArray(of: .int16)
        var accepted = PostgresArray(of: .timestamp)
        var decidedTimes = PostgresArray(of: .timestamp)
        var revisions = PostgresArray(of: .int64)
        var debitAccounts = PostgresArray(of: .int64)
        var debitSequences = PostgresArray(of: .int64)
        var partitions = PostgresArray(of: .int32)
        var offsets = PostgresArray(of: .int64)
        private(set) var count = 0

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
            if let reason = payment.declineReason { reasons.append(int16: Int16(reason.rawValue)) } else { reasons.appendNull() }
            accepted.append(timestamp: payment.acceptedAt.microseconds)
            decidedTimes.append(timestamp: decidedAt.microseconds)
            revisions.append(int64: payment.revision)
            if let account = decided.debitAccount { debitAccounts.append(int64: account) } else { debitAccounts.appendNull() }
            if let leg = payment.debitResult { debitSequences.append(int64: leg.sequence) } else { debitSequences.appendNull() }
            partitions.append(int32: position.partition)
            offsets.append(int64: position.offset)
        }
    }

    static func insertMovements(_ effects: Book.Effects) -> Query {
        var payments = PostgresArray(of: .uuid)
        var decided = PostgresArray(of: .timestamp)
        var numbers = [PostgresArray](repeating: PostgresArray(of: .int64), count: 9)
        for movement in effects.movements {
            payments.append(uuid: movement.payment.high, low: movement.payment.low)
            decided.append(timestamp: movement.decidedAt.microseconds)
            let row = [
                movement.debitAccount, movement.creditAccount, movement.amount, movement.debit.sequence, movement.credit.sequence,
                movement.debit.postedAfter, movement.credit.postedAfter, movement.debit.revision, movement.credit.revision,
            ]
            for (column, value) in row.enumerated() { numbers[column].append(int64: value) }
        }
        var parameters = Parameters()
        parameters.append(payments)
        for column in numbers { parameters.append(column) }
        parameters.append(decided)
        parameters.append(int64: Int64(effects.movements.count))
        return Query(movementsStatement, parameters)
    }

    private static let insertStatement = Statement(
        "batch_insert_payments",
        """
        WITH inserted AS (
            INSERT INTO sluice.payment (id, tenant_id, fingerprint, debit, credit, amount, currency, reference, metadata, expires_at, status,
                decline_reason, accepted_at, decided_at, revision, debit_account, debit_sequence, log_partition, log_offset)
            SELECT k.id, k.tenant_id, k.fingerprint, k.debit, k.credit, k.amount, k.currency, k.reference, k.metadata::json, k.expires_at,
                k.status, k.decline_reason, k.accepted_at, k.decided_at, k.revision, k.debit_account, k.debit_sequence, k.log_partition,
                k.log_offset
            FROM unnest($1::uuid[], $2::bigint[], $3::uuid[], $4::text[], $5::text[], $6::bigint[], $7::text[], $8::text[], $9::text[],
                $10::timestamptz[], $11::smallint[], $12::smallint[], $13::timestamptz[], $14::timestamptz[], $15::bigint[],
                $16::bigint[], $17::bigint[], $18::integer[], $19::bigint[])
                AS k (id, tenant_id, fingerprint, debit, credit, amount, currency, reference, metadata, expires_at, status, decline_reason,
                    accepted_at, decided_at, revision, debit_account, debit_sequence, log_partition, log_offset)
            ON CONFLICT (id) DO NOTHING RETURNING 1)
        SELECT sluice.expect((SELECT count(*) FROM inserted), $20::bigint, 'payments stored')
        """)

    private static let insertWithLifeStatement = Statement(
        "batch_insert_payments_with_life",
        """
        WITH inserted AS (
            INSERT INTO sluice.payment (id, tenant_id, fingerprint, debit, credit, amount, currency, reference, metadata, expires_at, status,
                decline_reason, accepted_at, decided_at, revision, debit_account, debit_sequence, log_partition, log_offset, manual,
                capture_before, hold_until, captured, refunded)
            SELECT k.id, k.tenant_id, k.fingerprint, k.debit, k.credit, k.amount, k.currency, k.reference, k.metadata::json, k.expires_at,
                k.status, k.decline_reason, k.accepted_at, k.decided_at, k.revision, k.debit_account, k.debit_sequence, k.log_partition,
                k.log_offset, k.manual, k.capture_before, k.hold_until, k.captured, k.refunded
            FROM unnest($1::uuid[], $2::bigint[], $3::uuid[], $4::text[], $5::text[], $6::bigint[], $7::text[], $8::text[], $9::text[],
                $10::timestamptz[], $11::smallint[], $12::smallint[], $13::timestamptz[], $14::timestamptz[], $15::bigint[],
                $16::bigint[], $17::bigint[], $18::integer[], $19::bigint[], $20::boolean[], $21::timestamptz[], $22::timestamptz[],
                $23::bigint[], $24::bigint[])
                AS k (id, tenant_id, fingerprint, debit, credit, amount, currency, reference, metadata, expires_at, status, decline_reason,
                    accepted_at, decided_at, revision, debit_account, debit_sequence, log_partition, log_offset, manual, capture_before,
                    hold_until, captured, refunded)
            ON CONFLICT (id) DO NOTHING RETURNING 1)
        SELECT sluice.expect((SELECT count(*) FROM inserted), $25::bigint, 'held payments stored')
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
        WITH inserted AS (
            INSERT INTO sluice.movement (payment_id, debit_account, credit_account, amount, debit_sequence, credit_sequence,
                debit_posted_after, credit_posted_after, debit_revision, credit_revision, decided_at)
            SELECT * FROM unnest($1::uuid[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[], $8::bigint[],
                $9::bigint[], $10::bigint[], $11::timestamptz[])
            RETURNING 1)
        SELECT sluice.expect((SELECT count(*) FROM inserted), $12::bigint, 'movements stored')
        """)
}
