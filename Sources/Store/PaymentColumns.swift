public import Ledger
public import Postgres

/// How a payment's row is read, the same in every statement.
public enum PaymentColumns {
    /// In the order `payment(_:_:)` reads them; `p` is `sluice.payment`, `m` its movement or nothing.
    static let list = """
        p.id, p.tenant_id, p.debit, p.credit, p.amount, p.currency, p.reference, p.metadata, p.expires_at, p.status, p.decline_reason, \
        p.accepted_at, p.decided_at, p.revision, m.debit_sequence, m.debit_posted_after, m.debit_revision, m.credit_sequence, \
        m.credit_posted_after, m.credit_revision, p.manual, p.capture_before, p.hold_until, p.captured, p.refunded, \
        CASE WHEN p.revision > 1 THEN (\(history)) END, p.traceparent
        """

    /// A payment's changes in the order they were made, packed: `eventBytes` bytes each. A plain payment's reader never asks for them.
    private static let history = """
        SELECT string_agg(uuid_send(o.id) || int2send(o.kind) || int8send(o.moved) || int8send(o.released) || timestamptz_send(o.decided_at), \
        ''::bytea ORDER BY o.payment_revision) FROM sluice.operation o WHERE o.payment_id = p.id AND o.payment_revision IS NOT NULL
        """
    private static let eventBytes = 42
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
            expiresAt: time(rows, row, 8), capture: rows.isNull(row, 20) ? .automatic : .manual, captureBefore: time(rows, row, 21))
        return Payment(
            id: OperationID(high: id.0, low: id.1), tenant: TenantID(rows.int64(row, 1)), request: request,
            acceptedAt: Timestamp(microseconds: rows.timestamp(row, 11)), status: status,
            declineReason: optional(rows, row, 10) { declineReason(rows.int16(row, $0)) },
            decidedAt: Timestamp(microseconds: rows.timestamp(row, 12)), revision: rows.int64(row, 13), debitResult: leg(rows, row, 14),
            creditResult: leg(rows, row, 17), captured: optional(rows, row, 23) { rows.int64(row, $0) },
            refunded: optional(rows, row, 24) { rows.int64(row, $0) } ?? 0, holdUntil: time(rows, row, 22),
            history: rows.isNull(row, 25) ? [] : events(rows.bytes(row, 25)),
            traceparent: optional(rows, row, 26) { rows.text(row, $0) })
    }

    private static func events(_ packed: Span<UInt8>) -> [PaymentEvent] {
        func word(_ at: Int, _ count: Int = 8) -> UInt64 {
            var value: UInt64 = 0
            for index in at..<(at + count) { value = value << 8 | UInt64(packed[index]) }
            return value
        }
        return stride(from: 0, to: packed.count, by: eventBytes).map { at in
            guard let kind = UInt8(exactly: word(at + 16, 2)).flatMap(PaymentChange.Kind.init(rawValue:)) else {
                preconditionFailure("a payment's history has a kind that is unknown: the ledger was written by a newer build")
            }
            return PaymentEvent(
                id: OperationID(high: word(at), low: word(at + 8)), kind: kind, moved: Int64(bitPattern: word(at + 18)),
                released: Int64(bitPattern: word(at + 26)),
                // PostgreSQL counts from 2000-01-01.
                at: Timestamp(microseconds: Int64(bitPattern: word(at + 34)) + 946_684_800_000_000))
        }
    }

    private static func time(_ rows: Rows, _ row: Int, _ column: Int) -> Timestamp? {
        optional(rows, row, column) { Timestamp(microseconds: rows.timestamp(row, $0)) }
    }

    static func declineReason(_ number: Int16) -> DeclineReason {
        guard let reason = UInt8(exactly: number).flatMap(DeclineReason.init(rawValue:)) else {
            preconditionFailure("decline reason \(number) is unknown: the ledger was written by a newer build")
        }
        return reason
    }

    static func leg(_ rows: Rows, _ row: Int, _ column: Int) -> LegResult? {
        optional(rows, row, column) {
            LegResult(sequence: rows.int64(row, $0), postedAfter: rows.int64(row, $0 + 1), revision: rows.int64(row, $0 + 2))
        }
    }

    private static func optional<Value>(_ rows: Rows, _ row: Int, _ column: Int, _ read: (Int) -> Value) -> Value? {
        rows.isNull(row, column) ? nil : read(column)
    }
}
