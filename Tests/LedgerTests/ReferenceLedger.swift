import Ledger

/// The same rules once more, as plainly as they can be told: there is no state, only a list of what happened, which is
/// read from its beginning for every question.
struct ReferenceLedger {
    enum Verdict: Equatable {
        case settled(debit: LegResult, credit: LegResult)
        case declined(DeclineReason)
        case opened
        case exists
        case repeated
        case reused
    }

    struct Entry: Equatable {
        let account: AccountKey
        let amount: Int64
        let at: Timestamp
    }

    /// Accounts that are there at first or were opened since, with the figures that never change.
    private var openings: [Account]
    private(set) var entries: [Entry] = []
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
        case .pay(let pay): return judge(pay, envelope, record)
        }
    }

    /// An account with all that happened to it; nil when it was never opened.
    func account(_ key: AccountKey) -> Account? {
        guard var account = openings.first(where: { $0.key == key }) else { return nil }
        for entry in entries where entry.account == key {
            account.posted += entry.amount
            account.sequence += 1
            account.revision += 1
            account.changedAt = entry.at
        }
        return account
    }

    var accounts: [Account] { openings.compactMap { account($0.key) } }

    private mutating func judge(_ open: OpenAccount, _ envelope: Envelope, _ record: RandomWorld.Record) -> Verdict {
        let key = AccountKey(tenant: envelope.tenant, account: open.account)
        if openings.contains(where: { $0.key == key }) { return .exists }
        openings.append(
            Account(
                key: key, number: record.accountNumber, currency: open.currency, kind: open.kind, overdraftLimit: open.overdraftLimit,
                openedAt: record.now, changedAt: record.now))
        return .opened
    }

    private mutating func judge(_ pay: Pay, _ envelope: Envelope, _ record: RandomWorld.Record) -> Verdict {
        if let expiresAt = pay.expiresAt, expiresAt < record.now { return .declined(.deadlineExceeded) }
        let keys = [pay.debit, pay.credit].map { AccountKey(tenant: envelope.tenant, account: $0) }
        guard let from = account(keys[0]), let to = account(keys[1]) else { return .declined(.accountNotFound) }
        let fromAfter = from.posted - pay.amount
        let toAfter = to.posted + pay.amount
        let range = -9_007_199_254_740_991...9_007_199_254_740_991 as ClosedRange<Int64>
        let objections: [(Bool, DeclineReason)] = [
            ((from.flags.rawValue | to.flags.rawValue) & 4 != 0, .accountClosed),
            (Set([from.currency, to.currency, pay.currency]).count > 1, .currencyMismatch),
            (from.flags.rawValue & 1 != 0 || to.flags.rawValue & 2 != 0, .accountFrozen),
            (from.kind == .normal && fromAfter - from.held < -from.overdraftLimit, .insufficientFunds),
            (!range.contains(fromAfter) || !range.contains(toAfter), .balanceOutOfRange),
        ]
        for (holds, reason) in objections where holds { return .declined(reason) }
        entries += zip(keys, [-pay.amount, pay.amount]).map { Entry(account: $0, amount: $1, at: record.now) }
        return .settled(
            debit: LegResult(sequence: from.sequence + 1, postedAfter: fromAfter, revision: from.revision + 1),
            credit: LegResult(sequence: to.sequence + 1, postedAfter: toAfter, revision: to.revision + 1))
    }
}
