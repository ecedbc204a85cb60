internal import Bytes
internal import HTTP1
internal import Ledger
internal import Loop
internal import Postgres
internal import Server
internal import Store
internal import Telemetry
internal import Wire

/// Lists, page by page, from a replica. A page of transactions keeps the promise of `min_revision`; the other lists show
/// what the replica has.
final class PageReads {
    /// A page of an account's history under way.
    private final class History {
        let account: AccountKey
        let before: Int64
        let limit: Int
        let minRevision: Int64
        let ifNoneMatch: [UInt8]
        let ticket: RequestTicket
        /// Until when replicas are asked again; 0 before the first was too old.
        var deadline: UInt64 = 0

        init(account: AccountKey, before: Int64, limit: Int, minRevision: Int64, ifNoneMatch: [UInt8], ticket: RequestTicket) {
            self.account = account
            self.before = before
            self.limit = limit
            self.minRevision = minRevision
            self.ifNoneMatch = ifNoneMatch
            self.ticket = ticket
        }
    }

    private let loop: EventLoop
    private let limits: GatewayLimits
    private let responder: Responder
    private let pool: ReplicaPool
    private let counters: GatewayCounters
    private let cursors = CursorCoder()
    private var tooEarly = DeadlineQueue<History>()
    private var body: [UInt8] = []
    private(set) var count = 0

    init(loop: EventLoop, limits: GatewayLimits, responder: Responder, pool: ReplicaPool, counters: GatewayCounters) {
        self.loop = loop
        self.limits = limits
        self.responder = responder
        self.pool = pool
        self.counters = counters
    }

    // MARK: Accounts

    func accounts(of tenant: TenantID, _ values: QueryValues, _ bytes: Span<UInt8>, _ ticket: RequestTicket) throws(Problem) {
        var after = ""
        if let cursor = values.cursor {
            guard case .accountsAfter(let account)? = cursors.position(bytes[cursor], tenant: tenant, list: "") else {
                throw Self.badCursor
            }
            after = account.text
        }
        let limit = values.limit
        read([ReadQueries.accounts(of: tenant, after: after, limit: limit + 1)], ticket) { [self] rows in
            let accounts = (0..<min(rows.count, limit)).map { AccountColumns.account(rows, $0) }
            let last = rows.count > limit ? accounts.last : nil
            body.append(
                accounts: accounts, next: last.map { cursors.text(.accountsAfter($0.key.account), tenant: tenant, list: "") })
        }
    }

    // MARK: Payments

    func payments(of tenant: TenantID, _ values: QueryValues, _ bytes: Span<UInt8>, _ ticket: RequestTicket) throws(Problem) {
        guard let range = values.reference else { throw Problem(.invalidParameter, detail: "`reference` is required") }
        let reference = try Decoded.reference(bytes[range])
        var before: (acceptedAt: Timestamp, id: OperationID)?
        if let cursor = values.cursor {
            guard case .paymentsAfter(let time, let id)? = cursors.position(bytes[cursor], tenant: tenant, list: reference) else {
                throw Self.badCursor
            }
            before = (time, id)
        }
        let limit = values.limit
        read([ReadQueries.payments(of: tenant, reference: reference, before: before, limit: limit + 1)], ticket) { [self] rows in
            let payments = (0..<min(rows.count, limit)).map { PaymentColumns.payment(rows, $0) }
            let last = rows.count > limit ? payments.last : nil
            let next = last.map { cursors.text(.paymentsAfter(time: $0.acceptedAt, id: $0.id), tenant: tenant, list: reference) }
            body.append(payments: payments, next: next)
        }
    }

    private func read(_ queries: [Query], _ ticket: RequestTicket, render: @escaping (Rows) -> Void) {
        count += 1
        counters.cacheMisses.add()
        let sent = pool.execute(queries) { [unowned self] result in
            count -= 1
            guard case .success(let answers) = result else { return responder.refuse(ticket, .noDatabase) }
            body.removeAll(keepingCapacity: true)
            render(answers[0])
            let page = body
            responder.send(ticket, Answer(.ok), body: page.span)
        }
        if sent { return }
        count -= 1
        responder.refuse(ticket, .noDatabase)
    }

