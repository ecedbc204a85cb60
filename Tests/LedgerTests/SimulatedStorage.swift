import Ledger

/// What PostgreSQL does for the ledger, in memory: a batch is stored all or nothing, under the same guards as the
/// schema's, and every entry must continue its account's chain.
struct SimulatedStorage {
    enum Refusal: Error, Equatable {
        /// The unique account, the compare-and-set on the revision, the unique operation id.
        case accountTaken, accountTwice, revisionMoved, idTaken
        /// What the worker's SQL takes on trust, checked here.
        case entryOutOfOrder, accountDoesNotMatchEntries, paymentDoesNotMatchMovement, revisionNotOnePerChange
    }

    struct Entry: Equatable {
        let amount: Int64
        let leg: LegResult
    }

    private(set) var accounts: [AccountKey: Account] = [:]
    private(set) var decisions: [OperationID: Fingerprint] = [:]
    /// By account number.
    private(set) var entries: [Int64: [Entry]] = [:]

    init(_ accounts: [Account]) {
        for account in accounts { self.accounts[account.key] = account }
    }

    mutating func store(_ effects: Book.Effects, operations: [(OperationID, Fingerprint)]) throws(Refusal) {
        var next = self
        try next.insert(effects, operations)
        self = next
    }

    private mutating func insert(_ effects: Book.Effects, _ operations: [(OperationID, Fingerprint)]) throws(Refusal) {
        // Compare-and-set first: a stale owner must be found out by it alone, whatever else would find it.
        for change in effects.changed where accounts[change.account.key]?.revision != change.expectedRevision { throw .revisionMoved }
        for account in effects.opened where accounts[account.key] != nil { throw .accountTaken }
        let keys = effects.changed.map(\.account.key) + effects.opened.map(\.key)
        guard Set(keys).count == keys.count else { throw .accountTwice }
        for (id, fingerprint) in effects.payments.map({ ($0.payment.id, $0.fingerprint) }) + operations
        where decisions.updateValue(fingerprint, forKey: id) != nil {
            throw .idTaken
        }
        // The chain of each account goes on from here: (sequence, posted, revision).
        var chains: [Int64: LegResult] = [:]
        for change in effects.changed {
            guard let stored = accounts[change.account.key] else { throw .revisionMoved }
            chains[stored.number] = LegResult(sequence: stored.sequence, postedAfter: stored.posted, revision: stored.revision)
        }
        for account in effects.opened { chains[account.number] = LegResult(sequence: 0, postedAfter: 0, revision: 1) }
        for movement in effects.movements {
            try append(Entry(amount: -movement.amount, leg: movement.debit), to: movement.debitAccount, &chains)
            try append(Entry(amount: movement.amount, leg: movement.credit), to: movement.creditAccount, &chains)
        }
        for account in effects.changed.map(\.account) + effects.opened {
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
        guard entry.leg.revision == last.revision + 1 else { throw .revisionNotOnePerChange }
        chains[account] = entry.leg
        entries[account, default: []].append(entry)
    }

    private func check(_ effects: Book.Effects) throws(Refusal) {
        var movements = effects.movements[...]
        for (payment, _) in effects.payments {
            if payment.status == .settled {
                guard let movement = movements.popFirst(), movement.payment == payment.id, movement.amount == payment.request.amount,
                    movement.debit == payment.debitResult, movement.credit == payment.creditResult,
                    accounts[AccountKey(tenant: payment.tenant, account: payment.request.debit)]?.number == movement.debitAccount,
                    accounts[AccountKey(tenant: payment.tenant, account: payment.request.credit)]?.number == movement.creditAccount
                else { throw .paymentDoesNotMatchMovement }
            } else if payment.debitResult != nil || payment.creditResult != nil || payment.declineReason == nil {
                throw .paymentDoesNotMatchMovement
            }
        }
        if !movements.isEmpty { throw .paymentDoesNotMatchMovement }
    }
}
