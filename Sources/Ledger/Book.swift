/// What a partition's owner knows, and the rules that decide commands against it, in log order.
///
/// Pure: no clock, no storage. The owner teaches it every account and every earlier decision that a batch depends on
/// (`learn`), has each command decided (`decide`), and stores the `effects`, all or nothing. When storing fails, what
/// the book knows may be wrong: it is thrown away and learned anew.
///
/// One thread's. Deciding a command costs a few dictionary look-ups; nothing here blocks.
public struct Book {
    /// What is to be stored after a batch.
    public struct Effects: Sendable {
        /// Accounts that did not exist before the batch, as they stand after it.
        public var opened: [Account] = []
        /// Accounts that the batch changed: the revision that storage must still have, and the state after the batch.
        public var changed: [(expectedRevision: Int64, account: Account)] = []
        public var payments: [(payment: Payment, fingerprint: Fingerprint)] = []
        public var movements: [Movement] = []
    }

    private struct Known {
        var account: Account
        /// The revision storage has; nil while the account exists only in this batch.
        var storedRevision: Int64?
    }

    private var accounts: [AccountKey: Known?] = [:]
    private var decided: [OperationID: Fingerprint] = [:]
    private var touched: [AccountKey] = []
    private var payments: [(payment: Payment, fingerprint: Fingerprint)] = []
    private var movements: [Movement] = []

    public init() {}

    /// How many accounts it holds in memory, those known to be absent included.
    public var accountsKnown: Int { accounts.count }

    public func knows(_ key: AccountKey) -> Bool { accounts[key] != nil }

    /// Teaches the state of an account as storage has it.
    public mutating func learn(_ account: Account) {
        accounts[account.key] = Known(account: account, storedRevision: account.revision)
    }

    /// Teaches that storage has no such account. Absence is forgotten with the batch: it is cheap to ask again and
    /// would otherwise let anybody fill the table with names.
    public mutating func learnAbsent(_ key: AccountKey) {
        accounts[key] = .some(nil)
    }

    /// Teaches that an id was decided before this batch.
    public mutating func learn(_ prior: PriorDecision, of id: OperationID) {
        decided[id] = prior.fingerprint
    }

    /// An account as it stands after what was decided so far; nil when it is absent or unknown.
    public func account(_ key: AccountKey) -> Account? { accounts[key]??.account }

    /// Decides one command.
    ///
    /// - Parameters:
    ///   - now: the decision's time; never before an earlier one of the same partition.
    ///   - newAccountNumber: the number an account gets if this command opens one.
    /// - Precondition: every account of the envelope was learned.
    public mutating func decide(_ envelope: Envelope, at now: Timestamp, newAccountNumber: Int64) -> Outcome {
        if let fingerprint = decided[envelope.id] {
            return fingerprint == envelope.fingerprint ? .repeated : .keyReused
        }
        decided[envelope.id] = envelope.fingerprint
        switch envelope.command {
        case .openAccount(let open): return decide(open, envelope, at: now, number: newAccountNumber)
        case .pay(let pay):
            let payment = decide(pay, envelope, at: now)
            payments.append((payment, envelope.fingerprint))
            return .payment(payment)
        }
    }

    /// What the batch came to. Call `commit` once it is stored.
    public var effects: Effects {
        var effects = Effects()
        for key in touched {
            guard let known = accounts[key] ?? nil else { continue }
            if let stored = known.storedRevision {
                effects.changed.append((stored, known.account))
            } else {
                effects.opened.append(known.account)
            }
        }
        effects.payments = payments
        effects.movements = movements
        return effects
    }

    /// The batch is stored: what it changed is now what storage has.
    public mutating func commit() {
        for key in touched {
            guard var known = accounts[key] ?? nil else { continue }
            known.storedRevision = known.account.revision
            accounts[key] = known
        }
        endBatch()
        accounts = accounts.filter { $0.value != nil }
    }

    /// Forgets accounts until at most `limit` are known. Between batches only.
    public mutating func shrink(to limit: Int) {
        precondition(touched.isEmpty, "a batch is under way")
        while accounts.count > limit, let key = accounts.keys.first { accounts[key] = nil }
    }

