internal import Bytes
public import Ledger

/// A command's canonical JSON: the value of its record in the log, and what its fingerprint is made of
/// (docs/architecture.md, "The log"). Every command has exactly one.
extension [UInt8] {
    /// Appends the canonical JSON of a command.
    public mutating func append(canonical command: Command) {
        switch command {
        case .openAccount(let open):
            append("{\"type\":\"open_account\",\"account\":")
            append(accountMembers: open)
        case .pay(let pay):
            append("{\"type\":\"pay\",")
            append(members: pay)
        }
        append(UInt8(ascii: "}"))
    }

    /// Appends the members of a payment's request, from `debit` on, as the log and the API both have them.
    mutating func append(members pay: Pay) {
        append("\"debit\":")
        append(json: pay.debit.text)
        append(",\"credit\":")
        append(json: pay.credit.text)
        append(",\"amount\":")
        append(decimal: pay.amount)
        append(",\"currency\":\"")
        append(pay.currency)
        append(UInt8(ascii: "\""))
        if let reference = pay.reference {
            append(",\"reference\":")
            append(json: reference)
        }
        if let metadata = pay.metadata {
            append(",\"metadata\":")
            append(text: metadata)
        }
        if let expiresAt = pay.expiresAt {
            append(",\"expires_at\":")
            append(json: expiresAt)
        }
    }

    mutating func append(_ currency: Currency) {
        let letters = currency.letters
        append(letters.span)
    }

    /// The value of the account's id, and the members after it: the same in a command and in a request.
    mutating func append(accountMembers open: OpenAccount) {
        append(json: open.account.text)
        append(",\"currency\":\"")
        append(open.currency)
        append("\",\"kind\":\"")
        append(text: open.kind.name)
        append("\",\"overdraft_limit\":")
        append(decimal: open.overdraftLimit)
    }
}
