public import Ledger

/// Reads request bodies into commands, and says precisely what is wrong with the others.
///
/// One thread's, made once: the parser's buffers are reused, and what is allocated for a valid body is the texts that the
/// command keeps.
public final class RequestReader {
    let json = JSONReader()
    /// What a record's canonical form is compared in.
    var scratch: [UInt8] = []

    public init() {}

    /// The body of `POST /v1/payments`.
    public func payment(_ body: Span<UInt8>) -> Result<Pay, Problem> {
        if let problem = read(body) { return .failure(problem) }
        var form = Form(json, allowed: Self.payMembers)
        return Self.result(form.pay(), form)
    }

    /// The body of `POST /v1/accounts`.
    public func account(_ body: Span<UInt8>) -> Result<OpenAccount, Problem> {
        if let problem = read(body) { return .failure(problem) }
        var form = Form(json, allowed: Self.accountMembers)
        return Self.result(form.openAccount(id: .id, lenient: true), form)
    }

    static let payMembers: Members = [
        .debit, .credit, .amount, .currency, .reference, .metadata, .expiresAt, .capture, .captureBefore,
    ]
    static let accountMembers: Members = [.id, .currency, .kind, .overdraftLimit]

    /// Nil when the bytes are JSON; `json` then has it.
    func read(_ body: Span<UInt8>) -> Problem? {
        guard let fault = json.read(body) else { return nil }
        switch fault {
        case .empty: return Problem(.malformedJSON, detail: "the body is empty")
        case .tooLong: return Problem(.contentTooLarge, detail: "a body has at most \(JSONReader.bytesMax) bytes")
        case .byteOrderMark: return Problem(.malformedJSON, detail: "the body begins with a byte order mark")
        case .invalidUTF8: return Problem(.malformedJSON, detail: "the body is not UTF-8")
        case .tooDeep: return Problem(.malformedJSON, detail: "the body is nested deeper than \(JSONReader.depthMax) levels")
        case .trailingBytes: return Problem(.malformedJSON, detail: "something follows the value")
        case .malformed: return Problem(.malformedJSON)
        }
    }

    /// A value without errors, or all that the form found.
    static func result<Value>(_ value: Value?, _ form: Form) -> Result<Value, Problem> {
        if form.errorsFound == 0, let value { return .success(value) }
        let more = form.errorsFound - form.errors.count
        let detail = more > 0 ? "\(form.errorsFound) errors, of which the first \(form.errors.count) are listed" : nil
        return .failure(Problem(.validationFailed, detail: detail, errors: form.errors))
    }
}

extension Form {
    /// Nil when something was reported.
    mutating func pay() -> Pay? {
        guard isReadable else { return nil }
        let debit = account(.debit)
        let credit = account(.credit)
        let amount = integer(.amount, in: 1...Money.minorUnitsMax, absent: nil)
        let currency = currency()
        let reference = reference()
        let metadata = metadata()
        let expiresAt = time(.expiresAt)
        let capture = capture()
        let captureBefore = time(.captureBefore)
        if captureBefore != nil, capture != .manual, errorsFound == 0 {
            report(.invalidValue, at: Member.captureBefore.pointer, "only a payment that is captured manually has it")
        }
        if let debit, debit == credit { report(.sameAccount, at: Member.credit.pointer, "debit and credit are the same account") }
        guard errorsFound == 0, let debit, let credit, let amount, let currency else { return nil }
        return Pay(
            debit: debit, credit: credit, amount: amount, currency: currency, reference: reference, metadata: metadata,
            expiresAt: expiresAt,
            capture: capture, captureBefore: captureBefore)
    }

    /// Nil when something was reported.
    ///
    /// - Parameters:
    ///   - id: the member that names the account.
    ///   - lenient: whether kind and limit may be left out, for `normal` and 0.
    mutating func openAccount(id: Member, lenient: Bool) -> OpenAccount? {
        guard isReadable else { return nil }
        let account = account(id)
        // Clients take these out of a path before they send it (RFC 3986 section 5.2.4), so such an account could not be read. Only
        // refused where it is opened: a log may have one from earlier.
        if lenient, let account, account.text == "." || account.text == ".." {
            report(.invalidValue, at: id.pointer, "`.` and `..` have a meaning of their own in a path")
        }
        let currency = currency()
        let kind = kind(absent: lenient ? .normal : nil)
        let overdraftLimit = integer(.overdraftLimit, in: 0...Money.minorUnitsMax, absent: lenient ? 0 : nil)
        if kind == .external, let overdraftLimit, overdraftLimit != 0 {
            report(.invalidValue, at: Member.overdraftLimit.pointer, "an external account has no limit: 0 or nothing")
        }
        guard errorsFound == 0, let account, let currency, let kind, let overdraftLimit else { return nil }
        return OpenAccount(account: account, currency: currency, kind: kind, overdraftLimit: overdraftLimit)
    }
}
