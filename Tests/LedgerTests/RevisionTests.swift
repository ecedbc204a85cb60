import Ledger
import Testing

@Suite struct RevisionTests {
    private let line: Int64 = 1 << 40

    @Test func `a number rises by one in its line, and above all that were before in the next`() {
        #expect(Revision.first(inLine: 0) == 1 && Revision.next(after: 1, inLine: 0) == 2)
        #expect(Revision.first(inLine: 2) == 2 * line + 1)
        #expect(Revision.next(after: 7, inLine: 1) == line + 8)
        #expect(Revision.next(after: line + 8, inLine: 1) == line + 9)
        // Whatever was lost of line 0 was told under a lower number.
        #expect(Revision.next(after: 7, inLine: 1) > 1_000_000)
        // A line never goes back.
        #expect(Revision.next(after: 3 * line + 8, inLine: 1) == 3 * line + 9)
        #expect(Revision.next(after: Revision.lineMax << 40, inLine: Revision.lineMax) < 9_007_199_254_740_992)
    }

    @Test func `what is decided in a new line has its numbers, and counts on`() {
        let tenant = TenantID(1)
        let keys = ["alice", "bob", "carol"].map { AccountKey(tenant: tenant, account: AccountID($0)!) }
        func account(_ index: Int, _ kind: AccountKind, revision: Int64) -> Account {
            Account(
                key: keys[index], number: Int64(index + 1), currency: Currency("EUR")!, kind: kind, overdraftLimit: 0, revision: revision,
                openedAt: Timestamp(microseconds: 0), changedAt: Timestamp(microseconds: 0))
        }
        var book = Book(line: 1)
        book.learn(account(0, .external, revision: 5))
        book.learn(account(1, .normal, revision: line + 6))
        book.learnAbsent(keys[2])
        func decide(_ number: UInt64, _ command: Command) -> Outcome {
            let envelope = Envelope(
                id: OperationID(high: 1, low: number), tenant: tenant, fingerprint: Fingerprint(high: 1, low: number),
                acceptedAt: Timestamp(microseconds: 0), command: command)
            return book.decide(envelope, at: Timestamp(microseconds: 1), newAccountNumber: 3)
        }
        let pay = Pay(debit: keys[0].account, credit: keys[1].account, amount: 1, currency: Currency("EUR")!)
        guard case .payment(let payment) = decide(1, .pay(pay)) else {
            Issue.record("no payment")
            return
        }
        #expect(payment.debitResult?.revision == line + 6 && payment.creditResult?.revision == line + 7)
        let hold = Pay(debit: keys[1].account, credit: keys[0].account, amount: 1, currency: Currency("EUR")!, capture: .manual)
        _ = decide(2, .pay(hold))
        #expect(book.account(keys[1])?.revision == line + 8)
        let open = OpenAccount(account: keys[2].account, currency: Currency("EUR")!, kind: .normal, overdraftLimit: 0)
        guard case .opened(let opened) = decide(3, .openAccount(open)) else {
            Issue.record("not opened")
            return
        }
        #expect(opened.revision == line + 1)
    }
}
