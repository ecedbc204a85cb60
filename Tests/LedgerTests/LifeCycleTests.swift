import Ledger
import Testing

/// The table of status by command, and the amounts of each step.
@Suite struct LifeCycleTests {
    typealias F = Fixtures

    enum Order: CaseIterable {
        case captureAll, capturePart, captureFinal, captureTooMuch, void, expire, refundAll, refundPart, refundTooMuch

        /// Of a payment of 100, of which 40 are captured where some are.
        var change: ChangePayment.Change {
            switch self {
            case .captureAll: .capture(amount: nil, isFinal: false)
            case .capturePart: .capture(amount: 10, isFinal: false)
            case .captureFinal: .capture(amount: 10, isFinal: true)
            case .captureTooMuch: .capture(amount: 101, isFinal: false)
            case .void: .void
            case .expire: .expire
            case .refundAll: .refund(amount: nil)
            case .refundPart: .refund(amount: 10)
            case .refundTooMuch: .refund(amount: 101)
            }
        }
    }

    /// How a payment of 100 may stand, and how it came there.
    enum Standing: CaseIterable {
        case declined, settled, refunded, authorized, partly, captured, closedPartly, voided, expired

        var steps: [ChangePayment.Change] {
            switch self {
            case .declined, .settled, .authorized: []
            case .refunded: [.refund(amount: nil)]
            case .partly: [.capture(amount: 40, isFinal: false)]
            case .captured: [.capture(amount: nil, isFinal: false)]
            case .closedPartly: [.capture(amount: 40, isFinal: true)]
            case .voided: [.void]
            case .expired: [.expire]
            }
        }
        var isManual: Bool { ![.declined, .settled, .refunded].contains(self) }
        var status: PaymentStatus {
            switch self {
            case .declined: .declined
            case .settled, .refunded, .captured, .closedPartly: .settled
            case .authorized, .partly: .authorized
            case .voided: .voided
            case .expired: .expired
            }
        }
    }

    /// Status afterwards, what is captured, refunded and held; or the reason.
    enum Cell: Equatable {
        case becomes(PaymentStatus, captured: Int64, refunded: Int64, held: Int64)
        case declined(DeclineReason)
    }

    /// Rows as `Standing.allCases`, columns as `Order.allCases`.
    static let table: [[Cell]] = {
        func to(_ status: PaymentStatus, _ captured: Int64, _ refunded: Int64, _ held: Int64) -> Cell {
            .becomes(status, captured: captured, refunded: refunded, held: held)
        }
        let (unheld, tooMuch, over) = (
            Cell.declined(.paymentNotAuthorized), Cell.declined(.captureExceedsHold), Cell.declined(.refundExceedsCaptured)
        )
        let none = [unheld, unheld, unheld, unheld, unheld, unheld]
        return [
            none + [over, over, over],
            none + [to(.settled, 100, 100, 0), to(.settled, 100, 10, 0), over],
            none + [over, over, over],
            [
                to(.settled, 100, 0, 0), to(.authorized, 10, 0, 90), to(.settled, 10, 0, 0), tooMuch, to(.voided, 0, 0, 0),
                to(.expired, 0, 0, 0), over, over, over,
            ],
            [
                to(.settled, 100, 0, 0), to(.authorized, 50, 0, 50), to(.settled, 50, 0, 0), tooMuch, to(.settled, 40, 0, 0),
                to(.settled, 40, 0, 0), to(.authorized, 40, 40, 60), to(.authorized, 40, 10, 60), over,
            ],
            none + [to(.settled, 100, 100, 0), to(.settled, 100, 10, 0), over],
            none + [to(.settled, 40, 40, 0), to(.settled, 40, 10, 0), over],
            none + [over, over, over],
            none + [over, over, over],
        ]
    }()

    private static func capture(_ manual: Bool, _ amount: Int64) -> Command {
        .pay(
            Pay(
                debit: F.id("a"), credit: F.id("b"), amount: amount, currency: F.czk, capture: manual ? .manual : .automatic))
    }

    private func change(_ change: ChangePayment.Change, of payment: UInt64 = 1) -> Command {
        .changePayment(ChangePayment(payment: OperationID(high: 0, low: payment), change: change))
    }

