import Ledger

/// The same rules once more, as plainly as they can be told: there is no state, only a list of what happened, which is
/// read from its beginning for every question.
struct ReferenceLedger {
    enum Verdict: Equatable {
        case settled(debit: LegResult, credit: LegResult)
        case authorized
        case declined(DeclineReason)
        case opened
        case exists
        /// The account's flags, limit and revision afterwards.
        case accountChanged(Int16, Int64, Int64)
        case accountRefused(DeclineReason)
        /// What moved and what was released.
        case changed(Int64, Int64)
        case changeRefused(DeclineReason)
        case repeated
        case reused
    }

    /// One change of an account: one revision.
    struct Step: Equatable {
        let account: AccountKey
        /// Nil when it is no entry.
        var amount: Int64?
        var held: Int64 = 0
        var setFlags: Int16 = 0
        var clearFlags: Int16 = 0
        var limit: Int64?
        let at: Timestamp
    }

    /// What happened to a payment that was not declined.
    enum Fact: Equatable {
        case paid
        case authorized
        case captured(Int64)
        case closed(void: Bool)
        case refunded(Int64)
    }

    /// Accounts that are there at first or were opened since, with the figures that never change.
    private var openings: [Account]
    private(set) var steps: [Step] = []
    private var facts: [(payment: OperationID, fact: Fact)] = []
    private(set) var orders: [(id: OperationID, tenant: TenantID, pay: Pay)] = []
    private var requests: [(id: OperationID, fingerprint: Fingerprint)] = []

    init(_ accounts: [Account]) { openings = accounts }

    mutating func judge(_ record: RandomWorld.Record) -> Verdict {
        let envelope = record.envelope
        for request in requests where request.id == envelope.id {
            return request.fingerprint == envelope.fingerprint ? .repeated : .reused
        }
        requests.append((envelope.id, envelope.fingerprint))
        switch envelope.command {
        case .openAccount(let open): return judge(open, envelope, record)
        case .pay(let pay):
            orders.append((envelope.id, envelope.tenant, pay))
            return judge(pay, envelope, record)
        case .changeAccount(let change): return judge(change, envelope, record)
        case .changePayment(let change): return judge(change, envelope, record)
        }
    }

    // MARK: Questions

    /// An account with all that happened to it; nil when it was never opened.
    func account(_ key: AccountKey) -> Account? {
        guard var account = openings.first(where: { $0.key == key }) else { return nil }
        for step in steps where step.account == key {
            if let amount = step.amount {
                account.posted += amount
                account.sequence += 1
            }
            account.held += step.held
            account.flags = AccountFlags(rawValue: account.flags.rawValue & ~step.clearFlags | step.setFlags)
            account.overdraftLimit = step.limit ?? account.overdraftLimit
            account.revision += 1
            account.changedAt = step.at
        }
        return account
    }

    var accounts: [Account] { openings.compactMap { account($0.key) } }

    func facts(of payment: OperationID) -> [Fact] { facts.filter { $0.payment == payment }.map(\.fact) }

    /// How a payment stands: status, captured, refunded.
    func standing(of payment: OperationID, amount: Int64) -> (status: PaymentStatus, captured: Int64, refunded: Int64) {
        let facts = facts(of: payment)
        if facts.isEmpty { return (.declined, 0, 0) }
        var captured: Int64 = 0
        var refunded: Int64 = 0
        var end: PaymentStatus?
        for fact in facts {
            switch fact {
            case .paid: captured = amount
            case .captured(let more): captured += more
            case .refunded(let back): refunded += back
            case .closed(let void): end = void ? .voided : .expired
            case .authorized: break
            }
        }
        let isOpen = facts.contains(.authorized) && end == nil && captured < amount
        return (isOpen ? .authorized : captured > 0 ? .settled : end ?? .settled, captured, refunded)
    }

    // MARK: Rules

    private mutating func judge(_ open: OpenAccount, _ envelope: Envelope, _ record: RandomWorld.Record) -> Verdict {
        let key = AccountKey(tenant: envelope.tenant, account: open.account)
        if openings.contains(where: { $0.key == key }) { return .exists }
        openings.append(
            Account(
                key: key, number: record.accountNumber, currency: open.currency, kind: open.kind, overdraftLimit: open.overdraftLimit,
                openedAt: record.now, changedAt: record.now))
        return .opened
    }

    private static let range = -9_007_199_254_740_991...9_007_199_254_740_991 as ClosedRange<Int64>

    /// What stands against money going from one account to another that was not held for it.
    private func objections(to amount: Int64, _ from: Account, _ to: Account) -> [(Bool, DeclineReason)] {
        [
            (from.flags.rawValue & 1 != 0 || to.flags.rawValue & 2 != 0, .accountFrozen),
            (from.kind == .normal && from.posted - amount - from.held < -from.overdraftLimit, .insufficientFunds),
            (
                !Self.range.contains(from.posted - from.held - amount) || !Self.range.contains(to.posted + amount),
                .balanceOutOfRange
            ),
        ]
    }

    private mutating func move(_ amount: Int64, _ keys: [AccountKey], unheld: Int64, at now: Timestamp) {
        steps.append(Step(account: keys[0], amount: -amount, held: -unheld, at: now))
        steps.append(Step(account: keys[1], amount: amount, at: now))
    }

