public import Ledger
public import Postgres

/// How a payment's row is read, the same in every statement.
public enum PaymentColumns {
    /// In the order `payment(_:_:)` reads them; `p` is `sluice.payment`, `m` its movement or nothing.
    static let list = """
        p.id, p.tenant_id, p.debit, p.credit, p.amount, p.currency, p.reference, p.metadata, p.expires_at, p.status, p.decline_reason, \
        p.accepted_at, p.decided_at, p.revision, m.debit_sequence, m.debit_posted_after, m.debit_revision, m.credit_sequence, \
        m.credit_posted_after, m.credit_revision
        """
    /// A payment's row knows where its movement stands, so that movements need no index by payment.
    static let source = """
        sluice.payment p LEFT JOIN sluice.movement m ON m.debit_account = p.debit_account AND m.debit_sequence = p.debit_sequence
        """

    /// Traps on a row that no worker of ours can have written.
    public static func payment(_ rows: Rows, _ row: Int) -> Payment {
        guard let debit = AccountID(rows.bytes(row, 2)), let credit = AccountID(rows.bytes(row, 3)),
            let currency = Currency(rows.bytes(row, 5)),
            let status = UInt8(exactly: rows.int16(row, 9)).flatMap(PaymentStatus.init(rawValue:))
        else { preconditionFailure("a payment's row has an account, currency or status that the ledger never wrote") }
        let id = rows.uuid(row, 0)
        let request = Pay(
            debit: debit, credit: credit, amount: rows.int64(row, 4), currency: currency,
            reference: optional(rows, row, 6) { rows.text(row, $0) },
            metadata: optional(rows, row, 7) { rows.text(row, $0) },
            expiresAt: optional(rows, row, 8) { Timestamp(microseconds: rows.timestamp(row, $0)) })
        return Payment(
            id: OperationID(high: id.0, low: id.1), tenant: TenantID(rows.int64(row, 1)), request: request,
            acceptedAt: Timestamp(microseconds: rows.timestamp(row, 11)), status: status,
            declineReason: optional(rows, row, 10) { declineReason(rows.int16(row, $0)) },
            decidedAt: Timestamp(microseconds: rows.timestamp(row, 12)), revision: rows.int64(row, 13), debitResult: leg(rows, row, 14),
            creditResult: leg(rows, row, 17))
    }

    static func declineReason(_ number: Int16) -> DeclineReason {
        guard let reason = UInt8(exactly: number).flatMap(DeclineReason.init(rawValue:)) else {
            preconditionFailure("decline reason \(number) is unknown: the ledger was written by a newer build")
        }
        return reason
    }

    private static func leg(_ rows: Rows, _ row: Int, _ column: Int) -> LegResult? {
        optional(rows, row, column) {
            LegResult(sequence: rows.int64(row, $0), postedAfter: rows.int64(row, $0 + 1), revision: rows.int64(row, $0 + 2))
        }
    }

    private static func optional<Value>(_ rows: Rows, _ row: Int, _ column: Int, _ read: (Int) -> Value) -> Value? {
        rows.isNull(row, column) ? nil : read(column)
    }
}
