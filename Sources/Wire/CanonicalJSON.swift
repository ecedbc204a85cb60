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
        case .changeAccount(let change):
            append("{\"type\":\"")
            append(change.change.type)
            append("\",\"account\":")
            append(json: change.account.text)
            append(members: change.change, separator: ",")
        case .changePayment(let change):
            append("{\"type\":\"")
            append(change.change.type)
            append("\",\"payment\":")
            append(json: change.payment)
            append(members: change.change, separator: ",")
        }
        append(UInt8(ascii: "}"))
    }

    /// Appends what an account is changed to, as the log and the API both have it.
    ///
    /// - Parameter separator: what stands before the first member, if there is one.
    mutating func append(members change: ChangeAccount.Change, separator: StaticString) {
        switch change {
        case .freeze(let sides), .unfreeze(let sides):
            append(separator)
            append("\"side\":\"")
            append(sides == .debitFrozen ? "debit" : sides == .creditFrozen ? "credit" : "both")
            append(UInt8(ascii: "\""))
        case .close: break
        case .setOverdraftLimit(let limit):
            append(separator)
            append("\"overdraft_limit\":")
            append(decimal: limit)
        }
    }

    /// Appends how a payment is changed, as the log and the API both have it.
    ///
    /// - Parameter separator: what stands before the first member, if there is one.
    mutating func append(members change: ChangePayment.Change, separator: StaticString) {
        var separator = separator
        func appendAmount(_ amount: Int64?, _ buffer: inout [UInt8]) {
            guard let amount else { return }
            buffer.append(separator)
            buffer.append("\"amount\":")
            buffer.append(decimal: amount)
            separator = ","
        }
        switch change {
        case .void, .expire: break
        case .refund(let amount): appendAmount(amount, &self)
        case .capture(let amount, let isFinal):
            appendAmount(amount, &self)
            guard isFinal else { return }
            append(separator)
            append("\"final\":true")
        }
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
        if pay.capture == .manual { append(",\"capture\":\"manual\"") }
        if let captureBefore = pay.captureBefore {
            append(",\"capture_before\":")
            append(json: captureBefore)
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

extension ChangeAccount.Change {
    /// The command's type in the log.
    var type: StaticString {
        switch self {
        case .freeze: "freeze"
        case .unfreeze: "unfreeze"
        case .close: "close"
        case .setOverdraftLimit: "set_limit"
        }
    }
}

extension ChangePayment.Change {
    /// The command's type in the log.
    var type: StaticString {
        switch self {
        case .capture: "capture"
        case .void: "void"
        case .expire: "expire"
        case .refund: "refund"
        }
    }
}

extension Command {
    /// The path that asks for it, which its fingerprint is over. An expiry is asked for by no client, and has a path of its own.
    public var path: String {
        switch self {
        case .pay: "/v1/payments"
        case .openAccount: "/v1/accounts"
        case .changeAccount(let change): "/v1/accounts/\(change.account.text)/\(change.change.verb.segment)"
        case .changePayment(let change): "/v1/payments/\(change.payment)/\(change.change.segment)"
        }
    }
}

extension ChangeAccount.Change {
    fileprivate var verb: AccountVerb {
        switch self {
        case .freeze: .freeze
        case .unfreeze: .unfreeze
        case .close: .close
        case .setOverdraftLimit: .limit
        }
    }
}

extension ChangePayment.Change {
    fileprivate var segment: StaticString {
        switch self {
        case .capture: PaymentVerb.capture.segment
        case .void: PaymentVerb.void.segment
        case .refund: PaymentVerb.refunds.segment
        case .expire: "expire"
        }
    }
}
