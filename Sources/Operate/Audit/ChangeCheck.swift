internal import Ledger
internal import Postgres

/// What payments and accounts have become is what was asked for, step by step.
enum ChangeCheck {
    static let check = AuditReport.Check(
        "changes",
        "what is held is the open holds; captured is never above authorized, refunded never above captured; each revision is explained")

    static func run(_ scope: AuditScope, _ connection: PostgresConnection, _ check: inout AuditReport.Check) throws(OperateError) {
        try withPostgres { () throws(PostgresError) in
            check.looked = Int(try connection.query(countSQL, scope.parameters).int64(0, 0))
            for sql in [paymentSQL, operationSQL] {
                try connection.stream(sql, scope.parameters) { row throws(PostgresError) in
                    let id = row.uuid(0)
                    check.find("payment \(OperationID(high: id.0, low: id.1))", row.text(1))
                }
            }
            try connection.stream(accountSQL, scope.parameters) { row throws(PostgresError) in
                check.find(scope.name(tenant: row.int64(0), account: row.text(1)), row.text(2))
            }
        }
    }

    private static let countSQL = "SELECT count(*) FROM sluice.operation WHERE $1::bigint IS NULL OR tenant_id = $1"

    // Kinds and statuses as in `PaymentChange.Kind` and `PaymentStatus`. Sums are numeric, whatever a broken row says.
    private static let paymentSQL = """
        SELECT * FROM (
            SELECT p.id, CASE
                WHEN coalesce(p.captured, 0) > p.amount THEN 'captured is ' || p.captured || ', above the amount ' || p.amount
                WHEN coalesce(p.refunded, 0) > coalesce(p.captured, 0)
                    THEN 'refunded is ' || p.refunded || ', above the captured ' || coalesce(p.captured, 0)
                WHEN p.revision <> 1 + h.changes
                    THEN 'its revision is ' || p.revision || ', and ' || h.changes || ' changes were made to it'
                WHEN h.changes > 0 AND (h.first <> 2 OR h.last <> p.revision) THEN 'its changes are not numbered without a gap'
                WHEN p.status IN (2, 3) AND h.changes > 0 THEN 'it was never made, and was changed'
                WHEN p.manual IS NULL AND coalesce(p.captured, p.amount) <> p.amount THEN 'it was not held, and captured is ' || p.captured
                WHEN p.manual AND p.status NOT IN (2, 3) AND coalesce(p.captured, 0) <> h.captured
                    THEN 'captured is ' || coalesce(p.captured, 0) || ', and its captures add up to ' || h.captured
                WHEN coalesce(p.refunded, 0) <> h.refunded
                    THEN 'refunded is ' || coalesce(p.refunded, 0) || ', and its refunds add up to ' || h.refunded
                WHEN p.manual AND p.status = 4 AND h.released > 0 THEN 'it is authorized, and its hold was released'
                WHEN p.manual AND p.status = 4 AND h.captured >= p.amount THEN 'it is authorized, and all of it is captured'
                WHEN p.manual AND p.status IN (1, 5, 6) AND h.captured + h.released <> p.amount
                    THEN 'its hold is closed, and ' || h.captured || ' captured and ' || h.released || ' released are not ' || p.amount
                WHEN p.manual AND (p.status = 1) <> (h.captured > 0) AND p.status IN (1, 5, 6)
                    THEN 'its status is ' || p.status || ', and captured is ' || h.captured
                END AS problem
            FROM sluice.payment p LEFT JOIN (
                SELECT payment_id, count(*) AS changes, min(payment_revision) AS first, max(payment_revision) AS last,
                    coalesce(sum(moved) FILTER (WHERE kind = 6), 0) AS captured, coalesce(sum(moved) FILTER (WHERE kind = 9), 0) AS refunded,
                    sum(released) AS released
                FROM sluice.operation WHERE payment_revision IS NOT NULL GROUP BY payment_id) known ON known.payment_id = p.id
            CROSS JOIN LATERAL (
                SELECT coalesce(known.changes, 0) AS changes, known.first, known.last, coalesce(known.captured, 0) AS captured,
                    coalesce(known.refunded, 0) AS refunded, coalesce(known.released, 0) AS released) h
            WHERE $1::bigint IS NULL OR p.tenant_id = $1) found
        WHERE problem IS NOT NULL
        """