    // MARK: Transactions

    /// - Parameter account: a valid account's id.
    func transactions(
        _ account: Span<UInt8>, of tenant: TenantID, _ values: QueryValues, ifNoneMatch: Span<UInt8>, _ bytes: Span<UInt8>,
        _ ticket: RequestTicket
    ) throws(Problem) {
        guard let id = AccountID(account) else { throw Problem(.notFound) }
        var before = Int64.max
        if let cursor = values.cursor {
            guard case .entriesBefore(let sequence)? = cursors.position(bytes[cursor], tenant: tenant, list: id.text) else {
                throw Self.badCursor
            }
            before = sequence
        }
        var tags: [UInt8] = []
        tags.append(ifNoneMatch)
        count += 1
        let history = History(
            account: AccountKey(tenant: tenant, account: id), before: before, limit: values.limit, minRevision: values.minRevision,
            ifNoneMatch: tags, ticket: ticket)
        ask(history, isPrimary: false)
    }

    private func ask(_ history: History, isPrimary: Bool) {
        counters.cacheMisses.add()
        // One entry more than the page, to know whether another page follows.
        let queries = [ReadQueries.transactions(of: history.account, before: history.before, limit: history.limit + 1)]
        let done: PostgresSession.Completion = { [unowned self] result in landed(history, result, isPrimary: isPrimary) }
        let sent = isPrimary ? pool.executeOnPrimary(queries, completion: done) : pool.execute(queries, completion: done)
        if !sent { refuse(history, .noDatabase) }
    }

    private func landed(_ history: History, _ result: Result<[Rows], PostgresError>, isPrimary: Bool) {
        guard case .success(let answers) = result else { return refuse(history, .noDatabase) }
        let page = ReadQueries.transactions(answers[0])
        if let page, page.revision >= history.minRevision { return show(history, page.revision, page.entries) }
        if page == nil, isPrimary || history.minRevision == 0 { return refuse(history, Problem(.notFound)) }
        if isPrimary { return refuse(history, Problem(.revisionNotReached, detail: "the account is at revision \(page?.revision ?? 0)")) }
        counters.replicaTooOld.add()
        let now = loop.nowNanoseconds / 1_000_000
        if history.deadline == 0 { history.deadline = now + UInt64(limits.revisionWaitMilliseconds) }
        if now < history.deadline {
            tooEarly.append(history, deadline: now + UInt64(limits.revisionRetryMilliseconds))
        } else {
            ask(history, isPrimary: true)
        }
    }

    /// Looks again for those that wait for a revision; called many times a second.
    func sweep(nowMilliseconds now: UInt64) {
        while let history = tooEarly.popDue(now: now) { ask(history, isPrimary: false) }
    }

    private func show(_ history: History, _ revision: Int64, _ entries: [ReadQueries.Entry]) {
        let shown = entries.prefix(history.limit).map { entry in
            HistoryEntry(
                sequence: entry.sequence, payment: entry.payment, direction: entry.isDebit ? .debit : .credit, amount: entry.amount,
                counterparty: entry.counterparty, postedAfter: entry.postedAfter, reference: entry.reference, at: entry.decidedAt)
        }
        let last = entries.count > history.limit ? shown.last : nil
        let list = history.account.account.text
        let next = last.map { cursors.text(.entriesBefore(sequence: $0.sequence), tenant: history.account.tenant, list: list) }
        body.removeAll(keepingCapacity: true)
        body.append(history: shown, of: history.account.account, revision: revision, next: next)
        let tags = history.ifNoneMatch
        let isKnown = !tags.isEmpty && EntityTag.matches(ifNoneMatch: tags.span, revision: revision)
        var answer = Answer(isKnown ? .notModified : .ok)
        answer.revision = revision
        count -= 1
        let page = body
        responder.send(history.ticket, answer, body: page.span)
    }

    private func refuse(_ history: History, _ problem: Problem) {
        count -= 1
        responder.refuse(history.ticket, problem)
    }

    private static var badCursor: Problem { Problem(.invalidParameter, detail: "`cursor` is not one that this list gave") }
}