    /// A book in which payment 1 stands so, and the number of the next command.
    private func book(_ standing: Standing) -> (Book, UInt64) {
        var book = Book()
        book.learn(F.account("a", number: 1, posted: standing == .declined ? 99 : 100))
        book.learn(F.account("b", number: 2, posted: 0))
        _ = book.decide(1, Self.capture(standing.isManual, 100))
        var number: UInt64 = 2
        for step in standing.steps {
            _ = book.decide(number, change(step))
            number += 1
        }
        return (book, number)
    }

    @Test func `every command does to a payment in every status what the table says`() throws {
        for (row, standing) in zip(Self.table, Standing.allCases) {
            #expect(row.count == Order.allCases.count)
            for (cell, order) in zip(row, Order.allCases) {
                var (book, number) = book(standing)
                let before = try #require(book.effects.payments.first?.payment)
                #expect(before.status == standing.status)
                guard case .paymentChanged(let change) = book.decide(number, change(order.change)) else {
                    Issue.record("no change")
                    return
                }
                let after = try #require(book.effects.payments.first?.payment)
                let (a, b) = (try #require(book.account(F.key("a"))), try #require(book.account(F.key("b"))))
                switch cell {
                case .declined(let reason):
                    #expect(change.declineReason == reason, "\(order) of \(standing)")
                    #expect(after == before && change.moved == 0 && change.released == 0 && change.paymentRevision == nil)
                case .becomes(let status, let captured, let refunded, let held):
                    #expect(change.declineReason == nil, "\(order) of \(standing)")
                    #expect(
                        after.status == status && after.captured == captured && after.refunded == refunded && after.held == held,
                        "\(order) of \(standing): \(after)")
                    #expect(after.revision == before.revision + 1 && change.paymentRevision == after.revision)
                    #expect(after.history.last?.id == OperationID(high: 0, low: number))
                }
                #expect(a.held == after.held && a.posted == (standing == .declined ? 99 : 100) - after.captured + after.refunded)
                #expect(b.posted == after.captured - after.refunded && b.held == 0)
            }
        }
    }

    @Test func `what is held cannot be spent, and can be again once it is released`() {
        var book = Book()
        book.learn(F.account("a", number: 1, posted: 100))
        book.learn(F.account("b", number: 2, posted: 0))
        _ = book.decide(1, Self.capture(true, 70))
        #expect(book.decide(2, F.pay("a", "b", 31)).payment?.declineReason == .insufficientFunds)
        #expect(book.decide(3, Self.capture(true, 31)).payment?.declineReason == .insufficientFunds)
        #expect(book.decide(4, F.pay("a", "b", 30)).payment?.status == .settled)
        _ = book.decide(5, change(.capture(amount: 20, isFinal: true)))
        #expect(book.account(F.key("a"))?.available == 50)
        #expect(book.decide(6, F.pay("a", "b", 50)).payment?.status == .settled)
    }

    @Test func `a change of a payment of an earlier batch is stored from the revision that storage has`() throws {
        var first = book(.partly).0
        let stored = try #require(first.effects.payments.first?.payment)
        first.commit()
        #expect(first.effects.payments.isEmpty && first.effects.changedPayments.isEmpty)
        first.learn(stored)
        _ = first.decide(10, change(.capture(amount: 10, isFinal: false)))
        _ = first.decide(11, change(.refund(amount: 5)))
        let effects = first.effects
        #expect(effects.payments.isEmpty)
        #expect(effects.changedPayments.map(\.expectedRevision) == [2])
        let payment = try #require(effects.changedPayments.first?.payment)
        #expect(payment.revision == 4 && payment.captured == 50 && payment.refunded == 5 && payment.history.count == 3)
        #expect(effects.movements.map(\.amount) == [10, 5])
        #expect(effects.movements.map(\.payment) == [stored.id, stored.id])
        #expect(effects.movements.map(\.debitAccount) == [1, 2])
        first.commit()
        // Nothing of it is remembered: it is learned again, or is no payment.
        guard case .paymentChanged(let late) = first.decide(12, change(.void)) else { return }
        #expect(late.declineReason == .paymentNotFound)
    }

