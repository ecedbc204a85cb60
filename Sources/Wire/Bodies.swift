internal import Bytes
public import Ledger

/// Response bodies. The same state gives the same bytes whoever writes it (the worker from a decision, the gateway from a
/// row), because bodies are cached by revision and compared by the audit.
extension [UInt8] {
    /// Appends a payment as the API shows it.
    public mutating func append(_ payment: Payment) {
        append("{\"id\":")
        append(json: payment.id)
        append(",\"status\":\"")
        append(payment.status.name)
        append("\",")
        append(members: payment.request)
        append(",\"accepted_at\":")
        append(json: payment.acceptedAt)
        if let decidedAt = payment.decidedAt {
            append(",\"decided_at\":")
            append(json: decidedAt)
        }
        if let reason = payment.declineReason {
            append(",\"decline_reason\":\"")
            append(reason.code)
            append(UInt8(ascii: "\""))
        }
        append(",\"revision\":")
        append(decimal: payment.revision)
        if let result = payment.debitResult { append(",\"debit_result\":", result) }
        if let result = payment.creditResult { append(",\"credit_result\":", result) }
        append(lifeOf: payment)
        if let traceparent = payment.traceparent {
            append(",\"traceparent\":")
            append(json: traceparent)
        }
        append(UInt8(ascii: "}"))
    }

    /// What a payment has that was held or refunded, and no other.
    private mutating func append(lifeOf payment: Payment) {
        guard payment.holdUntil != nil || !payment.history.isEmpty else { return }
        append(",\"captured\":")
        append(decimal: payment.captured)
        append(",\"refunded\":")
        append(decimal: payment.refunded)
        append(",\"held\":")
        append(decimal: payment.held)
        if let holdUntil = payment.holdUntil {
            append(",\"hold_until\":")
            append(json: holdUntil)
        }
        append(",\"history\":[")
        var separator: StaticString = ""
        if payment.holdUntil != nil, let at = payment.decidedAt {
            append("{\"id\":")
            append(json: payment.id)
            append(",\"type\":\"hold\",\"amount\":")
            append(decimal: payment.request.amount)
            append(",\"at\":")
            append(json: at)
            append(UInt8(ascii: "}"))
            separator = ","
        }
        for event in payment.history {
            append(separator)
            append(event)
            separator = ","
        }
        append(UInt8(ascii: "]"))
    }

    private mutating func append(_ event: PaymentEvent) {
        append("{\"id\":")
        append(json: event.id)
        append(",\"type\":\"")
        append(event.kind.name)
        append(UInt8(ascii: "\""))
        if event.moved > 0 {
            append(",\"amount\":")
            append(decimal: event.moved)
        }
        if event.released > 0 {
            append(",\"released\":")
            append(decimal: event.released)
        }
        append(",\"at\":")
        append(json: event.at)
        append(UInt8(ascii: "}"))
    }

    /// Appends a capture, void, expiry or refund as the API shows it once it is decided. It never changes: another change of the
    /// payment has a body of its own.
    public mutating func append(_ change: PaymentChange) {
        append(beginningOf: change.request, id: change.id, status: change.declineReason == nil ? "applied" : "declined")
        append(",\"decided_at\":")
        append(json: change.decidedAt)
        if let reason = change.declineReason {
            append(",\"decline_reason\":\"")
            append(reason.code)
            append(UInt8(ascii: "\""))
        }
        if change.moved > 0 {
            append(",\"moved\":")
            append(decimal: change.moved)
        }
        if change.released > 0 {
            append(",\"released\":")
            append(decimal: change.released)
        }
        if let revision = change.paymentRevision {
            append(",\"payment_revision\":")
            append(decimal: revision)
        }
        if let result = change.debitResult { append(",\"debit_result\":", result) }
        if let result = change.creditResult { append(",\"credit_result\":", result) }
        append(UInt8(ascii: "}"))
    }

    /// Appends a change of a payment as the API shows it while it is not decided.
    public mutating func append(processing change: ChangePayment, id: OperationID) {
        append(beginningOf: change, id: id, status: "processing")
        append(UInt8(ascii: "}"))
    }

