internal import Bytes
internal import HTTP1
internal import Ledger
internal import Loop
internal import Postgres
internal import Redis
internal import Server
internal import Store
internal import Telemetry
internal import Wire

/// A page of an account's history under way. Reused, with the memory it has grown to.
final class HistoryRead {
    fileprivate enum Stage {
        /// The account's value is asked for: its revision names the page.
        case account
        case page
    }

    fileprivate(set) var ticket: RequestTicket
    fileprivate var tenant = TenantID(0)
    fileprivate var partition: Int32 = 0
    /// What Redis is asked for.
    fileprivate(set) var key: [UInt8] = []
    fileprivate var stage = Stage.account
    fileprivate var account: [UInt8] = []
    fileprivate var before = Int64.max
    fileprivate var limit = 0
    /// Nothing older is shown: what the client, and what Redis, has seen.
    fileprivate var required: Int64 = 0
    fileprivate var ifNoneMatch: [UInt8] = []
    /// Until when replicas are asked again; 0 before the first was too old.
    fileprivate var deadline: UInt64 = 0

    fileprivate init(ticket: RequestTicket) { self.ticket = ticket }

    fileprivate var accountKey: AccountKey {
        guard let account = AccountID(account.span) else { preconditionFailure("a history of no account") }
        return AccountKey(tenant: tenant, account: account)
    }
}

/// Pages of transactions. A page's name has the revision of its account, read in the same snapshot as its entries: it never changes, and
/// a newer page has another name. So a page is found by the account's present revision, in the process or in Redis, and else read from
/// a replica.
final class HistoryReads {
    private struct Place: Hashable {
        let account: AccountKey
        let before: Int64
        let limit: Int
        let isPrimary: Bool
    }

    private let loop: EventLoop
    private let limits: GatewayLimits
    private let responder: Responder
    private let cache: Cache
    private let pool: ReplicaPool
    private let counters: GatewayCounters
    private let cursors = CursorCoder()
    private var flights = Flights<Place, HistoryRead>()
    private var tooEarly = DeadlineQueue<HistoryRead>()
    private var free: [HistoryRead] = []
    private var body: [UInt8] = []
    private(set) var count = 0

    init(loop: EventLoop, limits: GatewayLimits, responder: Responder, cache: Cache, pool: ReplicaPool, counters: GatewayCounters) {
        self.loop = loop
        self.limits = limits
        self.responder = responder
        self.cache = cache
        self.pool = pool
        self.counters = counters
    }

    /// - Parameter account: a valid account's id.
    func begin(
        _ account: Span<UInt8>, of caller: CredentialTable.Caller, _ values: QueryValues, ifNoneMatch: Span<UInt8>, _ bytes: Span<UInt8>,
        _ ticket: RequestTicket
    ) throws(Problem) {
        var before = Int64.max
        if let cursor = values.cursor {
            guard case .entriesBefore(let sequence)? = cursors.position(bytes[cursor], tenant: caller.tenant, list: account.text) else {
                throw Problem(.invalidParameter, detail: "`cursor` is not one that this list gave")
            }
            before = sequence
        }
        let read = free.popLast() ?? HistoryRead(ticket: ticket)
        count += 1
        read.ticket = ticket
        read.tenant = caller.tenant
        read.partition = caller.partition
        read.account.removeAll(keepingCapacity: true)
        read.account.append(account)
        read.before = before
        read.limit = values.limit
        read.required = values.minRevision
        read.deadline = 0
        read.ifNoneMatch.removeAll(keepingCapacity: true)
        read.ifNoneMatch.append(ifNoneMatch)
        findRevision(read)
    }

    // MARK: Copies

    private func findRevision(_ read: HistoryRead) {
        read.stage = .account
        read.key.removeAll(keepingCapacity: true)
        let account = read.account
        CacheKey.appendAccount(account.span, of: read.tenant, to: &read.key)
        let key = read.key
        if let hit = cache.find(key.span, ofPartition: read.partition, nowMilliseconds: loop.turnMilliseconds), hit.revision > 0,
            hit.revision >= read.required
        {
            return findPage(read, revision: hit.revision)
        }
        if !cache.get(read, nowMilliseconds: loop.turnMilliseconds) { askReplica(read) }
    }

    private func findPage(_ read: HistoryRead, revision: Int64) {
        read.stage = .page
        // The account has come so far: a replica that has not is too old.
        read.required = revision
        setPageKey(of: read, revision)
        let key = read.key
        if let hit = cache.find(key.span, ofPartition: read.partition, nowMilliseconds: loop.turnMilliseconds) {
            counters.nearHits.add()
            let bytes = cache.nearBytes
            return show(read, revision: revision, page: bytes.span.extracting(hit.body))
        }
        if !cache.get(read, nowMilliseconds: loop.turnMilliseconds) { askReplica(read) }
    }

