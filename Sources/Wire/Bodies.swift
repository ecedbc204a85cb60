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
        append(UInt8(ascii: "}"))
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
