public import Ledger
public import Postgres

/// What a worker asks before it decides a batch.
public enum LearnQueries {
    /// The fingerprints of the ids that were decided before, payments and other operations alike.
    public static func priorDecisions(of ids: [OperationID]) -> Query {
        var parameters = Parameters()
        parameters.append(array(ids))
        return Query(priorStatement, parameters)
    }

    public static func priorDecisions(_ rows: Rows) -> [(id: OperationID, decision: PriorDecision)] {
        (0..<rows.count).map { row in
            let id = rows.uuid(row, 0)
            let fingerprint = rows.uuid(row, 1)
            return (
                OperationID(high: id.0, low: id.1), PriorDecision(fingerprint: Fingerprint(high: fingerprint.0, low: fingerprint.1))
            )
        }
    }

    /// Those of the accounts that exist; read them with `AccountColumns`.
    public static func accounts(_ keys: [AccountKey]) -> Query {
        var tenants = PostgresArray(of: .int64)
        var ids = PostgresArray(of: .text)
        for key in keys {
            tenants.append(int64: key.tenant.rawValue)
            ids.append(text: key.account.text)
        }
        var parameters = Parameters()
        parameters.append(tenants)
        parameters.append(ids)
        return Query(accountsStatement, parameters)
    }

    /// Fresh account numbers, one a row. Those of a batch that fails are lost, which harms nothing.
    public static func accountNumbers(_ count: Int) -> Query {
        var parameters = Parameters()
        parameters.append(int32: Int32(count))
        return Query(numbersStatement, parameters)
    }

    /// Payments with their outcome, to tell it again; read them with `PaymentColumns`.
    public static func payments(_ ids: [OperationID]) -> Query {
        var parameters = Parameters()
        parameters.append(array(ids))
        return Query(paymentsStatement, parameters)
    }

    /// Other operations with their outcome, to tell it again.
    public static func operations(_ ids: [OperationID]) -> Query {
        var parameters = Parameters()
        parameters.append(array(ids))
        return Query(operationsStatement, parameters)
    }

    public static func operations(_ rows: Rows) -> [(id: OperationID, account: AccountKey, declineReason: DeclineReason?)] {
        (0..<rows.count).map { row in
            guard let account = AccountID(rows.bytes(row, 2)) else { preconditionFailure("an operation's row has no valid account") }
            let id = rows.uuid(row, 0)
            return (
                OperationID(high: id.0, low: id.1), AccountKey(tenant: TenantID(rows.int64(row, 1)), account: account),
                rows.isNull(row, 3) ? nil : PaymentColumns.declineReason(rows.int16(row, 3))
            )
        }
    }

    static func array(_ ids: [OperationID]) -> PostgresArray {
        var array = PostgresArray(of: .uuid)
        for id in ids { array.append(uuid: id.high, low: id.low) }
        return array
    }

    private static let priorStatement = Statement(
        "learn_prior",
        """
        SELECT id, fingerprint FROM sluice.payment WHERE id = ANY($1::uuid[])
        UNION ALL
        SELECT id, fingerprint FROM sluice.operation WHERE id = ANY($1::uuid[])
        """)

    private static let accountsStatement = Statement(
        "learn_accounts",
        """
        SELECT \(AccountColumns.list)
        FROM unnest($1::bigint[], $2::text[]) AS k (tenant_id, id)
        JOIN sluice.account a ON a.tenant_id = k.tenant_id AND a.id = k.id
        """)

    private static let numbersStatement = Statement(
        "learn_numbers", "SELECT nextval('sluice.account_number') FROM generate_series(1, $1::integer)")

    private static let paymentsStatement = Statement(
        "learn_payments", "SELECT \(PaymentColumns.list) FROM \(PaymentColumns.source) WHERE p.id = ANY($1::uuid[])")

    private static let operationsStatement = Statement(
        "learn_operations", "SELECT id, tenant_id, account_id, decline_reason FROM sluice.operation WHERE id = ANY($1::uuid[])")
}
