/// What a partition's owner knows, and the rules that decide commands against it, in log order.
///
/// Pure: no clock, no storage. The owner teaches it every account and every earlier decision that a batch depends on
/// (`learn`), has each command decided (`decide`), and stores the `effects`, all or nothing. When storing fails, what
/// the book knows may be wrong: it is thrown away and learned anew, or only what the batch touched is (`abandon`). The next batch may
/// be decided before storage has answered: it goes with the one before it.
///
/// A payment's id need not be looked up before: storage keeps ids unique and refuses a batch that repeats one, which is then
/// abandoned, learned in full and decided again. What is remembered of earlier batches makes that rare.
///
/// One thread's. Deciding a command costs a few dictionary look-ups; nothing here blocks.
public struct Book {
    /// What is to be stored after a batch.
    public struct Effects: Sendable {
        /// Accounts that did not exist before the batch, as they stand after it.
        public var opened: [Account] = []
        /// Accounts that the batch changed: the revision that storage must still have, and the state after the batch.
        public var changed: [(expectedRevision: Int64, account: Account)] = []
        /// Every payment decided, settled, authorized or declined, in log order, as it stands after the batch.
        public var payments: [DecidedPayment] = []
        /// Payments of earlier batches that this one changed: the revision that storage must still have, and the state after the
        /// batch.
        public var changedPayments: [(expectedRevision: Int64, payment: Payment)] = []
        /// One for each payment that settled, each capture and each refund, in log order.
        public var movements: [Movement] = []

        public init() {}
    }

    /// A payment that this batch decided.
    public struct DecidedPayment: Sendable {
        public var payment: Payment
        public let fingerprint: Fingerprint
        /// The number of the account that it debits or holds on; nil when it was declined.
        public let debitAccount: Int64?
    }

    /// The line of the ledger's history that is decided in (`Revision`), 0 to `Revision.lineMax`. It never falls.
    public var line: Int64 {
        didSet { precondition(line >= oldValue && line <= Revision.lineMax, "a ledger goes on in its line or a later one") }
    }
    var table = AccountTable()
    /// Known to be absent, until the batch ends.
    private var absent: Set<AccountKey> = []
    private var decided: [OperationID: Fingerprint] = [:]
    /// Of batches before, as far as they are remembered.
    private var recent: RecentIDs
    /// The slots the batch changed or opened, each once, in the order of the first change.
    private var touched: [Int] = []
    var payments = PaymentTable()
    private var movements: [Movement] = []

    /// - Parameter recentIDsMax: ids of earlier batches that are remembered at most, about 64 bytes each.
    public init(recentIDsMax: Int = 0, line: Int64 = 0) {
        precondition((0...Revision.lineMax).contains(line), "no such line")
        recent = RecentIDs(limit: recentIDsMax)
        self.line = line
    }

    /// True when an id is known to be decided, in this batch or before it. False says nothing.
    public func remembers(_ id: OperationID) -> Bool { decided[id] != nil || recent[id] != nil }

    /// How many accounts it holds in memory, those known to be absent included.
    public var accountsKnown: Int { table.count + absent.count }

    /// True when a command on the account may be decided: it was learned, or learned to be absent in this batch.
    public func knows(_ key: AccountKey) -> Bool { table.index(of: key) != nil || absent.contains(key) }

    /// Teaches the state of an account as storage has it.
    /// - Precondition: the batch under way has not changed it.
    public mutating func learn(_ account: Account) {
        absent.remove(account.key)
        table.learn(account)
    }

    /// Teaches that storage has no such account. Absence is forgotten with the batch: it is cheap to ask again and
    /// would otherwise let anybody fill the table with names.
    /// - Precondition: the account is not known to exist. Accounts are never deleted.
    public mutating func learnAbsent(_ key: AccountKey) {
        precondition(table.index(of: key) == nil, "an account that exists was learned to be absent")
        absent.insert(key)
    }

    /// Teaches that an id was decided before this batch, be it a payment's or an account command's.
    public mutating func learn(_ prior: PriorDecision, of id: OperationID) {
        decided[id] = prior.fingerprint
    }

    /// Teaches a payment that was decided before this batch, as storage has it. An id of which nothing is taught, and that this
    /// batch does not decide, is no payment.
    public mutating func learn(_ payment: Payment) { payments.learn(payment) }

    /// An account as it stands after what was decided so far; nil when it is absent or unknown.
    public func account(_ key: AccountKey) -> Account? { table.index(of: key).map { table.slots[$0].account } }

    /// A payment of the batch under way, or one that it was taught, as it stands after what was decided so far.
    public mutating func payment(_ id: OperationID) -> Payment? { payments.find(id).map { payments[$0] } }

    /// Decides one command.
    ///
    /// - Parameters:
    ///   - now: the decision's time; never before an earlier one of the same partition.
    ///   - newAccountNumber: the number an account gets if this command opens one.
    /// - Precondition: every account of the envelope was learned, and every id that was decided in an earlier batch, but for payments'
    ///   ids that storage holds unique; for a change of a payment the payment and its accounts; the command is one that the door lets
    ///   in (its documented ranges).
    public mutating func decide(_ envelope: Envelope, at now: Timestamp, newAccountNumber: Int64) -> Outcome {
        if let fingerprint = decided[envelope.id] ?? recent[envelope.id] {
            return fingerprint == envelope.fingerprint ? .repeated : .keyReused
        }
        decided[envelope.id] = envelope.fingerprint
        switch envelope.command {
        case .openAccount(let open): return decide(open, envelope, at: now, number: newAccountNumber)
        case .pay(let pay):
            let decided = decide(pay, envelope, at: now)
            payments.append(decided)
            return .payment(decided.payment)
        case .changeAccount(let change): return decide(change, envelope, at: now)
        case .changePayment(let change): return .paymentChanged(decide(change, envelope, at: now))
        }
    }

