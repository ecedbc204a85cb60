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

    public static func operations(_ rows: Rows) -> [RecordedOperation] {
        (0..<rows.count).map { OperationQueries.operation(rows, $0) }
    }

    /// What an event says of an outcome beside the outcome itself.
    public struct Standing: Equatable, Sendable {
        public let id: OperationID
        public let position: LogPosition
        public let decidedAt: Timestamp
        /// Of an account command that was carried out.
        public let accountRevision: Int64?
    }

    /// Where the commands stand in the log, payments and other operations alike.
    public static func standings(of ids: [OperationID]) -> Query {
        var parameters = Parameters()
        parameters.append(array(ids))
        return Query(standingsStatement, parameters)
    }

    public static func standings(_ rows: Rows) -> [Standing] {
        (0..<rows.count).map { row in
            let id = rows.uuid(row, 0)
            return Standing(
                id: OperationID(high: id.0, low: id.1), position: LogPosition(partition: rows.int32(row, 1), offset: rows.int64(row, 2)),
                decidedAt: Timestamp(microseconds: rows.timestamp(row, 3)),
                accountRevision: rows.isNull(row, 4) ? nil : rows.int64(row, 4))
        }
    }

    /// The accounts of payments; read them with `AccountColumns`.
    public static func accounts(ofPayments ids: [OperationID]) -> Query {
        var parameters = Parameters()
        parameters.append(array(ids))
        return Query(paymentAccountsStatement, parameters)
    }

    /// A hold that ran out.
    public struct DueHold: Equatable, Sendable {
        public let payment: OperationID
        public let tenant: TenantID
        /// Of the log that carries the tenant's commands.
        public let partition: Int32
    }

    /// Holds that ran out by `time` of the tenants whose commands the partitions carry, those that ran out first in front. And by the server's
    /// clock: a worker's that is fast would release what merchants still count on, for good.
    public static func dueHolds(_ partitions: [Int32], at time: Timestamp, limit: Int) -> Query {
        var parameters = Parameters()
        parameters.append(timestamp: time.microseconds)
        parameters.append(PartitionQueries.array(partitions))
        parameters.append(int32: Int32(limit))
        return Query(dueHoldsStatement, parameters)
    }

    public static func dueHolds(_ rows: Rows) -> [DueHold] {
        (0..<rows.count).map { row in
            let id = rows.uuid(row, 0)
            return DueHold(payment: OperationID(high: id.0, low: id.1), tenant: TenantID(rows.int64(row, 1)), partition: rows.int32(row, 2))
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

    private static let standingsStatement = Statement(
        "learn_standings",
        """
        SELECT id, log_partition, log_offset, decided_at, NULL::bigint FROM sluice.payment WHERE id = ANY($1::uuid[])
        UNION ALL
        SELECT id, log_partition, log_offset, decided_at, account_revision FROM sluice.operation WHERE id = ANY($1::uuid[])
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
        "learn_operations", "SELECT \(OperationQueries.list) FROM \(OperationQueries.source) WHERE o.id = ANY($1::uuid[])")

    private static let paymentAccountsStatement = Statement(
        "learn_accounts_of_payments",
        """
        SELECT DISTINCT ON (a.number) \(AccountColumns.list)
        FROM sluice.payment p JOIN sluice.account a ON a.tenant_id = p.tenant_id AND a.id IN (p.debit, p.credit)
        WHERE p.id = ANY($1::uuid[])
        """)

    // Status 4 is authorized (PaymentStatus).
    private static let dueHoldsStatement = Statement(
        "learn_due_holds",
        """
        SELECT p.id, p.tenant_id, t.partition FROM sluice.payment p JOIN sluice.tenant t ON t.id = p.tenant_id
        WHERE p.status = 4 AND p.hold_until < least($1::timestamptz, now()) AND t.partition = ANY($2::integer[])
        ORDER BY p.hold_until LIMIT $3::integer
        """)
}
