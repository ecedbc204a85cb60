import Ledger
import Testing

@Suite struct BookTests {
    let tenant = TenantID(1)
    let now = Timestamp(microseconds: 1_000_000)

    func key(_ name: String) -> AccountKey { AccountKey(tenant: tenant, account: AccountID(name)!) }

    func envelope(_ number: UInt64, _ command: Command, fingerprint: UInt64? = nil) -> Envelope {
        Envelope(
            id: OperationID(high: 0, low: number), tenant: tenant, fingerprint: Fingerprint(high: 0, low: fingerprint ?? number),
            acceptedAt: now,
            command: command)
    }

    @Test func `a deposit and a payment that depends on it settle in one batch`() {
        var book = Book()
        for name in ["world", "alice", "bob"] { book.learnAbsent(key(name)) }
        let czk = Currency("CZK")!
        var number: UInt64 = 0
        func decide(_ command: Command) -> Outcome {
            number += 1
            return book.decide(envelope(number, command), at: now, newAccountNumber: Int64(number))
        }
        for (name, kind) in [("world", AccountKind.external), ("alice", .normal), ("bob", .normal)] {
            let outcome = decide(.openAccount(OpenAccount(account: AccountID(name)!, currency: czk, kind: kind, overdraftLimit: 0)))
            guard case .opened = outcome else {
                Issue.record("\(outcome)")
                return
            }
        }
        func pay(_ from: String, _ to: String, _ amount: Int64) -> Command {
            .pay(Pay(debit: AccountID(from)!, credit: AccountID(to)!, amount: amount, currency: czk))
        }
        guard case .payment(let deposit) = decide(pay("world", "alice", 100)) else { return }
        #expect(deposit.status == .settled)
        guard case .payment(let payment) = decide(pay("alice", "bob", 60)) else { return }
        #expect(payment.status == .settled)
        #expect(payment.debitResult == LegResult(sequence: 2, postedAfter: 40, revision: 3))
        guard case .payment(let refused) = decide(pay("alice", "bob", 41)) else { return }
        #expect(refused.declineReason == .insufficientFunds)
        #expect(book.effects.opened.count == 3)
        #expect(book.effects.movements.count == 2)
        #expect(book.effects.payments.count == 3)
        #expect(book.account(key("world"))?.posted == -100)
    }

    @Test func `a repeated id is told again and the same id for another request moves nothing`() {
        var book = Book()
        book.learnAbsent(key("a"))
        let open = Command.openAccount(OpenAccount(account: AccountID("a")!, currency: Currency("EUR")!, kind: .normal, overdraftLimit: 0))
        _ = book.decide(envelope(1, open), at: now, newAccountNumber: 1)
        #expect(book.decide(envelope(1, open), at: now, newAccountNumber: 2) == .repeated)
        #expect(book.decide(envelope(1, open, fingerprint: 9), at: now, newAccountNumber: 2) == .keyReused)
        book.learn(PriorDecision(fingerprint: Fingerprint(high: 0, low: 7)), of: OperationID(high: 0, low: 7))
        #expect(book.decide(envelope(7, open), at: now, newAccountNumber: 2) == .repeated)
    }
}