    private func setPageKey(of read: HistoryRead, _ revision: Int64) {
        let account = read.account
        read.key.removeAll(keepingCapacity: true)
        CacheKey.appendPage(
            of: account.span, of: read.tenant, revision: revision, limit: read.limit, before: read.before, to: &read.key)
    }

    /// Redis's answer.
    func answered(_ read: HistoryRead, _ result: RedisResult) {
        guard case .reply(let reply) = result, reply.kind == .string, let value = CacheValue(reply.bytes) else { return askReplica(read) }
        switch read.stage {
        case .page where value.kind == .body:
            counters.cacheHits.add()
            show(read, revision: value.revision, page: value.body)
        case .account
        where value.kind == .body && value.revision >= read.required
            && cache.isFresh(read.partition, nowMilliseconds: loop.turnMilliseconds):
            findPage(read, revision: value.revision)
        case .account, .page:
            read.required = max(read.required, value.revision)
            askReplica(read)
        }
    }

    // MARK: Databases

    private func askReplica(_ read: HistoryRead) { ask(read, isPrimary: false) }

    private func ask(_ read: HistoryRead, isPrimary: Bool) {
        let place = Place(account: read.accountKey, before: read.before, limit: read.limit, isPrimary: isPrimary)
        guard flights.join(place, read) else { return counters.sharedMisses.add() }
        counters.cacheMisses.add()
        // One entry more than the page, to know whether another page follows.
        let queries = [ReadQueries.transactions(of: place.account, before: place.before, limit: place.limit + 1)]
        let done: PostgresSession.Completion = { [unowned self] result in landed(place, result) }
        let sent = isPrimary ? pool.executeOnPrimary(queries, completion: done) : pool.execute(queries, completion: done)
        if !sent { landed(place, .failure(.notReady)) }
    }

    private func landed(_ place: Place, _ result: Result<[Rows], PostgresError>) {
        let reads = flights.land(place)
        guard case .success(let answers) = result else {
            for read in reads { refuse(read, .noDatabase) }
            return
        }
        guard let page = ReadQueries.transactions(answers[0]) else {
            for read in reads { landedShort(read, place, revision: nil) }
            return
        }
        render(page.entries, page.revision, place)
        let rendered = body
        var isKept = false
        for read in reads {
            guard page.revision >= read.required else {
                landedShort(read, place, revision: page.revision)
                continue
            }
            if !isKept {
                isKept = true
                setPageKey(of: read, page.revision)
                let key = read.key
                cache.keepPage(key.span, revision: page.revision, body: rendered.span)
            }
            show(read, revision: page.revision, page: rendered.span)
        }
    }

    /// The server that was asked is not as far as it must be, or does not know the account (nil).
    private func landedShort(_ read: HistoryRead, _ place: Place, revision: Int64?) {
        if revision == nil, place.isPrimary || read.required == 0 { return refuse(read, Problem(.notFound)) }
        if place.isPrimary { return refuse(read, Problem(.revisionNotReached, detail: "the account is at revision \(revision ?? 0)")) }
        counters.replicaTooOld.add()
        let now = loop.nowNanoseconds / 1_000_000
        if read.deadline == 0 { read.deadline = now + UInt64(limits.revisionWaitMilliseconds) }
        if now < read.deadline {
            tooEarly.append(read, deadline: now + UInt64(limits.revisionRetryMilliseconds))
        } else {
            ask(read, isPrimary: true)
        }
    }

    /// Looks again for those that wait for a revision; called many times a second.
    func sweep(nowMilliseconds now: UInt64) {
        while let read = tooEarly.popDue(now: now) { askReplica(read) }
    }

    // MARK: Answers

    private func render(_ entries: [ReadQueries.Entry], _ revision: Int64, _ place: Place) {
        let shown = entries.prefix(place.limit).map { entry in
            HistoryEntry(
                sequence: entry.sequence, payment: entry.payment, direction: entry.isDebit ? .debit : .credit, amount: entry.amount,
                counterparty: entry.counterparty, postedAfter: entry.postedAfter, reference: entry.reference, at: entry.decidedAt)
        }
        let last = entries.count > place.limit ? shown.last : nil
        let list = place.account.account.text
        let next = last.map { cursors.text(.entriesBefore(sequence: $0.sequence), tenant: place.account.tenant, list: list) }
        body.removeAll(keepingCapacity: true)
        body.append(history: shown, of: place.account.account, revision: revision, next: next)
    }

    private func show(_ read: HistoryRead, revision: Int64, page: Span<UInt8>) {
        let tags = read.ifNoneMatch
        responder.show(read.ticket, revision: revision, body: page, ifNoneMatch: tags.span)
        end(read)
    }

    private func refuse(_ read: HistoryRead, _ problem: Problem) {
        responder.refuse(read.ticket, problem)
        end(read)
    }

    private func end(_ read: HistoryRead) {
        count -= 1
        if free.count < 1_024 { free.append(read) }
    }
}
