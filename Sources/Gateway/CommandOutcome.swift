internal import Bytes
internal import HTTP1
internal import Ledger
internal import Store
internal import Wire

/// How a command ended, as its clients are told.
enum CommandOutcome: Equatable {
    /// A payment, as the API shows it.
    case settled([UInt8])
    case declined(DeclineReason, payment: [UInt8])
    /// An account, as the API shows it.
    case opened([UInt8])
    case accountDeclined(DeclineReason)
    /// A change of an account or a payment: the account or the change, as the API shows it.
    case changed([UInt8])
    case changeDeclined(DeclineReason)
    /// Its record could not be applied; an operator decides.
    case quarantined

    /// From a worker's word; nil for `keyReused`, which is not the whole truth (see `CommandFlow.Phase.verifying`), and for a
    /// word about another request under the same key.
    init?(_ message: borrowing ReplyMessage, for command: borrowing PendingCommand) {
        switch message.kind {
        case .settled, .declined:
            let request = command.canonical
            guard let shown = ShownPayment(message.body, request: request.span) else { return nil }
            self.init(shown)
        case .account:
            guard command.shows(account: message.body) else { return nil }
            self = .opened(Self.copy(message.body))
        case .accountDeclined(let reason):
            guard case .openAccount = command.command else { return nil }
            self = .accountDeclined(reason)
        case .changed:
            guard let changed = Self.body(of: message.body, for: command) else { return nil }
            self = .changed(Self.copy(changed))
        case .changeDeclined(let reason):
            guard Self.body(of: message.body, for: command) != nil else { return nil }
            self = .changeDeclined(reason)
        case .quarantined: self = .quarantined
        case .keyReused: return nil
        }
    }

    init(_ shown: borrowing ShownPayment) {
        self = shown.declineReason.map { .declined($0, payment: Self.copy(shown.body)) } ?? .settled(Self.copy(shown.body))
    }

    init(_ payment: Payment) {
        var body: [UInt8] = []
        body.append(payment)
        self = payment.declineReason.map { .declined($0, payment: body) } ?? .settled(body)
    }

    /// What follows the fingerprint of the request; nil when it is another request's.
    @_lifetime(copy word)
    private static func body(of word: Span<UInt8>, for command: borrowing PendingCommand) -> Span<UInt8>? {
        guard word.count >= 33, word[32] == UInt8(ascii: "\n"),
            Fingerprint(hex: word.extracting(0..<32)) == command.fingerprint
        else { return nil }
        return word.extracting(33...)
    }

    private static func copy(_ bytes: Span<UInt8>) -> [UInt8] {
        var copy: [UInt8] = []
        copy.append(bytes)
        return copy
    }
}

/// A decided payment's body, taken apart as far as an answer needs it.
struct ShownPayment: ~Escapable {
    let body: Span<UInt8>
    /// Nil for one that was settled or authorized.
    let declineReason: DeclineReason?

    /// Nil when the body shows another request's payment, or one that is not decided.
    ///
    /// The members of the request stand in a body as they stand in the command's canonical form, so that no body needs to be parsed.
    /// - Parameter request: the canonical form.
    @_lifetime(copy body)
    init?(_ body: Span<UInt8>, request: Span<UInt8>) {
        let prefix: StaticString = "{\"type\":\"pay\","
        guard request.count > prefix.utf8CodeUnitCount else { return nil }
        let members = request.extracting(prefix.utf8CodeUnitCount..<(request.count - 1))
        // {"id":"32 digits","status":"
        var scan = BodyScan(body)
        guard scan.skip("{\"id\":\""), scan.skip(count: 32), scan.skip("\",\"status\":\"") else { return nil }
        // Whatever may have become of it since: it was not declined.
        let isSettled =
            scan.skip("settled\",") || scan.skip("authorized\",") || scan.skip("voided\",") || scan.skip("expired\",")
        guard isSettled || scan.skip("declined\","), scan.skip(members), scan.skip(",\"accepted_at\":\"") else { return nil }
        self.body = body
        declineReason = isSettled ? nil : scan.declineReason()
        if !isSettled, declineReason == nil { return nil }
    }
}

/// Walks over a body whose form is known.
private struct BodyScan: ~Escapable {
    private let bytes: Span<UInt8>
    private var at = 0

    @_lifetime(copy bytes)
    init(_ bytes: Span<UInt8>) { self.bytes = bytes }

    @_lifetime(self: copy self)
    mutating func skip(count: Int) -> Bool {
        guard at + count <= bytes.count else { return false }
        at += count
        return true
    }

    @_lifetime(self: copy self)
    mutating func skip(_ text: StaticString) -> Bool {
        let count = text.utf8CodeUnitCount
        guard at + count <= bytes.count, bytes.extracting(at..<(at + count)).equals(text) else { return false }
        at += count
        return true
    }

    @_lifetime(self: copy self)
    mutating func skip(_ other: Span<UInt8>) -> Bool {
        guard at + other.count <= bytes.count, bytes.extracting(at..<(at + other.count)).equals(other) else { return false }
        at += other.count
        return true
    }

    /// The reason, somewhere behind: what follows the request's members is written by us alone, so the name cannot be a client's text.
    func declineReason() -> DeclineReason? {
        let name: StaticString = "\"decline_reason\":\""
        var start = at
        while start + name.utf8CodeUnitCount < bytes.count {
            if bytes[start] == UInt8(ascii: "\""), bytes.extracting(start..<(start + name.utf8CodeUnitCount)).equals(name) {
                let code = bytes.extracting((start + name.utf8CodeUnitCount)...)
                return DeclineReason.allCases.first { reason in
                    let length = reason.code.utf8CodeUnitCount
                    return code.count > length && code.extracting(0..<length).equals(reason.code) && code[length] == UInt8(ascii: "\"")
                }
            }
            start += 1
        }
        return nil
    }
}