    @Test func `another tenant's payment is not found`() {
        var book = book(.authorized).0
        let envelope = Envelope(
            id: OperationID(high: 9, low: 9), tenant: TenantID(2), fingerprint: Fingerprint(high: 9, low: 9), acceptedAt: F.now,
            command: change(.void))
        guard case .paymentChanged(let outcome) = book.decide(envelope, at: F.now, newAccountNumber: 0) else { return }
        #expect(outcome.declineReason == .paymentNotFound)
        #expect(book.account(F.key("a"))?.held == 100)
    }

    @Test func `a payment has a bounded history, and its hold can always be ended`() {
        var book = Book()
        book.learn(F.account("a", number: 1, posted: 1000))
        book.learn(F.account("b", number: 2, posted: 0))
        _ = book.decide(1, Self.capture(true, 1000))
        for number in 0..<UInt64(Payment.changesMax) {
            guard case .paymentChanged(let made) = book.decide(2 + number, change(.capture(amount: 1, isFinal: false))) else { return }
            #expect(made.declineReason == nil)
        }
        func decide(_ number: UInt64, _ what: ChangePayment.Change) -> DeclineReason? {
            guard case .paymentChanged(let made) = book.decide(number, change(what)) else { return .accountNotFound }
            return made.declineReason
        }
        #expect(decide(500, .capture(amount: 1, isFinal: false)) == .tooManyChanges)
        #expect(decide(501, .refund(amount: 1)) == .tooManyChanges)
        #expect(decide(502, .capture(amount: 1, isFinal: true)) == nil)
        #expect(book.account(F.key("a"))?.held == 0)
    }

    @Test func `frozen and closed accounts stop captures and refunds, and never a void`() {
        let cases: [(ChangePayment.Change, String, AccountFlags, DeclineReason?)] = [
            (.capture(amount: 1, isFinal: false), "a", .debitFrozen, .accountFrozen),
            (.capture(amount: 1, isFinal: false), "b", .creditFrozen, .accountFrozen),
            (.capture(amount: 1, isFinal: false), "a", .creditFrozen, nil),
            (.capture(amount: 1, isFinal: false), "b", .closed, .accountClosed),
            (.void, "a", .sides, nil), (.expire, "b", .closed, nil),
            (.refund(amount: 1), "b", .debitFrozen, .accountFrozen), (.refund(amount: 1), "a", .creditFrozen, .accountFrozen),
            (.refund(amount: 1), "a", .debitFrozen, nil), (.refund(amount: 1), "b", .closed, .accountClosed),
        ]
        for (what, name, flags, reason) in cases {
            var book = book(.partly).0
            let payment = book.effects.payments[0].payment
            book.commit()
            var account = book.account(F.key(name))!
            account.flags = flags
            book.learn(account)
            book.learn(payment)
            guard case .paymentChanged(let made) = book.decide(20, change(what)) else { return }
            #expect(made.declineReason == reason, "\(what) with \(name) \(flags)")
        }
    }

    @Test func `a refund needs what the payee has`() {
        var book = book(.settled).0
        _ = book.decide(5, F.pay("b", "a", 95))
        guard case .paymentChanged(let tooMuch) = book.decide(6, change(.refund(amount: 6))),
            case .paymentChanged(let enough) = book.decide(7, change(.refund(amount: 5)))
        else { return }
        #expect(tooMuch.declineReason == .insufficientFunds)
        #expect(enough.declineReason == nil)
    }

    @Test func `a hold runs out when the payment says so, or after seven days`() {
        var book = Book()
        book.learn(F.account("a", number: 1))
        book.learn(F.account("b", number: 2))
        func pay(_ number: UInt64, until end: Timestamp?) -> Payment? {
            book.decide(
                number,
                .pay(Pay(debit: F.id("a"), credit: F.id("b"), amount: 1, currency: F.czk, capture: .manual, captureBefore: end))
            ).payment
        }
        #expect(pay(1, until: nil)?.holdUntil == Timestamp(microseconds: F.now.microseconds + 604_800_000_000))
        #expect(pay(2, until: F.now)?.holdUntil == F.now)
        #expect(pay(3, until: Timestamp(microseconds: F.now.microseconds - 1))?.declineReason == .deadlineExceeded)
    }

