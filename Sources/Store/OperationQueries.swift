public import Ledger
internal import Postgres
internal import Telemetry

/// `operation.kind`. The numbers are stored: never renumbered, never reused. Those of payments are `PaymentChange.Kind`'s.
enum OperationKind {
    static let open: Int16 = 1
    static let freeze: Int16 = 2
    static let unfreeze: Int16 = 3
    static let close: Int16 = 4
    static let limit: Int16 = 5

    /// The number of a command, and the setting that goes with it.
    static func stored(_ command: Command) -> (kind: Int16, setting: Int64?) {
        switch command {
        case .pay: preconditionFailure("a payment is stored as one")
        case .openAccount(let open): (self.open, open.overdraftLimit)
        case .changePayment(let change): (Int16(change.kind.rawValue), nil)
        case .changeAccount(let order):
            switch order.change {
            case .freeze(let sides): (freeze, Int64(sides.rawValue))
            case .unfreeze(let sides): (unfreeze, Int64(sides.rawValue))
            case .close: (close, nil)
            case .setOverdraftLimit(let limit): (self.limit, limit)
            }
        }
    }
}

/// A command that was no payment, as storage has it.
public struct RecordedOperation: Equatable, Sendable {
    public enum Content: Equatable, Sendable {
        /// An account was opened or changed, or that was declined.
        case account(AccountKey, isOpening: Bool, declineReason: DeclineReason?)
        case payment(PaymentChange)
    }

    public let id: OperationID
    public let fingerprint: Fingerprint
    public let content: Content
}

/// Operations in rows: how a batch stores them, and how they are read again.
enum OperationQueries {
    static func insert(_ operations: [StoredBatch.Operation]) -> Query {
        var columns = Columns()
        for operation in operations { columns.append(operation) }
        var parameters = Parameters()
        for column in columns.all { parameters.append(column) }
        parameters.append(int64: Int64(operations.count))
        return Query(insertStatement, parameters)
    }

    private struct Columns {
        var ids = PostgresArray(of: .uuid)
        var tenants = PostgresArray(of: .int64)
        var fingerprints = PostgresArray(of: .uuid)
        var kinds = PostgresArray(of: .int16)
        var accounts = PostgresArray(of: .text)
        var reasons = PostgresArray(of: .int16)
        var decided = PostgresArray(of: .timestamp)
        var partitions = PostgresArray(of: .int32)
        var offsets = PostgresArray(of: .int64)
        var payments = PostgresArray(of: .uuid)
        var finals = PostgresArray(of: .bool)
        /// In the order of the statement: setting, account's revision, requested, moved, released, payment's revision, where the
        /// movement stands.
        var numbers = [PostgresArray](repeating: PostgresArray(of: .int64), count: 8)

        var all: [PostgresArray] {
            [ids, tenants, fingerprints, kinds, accounts, reasons, decided, partitions, offsets, payments, finals] + numbers
        }

        mutating func append(_ operation: StoredBatch.Operation) {
            let stored = OperationKind.stored(operation.envelope.command)
            ids.append(uuid: operation.envelope.id.high, low: operation.envelope.id.low)
            tenants.append(int64: operation.envelope.tenant.rawValue)
            fingerprints.append(uuid: operation.envelope.fingerprint.high, low: operation.envelope.fingerprint.low)
            kinds.append(int16: stored.kind)
            if let account = operation.account { accounts.append(text: account.text) } else { accounts.appendNull() }
            if let reason = operation.declineReason { reasons.append(int16: Int16(reason.rawValue)) } else { reasons.appendNull() }
            decided.append(timestamp: operation.decidedAt.microseconds)
            partitions.append(int32: operation.position.partition)
            offsets.append(int64: operation.position.offset)
            let change = operation.change
            if let change {
                payments.append(uuid: change.request.payment.high, low: change.request.payment.low)
            } else {
                payments.appendNull()
            }
            var requested: Int64?
            var isFinal: Bool?
            switch change?.request.change {
            case .capture(let amount, let final): (requested, isFinal) = (amount, final)
            case .refund(let amount): requested = amount
            case .void, .expire, nil: break
            }
            if let isFinal { finals.append(bool: isFinal) } else { finals.appendNull() }
            let row = [
                stored.setting, operation.accountRevision, requested, change?.moved, change?.released, change?.paymentRevision,
                change?.debitAccount, change?.debitResult?.sequence,
            ]
            for (column, value) in row.enumerated() {
                if let value { numbers[column].append(int64: value) } else { numbers[column].appendNull() }
            }
        }
    }

