internal import Ledger

/// Lets payments go in the order of the file where that matters, and at the same time where it does not. Pure.
///
/// What a payment comes to depends on what has happened before to the account it debits. So a debit waits until everything
/// that stands before it in the file and touches that account was accepted, and a credit waits for the debits before it;
/// credits pass each other. External accounts have no limit and order nothing. As lines enter all their queues at once and
/// in the order of the file, they cannot block each other in a circle.
struct AccountOrder {
    private enum Use { case debit, credit }

    private struct Queue {
        private var debiting = false
        private var crediting = 0
        private var waiting: [(item: SubmitItem, use: Use)] = []
        private var head = 0
        /// It is not known whether a credit was accepted: no debit can be put behind it any more.
        private var hasLostCredit = false
        /// The same of a debit, behind which nothing can be put.
        private var hasLostDebit = false

        var isIdle: Bool { !debiting && crediting == 0 && head == waiting.count && !hasLostCredit && !hasLostDebit }

        func isBroken(for use: Use) -> Bool { hasLostDebit || (hasLostCredit && use == .debit) }

        /// False when the item has to wait.
        mutating func enter(_ item: SubmitItem, _ use: Use) -> Bool {
            guard head == waiting.count, admits(use) else {
                waiting.append((item, use))
                return false
            }
            begin(use)
            return true
        }

        /// Those that may go now, in order.
        mutating func leave(_ use: Use, isKnown: Bool) -> [SubmitItem] {
            if use == .debit { debiting = false } else { crediting -= 1 }
            if !isKnown {
                if use == .debit { hasLostDebit = true } else { hasLostCredit = true }
            }
            var items: [SubmitItem] = []
            while head < waiting.count, admits(waiting[head].use) {
                begin(waiting[head].use)
                items.append(waiting[head].item)
                head += 1
            }
            if head > 32, head * 2 > waiting.count {
                waiting.removeFirst(head)
                head = 0
            }
            return items
        }

        private func admits(_ use: Use) -> Bool { use == .debit ? !debiting && crediting == 0 : !debiting }

        private mutating func begin(_ use: Use) {
            if use == .debit { debiting = true } else { crediting += 1 }
        }
    }

    private let isOn: Bool
    private let external: Set<AccountID>
    private var queues: [AccountID: Queue] = [:]

    /// - Parameter external: accounts that order nothing.
    init(_ order: SubmitOptions.Order, external: Set<AccountID>) {
        isOn = order == .file
        self.external = external
    }

    /// Takes a payment in. Returns whether it may go at once; else a later `release` hands it out.
    mutating func enter(_ item: SubmitItem) -> Bool {
        for (account, use) in uses(of: item) where !queues[account, default: Queue()].enter(item, use) { item.blockers += 1 }
        return item.blockers == 0
    }

    /// Whether a payment can no longer be put behind what stands before it in the file.
    func isBroken(_ item: SubmitItem) -> Bool {
        uses(of: item).contains { account, use in queues[account]?.isBroken(for: use) ?? false }
    }

    /// Lets go what has waited for this payment.
    ///
    /// - Parameter isKnown: whether it was accepted, or is known to never be.
    mutating func release(_ item: SubmitItem, isKnown: Bool) -> [SubmitItem] {
        var admitted: [SubmitItem] = []
        for (account, use) in uses(of: item) {
            for waiting in queues[account, default: Queue()].leave(use, isKnown: isKnown) {
                waiting.blockers -= 1
                if waiting.blockers == 0 { admitted.append(waiting) }
            }
            if queues[account]?.isIdle ?? false { queues[account] = nil }
        }
        return admitted
    }

    private func uses(of item: SubmitItem) -> [(AccountID, Use)] {
        guard isOn, let payment = item.payment else { return [] }
        var uses: [(AccountID, Use)] = []
        if !external.contains(payment.debit) { uses.append((payment.debit, .debit)) }
        if !external.contains(payment.credit) { uses.append((payment.credit, .credit)) }
        return uses
    }
}
