internal import Ledger
internal import Postgres

/// Every account's history leads to its balance.
enum EntryCheck {
    static let check = AuditReport.Check(
        "entries", "each account's entries are numbered without a gap, each balance follows from the one before, the account has the last")

    static func run(_ scope: AuditScope, _ connection: PostgresConnection, _ check: inout AuditReport.Check) throws(OperateError) {
        var accounts = 0
        try withPostgres { () throws(PostgresError) in
            try connection.stream(sql, scope.parameters) { row throws(PostgresError) in
                if !row.isNull(1) { check.looked += Int(row.int64(1)) }
                accounts += 1
                judge(row, scope, &check)
            }
        }
        check.notes.append("\(accounts) accounts")
    }

    /// Columns as in `sql`: those of the history are NULL for an account without entries, those of the account for entries
    /// of an account that does not exist.
    private static func judge(_ row: Row, _ scope: AuditScope, _ check: inout AuditReport.Check) {
        guard !row.isNull(8) else { return check.find("account number \(row.int64(0))", "has entries, and does not exist") }
        let name = scope.name(tenant: row.int64(8), account: row.text(9))
        let hasEntries = !row.isNull(1)
        if hasEntries {
            if !row.isNull(2) { check.find(name, "entry \(row.int64(2)) does not follow the number before it") }
            if !row.isNull(3) { check.find(name, "entry \(row.int64(3)): its balance is not the balance before it and its amount") }
            if !row.isNull(4) { check.find(name, "entry \(row.int64(4)): its revision is not above the one before it") }
        }
        let last = (sequence: hasEntries ? row.int64(5) : 0, posted: hasEntries ? row.int64(6) : 0, revision: hasEntries ? row.int64(7) : 1)
        let (posted, sequence, revision) = (row.int64(10), row.int64(11), row.int64(12))
        if sequence != last.sequence { check.find(name, "its sequence is \(sequence), and its last entry is \(last.sequence)") }
        if posted != last.posted {
            check.find(
                name,
                "its balance is \(posted), and \(hasEntries ? "the one after its last entry" : "without entries it") is \(last.posted)")
        }
        if revision < last.revision { check.find(name, "its revision is \(revision), below \(last.revision) of its last entry") }
        if Currency(row.text(13)) == nil { check.find(name, "its currency `\(row.text(13))` is none of ISO 4217") }
        if UInt8(exactly: row.int16(14)).flatMap(AccountKind.init(rawValue:)) == nil {
            check.find(name, "its kind \(row.int16(14)) is unknown")
        }
    }

    // Both entries of each movement, walked account by account. Numeric where a wrong balance may leave 64 bits.
    private static let sql = """
        WITH entry AS (
            SELECT debit_account AS account, debit_sequence AS sequence, -amount AS amount, debit_posted_after AS posted_after,
                debit_revision AS revision
            FROM sluice.movement
            UNION ALL
            SELECT credit_account, credit_sequence, amount, credit_posted_after, credit_revision FROM sluice.movement),
        step AS (
            SELECT account, sequence, amount, posted_after, revision,
                lag(sequence, 1, 0::bigint) OVER history AS sequence_before,
                lag(posted_after, 1, 0::bigint) OVER history AS posted_before,
                lag(revision, 1, 1::bigint) OVER history AS revision_before,
                lead(sequence) OVER history IS NULL AS is_last
            FROM entry WINDOW history AS (PARTITION BY account ORDER BY sequence)),
        history AS (
            SELECT account, count(*) AS entries,
                min(sequence) FILTER (WHERE sequence <> sequence_before + 1) AS gap_at,
                min(sequence) FILTER (WHERE posted_after::numeric <> posted_before::numeric + amount) AS wrong_at,
                min(sequence) FILTER (WHERE revision <= revision_before) AS revision_at,
                max(sequence) FILTER (WHERE is_last) AS last_sequence,
                max(posted_after) FILTER (WHERE is_last) AS last_posted,
                max(revision) AS last_revision
            FROM step GROUP BY account)
        SELECT coalesce(h.account, a.number), h.entries, h.gap_at, h.wrong_at, h.revision_at, h.last_sequence, h.last_posted,
            h.last_revision, a.tenant_id, a.id, a.posted, a.sequence, a.revision, a.currency, a.kind
        FROM history h FULL JOIN sluice.account a ON a.number = h.account
        WHERE $1::bigint IS NULL OR a.tenant_id = $1
        """
}
