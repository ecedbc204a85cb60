internal import Ledger
internal import Postgres

/// How a batch stores payments and the money they moved: from arrays, one statement each.
enum PaymentQueries {
    static func insert(_ effects: Book.Effects, at positions: [LogPosition]) -> Query {
        precondition(effects.payments.count == positions.count, "a payment without its place in the log")
        var movementOf: [OperationID: Movement] = [:]
        movementOf.reserveCapacity(effects.movements.count)
        for movement in effects.movements { movementOf[movement.payment] = movement }

        var columns = Columns()
        // In the order of the ids: neighbours in the index are inserted together.
        let order = effects.payments.indices.sorted { effects.payments[$0].payment.id < effects.payments[$1].payment.id }
        for index in order {
            let (payment, fingerprint) = effects.payments[index]
            columns.append(payment, fingerprint, movementOf[payment.id], positions[index])
        }
        var parameters = Parameters()
        for column in columns.all { parameters.append(column) }
        parameters.append(int64: Int64(effects.payments.count))
        return Query(insertStatement, parameters)
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
        var decided = PostgresArray(of: .timestamp)
        var revisions = PostgresArray(of: .int64)
        var debitAccounts = PostgresArray(of: .int64)
        var debitSequences = PostgresArray(of: .int64)
        var partitions = PostgresArray(of: .int32)
        var offsets = PostgresArray(of: .int64)

        var all: [PostgresArray] {
            [
                ids, tenants, fingerprints, debits, credits, amounts, currencies, references, metadata, expiries, statuses, reasons,
                accepted,
                decided, revisions, debitAccounts, debitSequences, partitions, offsets,
            ]
        }

        mutating func append(_ payment: Payment, _ fingerprint: Fingerprint, _ movement: Movement?, _ position: LogPosition) {
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
            decided.append(timestamp: decidedAt.microseconds)
            revisions.append(int64: payment.revision)
            if let movement {
                debitAccounts.append(int64: movement.debitAccount)
                debitSequences.append(int64: movement.debit.sequence)
            } else {
                debitAccounts.appendNull()
                debitSequences.appendNull()
            }
            partitions.append(int32: position.partition)
            offsets.append(int64: position.offset)
        }
    }

    static func insertMovements(_ effects: Book.Effects) -> Query {
        var decidedAt: [OperationID: Timestamp] = [:]
        decidedAt.reserveCapacity(effects.payments.count)
        for (payment, _) in effects.payments { decidedAt[payment.id] = payment.decidedAt }

        var payments = PostgresArray(of: .uuid)
        var decided = PostgresArray(of: .timestamp)
        var numbers = [PostgresArray](repeating: PostgresArray(of: .int64), count: 9)
        for movement in effects.movements {
            guard let time = decidedAt[movement.payment] else { preconditionFailure("a movement without its payment") }
            payments.append(uuid: movement.payment.high, low: movement.payment.low)
            decided.append(timestamp: time.microseconds)
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
