import Ledger
import Testing
import Wire

@Suite struct LedgerEventTests {
    private let id = OperationID(high: 0x0123_4567_89ab_cdef, low: 2)
    private let payment = OperationID(high: 0x0123_4567_89ab_cdef, low: 1)
    private let decidedAt = time("2026-11-27T00:00:00.000001Z")
    private let debit = LegResult(sequence: 4, postedAfter: -75, revision: 5)
    private let credit = LegResult(sequence: 1, postedAfter: 75, revision: 2)

    private func pay(_ capture: CaptureMode = .automatic) -> Pay {
        Pay(debit: AccountID("alice")!, credit: AccountID("bob")!, amount: 75, currency: Currency("USD")!, capture: capture)
    }

    private func text(_ content: LedgerEvent.Content) -> String {
        let event = LedgerEvent(id: id, tenant: TenantID(7), partition: 3, offset: 42, decidedAt: decidedAt, content: content)
        return written { $0.append(event, log: "log-1") }
    }

    private func begins(_ type: String) -> String {
        #"{"event":"0123456789abcdef0000000000000002","type":"\#(type)","tenant":7,"log":"log-1","partition":3,"offset":42,"#
            + #""at":"2026-11-27T00:00:00.000001Z","#
    }

    private let entries =
        #""entries":[{"account":"alice","sequence":4,"amount":-75,"posted_after":-75,"revision":5},"#
        + #"{"account":"bob","sequence":1,"amount":75,"posted_after":75,"revision":2}]}"#

    @Test func `a settled payment's event has both entries, and stays as it was when the payment is refunded`() {
        func settled(revision: Int64, refunded: Int64, history: [PaymentEvent]) -> Payment {
            Payment(
                id: id, tenant: TenantID(7), request: pay(), acceptedAt: decidedAt, status: .settled, decidedAt: decidedAt,
                revision: revision, debitResult: debit, creditResult: credit, refunded: refunded, history: history)
        }
        let before = settled(revision: 1, refunded: 0, history: [])
        let refund = PaymentEvent(id: payment, kind: .refund, moved: 5, released: 0, at: decidedAt)
        let after = settled(revision: 2, refunded: 5, history: [refund])
        let first = text(.payment(before))
        #expect(first == begins("payment.settled") + #""payment":"# + written { $0.append(before) } + "," + entries)
        #expect(text(.payment(after)) == first)
    }

    @Test(arguments: [PaymentStatus.authorized, .settled, .voided, .expired])
    func `a hold's event stays as it was whatever becomes of the hold`(status: PaymentStatus) {
        func held(_ status: PaymentStatus, revision: Int64, captured: Int64) -> Payment {
            Payment(
                id: id, tenant: TenantID(7), request: pay(.manual), acceptedAt: decidedAt, status: status, decidedAt: decidedAt,
                revision: revision, captured: captured, holdUntil: time("2026-12-04T00:00:00Z"),
                history: revision == 1 ? [] : [PaymentEvent(id: payment, kind: .capture, moved: captured, released: 0, at: decidedAt)])
        }
        let first = text(.payment(held(.authorized, revision: 1, captured: 0)))
        #expect(first.hasPrefix(begins("payment.authorized") + #""payment":{"#) && !first.contains("entries"))
        #expect(text(.payment(held(status, revision: 2, captured: 40))) == first)
    }

    @Test func `a declined payment has no entries`() {
        let declined = Payment(
            id: id, tenant: TenantID(7), request: pay(), acceptedAt: decidedAt, status: .declined, declineReason: .insufficientFunds,
            decidedAt: decidedAt, revision: 1)
        #expect(text(.payment(declined)) == begins("payment.declined") + #""payment":"# + written { $0.append(declined) } + "}")
    }

    @Test func `a capture moves as the payment does, a refund the other way`() {
        func change(_ change: ChangePayment.Change) -> PaymentChange {
            PaymentChange(
                id: id, tenant: TenantID(7), request: ChangePayment(payment: payment, change: change), decidedAt: decidedAt, moved: 75,
                paymentRevision: 2, debitAccount: 9, debitResult: debit, creditResult: credit)
        }
        let capture = change(.capture(amount: nil, isFinal: false))
        #expect(
            text(.change(capture, of: pay(.manual))) == begins("payment.captured") + #""change":"# + written { $0.append(capture) } + ","
                + entries)
        let refund = change(.refund(amount: nil))
        let swapped = entries.replacing("alice", with: "X").replacing("bob", with: "alice").replacing("X", with: "bob")
        #expect(
            text(.change(refund, of: pay())) == begins("payment.refunded") + #""change":"# + written { $0.append(refund) } + "," + swapped)
    }

    @Test func `what moves nothing has no entries`() {
        let void = PaymentChange(
            id: id, tenant: TenantID(7), request: ChangePayment(payment: payment, change: .void), decidedAt: decidedAt, released: 75,
            paymentRevision: 2)
        #expect(text(.change(void, of: nil)) == begins("payment.voided") + #""change":"# + written { $0.append(void) } + "}")
        let declined = PaymentChange(
            id: id, tenant: TenantID(7), request: ChangePayment(payment: payment, change: .expire), decidedAt: decidedAt,
            declineReason: .paymentNotAuthorized)
        #expect(
            text(.change(declined, of: nil)) == begins("payment.expiry_declined") + #""change":"# + written { $0.append(declined) } + "}")
    }

    @Test func `an account's event has the command and the account's revision after it`() {
        let freeze = Command.changeAccount(ChangeAccount(account: AccountID("alice")!, change: .freeze(.sides)))
        #expect(
            text(.account(freeze, revision: 9, declineReason: nil))
                == begins("account.frozen") + #""command":{"type":"freeze","account":"alice","side":"both"},"account_revision":9}"#)
        #expect(
            text(.account(freeze, revision: nil, declineReason: .accountNotFound))
                == begins("account.change_declined")
                + #""command":{"type":"freeze","account":"alice","side":"both"},"decline_reason":"account_not_found"}"#)
    }
}
