internal import Ledger
internal import Postgres

/// What is said of a payment is what was done.
enum PaymentCheck {
    static let check = AuditReport.Check(
        "payments",
        "a settled payment moved its amount between its accounts, once, a capture or refund what it says; a declined one nothing")

    static func run(_ scope: AuditScope, _ connection: PostgresConnection, _ check: inout AuditReport.Check) throws(OperateError) {
        try withPostgres { () throws(PostgresError) in
            check.looked = Int(try connection.query(countSQL, scope.parameters).int64(0, 0))
            try connection.stream(sql, scope.parameters) { row throws(PostgresError) in
                let id = row.uuid(0)
                check.find("payment \(OperationID(high: id.0, low: id.1))", row.text(1))
            }
        }
    }

    private static let countSQL = "SELECT count(*) FROM sluice.payment WHERE $1::bigint IS NULL OR tenant_id = $1"

    // Statuses: 1 settled, 2 declined, 3 quarantined, 4 authorized, 5 voided, 6 expired (PaymentStatus). Kinds: 6 capture, 9 refund. A
    // second movement of one payment is found as one that neither the payment nor an operation names.
    private static let sql = """
        SELECT * FROM (
            SELECT coalesce(p.id, m.payment_id) AS id, CASE
                WHEN p.id IS NULL THEN 'money moved without a payment: ' || m.amount || ' from ' || coalesce(d.id, '?') || ' to '
                    || coalesce(c.id, '?')
                WHEN p.status NOT BETWEEN 1 AND 6 THEN 'its status is ' || p.status
                WHEN p.status IN (2, 3) AND m.payment_id IS NOT NULL THEN 'it is not settled, and money moved'
                WHEN p.manual IS NULL AND p.status = 1 AND m.payment_id IS NULL THEN 'it is settled, and no money moved'
                WHEN p.manual IS NULL AND p.status > 3 THEN 'its status is ' || p.status || ', and it was never held'
                WHEN p.status IN (2, 3) AND p.debit_account IS NOT NULL THEN 'it is not settled, and names an entry'
                WHEN (p.status = 2) <> (p.decline_reason IS NOT NULL) THEN 'its status and its decline reason do not agree'
                WHEN p.status IN (2, 3) OR m.payment_id IS NULL THEN NULL
                WHEN p.manual AND p.debit_sequence IS NOT NULL THEN 'it was held, and names an entry'
                WHEN o.id IS NULL AND p.manual THEN 'its movement is entry ' || m.debit_sequence || ' of ' || coalesce(d.id, '?')
                    || ', which no capture and no refund names'
                WHEN o.id IS NULL AND (p.debit_account, p.debit_sequence) IS DISTINCT FROM (m.debit_account, m.debit_sequence)
                    THEN 'its movement is entry ' || m.debit_sequence || ' of ' || coalesce(d.id, '?') || ', which is not the one it names'
                WHEN o.payment_id <> p.id THEN 'its movement is named by an operation on another payment'
                WHEN o.decline_reason IS NOT NULL OR o.kind NOT IN (6, 9) THEN 'its movement is named by an operation that moved nothing'
                WHEN m.amount <> coalesce(o.moved, p.amount)
                    THEN 'its amount is ' || coalesce(o.moved, p.amount) || ', and ' || m.amount || ' moved'
                WHEN o.kind IS DISTINCT FROM 9 AND (d.id IS DISTINCT FROM p.debit OR c.id IS DISTINCT FROM p.credit)
                    THEN 'it is from ' || p.debit || ' to ' || p.credit || ', and money moved from ' || coalesce(d.id, '?') || ' to '
                        || coalesce(c.id, '?')
                WHEN o.kind = 9 AND (d.id IS DISTINCT FROM p.credit OR c.id IS DISTINCT FROM p.debit)
                    THEN 'a refund of it is from ' || p.credit || ' to ' || p.debit || ', and money moved from ' || coalesce(d.id, '?')
                        || ' to ' || coalesce(c.id, '?')
                WHEN d.tenant_id <> p.tenant_id OR c.tenant_id <> p.tenant_id THEN 'it moved money of another tenant'
                WHEN d.currency <> p.currency OR c.currency <> p.currency THEN 'it moved money between currencies'
                WHEN m.decided_at <> coalesce(o.decided_at, p.decided_at) THEN 'its movement has another time'
                END AS problem
            FROM sluice.payment p FULL JOIN sluice.movement m ON m.payment_id = p.id
            LEFT JOIN sluice.operation o ON o.debit_account = m.debit_account AND o.debit_sequence = m.debit_sequence
            LEFT JOIN sluice.account d ON d.number = m.debit_account
            LEFT JOIN sluice.account c ON c.number = m.credit_account
            WHERE $1::bigint IS NULL OR coalesce(p.tenant_id, d.tenant_id, c.tenant_id) = $1) found
        WHERE problem IS NOT NULL
        """
}
