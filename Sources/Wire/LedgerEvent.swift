internal import Bytes
public import Ledger

/// What a command came to, for whoever listens on `payments.events` (docs/events.md).
///
/// A function of the command, its outcome and its place in the log alone, and of nothing that changes later: whoever writes it again
/// writes the same bytes.
public struct LedgerEvent: Sendable {
    public enum Content: Sendable {
        /// A payment was decided; it may have changed since, which the event does not show.
        case payment(Payment)
        /// A payment was changed, or that was declined.
        ///
        /// - Parameter of: the payment's request; needed where money moved.
        case change(PaymentChange, of: Pay?)
        /// An account was opened or changed, or that was declined.
        ///
        /// - Parameter revision: the account's, after it; nil when it was declined.
        case account(Command, revision: Int64?, declineReason: DeclineReason?)
    }

    /// The operation's.
    public let id: OperationID
    public let tenant: TenantID
    /// Where its command stands in `payments.commands`; the event stands in the same partition.
    public let partition: Int32
    public let offset: Int64
    public let decidedAt: Timestamp
    public let content: Content

    public init(id: OperationID, tenant: TenantID, partition: Int32, offset: Int64, decidedAt: Timestamp, content: Content) {
        self.id = id
        self.tenant = tenant
        self.partition = partition
        self.offset = offset
        self.decidedAt = decidedAt
        self.content = content
    }

    /// What happened, for a consumer that picks.
    public var type: StaticString {
        switch content {
        case .payment(let payment):
            switch payment.statusAsDecided {
            case .declined: "payment.declined"
            case .authorized: "payment.authorized"
            default: "payment.settled"
            }
        case .change(let change, _):
            switch (change.request.kind, change.declineReason) {
            case (.capture, nil): "payment.captured"
            case (.void, nil): "payment.voided"
            case (.expiry, nil): "payment.expired"
            case (.refund, nil): "payment.refunded"
            case (.capture, .some): "payment.capture_declined"
            case (.void, .some): "payment.void_declined"
            case (.expiry, .some): "payment.expiry_declined"
            case (.refund, .some): "payment.refund_declined"
            }
        case .account(.changeAccount(let order), _, let reason):
            switch (order.change, reason) {
            case (.freeze, nil): "account.frozen"
            case (.unfreeze, nil): "account.unfrozen"
            case (.close, nil): "account.closed"
            case (.setOverdraftLimit, nil): "account.limit_changed"
            case (_, .some): "account.change_declined"
            }
        case .account(_, _, nil): "account.opened"
        case .account(_, _, .some): "account.opening_declined"
        }
    }
}

extension Payment {
    fileprivate var statusAsDecided: PaymentStatus {
        switch status {
        case .declined: .declined
        case .processing, .quarantined: preconditionFailure("a payment that was not decided has no event")
        case .settled, .authorized, .voided, .expired: request.capture == .manual ? .authorized : .settled
        }
    }

    /// As it was when it was decided.
    fileprivate var asDecided: Payment {
        Payment(
            id: id, tenant: tenant, request: request, acceptedAt: acceptedAt, status: statusAsDecided, declineReason: declineReason,
            decidedAt: decidedAt, revision: 1, debitResult: debitResult, creditResult: creditResult, holdUntil: holdUntil,
            traceparent: traceparent)
    }
}

extension [UInt8] {
    /// Appends the value of an event's record.
    ///
    /// - Parameters:
    ///   - log: the identity of the log that the offset counts in.
    ///   - paymentBody: of a payment's decision, the payment as it was decided, where it is written already; empty where it is not.
    public mutating func append(_ event: LedgerEvent, log: String, paymentBody: Span<UInt8> = Span()) {
        append("{\"event\":")
        append(json: event.id)
        append(",\"type\":\"")
        append(event.type)
        append("\",\"tenant\":")
        append(decimal: event.tenant.rawValue)
        append(",\"log\":")
        append(json: log)
        append(",\"partition\":")
        append(decimal: Int64(event.partition))
        append(",\"offset\":")
        append(decimal: event.offset)
        append(",\"at\":")
        append(json: event.decidedAt)
        switch event.content {
        case .payment(let payment):
            append(",\"payment\":")
            if paymentBody.isEmpty { append(payment.revision == 1 ? payment : payment.asDecided) } else { append(paymentBody) }
            append(entriesOf: payment.request, payment.request.amount, payment.debitResult, payment.creditResult, isBack: false)
        case .change(let change, let pay):
            append(",\"change\":")
            append(change)
            guard change.debitResult != nil else { break }
            guard let pay else { preconditionFailure("a change that moved money, without its payment") }
            append(entriesOf: pay, change.moved, change.debitResult, change.creditResult, isBack: change.request.kind == .refund)
        case .account(let command, let revision, let reason):
            append(",\"command\":")
            append(canonical: command)
            if let revision {
                append(",\"account_revision\":")
                append(decimal: revision)
            }
            if let reason {
                append(",\"decline_reason\":\"")
                append(reason.code)
                append(UInt8(ascii: "\""))
            }
        }
        append(UInt8(ascii: "}"))
    }

    /// Each entry with its account and its number there: who sees a number missing has missed an event.
    private mutating func append(entriesOf pay: Pay, _ amount: Int64, _ debit: LegResult?, _ credit: LegResult?, isBack: Bool) {
        guard let debit, let credit else { return }
        append(",\"entries\":[")
        append(entryOf: isBack ? pay.credit : pay.debit, -amount, debit)
        append(UInt8(ascii: ","))
        append(entryOf: isBack ? pay.debit : pay.credit, amount, credit)
        append(UInt8(ascii: "]"))
    }

    private mutating func append(entryOf account: AccountID, _ amount: Int64, _ leg: LegResult) {
        append("{\"account\":")
        append(json: account.text)
        append(",\"sequence\":")
        append(decimal: leg.sequence)
        append(",\"amount\":")
        append(decimal: amount)
        append(",\"posted_after\":")
        append(decimal: leg.postedAfter)
        append(",\"revision\":")
        append(decimal: leg.revision)
        append(UInt8(ascii: "}"))
    }
}