    // MARK: Reading

    /// In the order `operation(_:_:)` reads them; `o` is `sluice.operation`, `m` its movement or nothing.
    static let list = """
        o.id, o.tenant_id, o.fingerprint, o.kind, o.account_id, o.decline_reason, o.decided_at, o.payment_id, o.requested, o.final, o.moved, \
        o.released, o.payment_revision, o.debit_account, m.debit_sequence, m.debit_posted_after, m.debit_revision, m.credit_sequence, \
        m.credit_posted_after, m.credit_revision
        """
    static let source = """
        sluice.operation o LEFT JOIN sluice.movement m ON m.debit_account = o.debit_account AND m.debit_sequence = o.debit_sequence
        """

    /// Traps on a row that no worker of ours can have written.
    static func operation(_ rows: Rows, _ row: Int) -> RecordedOperation {
        let id = rows.uuid(row, 0)
        let fingerprint = rows.uuid(row, 2)
        let reason = rows.isNull(row, 5) ? nil : PaymentColumns.declineReason(rows.int16(row, 5))
        let tenant = TenantID(rows.int64(row, 1))
        let content: RecordedOperation.Content
        if rows.isNull(row, 7) {
            guard let account = AccountID(rows.bytes(row, 4)) else { preconditionFailure("an operation's row has no valid account") }
            content = .account(
                AccountKey(tenant: tenant, account: account), isOpening: rows.int16(row, 3) == OperationKind.open, declineReason: reason)
        } else {
            content = .payment(change(rows, row, OperationID(high: id.0, low: id.1), tenant, reason))
        }
        return RecordedOperation(
            id: OperationID(high: id.0, low: id.1), fingerprint: Fingerprint(high: fingerprint.0, low: fingerprint.1), content: content)
    }

    private static func change(
        _ rows: Rows, _ row: Int, _ id: OperationID, _ tenant: TenantID, _ reason: DeclineReason?
    ) -> PaymentChange {
        guard let kind = UInt8(exactly: rows.int16(row, 3)).flatMap(PaymentChange.Kind.init(rawValue:)) else {
            preconditionFailure("operation kind \(rows.int16(row, 3)) is unknown: the ledger was written by a newer build")
        }
        func number(_ column: Int) -> Int64? { rows.isNull(row, column) ? nil : rows.int64(row, column) }
        let payment = rows.uuid(row, 7)
        let change: ChangePayment.Change =
            switch kind {
            case .capture: .capture(amount: number(8), isFinal: !rows.isNull(row, 9) && rows.bool(row, 9))
            case .void: .void
            case .expiry: .expire
            case .refund: .refund(amount: number(8))
            }
        return PaymentChange(
            id: id, tenant: tenant, request: ChangePayment(payment: OperationID(high: payment.0, low: payment.1), change: change),
            decidedAt: Timestamp(microseconds: rows.timestamp(row, 6)), declineReason: reason, moved: number(10) ?? 0,
            released: number(11) ?? 0, paymentRevision: number(12), debitAccount: number(13),
            debitResult: PaymentColumns.leg(rows, row, 14),
            creditResult: PaymentColumns.leg(rows, row, 17))
    }

    private static let isNew = SafetyCatch.ids.isOff ? "" : "ON CONFLICT (id) DO NOTHING"

    private static let insertStatement = Statement(
        "batch_insert_operations",
        """
        WITH inserted AS (
            INSERT INTO sluice.operation (id, tenant_id, fingerprint, kind, account_id, decline_reason, decided_at, log_partition,
                log_offset, payment_id, final, setting, account_revision, requested, moved, released, payment_revision, debit_account,
                debit_sequence)
            SELECT * FROM unnest($1::uuid[], $2::bigint[], $3::uuid[], $4::smallint[], $5::text[], $6::smallint[], $7::timestamptz[],
                $8::integer[], $9::bigint[], $10::uuid[], $11::boolean[], $12::bigint[], $13::bigint[], $14::bigint[], $15::bigint[],
                $16::bigint[], $17::bigint[], $18::bigint[], $19::bigint[])
            \(isNew) RETURNING 1)
        SELECT sluice.expect((SELECT count(*) FROM inserted), $20::bigint, 'operations stored')
        """)
}