    /// What the batch came to.
    ///
    /// Account commands and reused keys are not in it: their outcomes, as `decide` returned them, are stored beside it.
    public var effects: Effects {
        var effects = Effects()
        effects.payments = payments.decided
        effects.changedPayments = payments.changed
        effects.movements = movements
        for index in touched {
            let slot = table.slots[index]
            if let stored = slot.storedRevision {
                effects.changed.append((stored, slot.account))
            } else {
                effects.opened.append(slot.account)
            }
        }
        return effects
    }

    /// Ends the batch: what it changed is what storage will have once it is stored, and what the next batch starts from. Costs as much
    /// as the batch changed, however many accounts are known.
    public mutating func commit() {
        for index in touched { table.settle(index) }
        for (id, fingerprint) in decided { recent.insert(id, fingerprint) }
        absent.removeAll(keepingCapacity: true)
        decided.removeAll(keepingCapacity: true)
        touched.removeAll(keepingCapacity: true)
        payments.removeAll()
        movements.removeAll(keepingCapacity: true)
    }

    /// Storage has refused a batch that was ended, and is as it was before it: what the batch changed or opened is forgotten, and learned
    /// anew for the next try, and its ids are free. Batches that were ended after it are abandoned with it.
    ///
    /// - Parameters:
    ///   - effects: what the batch came to.
    ///   - ids: of its commands.
    /// - Precondition: no batch is under way.
    public mutating func abandon(_ effects: Effects, ids: some Sequence<OperationID>) {
        precondition(touched.isEmpty, "a batch is under way")
        for account in effects.opened { table.forget(account.key) }
        for change in effects.changed { table.forget(change.account.key) }
        for id in ids { recent.remove(id) }
    }

    /// Forgets accounts, those used longest ago by preference, until at most `limit` are known. Its cost grows with the
    /// number forgotten only. Between batches only: after `commit` and before anything is learned for the next.
    public mutating func shrink(to limit: Int) {
        precondition(limit >= 0 && decided.isEmpty && touched.isEmpty && absent.isEmpty, "a batch is under way")
        table.shrink(to: limit)
    }

    private mutating func decide(_ open: OpenAccount, _ envelope: Envelope, at now: Timestamp, number: Int64) -> Outcome {
        precondition(open.overdraftLimit >= 0 && open.overdraftLimit <= Money.minorUnitsMax, "the door lets no such account in")
        let key = AccountKey(tenant: envelope.tenant, account: open.account)
        if table.use(key) != nil { return .accountDeclined(key, .accountExists) }
        guard absent.remove(key) != nil else { Self.notLearned() }
        let account = Account(
            key: key, number: number, currency: open.currency, kind: open.kind, overdraftLimit: open.overdraftLimit,
            revision: Revision.first(inLine: line), openedAt: now, changedAt: now)
        touched.append(table.open(account))
        return .opened(account)
    }

    /// The account's slot; nil when it is known to be absent.
    mutating func find(_ key: AccountKey) -> Int? {
        if let index = table.use(key) { return index }
        guard absent.contains(key) else { Self.notLearned() }
        return nil
    }

    private static func notLearned() -> Never { preconditionFailure("an account was not learned before its decision") }

    /// Changes the account in a slot: one more revision of it.
    mutating func change(_ index: Int, at now: Timestamp, _ body: (inout Account) -> Void) -> Account {
        let (account, isFirst) = table.change(index) { [line] account in
            body(&account)
            account.revision = Revision.next(after: account.revision, inLine: line)
            account.changedAt = now
            return account
        }
        if isFirst { touched.append(index) }
        return account
    }

    /// Moves money from one account to another, and takes it out of what is held on the first where it was.
    ///
    /// - Parameter unheld: how much less is held on `debit` afterwards: what moves and what is released with it.
    mutating func move(
        _ amount: Int64, from debit: Int, to credit: Int, unheld: Int64 = 0, for payment: OperationID, at now: Timestamp
    ) -> Movement {
        let debitResult = post(-amount, unheld: unheld, to: debit, at: now)
        let creditResult = post(amount, unheld: 0, to: credit, at: now)
        let movement = Movement(
            payment: payment, debitAccount: table.slots[debit].account.number, creditAccount: table.slots[credit].account.number,
            amount: amount, debit: debitResult, credit: creditResult, decidedAt: now)
        movements.append(movement)
        return movement
    }

    /// Adds one entry of `amount` minor units (negative for a debit) to the account in a slot.
    private mutating func post(_ amount: Int64, unheld: Int64, to index: Int, at now: Timestamp) -> LegResult {
        let (result, isFirst) = table.change(index) { [line] account in
            account.posted += amount
            account.held -= unheld
            account.sequence += 1
            account.revision = Revision.next(after: account.revision, inLine: line)
            account.changedAt = now
            return LegResult(sequence: account.sequence, postedAfter: account.posted, revision: account.revision)
        }
        if isFirst { touched.append(index) }
        return result
    }
}