    private static let operationSQL = """
        SELECT * FROM (
            SELECT o.payment_id, CASE
                WHEN (o.decline_reason IS NULL) <> (o.payment_revision IS NOT NULL) THEN 'a change was declined and made, or neither'
                WHEN o.decline_reason IS NOT NULL AND (o.moved > 0 OR o.released > 0) THEN 'a declined change moved or released money'
                WHEN o.decline_reason IS NOT NULL THEN NULL
                WHEN p.id IS NULL THEN 'it was changed, and does not exist'
                WHEN p.tenant_id <> o.tenant_id THEN 'another tenant has changed it'
                WHEN (o.kind IN (6, 9)) <> (o.moved > 0) THEN 'a change of kind ' || o.kind || ' moved ' || o.moved
                WHEN o.moved > 0 AND m.payment_id IS NULL THEN 'a change says that ' || o.moved || ' moved, and nothing did'
                WHEN o.requested IS NOT NULL AND o.requested <> o.moved THEN 'a change was to move ' || o.requested || ', and moved ' || o.moved
                END AS problem
            FROM sluice.operation o LEFT JOIN sluice.payment p ON p.id = o.payment_id
            LEFT JOIN sluice.movement m ON m.debit_account = o.debit_account AND m.debit_sequence = o.debit_sequence
            WHERE o.payment_id IS NOT NULL AND ($1::bigint IS NULL OR o.tenant_id = $1)) found
        WHERE problem IS NOT NULL
        """

    // Kinds of account commands: 2 frozen, 3 unfrozen, 4 closed, 5 given another limit (`account.flags`: 1 debit, 2 credit, 4 closed). A
    // revision is the opening, an entry, a hold, its release without a capture, or a command; they are counted in its low 40 bits.
    private static let accountSQL = """
        SELECT * FROM (
            SELECT a.tenant_id, a.id, CASE
                WHEN a.held <> coalesce(h.held, 0) THEN 'its held is ' || a.held || ', and its open holds add up to ' || coalesce(h.held, 0)
                WHEN (a.revision & 1099511627775) <> 1 + a.sequence + coalesce(h.opened, 0) + coalesce(r.released, 0) + coalesce(c.commands, 0)
                    THEN 'its revision is ' || a.revision || ', and ' || a.sequence || ' entries, ' || coalesce(h.opened, 0) || ' holds, '
                        || coalesce(r.released, 0) || ' releases and ' || coalesce(c.commands, 0) || ' commands are known of it'
                WHEN (a.flags & 4 <> 0) <> (coalesce(c.closings, 0) = 1) THEN 'it is closed and no command closed it, or the other way round'
                WHEN a.flags & 4 <> 0 AND (a.posted <> 0 OR a.held <> 0) THEN 'it is closed, and its balance is ' || a.posted
                WHEN c.debit_kind IS NULL AND a.flags & 1 <> 0 OR (c.debit_kind = 2) <> (a.flags & 1 <> 0)
                    OR c.credit_kind IS NULL AND a.flags & 2 <> 0 OR (c.credit_kind = 2) <> (a.flags & 2 <> 0)
                    THEN 'its flags are ' || a.flags || ', which is not what its last commands made them'
                WHEN c.last_limit <> a.overdraft_limit
                    THEN 'its limit is ' || a.overdraft_limit || ', and its last command made it ' || c.last_limit
                END AS problem
            FROM sluice.account a
            LEFT JOIN (
                SELECT debit_account, count(*) AS opened, sum(amount - coalesce(captured, 0)) FILTER (WHERE status = 4) AS held
                FROM sluice.payment WHERE manual AND debit_account IS NOT NULL GROUP BY debit_account) h ON h.debit_account = a.number
            LEFT JOIN (
                SELECT p.debit_account, count(*) AS released FROM sluice.operation o JOIN sluice.payment p ON p.id = o.payment_id
                WHERE o.kind IN (7, 8) AND o.payment_revision IS NOT NULL GROUP BY p.debit_account) r ON r.debit_account = a.number
            LEFT JOIN (
                SELECT tenant_id, account_id, count(*) FILTER (WHERE kind <> 1) AS commands, count(*) FILTER (WHERE kind = 4) AS closings,
                    (array_agg(kind ORDER BY account_revision DESC) FILTER (WHERE kind IN (2, 3) AND setting & 1 <> 0))[1] AS debit_kind,
                    (array_agg(kind ORDER BY account_revision DESC) FILTER (WHERE kind IN (2, 3) AND setting & 2 <> 0))[1] AS credit_kind,
                    (array_agg(setting ORDER BY account_revision DESC) FILTER (WHERE kind IN (1, 5) AND setting IS NOT NULL))[1] AS last_limit
                FROM sluice.operation WHERE account_id IS NOT NULL AND decline_reason IS NULL
                GROUP BY tenant_id, account_id) c ON c.tenant_id = a.tenant_id AND c.account_id = a.id
            WHERE $1::bigint IS NULL OR a.tenant_id = $1) found
        WHERE problem IS NOT NULL
        """
}
