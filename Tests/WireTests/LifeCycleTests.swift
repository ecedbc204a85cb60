import Ledger
import Testing
import Wire

/// How changes of payments and accounts are read, logged and shown: golden bytes, and what is refused.
@Suite struct LifeCycleTests {
    static let payment = OperationID(high: 0x0123_4567_89ab_cdef, low: 1)
    static let other = OperationID(high: 0xffff_0000_0000_0000, low: 2)
    static let alice = AccountID("alice")!
    let reader = RequestReader()

    static func order(_ change: ChangePayment.Change) -> ChangePayment { ChangePayment(payment: payment, change: change) }
    static func order(_ change: ChangeAccount.Change) -> ChangeAccount { ChangeAccount(account: alice, change: change) }

    static let canonical: [(Command, String, String)] = {
        let id = "0123456789abcdef0000000000000001"
        let (payments, accounts) = ("/v1/payments/\(id)/", "/v1/accounts/alice/")
        return [
            (
                .changePayment(order(.capture(amount: 5, isFinal: true))),
                #"{"type":"capture","payment":"\#(id)","amount":5,"final":true}"#,
                payments + "capture"
            ),
            (
                .changePayment(order(.capture(amount: 5, isFinal: false))), #"{"type":"capture","payment":"\#(id)","amount":5}"#,
                payments + "capture"
            ),
            (
                .changePayment(order(.capture(amount: nil, isFinal: true))), #"{"type":"capture","payment":"\#(id)","final":true}"#,
                payments + "capture"
            ),
            (.changePayment(order(.capture(amount: nil, isFinal: false))), #"{"type":"capture","payment":"\#(id)"}"#, payments + "capture"),
            (.changePayment(order(.void)), #"{"type":"void","payment":"\#(id)"}"#, payments + "void"),
            (.changePayment(order(.expire)), #"{"type":"expire","payment":"\#(id)"}"#, payments + "expire"),
            (.changePayment(order(.refund(amount: 7))), #"{"type":"refund","payment":"\#(id)","amount":7}"#, payments + "refunds"),
            (.changePayment(order(.refund(amount: nil))), #"{"type":"refund","payment":"\#(id)"}"#, payments + "refunds"),
            (.changeAccount(order(.freeze(.sides))), #"{"type":"freeze","account":"alice","side":"both"}"#, accounts + "freeze"),
            (
                .changeAccount(order(.unfreeze(.debitFrozen))), #"{"type":"unfreeze","account":"alice","side":"debit"}"#,
                accounts + "unfreeze"
            ),
            (.changeAccount(order(.freeze(.creditFrozen))), #"{"type":"freeze","account":"alice","side":"credit"}"#, accounts + "freeze"),
            (.changeAccount(order(.close)), #"{"type":"close","account":"alice"}"#, accounts + "close"),
            (
                .changeAccount(order(.setOverdraftLimit(9))), #"{"type":"set_limit","account":"alice","overdraft_limit":9}"#,
                accounts + "limit"
            ),
        ]
    }()

    @Test func `each command has one canonical form and one path, and is read back from it`() {
        for (command, text, path) in Self.canonical {
            #expect(written { $0.append(canonical: command) } == text)
            #expect(command.path == path)
            #expect(withBytes(text) { reader.command(canonical: $0) } == .success(command), "\(text)")
        }
    }

    @Test func `a held payment's command has its members last`() {
        let pay = Command.pay(
            Pay(
                debit: Self.alice, credit: AccountID("bob")!, amount: 1, currency: Currency("EUR")!, capture: .manual,
                captureBefore: time("2026-12-01T00:00:00Z")))
        let text =
            #"{"type":"pay","debit":"alice","credit":"bob","amount":1,"currency":"EUR","capture":"manual","capture_before":"2026-12-01T00:00:00.000000Z"}"#
        #expect(written { $0.append(canonical: pay) } == text)
        #expect(withBytes(text) { reader.command(canonical: $0) } == .success(pay))
    }

    @Test(
        arguments: [
            #"{"type":"capture","payment":"0123456789abcdef0000000000000001","final":false}"#,
            #"{"type":"capture","payment":"0123456789ABCDEF0000000000000001"}"#, #"{"type":"capture"}"#,
            #"{"type":"capture","payment":"x"}"#,
            #"{"type":"void","payment":"0123456789abcdef0000000000000001","amount":1}"#, #"{"type":"freeze","account":"alice"}"#,
            #"{"type":"freeze","account":"alice","side":"left"}"#, #"{"type":"close","account":"alice","side":"both"}"#,
            #"{"type":"set_limit","account":"alice"}"#, #"{"type":"set_limit","account":"alice","overdraft_limit":-1}"#,
            #"{"type":"refund","payment":"0123456789abcdef0000000000000001","amount":0}"#,
            #"{"type":"pay","debit":"alice","credit":"bob","amount":1,"currency":"EUR","capture":"automatic"}"#,
        ])
    func `a record that is no command in canonical form is refused`(text: String) {
        if case .success(let command) = withBytes(text, { reader.command(canonical: $0) }) {
            Issue.record("\(text) was read as \(command)")
        }
    }

    // MARK: Requests

    private func change(_ verb: PaymentVerb, _ text: String) -> Result<ChangePayment, Problem> {
        withBytes(text) { reader.change(of: Self.payment, verb, $0) }
    }
    private func change(_ verb: AccountVerb, _ text: String) -> Result<ChangeAccount, Problem> {
        withBytes(text) { reader.change(of: Self.alice, verb, $0) }
    }

    @Test func `a body says how much, or nothing for all`() {
        #expect(change(.capture, "") == .success(Self.order(.capture(amount: nil, isFinal: false))))
        #expect(change(.capture, "{}") == .success(Self.order(.capture(amount: nil, isFinal: false))))
        #expect(change(.capture, #"{"final":true,"amount":3}"#) == .success(Self.order(.capture(amount: 3, isFinal: true))))
        #expect(change(.capture, #"{"final":false}"#) == .success(Self.order(.capture(amount: nil, isFinal: false))))
        #expect(change(.void, "") == .success(Self.order(.void)))
        #expect(change(.refunds, #"{"amount":9007199254740991}"#) == .success(Self.order(.refund(amount: Money.minorUnitsMax))))
        #expect(change(.refunds, "") == .success(Self.order(.refund(amount: nil))))
        #expect(change(.freeze, "") == .success(Self.order(.freeze(.sides))))
        #expect(change(.freeze, #"{"side":"debit"}"#) == .success(Self.order(.freeze(.debitFrozen))))
        #expect(change(.unfreeze, #"{"side":"both"}"#) == .success(Self.order(.unfreeze(.sides))))
        #expect(change(.close, "{}") == .success(Self.order(.close)))
        #expect(change(.limit, #"{"overdraft_limit":0}"#) == .success(Self.order(.setOverdraftLimit(0))))
    }

    @Test func `each wrong body is told where it is wrong`() {
        func told(_ result: Result<ChangePayment, Problem>) -> String { Self.told(result.mapError { $0 }) }
        #expect(told(change(.capture, #"{"amount":0}"#)) == "/amount out_of_range")
        #expect(told(change(.capture, #"{"amount":1.0}"#)) == "/amount not_an_integer")
        #expect(told(change(.capture, #"{"amount":null}"#)) == "/amount wrong_type")
        #expect(told(change(.capture, #"{"final":"true"}"#)) == "/final wrong_type")
        #expect(told(change(.capture, #"{"final":1}"#)) == "/final wrong_type")
        #expect(told(change(.void, #"{"amount":1}"#)) == "/amount unknown_member")
        #expect(told(change(.refunds, #"{"amount":1,"amount":1}"#)) == "/amount duplicate_member")
        #expect(told(change(.refunds, "[]")) == " wrong_type")
        #expect(Self.told(change(.freeze, #"{"side":"left"}"#)) == "/side invalid_value")
        #expect(Self.told(change(.freeze, #"{"side":null}"#)) == "/side wrong_type")
        #expect(Self.told(change(.limit, "")) == "/overdraft_limit required")
        #expect(Self.told(change(.limit, #"{"overdraft_limit":-1}"#)) == "/overdraft_limit out_of_range")
        #expect(Self.told(change(.close, "x")) == "malformed_json")
        let pay = #"{"debit":"a","credit":"b","amount":1,"currency":"EUR""#
        #expect(Self.told(reader.payment(text: pay + #","capture":"later"}"#)) == "/capture invalid_value")
        #expect(Self.told(reader.payment(text: pay + #","capture_before":"2026-12-01T00:00:00Z"}"#)) == "/capture_before invalid_value")
        #expect(reader.payment(text: pay + #","capture":"automatic"}"#).value?.capture == .automatic)
    }

    private static func told<Value>(_ result: Result<Value, Problem>) -> String {
        guard case .failure(let problem) = result else { return "read" }
        return problem.errors.first.map { "\($0.pointer) \($0.code.text)" } ?? "\(problem.code.entry.code)"
    }

    // MARK: Bodies

    @Test func `a payment that was held shows what became of it, a plain one what it always did`() {
        let at = time("2026-11-27T00:00:00Z")
        let request = Pay(debit: Self.alice, credit: AccountID("bob")!, amount: 100, currency: Currency("EUR")!, capture: .manual)
        let held = Payment(
            id: Self.payment, tenant: TenantID(1), request: request, acceptedAt: at, status: .authorized, decidedAt: at, revision: 3,
            captured: 40, refunded: 10, holdUntil: time("2026-12-04T00:00:00Z"),
            history: [
                PaymentEvent(id: Self.other, kind: .capture, moved: 40, released: 0, at: at),
                PaymentEvent(id: Self.payment, kind: .refund, moved: 10, released: 0, at: at),
            ])
        #expect(
            written { $0.append(held) }
                == #"{"id":"0123456789abcdef0000000000000001","status":"authorized","debit":"alice","credit":"bob","amount":100,"currency":"EUR","#
                + #""capture":"manual","accepted_at":"2026-11-27T00:00:00.000000Z","decided_at":"2026-11-27T00:00:00.000000Z","revision":3,"#
                + #""captured":40,"refunded":10,"held":60,"hold_until":"2026-12-04T00:00:00.000000Z","history":["#
                + #"{"id":"0123456789abcdef0000000000000001","type":"hold","amount":100,"at":"2026-11-27T00:00:00.000000Z"},"#
                + #"{"id":"ffff0000000000000000000000000002","type":"capture","amount":40,"at":"2026-11-27T00:00:00.000000Z"},"#
                + #"{"id":"0123456789abcdef0000000000000001","type":"refund","amount":10,"at":"2026-11-27T00:00:00.000000Z"}]}"#)
        let plain = Payment(
            id: Self.payment, tenant: TenantID(1),
            request: Pay(debit: Self.alice, credit: AccountID("bob")!, amount: 100, currency: Currency("EUR")!), acceptedAt: at,
            status: .settled, decidedAt: at, revision: 1)
        #expect(written { $0.append(plain) }.hasSuffix(#""revision":1}"#))
    }

    @Test func `a change is shown while it is processed, applied and declined`() {
        let at = time("2026-11-27T00:00:00Z")
        let order = Self.order(.capture(amount: 5, isFinal: true))
        #expect(
            written { $0.append(processing: order, id: Self.other) }
                == #"{"id":"ffff0000000000000000000000000002","type":"capture","status":"processing","payment":"0123456789abcdef0000000000000001","#
                + #""amount":5,"final":true}"#)
        let leg = LegResult(sequence: 4, postedAfter: -5, revision: 6)
        let applied = PaymentChange(
            id: Self.other, tenant: TenantID(1), request: order, decidedAt: at, moved: 5, released: 95, paymentRevision: 2, debitAccount: 1,
            debitResult: leg, creditResult: leg)
        #expect(
            written { $0.append(applied) }
                == #"{"id":"ffff0000000000000000000000000002","type":"capture","status":"applied","payment":"0123456789abcdef0000000000000001","#
                + #""amount":5,"final":true,"decided_at":"2026-11-27T00:00:00.000000Z","moved":5,"released":95,"payment_revision":2,"#
                + #""debit_result":{"sequence":4,"posted_after":-5,"revision":6},"credit_result":{"sequence":4,"posted_after":-5,"revision":6}}"#
        )
        let declined = PaymentChange(
            id: Self.other, tenant: TenantID(1), request: Self.order(.void), decidedAt: at, declineReason: .paymentNotAuthorized)
        #expect(
            written { $0.append(declined) }
                == #"{"id":"ffff0000000000000000000000000002","type":"void","status":"declined","payment":"0123456789abcdef0000000000000001","#
                + #""decided_at":"2026-11-27T00:00:00.000000Z","decline_reason":"payment_not_authorized"}"#)
    }

    @Test func `an expiry's id is its payment's alone`() {
        let identity = Identity()
        let id = identity.expiry(of: Self.payment, tenant: TenantID(7))
        #expect(id == Identity().expiry(of: Self.payment, tenant: TenantID(7)))
        #expect(id != identity.expiry(of: Self.other, tenant: TenantID(7)) && id != identity.expiry(of: Self.payment, tenant: TenantID(8)))
        let key: [UInt8] = Array("\(Self.payment)".utf8)
        #expect(id != identity.operation(tenant: TenantID(7), key: key.span))
    }
}
