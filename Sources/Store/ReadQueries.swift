public import Ledger
public import Postgres

/// What the gateway reads on a replica. Every statement names the tenant: another's rows are not there.
public enum ReadQueries {
    /// One account, or no row; read it with `AccountColumns`.
    public static func account(_ key: AccountKey) -> Query {
        var parameters = Parameters()
        parameters.append(int64: key.tenant.rawValue)
        parameters.append(text: key.account.text)
        return Query(accountStatement, parameters)
    }

    /// Accounts in the order of their ids (bytewise), after one of them; read them with `AccountColumns`.
    ///
    /// - Parameters:
    ///   - after: the last id of the page before; empty for the first page.
    ///   - limit: rows at most.
    public static func accounts(of tenant: TenantID, after: String, limit: Int) -> Query {
        var parameters = Parameters()
        parameters.append(int64: tenant.rawValue)
        parameters.append(text: after)
        parameters.append(int32: Int32(limit))
        return Query(accountsStatement, parameters)
    }

    /// One payment, or no row; read it with `PaymentColumns`.
    public static func payment(_ id: OperationID, of tenant: TenantID) -> Query {
        var parameters = Parameters()
        parameters.append(int64: tenant.rawValue)
        parameters.append(uuid: id.high, low: id.low)
        return Query(paymentStatement, parameters)
    }

    /// Payments that carry a reference, newest first; read them with `PaymentColumns`.
    ///
    /// - Parameter before: the last payment of the page before; nil for the first page.
    public static func payments(
        of tenant: TenantID, reference: String, before: (acceptedAt: Timestamp, id: OperationID)?, limit: Int
    ) -> Query {
        var parameters = Parameters()
        parameters.append(int64: tenant.rawValue)
        parameters.append(text: reference)
        parameters.append(timestamp: before?.acceptedAt.microseconds ?? 253_402_300_799_999_999)
        parameters.append(uuid: before?.id.high ?? 0, low: before?.id.low ?? 0)
        parameters.append(int32: Int32(limit))
        return Query(referenceStatement, parameters)
    }

    /// Whether an operation that is not a payment has its outcome; read it with `LearnQueries.operations`.
    public static func operation(_ id: OperationID) -> Query { LearnQueries.operations([id]) }

    /// A page of an account's entries, newest first; read it with `transactions(_:)`.
    ///
    /// - Parameter before: entries below this number; `Int64.max` for the newest.
    public static func transactions(of key: AccountKey, before sequence: Int64, limit: Int) -> Query {
        var parameters = Parameters()
        parameters.append(int64: key.tenant.rawValue)
        parameters.append(text: key.account.text)
        parameters.append(int64: sequence)
        parameters.append(int32: Int32(limit))
        return Query(transactionsStatement, parameters)
    }

    /// One entry of an account.
    public struct Entry: Equatable, Sendable {
        public let sequence: Int64
        public let payment: OperationID
        public let isDebit: Bool
        /// Minor units, 1 or more.
        public let amount: Int64
        public let counterparty: AccountID
        public let postedAfter: Int64
        public let reference: String?
        public let decidedAt: Timestamp
    }

    /// Entries and the account's revision, all of one snapshot; nil when there is no such account.
    public static func transactions(_ rows: Rows) -> (revision: Int64, entries: [Entry])? {
        guard rows.count > 0 else { return nil }
        let revision = rows.int64(0, 0)
        // An account without entries is one row with nothing but its revision.
        guard !rows.isNull(0, 1) else { return (revision, []) }
        return (revision, (0..<rows.count).map { entry(rows, $0) })
    }

    private static func entry(_ rows: Rows, _ row: Int) -> Entry {
        guard let counterparty = AccountID(rows.bytes(row, 5)) else { preconditionFailure("an account's row has no valid id") }
        let payment = rows.uuid(row, 2)
        return Entry(
            sequence: rows.int64(row, 1), payment: OperationID(high: payment.0, low: payment.1), isDebit: rows.bool(row, 3),
            amount: rows.int64(row, 4), counterparty: counterparty, postedAfter: rows.int64(row, 6),
            reference: rows.isNull(row, 7) ? nil : rows.text(row, 7), decidedAt: Timestamp(microseconds: rows.timestamp(row, 8)))
    }

    private static let accountStatement = Statement(
        "read_account", "SELECT \(AccountColumns.list) FROM sluice.account a WHERE a.tenant_id = $1::bigint AND a.id = $2::text")

    private static let accountsStatement = Statement(
        "read_accounts",
        """
        SELECT \(AccountColumns.list) FROM sluice.account a
        WHERE a.tenant_id = $1::bigint AND a.id > $2::text ORDER BY a.id LIMIT $3::integer
        """)

    private static let paymentStatement = Statement(
        "read_payment",
        "SELECT \(PaymentColumns.list) FROM \(PaymentColumns.source) WHERE p.tenant_id = $1::bigint AND p.id = $2::uuid")

    private static let referenceStatement = Statement(
        "read_payments_by_reference",
        """
        SELECT \(PaymentColumns.list) FROM \(PaymentColumns.source)
        WHERE p.tenant_id = $1::bigint AND p.reference = $2::text
            AND (p.accepted_at < $3::timestamptz OR (p.accepted_at = $3::timestamptz AND p.id > $4::uuid))
        ORDER BY p.accepted_at DESC, p.id LIMIT $5::integer
        """)

    // Both legs are walked backwards along their own index; each gives a page at most, and the newest of both are the page.
    // One statement, so that the revision and the entries are of one snapshot. The other account's name is taken from the payment, which is
    // looked up for its reference anyway: a look-up of the account itself would be a fifth of the statement's time.
    private static let transactionsStatement = Statement(
        "read_transactions",
        """
        SELECT a.revision, e.sequence, e.payment_id, e.is_debit, e.amount,
            CASE a.id WHEN p.debit THEN p.credit WHEN p.credit THEN p.debit
                ELSE (SELECT other.id FROM sluice.account other WHERE other.number = e.counterparty) END,
            e.posted_after, p.reference, e.decided_at
        FROM sluice.account a
        LEFT JOIN LATERAL (
            (SELECT m.debit_sequence AS sequence, m.payment_id, true AS is_debit, m.amount, m.credit_account AS counterparty,
                m.debit_posted_after AS posted_after, m.decided_at
             FROM sluice.movement m WHERE m.debit_account = a.number AND m.debit_sequence < $3::bigint
             ORDER BY m.debit_sequence DESC LIMIT $4::integer)
            UNION ALL
            (SELECT m.credit_sequence, m.payment_id, false, m.amount, m.debit_account, m.credit_posted_after, m.decided_at
             FROM sluice.movement m WHERE m.credit_account = a.number AND m.credit_sequence < $3::bigint
             ORDER BY m.credit_sequence DESC LIMIT $4::integer)
            ORDER BY sequence DESC LIMIT $4::integer) e ON true
        LEFT JOIN sluice.payment p ON p.id = e.payment_id
        WHERE a.tenant_id = $1::bigint AND a.id = $2::text
        ORDER BY e.sequence DESC
        """)
}
