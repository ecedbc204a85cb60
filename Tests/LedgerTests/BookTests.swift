import Ledger
import Testing

@Suite struct BookTests {
    typealias F = Fixtures

    @Test func `a deposit and a payment that depends on it settle in the batch that opens their accounts`() throws {
        var book = Book()
        for name in ["world", "alice", "bob"] { book.learnAbsent(F.key(name)) }
        guard case .opened(let world) = book.decide(1, F.open("world", kind: .external)) else {
            Issue.record("not opened")
            return
        }
        #expect(world.revision == 1 && world.sequence == 0 && world.number == 1 && world.openedAt == F.now)
        _ = book.decide(2, F.open("alice"))
        _ = book.decide(3, F.open("bob"))
        #expect(book.decide(4, F.pay("world", "alice", 100)).payment?.status == .settled)
        let payment = try #require(book.decide(5, F.pay("alice", "bob", 60)).payment)
        #expect(payment.status == .settled)
        #expect(payment.debitResult == LegResult(sequence: 2, postedAfter: 40, revision: 3))
        #expect(payment.creditResult == LegResult(sequence: 1, postedAfter: 60, revision: 2))
        #expect(book.decide(6, F.pay("alice", "bob", 41)).payment?.declineReason == .insufficientFunds)

        let effects = book.effects
        #expect(effects.opened.map(\.posted) == [-100, 40, 60])
        #expect(effects.opened.map(\.revision) == [2, 3, 2])
        #expect(effects.changed.isEmpty)
        #expect(effects.movements.map(\.amount) == [100, 60])
        #expect(effects.payments.map(\.payment.status) == [.settled, .settled, .declined])
        #expect(effects.payments.map(\.fingerprint.low) == [4, 5, 6])
    }

    @Test func `an account that was known is stored once a batch however often it changed`() {
        var book = Book()
        book.learn(F.account("a", number: 1))
        book.learn(F.account("b", number: 2))
        for number in 1...5 { _ = book.decide(UInt64(number), F.pay("a", "b", 10)) }
        _ = book.decide(6, F.pay("b", "a", 7))
        let effects = book.effects
        #expect(effects.changed.map(\.expectedRevision) == [2, 2])
        #expect(effects.changed.map(\.account.revision) == [8, 8])
        #expect(effects.changed.map(\.account.sequence) == [7, 7])
        #expect(effects.changed.map(\.account.posted) == [957, 1043])
        #expect(effects.opened.isEmpty)

        book.commit()
        _ = book.decide(7, F.pay("a", "b", 1))
        #expect(book.effects.changed.map(\.expectedRevision) == [8, 8])
        #expect(book.effects.payments.count == 1)
    }

    @Test func `an account opened in one batch is a known one in the next`() {
        var book = Book()
        book.learnAbsent(F.key("a"))
        book.learn(F.account("b", number: 9))
        _ = book.decide(1, F.open("a"))
        book.commit()
        #expect(book.effects.opened.isEmpty && book.effects.changed.isEmpty)
        _ = book.decide(2, F.pay("b", "a", 5))
        #expect(book.effects.opened.isEmpty)
        #expect(book.effects.changed.map(\.expectedRevision) == [2, 1])
    }

    @Test func `a payment to an absent account is declined and one after its opening in the same batch settles`() {
        var book = Book()
        book.learn(F.account("a", number: 1))
        book.learnAbsent(F.key("b"))
        #expect(book.decide(1, F.pay("a", "b", 5)).payment?.declineReason == .accountNotFound)
        _ = book.decide(2, F.open("b"))
        #expect(book.decide(3, F.pay("a", "b", 5)).payment?.status == .settled)
        #expect(book.decide(4, F.open("b")) == .accountDeclined(F.key("b"), .accountExists))
        #expect(book.effects.opened.count == 1)
    }

    @Test func `a batch of refusals changes no account`() {
        var book = Book()
        book.learn(F.account("a", number: 1))
        book.learnAbsent(F.key("b"))
        _ = book.decide(1, F.pay("a", "b", 5))
        _ = book.decide(2, F.open("a"))
        let effects = book.effects
        #expect(effects.changed.isEmpty && effects.opened.isEmpty && effects.movements.isEmpty)
        #expect(effects.payments.count == 1)
        #expect(book.account(F.key("a")) == F.account("a", number: 1))
    }

    @Test func `absence is forgotten with the batch and presence is not`() {
        var book = Book()
        book.learn(F.account("a", number: 1))
        book.learnAbsent(F.key("b"))
        #expect(book.knows(F.key("b")) && book.accountsKnown == 2 && book.account(F.key("b")) == nil)
        book.commit()
        #expect(!book.knows(F.key("b")) && book.knows(F.key("a")) && book.accountsKnown == 1)
        book.learn(F.account("b", number: 2))
        #expect(book.decide(1, F.pay("a", "b", 1)).payment?.status == .settled)
    }

    @Test func `ids are remembered from batch to batch, within a bound, and those decided last`() {
        var book = Book(recentIDsMax: 20)
        book.learn(F.account("a", number: 1))
        book.learn(F.account("b", number: 2))
        for number: UInt64 in 1...100 {
            _ = book.decide(number, F.pay("a", "b", 1))
            book.commit()
        }
        let remembered = (1...100).filter { book.remembers(OperationID(high: 0, low: $0)) }
        #expect(remembered.count <= 20 && remembered.count >= 10 && remembered.last == 100)
        #expect(remembered.first == 101 - UInt64(remembered.count), "they are the last ones")
        #expect(book.decide(95, F.pay("a", "b", 1)) == .repeated)
        #expect(book.decide(96, F.pay("a", "b", 2), fingerprint: 1) == .keyReused)
        #expect(book.effects.payments.isEmpty)
    }

