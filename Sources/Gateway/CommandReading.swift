internal import HTTP1
internal import Ledger
internal import Wire

extension Resource {
    /// Whether a command without a body says too little.
    var needsBody: Bool {
        switch self {
        case .changeOfPayment, .changeOfAccount(_, .freeze), .changeOfAccount(_, .unfreeze), .changeOfAccount(_, .close): false
        case .payments, .payment, .accounts, .account, .balance, .transactions, .batches, .changeOfAccount(_, .limit): true
        }
    }
}

extension RequestReader {
    /// The command that is posted to a resource.
    ///
    /// - Parameter bytes: what the resource's ids are ranges of.
    func command(_ resource: Resource, _ bytes: Span<UInt8>, body: Span<UInt8>) throws(Problem) -> Command {
        switch resource {
        case .payments: return .pay(try payment(body).get())
        case .accounts: return .openAccount(try account(body).get())
        case .changeOfPayment(let segment, let verb):
            guard let id = OperationID(hex: bytes[segment]) else { throw Problem(.notFound) }
            return .changePayment(try change(of: id, verb, body).get())
        case .changeOfAccount(let segment, let verb):
            var decoded: [UInt8] = []
            guard Decoded.account(bytes[segment], into: &decoded), let id = AccountID(decoded.span) else { throw Problem(.notFound) }
            return .changeAccount(try change(of: id, verb, body).get())
        case .batches, .payment, .account, .balance, .transactions: throw Problem(.methodNotAllowed)
        }
    }
}
