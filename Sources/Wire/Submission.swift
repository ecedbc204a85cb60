internal import Bytes
internal import CSimdJSON
public import Ledger

/// One line of a file of payments and accounts: the request's body, with its idempotency key in it or without one.
public struct Submission: Equatable, Sendable {
    /// Nil when the line has none: whoever submits it derives one.
    public let key: String?
    public let command: Command

    public init(key: String?, command: Command) {
        self.key = key
        self.command = command
    }
}

extension RequestReader {
    /// Reads a line of NDJSON, without its line end: the members of `POST /v1/payments` or, with `"type":"account"`, of
    /// `POST /v1/accounts`, checked as those are, and perhaps `key`, the idempotency key.
    public func submission(_ line: Span<UInt8>) -> Result<Submission, Problem> {
        if let problem = read(line) { return .failure(problem) }
        var form = Form(json, allowed: Self.submissionMembers(json))
        guard form.isReadable else { return Self.result(nil, form) }
        let key = form.idempotencyKey()
        let command = form.submitted()
        guard let command else { return Self.result(nil, form) }
        return Self.result(Submission(key: key, command: command), form)
    }

    /// What a line may have depends on its type, which may stand anywhere in it.
    private static func submissionMembers(_ json: JSONReader) -> Members {
        guard json.kind(0) == .object, json.count <= JSONReader.valuesMax else { return [] }
        var at = 1
        while at < json.count {
            if json.name(at).equals("type"), json.text(at).equals("account") { return [accountMembers, .type, .key] }
            at = json.end(of: at)
        }
        return [payMembers, .type, .key]
    }
}

extension [UInt8] {
    /// Appends the request body that asks for a command, as it is posted to `Command.path`.
    public mutating func append(requestBody command: Command) {
        switch command {
        case .openAccount(let open):
            append("{\"id\":")
            append(accountMembers: open)
        case .pay(let pay):
            append(UInt8(ascii: "{"))
            append(members: pay)
        case .changeAccount(let change):
            append(UInt8(ascii: "{"))
            append(members: change.change, separator: "")
        case .changePayment(let change):
            append(UInt8(ascii: "{"))
            append(members: change.change, separator: "")
        }
        append(UInt8(ascii: "}"))
    }
}

extension Form {
    fileprivate mutating func idempotencyKey() -> String? {
        guard let value = string(.key, required: false) else { return nil }
        if IdempotencyKey.isValid(reader.text(value)) { return reader.text(value).string }
        report(.invalidValue, at: Member.key.pointer, "an idempotency key has 8 to 255 visible ASCII characters")
        return nil
    }

    fileprivate mutating func submitted() -> Command? {
        guard has(.type) else { return pay().map { .pay($0) } }
        guard let type = string(.type, required: true) else { return nil }
        if reader.text(type).equals("payment") { return pay().map { .pay($0) } }
        if reader.text(type).equals("account") { return openAccount(id: .id, lenient: true).map { .openAccount($0) } }
        report(.invalidValue, at: Member.type.pointer, "`payment` or `account` is required")
        return nil
    }
}