    private mutating func append(beginningOf change: ChangePayment, id: OperationID, status: StaticString) {
        append("{\"id\":")
        append(json: id)
        append(",\"type\":\"")
        append(change.kind.name)
        append("\",\"status\":\"")
        append(status)
        append("\",\"payment\":")
        append(json: change.payment)
        append(members: change.change, separator: ",")
    }

    private mutating func append(_ name: StaticString, _ result: LegResult) {
        append(name)
        append("{\"sequence\":")
        append(decimal: result.sequence)
        append(",\"posted_after\":")
        append(decimal: result.postedAfter)
        append(",\"revision\":")
        append(decimal: result.revision)
        append(UInt8(ascii: "}"))
    }

    /// Appends an account as the API shows it: under its own path and as its balance.
    public mutating func append(_ account: Account) {
        append("{\"id\":")
        append(json: account.key.account.text)
        append(",\"currency\":\"")
        append(account.currency)
        append("\",\"kind\":\"")
        append(text: account.kind.name)
        append("\",\"overdraft_limit\":")
        append(decimal: account.overdraftLimit)
        append(account.flags)
        append(",\"posted\":")
        append(decimal: account.posted)
        append(",\"held\":")
        append(decimal: account.held)
        append(",\"available\":")
        append(decimal: account.available)
        append(",\"sequence\":")
        append(decimal: account.sequence)
        append(",\"revision\":")
        append(decimal: account.revision)
        append(",\"opened_at\":")
        append(json: account.openedAt)
        append(",\"as_of\":")
        append(json: account.changedAt)
        append(UInt8(ascii: "}"))
    }

    /// An account that is closed is told to be closed, whatever was frozen before; `frozen` says which sides are.
    private mutating func append(_ flags: AccountFlags) {
        let frozen = flags.intersection([.debitFrozen, .creditFrozen])
        append(",\"status\":\"")
        append(flags.contains(.closed) ? "closed" : frozen.isEmpty ? "open" : "frozen")
        append(UInt8(ascii: "\""))
        if frozen.contains([.debitFrozen, .creditFrozen]) {
            append(",\"frozen\":[\"debit\",\"credit\"]")
        } else if frozen.contains(.debitFrozen) {
            append(",\"frozen\":[\"debit\"]")
        } else if frozen.contains(.creditFrozen) {
            append(",\"frozen\":[\"credit\"]")
        }
    }

    /// Appends a problem (RFC 9457), to be sent as `application/problem+json`.
    public mutating func append(_ problem: Problem) {
        let entry = problem.code.entry
        append("{\"type\":\"/problems/")
        append(entry.code)
        append("\",\"title\":\"")
        append(entry.title)
        append("\",\"status\":")
        append(decimal: Int64(entry.status))
        append(",\"code\":\"")
        append(entry.code)
        append("\",\"retryable\":")
        append(entry.retryable ? "true" : "false")
        if let detail = problem.detail {
            append(",\"detail\":")
            append(json: detail)
        }
        if let instance = problem.instance {
            append(",\"instance\":")
            append(json: instance)
        }
        append(problem.errors)
        if let id = problem.paymentID {
            append(",\"payment_id\":")
            append(json: id)
        }
        if let payment = problem.payment {
            append(",\"payment\":")
            append(contentsOf: payment)
        }
        append(UInt8(ascii: "}"))
    }

    private mutating func append(_ errors: [ValidationProblem]) {
        if errors.isEmpty { return }
        append(",\"errors\":[")
        for (index, error) in errors.prefix(Problem.errorsMax).enumerated() {
            if index > 0 { append(UInt8(ascii: ",")) }
            append("{\"pointer\":")
            append(json: error.pointer)
            append(",\"code\":\"")
            append(error.code.text)
            append("\",\"detail\":")
            append(json: error.detail)
            append(UInt8(ascii: "}"))
        }
        append(UInt8(ascii: "]"))
    }
}