    private mutating func judge(_ pay: Pay, _ envelope: Envelope, _ record: RandomWorld.Record) -> Verdict {
        if let expiresAt = pay.expiresAt, expiresAt < record.now { return .declined(.deadlineExceeded) }
        if let end = pay.captureBefore, end < record.now { return .declined(.deadlineExceeded) }
        let keys = [pay.debit, pay.credit].map { AccountKey(tenant: envelope.tenant, account: $0) }
        guard let from = account(keys[0]), let to = account(keys[1]) else { return .declined(.accountNotFound) }
        var all: [(Bool, DeclineReason)] = [
            ((from.flags.rawValue | to.flags.rawValue) & 4 != 0, .accountClosed),
            (Set([from.currency, to.currency, pay.currency]).count > 1, .currencyMismatch),
        ]
        all += objections(to: pay.amount, from, to)
        if pay.capture == .manual { all.append((!Self.range.contains(from.held + pay.amount), .balanceOutOfRange)) }
        for (holds, reason) in all where holds { return .declined(reason) }
        if pay.capture == .manual {
            steps.append(Step(account: keys[0], held: pay.amount, at: record.now))
            facts.append((envelope.id, .authorized))
            return .authorized
        }
        move(pay.amount, keys, unheld: 0, at: record.now)
        facts.append((envelope.id, .paid))
        return .settled(
            debit: LegResult(sequence: from.sequence + 1, postedAfter: from.posted - pay.amount, revision: from.revision + 1),
            credit: LegResult(sequence: to.sequence + 1, postedAfter: to.posted + pay.amount, revision: to.revision + 1))
    }

    private mutating func judge(_ order: ChangeAccount, _ envelope: Envelope, _ record: RandomWorld.Record) -> Verdict {
        let key = AccountKey(tenant: envelope.tenant, account: order.account)
        guard let before = account(key) else { return .accountRefused(.accountNotFound) }
        if before.flags.rawValue & 4 != 0 { return .accountRefused(.alreadyClosed) }
        var step = Step(account: key, at: record.now)
        switch order.change {
        case .freeze(let sides): step.setFlags = sides.rawValue
        case .unfreeze(let sides): step.clearFlags = sides.rawValue
        case .close:
            if before.posted != 0 { return .accountRefused(.balanceNotZero) }
            if before.held != 0 { return .accountRefused(.fundsHeld) }
            step.setFlags = 4
        case .setOverdraftLimit(let limit):
            if before.kind == .external { return .accountRefused(.externalAccount) }
            if before.posted - before.held + limit < 0 { return .accountRefused(.overdraftInUse) }
            step.limit = limit
        }
        steps.append(step)
        guard let after = account(key) else { return .accountRefused(.accountNotFound) }
        return .accountChanged(after.flags.rawValue, after.overdraftLimit, after.revision)
    }

    private mutating func judge(_ order: ChangePayment, _ envelope: Envelope, _ record: RandomWorld.Record) -> Verdict {
        guard let (_, _, pay) = orders.first(where: { $0.id == order.payment && $0.tenant == envelope.tenant }) else {
            return .changeRefused(.paymentNotFound)
        }
        let keys = [pay.debit, pay.credit].map { AccountKey(tenant: envelope.tenant, account: $0) }
        let (status, captured, refunded) = standing(of: order.payment, amount: pay.amount)
        let open = status == .authorized ? pay.amount - captured : 0
        switch order.change {
        case .capture(let asked, let isFinal):
            if open == 0 { return .changeRefused(.paymentNotAuthorized) }
            let amount = asked ?? open
            if amount > open { return .changeRefused(.captureExceedsHold) }
            guard let from = account(keys[0]), let to = account(keys[1]) else { return .changeRefused(.accountNotFound) }
            if to.flags.rawValue & 4 != 0 { return .changeRefused(.accountClosed) }
            if from.flags.rawValue & 1 != 0 || to.flags.rawValue & 2 != 0 { return .changeRefused(.accountFrozen) }
            if !Self.range.contains(to.posted + amount) { return .changeRefused(.balanceOutOfRange) }
            let released = isFinal ? open - amount : 0
            move(amount, keys, unheld: amount + released, at: record.now)
            facts.append((order.payment, .captured(amount)))
            if isFinal, released > 0 { facts.append((order.payment, .closed(void: true))) }
            return .changed(amount, released)
        case .void, .expire:
            if open == 0 { return .changeRefused(.paymentNotAuthorized) }
            steps.append(Step(account: keys[0], held: -open, at: record.now))
            facts.append((order.payment, .closed(void: order.change == .void)))
            return .changed(0, open)
        case .refund(let asked):
            let amount = asked ?? captured - refunded
            if amount == 0 || amount > captured - refunded { return .changeRefused(.refundExceedsCaptured) }
            guard let from = account(keys[1]), let to = account(keys[0]) else { return .changeRefused(.accountNotFound) }
            if (from.flags.rawValue | to.flags.rawValue) & 4 != 0 { return .changeRefused(.accountClosed) }
            for (holds, reason) in objections(to: amount, from, to) where holds { return .changeRefused(reason) }
            move(amount, keys.reversed(), unheld: 0, at: record.now)
            facts.append((order.payment, .refunded(amount)))
            return .changed(amount, 0)
        }
    }
}
