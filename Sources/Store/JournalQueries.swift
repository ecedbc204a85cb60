internal import Ledger
internal import Postgres

/// How a batch stores what came to nothing: reused keys, dead letters.
enum JournalQueries {
    static func insert(_ conflicts: [StoredBatch.Conflict], logIncarnation: String) -> Query {
        var partitions = PostgresArray(of: .int32)
        var offsets = PostgresArray(of: .int64)
        var ids = PostgresArray(of: .uuid)
        var tenants = PostgresArray(of: .int64)
        var fingerprints = PostgresArray(of: .uuid)
        var decided = PostgresArray(of: .timestamp)
        for conflict in conflicts {
            partitions.append(int32: conflict.position.partition)
            offsets.append(int64: conflict.position.offset)
            ids.append(uuid: conflict.envelope.id.high, low: conflict.envelope.id.low)
            tenants.append(int64: conflict.envelope.tenant.rawValue)
            fingerprints.append(uuid: conflict.envelope.fingerprint.high, low: conflict.envelope.fingerprint.low)
            decided.append(timestamp: conflict.decidedAt.microseconds)
        }
        var parameters = Parameters()
        parameters.append(text: logIncarnation)
        for column in [partitions, offsets, ids, tenants, fingerprints, decided] { parameters.append(column) }
        parameters.append(int64: Int64(conflicts.count))
        return Query(conflictsStatement, parameters)
    }

    static func insert(_ letters: [StoredBatch.DeadLetter], logIncarnation: String) -> Query {
        var partitions = PostgresArray(of: .int32)
        var offsets = PostgresArray(of: .int64)
        var tenants = PostgresArray(of: .int64)
        var operations = PostgresArray(of: .uuid)
        var reasons = PostgresArray(of: .text)
        var keys = PostgresArray(of: .bytea)
        var values = PostgresArray(of: .bytea)
        var headers = PostgresArray(of: .text)
        var seen = PostgresArray(of: .timestamp)
        for letter in letters {
            partitions.append(int32: letter.position.partition)
            offsets.append(int64: letter.position.offset)
            if let tenant = letter.tenant { tenants.append(int64: tenant.rawValue) } else { tenants.appendNull() }
            if let id = letter.operation { operations.append(uuid: id.high, low: id.low) } else { operations.appendNull() }
            reasons.append(text: letter.reason)
            keys.append(bytea: letter.key.span)
            values.append(bytea: letter.value.span)
            headers.append(text: letter.headers)
            seen.append(timestamp: letter.seenAt.microseconds)
        }
        var parameters = Parameters()
        parameters.append(text: logIncarnation)
        for column in [partitions, offsets, tenants, operations, reasons, keys, values, headers, seen] { parameters.append(column) }
        parameters.append(int64: Int64(letters.count))
        return Query(deadLettersStatement, parameters)
    }

    private static let conflictsStatement = Statement(
        "batch_insert_conflicts",
        """
        WITH inserted AS (
            INSERT INTO sluice.key_conflict (log_incarnation, log_partition, log_offset, operation_id, tenant_id, fingerprint, decided_at)
            SELECT $1::text, k.* FROM unnest($2::integer[], $3::bigint[], $4::uuid[], $5::bigint[], $6::uuid[], $7::timestamptz[]) AS k
            ON CONFLICT DO NOTHING RETURNING 1)
        SELECT sluice.expect((SELECT count(*) FROM inserted), $8::bigint, 'key conflicts stored')
        """)

    private static let deadLettersStatement = Statement(
        "batch_insert_dead_letters",
        """
        WITH inserted AS (
            INSERT INTO sluice.dead_letter (log_incarnation, log_partition, log_offset, tenant_id, operation_id, reason, record_key,
                record_value, record_headers, seen_at)
            SELECT $1::text, k.log_partition, k.log_offset, k.tenant_id, k.operation_id, k.reason, k.record_key, k.record_value,
                k.record_headers::json, k.seen_at
            FROM unnest($2::integer[], $3::bigint[], $4::bigint[], $5::uuid[], $6::text[], $7::bytea[], $8::bytea[], $9::text[],
                $10::timestamptz[])
                AS k (log_partition, log_offset, tenant_id, operation_id, reason, record_key, record_value, record_headers, seen_at)
            ON CONFLICT DO NOTHING RETURNING 1)
        SELECT sluice.expect((SELECT count(*) FROM inserted), $11::bigint, 'dead letters stored')
        """)
}
