internal import Ledger
internal import Postgres

/// How a batch stores accounts: from arrays, one statement for all of them.
enum AccountQueries {
    static func insert(_ accounts: [Account]) -> Query {
        var numbers = PostgresArray(of: .int64)
        var tenants = PostgresArray(of: .int64)
        var ids = PostgresArray(of: .text)
        var currencies = PostgresArray(of: .text)
        var kinds = PostgresArray(of: .int16)
        var limits = PostgresArray(of: .int64)
        var flags = PostgresArray(of: .int16)
        var posted = PostgresArray(of: .int64)
        var held = PostgresArray(of: .int64)
        var sequences = PostgresArray(of: .int64)
        var revisions = PostgresArray(of: .int64)
        var opened = PostgresArray(of: .timestamp)
        var changed = PostgresArray(of: .timestamp)
        for account in accounts {
            numbers.append(int64: account.number)
            tenants.append(int64: account.key.tenant.rawValue)
            ids.append(text: account.key.account.text)
            currencies.append(text: account.currency.description)
            kinds.append(int16: Int16(account.kind.rawValue))
            limits.append(int64: account.overdraftLimit)
            flags.append(int16: account.flags.rawValue)
            posted.append(int64: account.posted)
            held.append(int64: account.held)
            sequences.append(int64: account.sequence)
            revisions.append(int64: account.revision)
            opened.append(timestamp: account.openedAt.microseconds)
            changed.append(timestamp: account.changedAt.microseconds)
        }
        var parameters = Parameters()
        for column in [numbers, tenants, ids, currencies, kinds, limits, flags, posted, held, sequences, revisions, opened, changed] {
            parameters.append(column)
        }
        parameters.append(int64: Int64(accounts.count))
        return Query(insertStatement, parameters)
    }

    /// One update for each account, however many payments touched it, and only from the revision that the book knew.
    static func update(_ changes: [(expectedRevision: Int64, account: Account)]) -> Query {
        var numbers = PostgresArray(of: .int64, reserving: changes.count)
        var expected = PostgresArray(of: .int64, reserving: changes.count)
        var limits = PostgresArray(of: .int64, reserving: changes.count)
        var flags = PostgresArray(of: .int16, reserving: changes.count)
        var posted = PostgresArray(of: .int64, reserving: changes.count)
        var held = PostgresArray(of: .int64, reserving: changes.count)
        var sequences = PostgresArray(of: .int64, reserving: changes.count)
        var revisions = PostgresArray(of: .int64, reserving: changes.count)
        var changed = PostgresArray(of: .timestamp, reserving: changes.count)
        // In the order of the numbers: neighbours on a page are written together.
        for index in changes.indices.sorted(by: { changes[$0].account.number < changes[$1].account.number }) {
            let change = changes[index]
            numbers.append(int64: change.account.number)
            expected.append(int64: change.expectedRevision)
            limits.append(int64: change.account.overdraftLimit)
            flags.append(int16: change.account.flags.rawValue)
            posted.append(int64: change.account.posted)
            held.append(int64: change.account.held)
            sequences.append(int64: change.account.sequence)
            revisions.append(int64: change.account.revision)
            changed.append(timestamp: change.account.changedAt.microseconds)
        }
        var parameters = Parameters()
        for column in [numbers, expected, limits, flags, posted, held, sequences, revisions, changed] { parameters.append(column) }
        parameters.append(int64: Int64(changes.count))
        return Query(updateStatement, parameters)
    }

    private static let insertStatement = Statement(
        "batch_insert_accounts",
        """
        WITH opened AS (
            INSERT INTO sluice.account (number, tenant_id, id, currency, kind, overdraft_limit, flags, posted, held, sequence, revision,
                opened_at, changed_at, spare)
            SELECT k.*, repeat(' ', 128) FROM unnest($1::bigint[], $2::bigint[], $3::text[], $4::text[], $5::smallint[], $6::bigint[],
                $7::smallint[], $8::bigint[], $9::bigint[], $10::bigint[], $11::bigint[], $12::timestamptz[], $13::timestamptz[]) AS k
            ON CONFLICT DO NOTHING RETURNING 1)
        SELECT sluice.expect((SELECT count(*) FROM opened), $14::bigint, 'accounts opened')
        """)

    private static let updateStatement = Statement(
        "batch_update_accounts",
        """
        WITH changed AS (
            UPDATE sluice.account a
            SET overdraft_limit = ($3::bigint[])[k.i], flags = ($4::smallint[])[k.i], posted = ($5::bigint[])[k.i],
                held = ($6::bigint[])[k.i], sequence = ($7::bigint[])[k.i], revision = ($8::bigint[])[k.i],
                changed_at = ($9::timestamptz[])[k.i], spare = NULL
            FROM unnest($1::bigint[]) WITH ORDINALITY AS k (number, i)
            WHERE a.number = k.number AND a.revision = ($2::bigint[])[k.i]
            RETURNING 1)
        SELECT sluice.expect((SELECT count(*) FROM changed), $10::bigint, 'accounts changed')
        """)
}
