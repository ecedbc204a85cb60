internal import Ledger
internal import Postgres

/// What is said of a payment is what was done.
enum PaymentCheck {
    static let check = AuditReport.Check(
        "payments", "a settled payment moved its amount between its accounts, once; a declined one moved nothing")

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

    // Status 1 is settled, 2 declined, 3 quarantined (PaymentStatus). A second movement of one payment is found as one that is
    // not where the payment says.
    private static let sql = """
        SELECT * FROM (
            SELECT coalesce(p.id, m.payment_id) AS id, CASE
                WHEN p.id IS NULL THEN 'money moved without a payment: ' || m.amount || ' from ' || coalesce(d.id, '?') || ' to '
                    || coalesce(c.id, '?')
                WHEN p.status NOT IN (1, 2, 3) THEN 'its status is ' || p.status
                WHEN p.status <> 1 AND m.payment_id IS NOT NULL THEN 'it is not settled, and money moved'
                WHEN p.status = 1 AND m.payment_id IS NULL THEN 'it is settled, and no money moved'
                WHEN p.status <> 1 AND p.debit_account IS NOT NULL THEN 'it is not settled, and names an entry'
                WHEN (p.status = 2) <> (p.decline_reason IS NOT NULL) THEN 'its status and its decline reason do not agree'
                WHEN p.status <> 1 THEN NULL
                WHEN (p.debit_account, p.debit_sequence) IS DISTINCT FROM (m.debit_account, m.debit_sequence)
                    THEN 'its movement is entry ' || m.debit_sequence || ' of ' || coalesce(d.id, '?') || ', which is not the one it names'
                WHEN m.amount <> p.amount THEN 'its amount is ' || p.amount || ', and ' || m.amount || ' moved'
                WHEN d.id IS DISTINCT FROM p.debit OR c.id IS DISTINCT FROM p.credit
                    THEN 'it is from ' || p.debit || ' to ' || p.credit || ', and money moved from ' || coalesce(d.id, '?') || ' to '
                        || coalesce(c.id, '?')
                WHEN d.tenant_id <> p.tenant_id OR c.tenant_id <> p.tenant_id THEN 'it moved money of another tenant'
                WHEN d.currency <> p.currency OR c.currency <> p.currency THEN 'it moved money between currencies'
                WHEN m.decided_at <> p.decided_at THEN 'its movement has another time'
                END AS problem
            FROM sluice.payment p FULL JOIN sluice.movement m ON m.payment_id = p.id
            LEFT JOIN sluice.account d ON d.number = m.debit_account
            LEFT JOIN sluice.account c ON c.number = m.credit_account
            WHERE $1::bigint IS NULL OR coalesce(p.tenant_id, d.tenant_id, c.tenant_id) = $1) found
        WHERE problem IS NOT NULL ORDER BY id
        """
}