    private mutating func endBatch() {
        decided.removeAll(keepingCapacity: true)
        touched.removeAll(keepingCapacity: true)
        payments.removeAll(keepingCapacity: true)
        movements.removeAll(keepingCapacity: true)
    }

    private mutating func decide(_ open: OpenAccount, _ envelope: Envelope, at now: Timestamp, number: Int64) -> Outcome {
        let key = AccountKey(tenant: envelope.tenant, account: open.account)
        guard let known = accounts[key] else { preconditionFailure("an account was not learned before its decision") }
        if known != nil { return .accountDeclined(key, .accountExists) }
        let account = Account(
            key: key, number: number, currency: open.currency, kind: open.kind, overdraftLimit: open.overdraftLimit, openedAt: now,
            changedAt: now)
        accounts[key] = Known(account: account, storedRevision: nil)
        touched.append(key)
        return .opened(account)
    }

    private mutating func decide(_ pay: Pay, _ envelope: Envelope, at now: Timestamp) -> Payment {
        precondition(pay.debit != pay.credit && pay.amount >= 1, "the door lets no such payment in")
        let debitKey = AccountKey(tenant: envelope.tenant, account: pay.debit)
        let creditKey = AccountKey(tenant: envelope.tenant, account: pay.credit)
        guard let debitKnown = accounts[debitKey], let creditKnown = accounts[creditKey] else {
            preconditionFailure("an account was not learned before its decision")
        }
        func declined(_ reason: DeclineReason) -> Payment {
            Payment(
                id: envelope.id, tenant: envelope.tenant, request: pay, acceptedAt: envelope.acceptedAt, status: .declined, declineReason: reason,
                decidedAt: now, revision: 1)
        }
        if let expiresAt = pay.expiresAt, now > expiresAt { return declined(.deadlineExceeded) }
        guard var debit = debitKnown, var credit = creditKnown else { return declined(.accountNotFound) }
        if let reason = Self.refusal(of: pay, from: debit.account, to: credit.account) { return declined(reason) }

        let debitResult = Self.post(-pay.amount, to: &debit.account, at: now)
        let creditResult = Self.post(pay.amount, to: &credit.account, at: now)
        touch(debitKey, debit)
        touch(creditKey, credit)
        movements.append(
            Movement(
                payment: envelope.id, debitAccount: debit.account.number, creditAccount: credit.account.number, amount: pay.amount,
                debit: debitResult, credit: creditResult))
        return Payment(
            id: envelope.id, tenant: envelope.tenant, request: pay, acceptedAt: envelope.acceptedAt, status: .settled, decidedAt: now,
            revision: 1, debitResult: debitResult, creditResult: creditResult)
    }

    /// Why the payment may not be made; nil when it may. The order of the checks is part of the API: the first that fails is told.
    private static func refusal(of pay: Pay, from debit: Account, to credit: Account) -> DeclineReason? {
        if debit.flags.contains(.closed) || credit.flags.contains(.closed) { return .accountClosed }
        if debit.currency != pay.currency || credit.currency != pay.currency { return .currencyMismatch }
        if debit.flags.contains(.debitFrozen) || credit.flags.contains(.creditFrozen) { return .accountFrozen }
        // Amounts and balances are below 2^53: sums of a few of them cannot overflow 64 bits.
        if debit.kind == .normal, debit.available < pay.amount { return .insufficientFunds }
        if debit.posted - pay.amount < -Money.minorUnitsMax { return .balanceOutOfRange }
        if credit.posted + pay.amount > Money.minorUnitsMax { return .balanceOutOfRange }
        return nil
    }

    private static func post(_ amount: Int64, to account: inout Account, at now: Timestamp) -> LegResult {
        account.posted += amount
        account.sequence += 1
        account.revision += 1
        account.changedAt = now
        return LegResult(sequence: account.sequence, postedAfter: account.posted, revision: account.revision)
    }

    private mutating func touch(_ key: AccountKey, _ known: Known) {
        // An account that storage has and that this batch changes for the first time.
        if let stored = known.storedRevision, known.account.revision == stored + 1 { touched.append(key) }
        accounts[key] = known
    }
}
