import Ledger
import Testing

/// Each reason on its own, on both sides of its boundary, and which of several is told.
@Suite struct DeclineTests {
    typealias F = Fixtures

    /// What can be wrong with a payment, in the order in which it is told.
    enum Defect: Int, CaseIterable, Comparable {
        case late, debitAbsent, creditAbsent, debitClosed, creditClosed, debitCurrency, creditCurrency, debitFrozen, creditFrozen, poor,
            creditFull

        static func < (left: Defect, right: Defect) -> Bool { left.rawValue < right.rawValue }

        var reason: DeclineReason {
            switch self {
            case .late: .deadlineExceeded
            case .debitAbsent, .creditAbsent: .accountNotFound
            case .debitClosed, .creditClosed: .accountClosed
            case .debitCurrency, .creditCurrency: .currencyMismatch
            case .debitFrozen, .creditFrozen: .accountFrozen
            case .poor: .insufficientFunds
            case .creditFull: .balanceOutOfRange
            }
        }
    }

    /// Decides a payment of 100 that has just these defects.
    func decide(with defects: Set<Defect>) -> Payment? {
        func flags(_ closed: Defect, _ frozen: Defect, _ freeze: AccountFlags) -> AccountFlags {
            var flags: AccountFlags = []
            if defects.contains(closed) { flags.insert(.closed) }
            if defects.contains(frozen) { flags.insert(freeze) }
            return flags
        }
        let debit = F.account(
            "debit", number: 1, currency: defects.contains(.debitCurrency) ? F.eur : F.czk,
            flags: flags(.debitClosed, .debitFrozen, .debitFrozen),
            posted: defects.contains(.poor) ? 99 : 100)
        let credit = F.account(
            "credit", number: 2, currency: defects.contains(.creditCurrency) ? F.eur : F.czk,
            flags: flags(.creditClosed, .creditFrozen, .creditFrozen),
            posted: Money.minorUnitsMax - (defects.contains(.creditFull) ? 99 : 100))
        var book = Book()
        if defects.contains(.debitAbsent) { book.learnAbsent(debit.key) } else { book.learn(debit) }
        if defects.contains(.creditAbsent) { book.learnAbsent(credit.key) } else { book.learn(credit) }
        let expiresAt = Timestamp(microseconds: F.now.microseconds - (defects.contains(.late) ? 1 : 0))
        return book.decide(1, F.pay("debit", "credit", 100, expiresAt: expiresAt)).payment
    }

    @Test func `the first defect in the documented order is told for every set of defects`() throws {
        let all = Defect.allCases
        for bits in 0..<(1 << all.count) {
            let defects = Set(all.filter { bits >> $0.rawValue & 1 == 1 })
            let payment = try #require(decide(with: defects))
            if payment.declineReason != defects.min()?.reason || payment.status != (defects.isEmpty ? .settled : .declined) {
                Issue.record("\(defects.sorted()): told \(String(describing: payment.declineReason))")
                return
            }
            if !defects.isEmpty,
                payment.debitResult != nil || payment.creditResult != nil || payment.revision != 1 || payment.decidedAt != F.now
            {
                Issue.record("\(defects.sorted()): \(payment)")
                return
            }
        }
    }

    @Test func `every reason of a payment is told by some defect`() {
        // Those that only other commands are refused for.
        let notOfPayments: Set<DeclineReason> = [
            .idempotencyKeyReused, .accountExists, .alreadyClosed, .balanceNotZero, .fundsHeld, .overdraftInUse, .externalAccount,
            .paymentNotFound, .paymentNotAuthorized, .captureExceedsHold, .refundExceedsCaptured, .tooManyChanges,
        ]
        #expect(Set(Defect.allCases.map(\.reason)).union(notOfPayments) == Set(DeclineReason.allCases))
    }

    @Test func `a freeze of the other direction refuses nothing`() {
        var book = Book()
        book.learn(F.account("a", number: 1, flags: .creditFrozen))
        book.learn(F.account("b", number: 2, flags: .debitFrozen))
        #expect(book.decide(1, F.pay("a", "b", 1)).payment?.status == .settled)
        #expect(book.decide(2, F.pay("b", "a", 1)).payment?.declineReason == .accountFrozen)
    }

    /// An account's figures, and the highest amount that it can pay.
    static let boundaries: [(posted: Int64, held: Int64, limit: Int64, highest: Int64)] = [
        (1000, 0, 0, 1000),
        (1000, 400, 0, 600),
        (1000, 400, 50, 650),
        (0, 0, 300, 300),
        (-200, 0, 300, 100),
        (10, 0, Money.minorUnitsMax, Money.minorUnitsMax),
        (Money.minorUnitsMax, 0, Money.minorUnitsMax, Money.minorUnitsMax),
        (Money.minorUnitsMax, 1, 0, Money.minorUnitsMax - 1),
    ]

    @Test(arguments: boundaries)
    func `a normal account spends what is available to the last unit`(posted: Int64, held: Int64, limit: Int64, highest: Int64) {
        var book = Book()
        let account = F.account("a", number: 1, limit: limit, posted: posted, held: held)
        book.learn(account)
        book.learn(F.account("b", number: 2, kind: .external, posted: 0))
        #expect(account.available == highest)
        if highest < Money.minorUnitsMax {
            #expect(book.decide(1, F.pay("a", "b", highest + 1)).payment?.declineReason == .insufficientFunds)
        }
        let settled = book.decide(2, F.pay("a", "b", highest)).payment
        #expect(settled?.status == .settled)
        #expect(settled?.debitResult?.postedAfter == posted - highest)
    }

    @Test func `a normal account below its limit spends nothing and still receives`() {
        var book = Book()
        book.learn(F.account("a", number: 1, limit: 100, posted: -150))
        book.learn(F.account("b", number: 2))
        #expect(book.decide(1, F.pay("a", "b", 1)).payment?.declineReason == .insufficientFunds)
        #expect(book.decide(2, F.pay("b", "a", 1)).payment?.creditResult?.postedAfter == -149)
    }

    @Test func `an external account goes down to the end of the range and no further`() {
        var book = Book()
        book.learn(F.account("world", number: 1, kind: .external, posted: -Money.minorUnitsMax + 10))
        book.learn(F.account("a", number: 2, posted: 0))
        #expect(book.account(F.key("world"))?.available == 10)
        #expect(book.decide(1, F.pay("world", "a", 11)).payment?.declineReason == .balanceOutOfRange)
        #expect(book.decide(2, F.pay("world", "a", Money.minorUnitsMax)).payment?.declineReason == .balanceOutOfRange)
        #expect(book.decide(3, F.pay("world", "a", 10)).payment?.debitResult?.postedAfter == -Money.minorUnitsMax)
        #expect(book.account(F.key("world"))?.available == 0)
    }

    @Test func `a refused payment may not be tried again under its key`() {
        var book = Book()
        book.learn(F.account("a", number: 1, posted: 0))
        book.learn(F.account("b", number: 2))
        #expect(book.decide(1, F.pay("a", "b", 5)).payment?.status == .declined)
        #expect(book.decide(2, F.pay("b", "a", 5)).payment?.status == .settled)
        #expect(book.decide(1, F.pay("a", "b", 5)) == .repeated)
        #expect(book.account(F.key("a"))?.posted == 5)
    }
}
