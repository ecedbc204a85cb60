public import Ledger

/// What a path asks to be done to an account.
public enum AccountVerb: Sendable, CaseIterable {
    case freeze, unfreeze, close, limit

    /// The last segment of the path.
    public var segment: StaticString {
        switch self {
        case .freeze: "freeze"
        case .unfreeze: "unfreeze"
        case .close: "close"
        case .limit: "limit"
        }
    }
}

/// What a path asks to be done to a payment.
public enum PaymentVerb: Sendable, CaseIterable {
    case capture, void, refunds

    /// The last segment of the path.
    public var segment: StaticString {
        switch self {
        case .capture: "capture"
        case .void: "void"
        case .refunds: "refunds"
        }
    }
}

extension RequestReader {
    /// The body of `POST /v1/accounts/{id}/VERB`; no body at all is an empty object.
    public func change(of account: AccountID, _ verb: AccountVerb, _ body: Span<UInt8>) -> Result<ChangeAccount, Problem> {
        let members: Members =
            switch verb {
            case .freeze, .unfreeze: .side
            case .close: []
            case .limit: .overdraftLimit
            }
        return form(body, members) { form in
            switch verb {
            case .freeze: form.sides(required: false).map { ChangeAccount(account: account, change: .freeze($0)) }
            case .unfreeze: form.sides(required: false).map { ChangeAccount(account: account, change: .unfreeze($0)) }
            case .close: ChangeAccount(account: account, change: .close)
            case .limit: form.limit().map { ChangeAccount(account: account, change: .setOverdraftLimit($0)) }
            }
        }
    }

    /// The body of `POST /v1/payments/{id}/VERB`; no body at all is an empty object.
    public func change(of payment: OperationID, _ verb: PaymentVerb, _ body: Span<UInt8>) -> Result<ChangePayment, Problem> {
        let members: Members =
            switch verb {
            case .capture: [.amount, .final]
            case .void: []
            case .refunds: .amount
            }
        return form(body, members) { form in
            switch verb {
            case .capture: ChangePayment(payment: payment, change: form.captureChange())
            case .void: ChangePayment(payment: payment, change: .void)
            case .refunds: ChangePayment(payment: payment, change: .refund(amount: form.optionalAmount()))
            }
        }
    }

    private func form<Value>(_ body: Span<UInt8>, _ members: Members, _ value: (inout Form) -> Value?) -> Result<Value, Problem> {
        let nothing: [UInt8] = [UInt8(ascii: "{"), UInt8(ascii: "}")]
        if let problem = body.count == 0 ? read(nothing.span) : read(body) { return .failure(problem) }
        var form = Form(json, allowed: members)
        guard form.isReadable else { return Self.result(nil, form) }
        let found = value(&form)
        return Self.result(found, form)
    }

    // A member of another command passes here, and is found by the comparison with the canonical form.
    static let recordMembers: Members = [
        payMembers, .type, .account, .kind, .overdraftLimit, .payment, .final, .side,
    ]
}

extension Form {
    /// The command of a record, by its `type`.
    mutating func command() -> Command? {
        guard isReadable, let type = string(.type, required: true) else { return nil }
        let reader = reader
        let name = reader.text(type)
        if name.equals("pay") { return pay().map { .pay($0) } }
        if name.equals("open_account") { return openAccount(id: .account, lenient: false).map { .openAccount($0) } }
        if name.equals("capture") { return changePayment { $0.captureChange() } }
        if name.equals("void") { return changePayment { _ in .void } }
        if name.equals("expire") { return changePayment { _ in .expire } }
        if name.equals("refund") { return changePayment { .refund(amount: $0.optionalAmount()) } }
        if name.equals("freeze") { return changeAccount { form in form.sides(required: true).map { .freeze($0) } } }
        if name.equals("unfreeze") { return changeAccount { form in form.sides(required: true).map { .unfreeze($0) } } }
        if name.equals("close") { return changeAccount { _ in .close } }
        if name.equals("set_limit") { return changeAccount { form in form.limit().map { .setOverdraftLimit($0) } } }
        report(.invalidValue, at: Member.type.pointer, "no such command is known")
        return nil
    }

    fileprivate mutating func captureChange() -> ChangePayment.Change {
        let amount = optionalAmount()
        return .capture(amount: amount, isFinal: final())
    }

    fileprivate mutating func limit() -> Int64? { integer(.overdraftLimit, in: 0...Money.minorUnitsMax, absent: nil) }

    private mutating func changePayment(_ change: (inout Form) -> ChangePayment.Change) -> Command? {
        guard let payment = paymentID() else { return nil }
        return .changePayment(ChangePayment(payment: payment, change: change(&self)))
    }

    private mutating func changeAccount(_ change: (inout Form) -> ChangeAccount.Change?) -> Command? {
        guard let account = account(.account), let change = change(&self) else { return nil }
        return .changeAccount(ChangeAccount(account: account, change: change))
    }
}