    @Test func `holds of one account never add up to more than the range of money`() {
        var book = Book()
        book.learn(F.account("a", number: 1, limit: Money.minorUnitsMax, posted: Money.minorUnitsMax))
        book.learn(F.account("w", number: 2, kind: .external, posted: 0))
        func hold(_ number: UInt64, _ debit: String, _ credit: String, _ amount: Int64) -> Payment? {
            book.decide(
                number, .pay(Pay(debit: F.id(debit), credit: F.id(credit), amount: amount, currency: F.czk, capture: .manual))
            ).payment
        }
        #expect(hold(1, "a", "w", Money.minorUnitsMax)?.status == .authorized)
        #expect(hold(2, "a", "w", 1)?.declineReason == .balanceOutOfRange)
        // What an external account holds will move: what comes before it must leave room.
        book.learnAbsent(F.key("n"))
        #expect(hold(3, "w", "n", 1)?.declineReason == .accountNotFound)
    }

    // MARK: Accounts

    private func outcome(_ account: Account, _ change: ChangeAccount.Change) -> Outcome {
        var book = Book()
        book.learn(account)
        return book.decide(1, .changeAccount(ChangeAccount(account: account.key.account, change: change)))
    }

    @Test func `an account is frozen side by side`() {
        var book = Book()
        book.learn(F.account("a", number: 1))
        var expected: AccountFlags = []
        let steps: [(ChangeAccount.Change, AccountFlags)] = [
            (.freeze(.debitFrozen), .debitFrozen), (.freeze(.creditFrozen), .sides), (.freeze(.sides), .sides),
            (.unfreeze(.debitFrozen), .creditFrozen), (.unfreeze(.sides), []),
        ]
        for (index, (change, flags)) in steps.enumerated() {
            expected = flags
            let outcome = book.decide(UInt64(index + 1), .changeAccount(ChangeAccount(account: F.id("a"), change: change)))
            guard case .accountChanged(let account) = outcome else {
                Issue.record("\(outcome)")
                return
            }
            #expect(
                account.flags == expected && account.revision == Int64(3 + index) && account.sequence == 1 && account.changedAt == F.now)
        }
        #expect(book.effects.changed.map(\.account.revision) == [7])
    }

    @Test func `each command on an account is refused for its own reason`() {
        let key = F.key("a")
        let cases: [(Account, ChangeAccount.Change, DeclineReason?)] = [
            (F.account("a", number: 1, flags: .closed, posted: 0), .freeze(.sides), .alreadyClosed),
            (F.account("a", number: 1, flags: .closed, posted: 0), .unfreeze(.sides), .alreadyClosed),
            (F.account("a", number: 1, flags: .closed, posted: 0), .close, .alreadyClosed),
            (F.account("a", number: 1, flags: .closed, posted: 0), .setOverdraftLimit(1), .alreadyClosed),
            (F.account("a", number: 1, posted: 1), .close, .balanceNotZero),
            (F.account("a", number: 1, limit: 5, posted: -1), .close, .balanceNotZero),
            (F.account("a", number: 1, limit: 5, posted: 0, held: 1), .close, .fundsHeld),
            (F.account("a", number: 1, flags: .sides, posted: 0), .close, nil),
            (F.account("a", number: 1, limit: 50, posted: -20, held: 10), .setOverdraftLimit(30), nil),
            (F.account("a", number: 1, limit: 50, posted: -20, held: 10), .setOverdraftLimit(29), .overdraftInUse),
            (F.account("a", number: 1, kind: .external), .setOverdraftLimit(0), .externalAccount),
        ]
        for (account, change, reason) in cases {
            switch outcome(account, change) {
            case .accountChanged: #expect(reason == nil, "\(change)")
            case .accountDeclined(let refused, let told): #expect(refused == key && told == reason, "\(change)")
            case let other: Issue.record("\(other)")
            }
        }
        var book = Book()
        book.learnAbsent(key)
        #expect(
            book.decide(1, .changeAccount(ChangeAccount(account: key.account, change: .close))) == .accountDeclined(key, .accountNotFound))
    }
}
