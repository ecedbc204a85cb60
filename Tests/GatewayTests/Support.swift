import Bytes
import HTTP1
import Ledger
import Wire

@testable import Gateway

/// A head and the bytes it points into, for tests of what is read from them.
func withHead<Value>(_ request: String, _ body: (borrowing RequestHead, Span<UInt8>) throws -> Value) rethrows -> Value {
    var bytes: [UInt8] = Array(request.utf8)
    var head = RequestHead()
    let limits = ConnectionLimits()
    var machine = ConnectionMachine(limits: limits, now: 0)
    var span = bytes.mutableSpan
    let receipt = machine.receive(&span, head: &head, limits: limits, now: 0)
    guard case .request = receipt.outcome else { fatalError("the test's request is refused: \(receipt.outcome)") }
    return try body(head, bytes.span)
}

func withBytes<Value>(_ text: String, _ body: (Span<UInt8>) throws -> Value) rethrows -> Value {
    let bytes: [UInt8] = Array(text.utf8)
    return try body(bytes.span)
}

func text(_ bytes: [UInt8]) -> String { String(decoding: bytes, as: UTF8.self) }

enum Sample {
    static let caller = CredentialTable.Caller(tenant: TenantID(7), partition: 3)
    static let pay = Pay(
        debit: AccountID("alice")!, credit: AccountID("bob")!, amount: 15_075, currency: Currency("CZK")!, reference: "order 1",
        metadata: "{\"decline_reason\":\"account_closed\"}")
    static let open = OpenAccount(account: AccountID("alice")!, currency: Currency("CZK")!, kind: .normal, overdraftLimit: 5)

    static func pending(_ command: Command = .pay(pay), key: String = "key-0001") -> PendingCommand {
        let identity = Identity()
        var canonical: [UInt8] = []
        canonical.append(canonical: command)
        let bytes: [UInt8] = Array(key.utf8)
        return PendingCommand(
            id: identity.operation(tenant: caller.tenant, key: bytes.span), caller: caller,
            fingerprint: identity.fingerprint(method: "POST", path: "/v1/payments", canonical: canonical.span),
            acceptedAt: Timestamp(microseconds: 1_000_000), command: command, canonical: canonical, trace: RequestTrace(), mayProduce: true)
    }

    static func payment(_ pending: PendingCommand, _ request: Pay = pay, declined reason: DeclineReason? = nil) -> Payment {
        let leg = LegResult(sequence: 4, postedAfter: -15_075, revision: 5)
        return Payment(
            id: pending.id, tenant: caller.tenant, request: request, acceptedAt: pending.acceptedAt,
            status: reason == nil ? .settled : .declined, declineReason: reason, decidedAt: Timestamp(microseconds: 2_000_000), revision: 1,
            debitResult: reason == nil ? leg : nil, creditResult: reason == nil ? leg : nil)
    }

    static func account(_ id: String = "alice", currency: String = "CZK") -> Account {
        Account(
            key: AccountKey(tenant: caller.tenant, account: AccountID(id)!), number: 1, currency: Currency(currency)!, kind: .normal,
            overdraftLimit: 5, openedAt: Timestamp(microseconds: 0), changedAt: Timestamp(microseconds: 0))
    }
}
