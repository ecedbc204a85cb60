import Bytes
import Ledger
import Testing
import Wire

@testable import Worker

@Suite struct PaymentBodiesTests {
    private func payment(_ number: UInt64, revision: Int64 = 1) -> Payment {
        let pay = Pay(debit: AccountID("alice")!, credit: AccountID("bob")!, amount: Int64(number), currency: Currency("EUR")!)
        let leg = LegResult(sequence: 1, postedAfter: 2, revision: 3)
        return Payment(
            id: OperationID(high: 1, low: number), tenant: TenantID(Int64(number)), request: pay, acceptedAt: Timestamp(microseconds: 5),
            status: .settled, decidedAt: Timestamp(microseconds: 6), revision: revision, debitResult: leg, creditResult: leg)
    }

    private func event(_ payment: Payment) -> LedgerEvent {
        LedgerEvent(
            id: payment.id, tenant: payment.tenant, partition: 3, offset: 4, decidedAt: Timestamp(microseconds: 6),
            content: .payment(payment))
    }

    @Test func `each body is that of its payment, and one that changed has none`() {
        let payments = [payment(1), payment(2, revision: 2), payment(3)]
        let bodies = PaymentBodies(payments)
        #expect(bodies.count == 2)
        #expect((0..<2).map { bodies.id($0).low } == [1, 3] && (0..<2).map { bodies.tenant($0).rawValue } == [1, 3])
        for (index, payment) in [payments[0], payments[2]].enumerated() {
            var expected: [UInt8] = []
            expected.append(payment)
            var found: [UInt8] = []
            found.append(bodies.body(index))
            #expect(found == expected)
        }
    }

    @Test func `who asks in order finds each, whoever is missing between them`() {
        let bodies = PaymentBodies([payment(1), payment(2), payment(4)])
        var place = 0
        #expect(bodies.find(payment(1).id, from: &place) == 0)
        #expect(bodies.find(payment(3).id, from: &place) == nil)
        #expect(bodies.find(payment(4).id, from: &place) == 2)
        #expect(bodies.find(payment(4).id, from: &place) == nil)
    }

    @Test func `an event is the same to the byte, written with its payment's body or without`() {
        let payment = payment(7)
        let bodies = PaymentBodies([payment])
        var whole: [UInt8] = []
        whole.append(event(payment), log: "log")
        var given: [UInt8] = []
        given.append(event(payment), log: "log", paymentBody: bodies.body(0))
        #expect(given == whole)
    }
}
