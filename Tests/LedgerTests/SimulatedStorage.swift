import Ledger

/// What PostgreSQL does for the ledger, in memory: a batch is stored all or nothing, under the same guards as the
/// schema's, and every entry must continue its account's chain.
struct SimulatedStorage {
    enum Refusal: Error, Equatable {
        /// The unique account, the compare-and-set on the revision, the unique operation id.
        case accountTaken, accountTwice, revisionMoved, idTaken, paymentMoved
        /// What the worker's SQL takes on trust, checked here.
        case entryOutOfOrder, accountDoesNotMatchEntries, paymentDoesNotMatchMovement, revisionNotOnePerChange
    }

    struct Entry: Equatable {
        let amount: Int64
        let leg: LegResult
    }

    private(set) var accounts: [AccountKey: Account] = [:]
    /// What a command that is no payment came to.
    struct Operation {
        let id: OperationID
        let fingerprint: Fingerprint
        /// The account that a command changed.
        var account: AccountKey?
        /// The payment that a command changed.
        var change: PaymentChange?
    }

    private(set) var payments: [OperationID: Payment] = [:]
    private(set) var decisions: [OperationID: Fingerprint] = [:]
    /// By account number.
    private(set) var entries: [Int64: [Entry]] = [:]

    init(_ accounts: [Account]) {
        for account in accounts { self.accounts[account.key] = account }
    }

    mutating func store(_ effects: Book.Effects, operations: [Operation]) throws(Refusal) {
        var next = self
        try next.insert(effects, operations)
        self = next
    }

    private mutating func insert(_ effects: Book.Effects, _ operations: [Operation]) throws(Refusal) {
        // Compare-and-set first: a stale owner must be found out by it alone, whatever else would find it.
        for change in effects.changed where accounts[change.account.key]?.revision != change.expectedRevision { throw .revisionMoved }
        for account in effects.opened where accounts[account.key] != nil { throw .accountTaken }
        let keys = effects.changed.map(\.account.key) + effects.opened.map(\.key)
        guard Set(keys).count == keys.count else { throw .accountTwice }
        for (id, fingerprint) in effects.payments.map({ ($0.payment.id, $0.fingerprint) }) + operations.map({ ($0.id, $0.fingerprint) })
        where decisions.updateValue(fingerprint, forKey: id) != nil {
            throw .idTaken
        }
        for (expected, payment) in effects.changedPayments {
            guard payments[payment.id]?.revision == expected else { throw .paymentMoved }
            payments[payment.id] = payment
        }
        for payment in effects.payments.map(\.payment) { payments[payment.id] = payment }
        // The chain of each account goes on from here: (sequence, posted, revision).
        var chains: [Int64: LegResult] = [:]
        var revisions: [Int64: Int64] = [:]
        var entryCounts: [Int64: Int64] = [:]
        for change in effects.changed {
            guard let stored = accounts[change.account.key] else { throw .revisionMoved }
            chains[stored.number] = LegResult(sequence: stored.sequence, postedAfter: stored.posted, revision: stored.revision)
        }
        for account in effects.opened { chains[account.number] = LegResult(sequence: 0, postedAfter: 0, revision: 1) }
        revisions = chains.mapValues(\.revision)
        for movement in effects.movements {
            entryCounts[movement.debitAccount, default: 0] += 1
            entryCounts[movement.creditAccount, default: 0] += 1
            try append(Entry(amount: -movement.amount, leg: movement.debit), to: movement.debitAccount, &chains)
            try append(Entry(amount: movement.amount, leg: movement.credit), to: movement.creditAccount, &chains)
        }
        let others = otherChanges(effects, operations)
        for account in effects.changed.map(\.account) + effects.opened {
            // Whatever is no entry has raised the revision by one as well.
            if let last = chains[account.number] {
                chains[account.number] = LegResult(
                    sequence: last.sequence, postedAfter: last.postedAfter,
                    revision: (revisions[account.number] ?? 0) + (entryCounts[account.number] ?? 0) + (others[account.key] ?? 0))
            }
            let end = LegResult(sequence: account.sequence, postedAfter: account.posted, revision: account.revision)
            guard chains[account.number] == end else { throw .accountDoesNotMatchEntries }
            accounts[account.key] = account
        }
        try check(effects)
    }

    private mutating func append(_ entry: Entry, to account: Int64, _ chains: inout [Int64: LegResult]) throws(Refusal) {
        // An entry of an account that is neither changed nor opened has no chain.
        guard let last = chains[account] else { throw .accountDoesNotMatchEntries }
        guard entry.leg.sequence == last.sequence + 1, entry.leg.postedAfter == last.postedAfter + entry.amount else {
            throw .entryOutOfOrder
        }
        guard entry.leg.revision > last.revision else { throw .revisionNotOnePerChange }
        chains[account] = entry.leg
        entries[account, default: []].append(entry)
    }

    /// How often accounts were changed by what is no entry: holds, their release, commands.
    private func otherChanges(_ effects: Book.Effects, _ operations: [Operation]) -> [AccountKey: Int64] {
        var counts: [AccountKey: Int64] = [:]
        for payment in effects.payments.map(\.payment) where payment.holdUntil != nil {
            counts[AccountKey(tenant: payment.tenant, account: payment.request.debit), default: 0] += 1
        }
        for operation in operations {
            if let account = operation.account { counts[account, default: 0] += 1 }
            if let change = operation.change, change.paymentRevision != nil, change.moved == 0,
                let payment = payments[change.request.payment]
            {
                counts[AccountKey(tenant: payment.tenant, account: payment.request.debit), default: 0] += 1
            }
        }
        return counts
    }

    private func check(_ effects: Book.Effects) throws(Refusal) {
        for decided in effects.payments {
            let payment = decided.payment
            guard payment.debitResult != nil || payment.creditResult == nil else { throw .paymentDoesNotMatchMovement }
            let own = effects.movements.first { $0.payment == payment.id && $0.debit == payment.debitResult }
            if payment.request.capture == .automatic, payment.status == .settled {
                guard let own, own.amount == payment.request.amount, own.credit == payment.creditResult,
                    own.debitAccount == decided.debitAccount,
                    accounts[AccountKey(tenant: payment.tenant, account: payment.request.debit)]?.number == own.debitAccount,
                    accounts[AccountKey(tenant: payment.tenant, account: payment.request.credit)]?.number == own.creditAccount
                else { throw .paymentDoesNotMatchMovement }
            } else if payment.debitResult != nil || (payment.status == .declined) != (payment.declineReason != nil) {
                throw .paymentDoesNotMatchMovement
            }
        }
        // A payment moved what it says, in all that is stored of it.
        for payment in effects.payments.map(\.payment) + effects.changedPayments.map(\.payment) {
            guard payment.revision == Int64(1 + payment.history.count) else { throw .paymentDoesNotMatchMovement }
            let moved = { (kind: PaymentChange.Kind) in payment.history.filter { $0.kind == kind }.reduce(0) { $0 + $1.moved } }
            let atOnce = payment.debitResult == nil ? 0 : payment.request.amount
            guard payment.captured == atOnce + moved(.capture), payment.refunded == moved(.refund), payment.refunded <= payment.captured,
                payment.captured <= payment.request.amount
            else { throw .paymentDoesNotMatchMovement }
        }
    }
}
