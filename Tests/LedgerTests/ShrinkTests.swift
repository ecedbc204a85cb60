import Ledger
import Testing

@Suite struct ShrinkTests {
    typealias F = Fixtures

    @Test func `no more accounts than the limit are left and those left are intact`() {
        var book = Book()
        for number in 1...500 { book.learn(F.account("a\(number)", number: Int64(number), posted: Int64(number))) }
        book.shrink(to: 600)
        #expect(book.accountsKnown == 500)
        book.shrink(to: 100)
        #expect(book.accountsKnown == 100)
        let left = (1...500).filter { book.knows(F.key("a\($0)")) }
        #expect(left.count == 100)
        for number in left {
            #expect(book.account(F.key("a\(number)")) == F.account("a\(number)", number: Int64(number), posted: Int64(number)))
        }
        book.shrink(to: 0)
        #expect(book.accountsKnown == 0)
    }

    @Test func `a hot account survives a long row of accounts used once`() {
        var book = Book()
        let limit = 200
        let hot = (0..<20).map { "hot\($0)" }
        for (number, name) in hot.enumerated() { book.learn(F.account(name, number: Int64(number))) }
        var operation: UInt64 = 0
        for batch in 0..<400 {
            for index in 0..<20 {
                let name = "once\(batch)-\(index)"
                book.learn(F.account(name, number: Int64(1000 + batch * 20 + index)))
                operation += 1
                #expect(book.decide(operation, F.pay(name, hot[index], 1)).payment?.status == .settled)
            }
            book.commit()
            book.shrink(to: limit)
            #expect(book.accountsKnown <= limit)
        }
        for name in hot { #expect(book.account(F.key(name))?.sequence == 401) }
    }

    @Test func `an account that was forgotten is decided on as storage has it after it is learned anew`() {
        var book = Book()
        book.learn(F.account("a", number: 1))
        book.learn(F.account("b", number: 2))
        _ = book.decide(1, F.pay("a", "b", 10))
        let stored = book.effects.changed.map(\.account)
        book.commit()
        book.shrink(to: 0)
        for account in stored { book.learn(account) }
        #expect(book.decide(2, F.pay("a", "b", 10)).payment?.debitResult == LegResult(sequence: 3, postedAfter: 980, revision: 4))
        #expect(book.effects.changed.map(\.expectedRevision) == [3, 3])
    }

    @Test func `forgetting in the middle of a batch stops the process`() async {
        await #expect(processExitsWith: .failure) {
            var book = Book()
            book.learnAbsent(Fixtures.key("a"))
            _ = book.decide(1, Fixtures.open("a"))
            book.shrink(to: 0)
        }
    }
}
