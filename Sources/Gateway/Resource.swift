internal import HTTP1
internal import Store
internal import Wire

/// What a path names. Ids are ranges of the path, still percent-encoded.
enum Resource: Equatable {
    case payments
    case payment(ByteRange)
    case batches
    case accounts
    case account(ByteRange)
    case balance(ByteRange)
    case transactions(ByteRange)
    case changeOfPayment(ByteRange, PaymentVerb)
    case changeOfAccount(ByteRange, AccountVerb)

    /// Nil when the path names nothing that is served.
    static func find(_ path: ByteRange, in bytes: Span<UInt8>) -> Resource? {
        var segments = PathSegments(path)
        guard let version = segments.next(in: bytes), bytes[version].equals("v1"), let collection = segments.next(in: bytes)
        else { return nil }
        if bytes[collection].equals("batches") { return segments.next(in: bytes) == nil ? .batches : nil }
        let isPayments = bytes[collection].equals("payments")
        guard isPayments || bytes[collection].equals("accounts") else { return nil }
        guard let id = segments.next(in: bytes) else { return isPayments ? .payments : .accounts }
        guard !id.isEmpty else { return nil }
        guard let part = segments.next(in: bytes) else { return isPayments ? .payment(id) : .account(id) }
        guard segments.next(in: bytes) == nil else { return nil }
        if isPayments {
            for verb in PaymentVerb.allCases where bytes[part].equals(verb.segment) { return .changeOfPayment(id, verb) }
            return nil
        }
        for verb in AccountVerb.allCases where bytes[part].equals(verb.segment) { return .changeOfAccount(id, verb) }
        if bytes[part].equals("balance") { return .balance(id) }
        if bytes[part].equals("transactions") { return .transactions(id) }
        return nil
    }

    /// Whether commands are posted to it.
    var takesCommands: Bool { self == .payments || self == .accounts || !isReadable }

    /// Whether there is something to `GET`: of a change or a batch there is not, its payments or accounts show it.
    var isReadable: Bool {
        switch self {
        case .batches, .changeOfPayment, .changeOfAccount: false
        case .payments, .payment, .accounts, .account, .balance, .transactions: true
        }
    }

    /// What a key must permit.
    func scope(of method: Method) -> KeyScopes {
        if method != .post { return .read }
        return switch self {
        case .payments, .payment, .batches, .changeOfPayment: .pay
        case .accounts, .account, .balance, .transactions, .changeOfAccount: .admin
        }
    }

    /// The `Allow` field of a 405.
    func allowedMethods(_ role: ServedRole) -> StaticString {
        if !isReadable { return role.acceptsWrites ? "POST" : "" }
        return takesCommands && role.acceptsWrites ? "GET, HEAD, POST" : "GET, HEAD"
    }

    /// The parameters that a query may have.
    func parameters(of method: Method) -> QueryNames {
        if method == .post { return [] }
        return switch self {
        case .payments: [.reference, .limit, .cursor]
        case .payment: .wait
        case .accounts: [.limit, .cursor]
        case .account, .balance: .minRevision
        case .transactions: [.limit, .cursor, .minRevision]
        case .batches, .changeOfPayment, .changeOfAccount: []
        }
    }
}

extension Span<UInt8> {
    /// Whether the bytes are exactly this text.
    func equals(_ text: StaticString) -> Bool {
        guard count == text.utf8CodeUnitCount else { return false }
        for index in 0..<count where unsafe self[index] != text.utf8Start[index] { return false }
        return true
    }

    func equals(_ other: Span<UInt8>) -> Bool {
        guard count == other.count else { return false }
        for index in 0..<count where self[index] != other[index] { return false }
        return true
    }

    /// The text of bytes that are known to be UTF-8.
    var text: String { unsafe withUnsafeBufferPointer { buffer in unsafe String(decoding: buffer, as: UTF8.self) } }
}