    @Test func `an abandoned batch leaves nothing behind: what it touched is learned anew, and its ids are free`() {
        var book = Book(recentIDsMax: 20)
        for (number, name) in ["a", "b", "c"].enumerated() { book.learn(F.account(name, number: Int64(number + 1))) }
        book.learnAbsent(F.key("d"))
        _ = book.decide(1, F.open("d"))
        _ = book.decide(2, F.pay("a", "d", 5))
        let first = book.effects
        book.commit()
        #expect(book.account(F.key("a"))?.posted == 995 && book.remembers(OperationID(high: 0, low: 2)))
        // The next one is decided before the first is refused.
        _ = book.decide(3, F.pay("a", "d", 5))
        let second = book.effects
        #expect(
            second.changed.map(\.expectedRevision) == [first.changed[0].account.revision, first.opened[0].revision] && second.opened.isEmpty
        )
        book.commit()
        book.abandon(second, ids: [OperationID(high: 0, low: 3)])
        book.abandon(first, ids: [OperationID(high: 0, low: 1), OperationID(high: 0, low: 2)])
        #expect(!book.knows(F.key("a")) && !book.knows(F.key("d")) && book.knows(F.key("b")) && book.knows(F.key("c")))
        #expect(book.account(F.key("b")) == F.account("b", number: 2) && book.account(F.key("c")) == F.account("c", number: 3))
        #expect(book.effects.opened.isEmpty && book.effects.changed.isEmpty && book.effects.movements.isEmpty)
        #expect((1...3 as ClosedRange<UInt64>).allSatisfy { !book.remembers(OperationID(high: 0, low: $0)) })
        book.learn(F.account("a", number: 1))
        #expect(book.decide(2, F.pay("a", "b", 5)).payment?.debitResult?.postedAfter == 995)
    }

    @Test func `a repeated id is told again and the same id for another request moves nothing`() {
        var book = Book()
        book.learn(F.account("a", number: 1))
        book.learn(F.account("b", number: 2))
        book.learnAbsent(F.key("c"))
        _ = book.decide(1, F.pay("a", "b", 5))
        _ = book.decide(2, F.pay("a", "c", 5))
        _ = book.decide(3, F.open("c"))
        book.learn(PriorDecision(fingerprint: Fingerprint(high: 0, low: 4)), of: OperationID(high: 0, low: 4))
        let before = book.effects
        for number: UInt64 in 1...4 {
            #expect(book.decide(number, F.pay("a", "b", 5)) == .repeated)
            #expect(book.decide(number, F.pay("a", "b", 6), fingerprint: 99) == .keyReused)
            #expect(book.decide(number, F.open("d"), fingerprint: 99) == .keyReused)
        }
        #expect(book.effects.payments.count == before.payments.count)
        #expect(book.effects.movements == before.movements)
        #expect(book.account(F.key("a"))?.posted == 995)
    }

    @Test func `two tenants with accounts of the same name do not meet`() {
        let other = TenantID(2)
        var book = Book()
        book.learn(F.account("a", number: 1))
        book.learn(F.account("b", number: 2))
        let foreign = Envelope(
            id: OperationID(high: 0, low: 1), tenant: other, fingerprint: Fingerprint(high: 0, low: 1), acceptedAt: F.now,
            command: F.pay("a", "b", 5))
        for key in foreign.accounts { book.learnAbsent(key) }
        #expect(book.decide(foreign, at: F.now, newAccountNumber: 0).payment?.declineReason == .accountNotFound)
        #expect(book.account(F.key("a"))?.posted == 1000)
    }

    @Test func `what the owner forgot to teach stops the process instead of guessing`() async {
        await #expect(processExitsWith: .failure) {
            var book = Book()
            book.learn(Fixtures.account("a", number: 1))
            _ = book.decide(1, Fixtures.pay("a", "b", 1))
        }
        await #expect(processExitsWith: .failure) {
            var book = Book()
            _ = book.decide(1, Fixtures.open("a"))
        }
    }

    @Test func `learning anew over a change that is not stored stops the process`() async {
        await #expect(processExitsWith: .failure) {
            var book = Book()
            book.learn(Fixtures.account("a", number: 1))
            book.learn(Fixtures.account("b", number: 2))
            _ = book.decide(1, Fixtures.pay("a", "b", 1))
            book.learn(Fixtures.account("a", number: 1))
        }
        await #expect(processExitsWith: .failure) {
            var book = Book()
            book.learn(Fixtures.account("a", number: 1))
            book.learnAbsent(Fixtures.key("a"))
        }
    }

    @Test func `what the door lets in by mistake stops the process instead of moving money`() async {
        await #expect(processExitsWith: .failure) {
            var book = Book()
            book.learn(Fixtures.account("a", number: 1))
            _ = book.decide(1, Fixtures.pay("a", "a", 1))
        }
        await #expect(processExitsWith: .failure) {
            var book = Book()
            book.learn(Fixtures.account("a", number: 1))
            book.learn(Fixtures.account("b", number: 2))
            _ = book.decide(1, Fixtures.pay("a", "b", -1))
        }
    }
}
