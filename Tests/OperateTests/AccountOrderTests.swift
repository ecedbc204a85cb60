import Ledger
import Testing

@testable import Operate

@Suite struct AccountOrderTests {
    private func pay(_ line: Int, _ debit: String, _ credit: String) -> SubmitItem {
        let payment = Pay(debit: AccountID(debit)!, credit: AccountID(credit)!, amount: 1, currency: Currency("CZK")!)
        return SubmitItem(line: line, key: "key-\(line)", body: [], payment: payment, waitsForOutcome: false)
    }

    private func order(_ order: SubmitOptions.Order = .file, external: [String] = []) -> AccountOrder {
        AccountOrder(order, external: Set(external.map { AccountID($0)! }))
    }

    /// The lines that may go once the item was accepted.
    private func lines(_ order: inout AccountOrder, after item: SubmitItem) -> [Int] {
        order.release(item, isKnown: true).map(\.line)
    }

    @Test func `payments of one debit account go one after the other`() {
        var order = order()
        let items = [pay(1, "a", "x"), pay(2, "a", "y"), pay(3, "a", "z")]
        let went = items.map { order.enter($0) }
        #expect(went == [true, false, false])
        #expect(lines(&order, after: items[0]) == [2])
        #expect(lines(&order, after: items[1]) == [3])
        #expect(lines(&order, after: items[2]) == [])
    }

    @Test func `a debit waits for the credits before it and credits pass each other`() {
        var order = order()
        let credits = [pay(1, "x", "a"), pay(2, "y", "a")]
        let debit = pay(3, "a", "z")
        let later = pay(4, "v", "a")
        let went = (credits + [debit, later]).map { order.enter($0) }
        #expect(went == [true, true, false, false])
        #expect(lines(&order, after: credits[1]) == [])
        #expect(lines(&order, after: credits[0]) == [3])
        #expect(lines(&order, after: debit) == [4])
    }

    @Test func `an external account orders nothing`() {
        var order = order(external: ["world"])
        let items = [pay(1, "world", "a"), pay(2, "world", "b"), pay(3, "a", "b")]
        let went = items.map { order.enter($0) }
        #expect(went == [true, true, false])
        #expect(lines(&order, after: items[0]) == [3])
    }

    @Test func `without an order everything goes at once`() {
        var order = order(SubmitOptions.Order.none)
        let went = (1...3).map { order.enter(pay($0, "a", "b")) }
        #expect(went == [true, true, true])
    }

    @Test func `what comes after a lost debit is broken and what comes after a lost credit only where it debits`() {
        var order = order()
        let lost = pay(1, "a", "b")
        _ = order.enter(lost)
        _ = order.release(lost, isKnown: false)
        #expect(order.isBroken(pay(2, "a", "x")) && order.isBroken(pay(3, "x", "a")) && order.isBroken(pay(4, "b", "x")))
        #expect(!order.isBroken(pay(5, "x", "b")) && !order.isBroken(pay(6, "x", "y")))
    }

    /// Whatever the answers' order, each account sees its debits in the order of the file, and between two debits the same credits.
    @Test(arguments: 1...20) func `any file is sent whole and each account sees it in order`(seed: UInt64) throws {
        var random = SplitMix(seed: seed)
        var order = order(external: ["world"])
        let names = ["world", "a", "b", "c", "d"]
        let items = (1...300).map { line in
            let debit = Int.random(in: 0..<names.count, using: &random)
            let credit = (debit + Int.random(in: 1..<names.count, using: &random)) % names.count
            return pay(line, names[debit], names[credit])
        }
        var sent: [SubmitItem] = items.filter { order.enter($0) }
        var done: [SubmitItem] = []
        while !sent.isEmpty {
            let item = sent.remove(at: Int.random(in: 0..<sent.count, using: &random))
            done.append(item)
            sent += order.release(item, isKnown: true)
        }
        #expect(done.count == items.count, "seed \(seed)")
        for account in names.dropFirst().map({ AccountID($0)! }) {
            #expect(view(done, account) == view(items, account), "seed \(seed), account \(account)")
        }
    }

    /// Debits as they come, and the credits between them without an order.
    private func view(_ items: [SubmitItem], _ account: AccountID) -> [Set<Int>] {
        var view: [Set<Int>] = [[]]
        for item in items {
            if item.payment?.debit == account {
                view += [[item.line], []]
            } else if item.payment?.credit == account {
                view[view.count - 1].insert(item.line)
            }
        }
        return view
    }
}

/// A small generator with a seed, so that a failure can be repeated.
struct SplitMix: RandomNumberGenerator {
    private var state: UInt64
    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}
