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

/// A page of an account's history under way.
final class HistoryRead: LedgerRead {
    fileprivate enum Stage {
        /// The account's value is asked for: its revision names the page.
        case account
        case page
    }

    /// What Redis is asked for.
    fileprivate(set) var key: [UInt8] = []
    fileprivate var stage = Stage.account
    fileprivate var account: [UInt8] = []
    fileprivate var before = Int64.max
    fileprivate var limit = 0

    fileprivate var accountKey: AccountKey {
        guard let account = AccountID(account.span) else { preconditionFailure("a history of no account") }
        return AccountKey(tenant: tenant, account: account)
    }
}

/// Pages of transactions. A page's name has the revision of its account, read in the same snapshot as its entries: it never changes, and
/// a newer page has another name. So a page is found by the account's present revision, in the process or in Redis, and else read from
/// a database.
final class HistoryReads: DatabaseReader {
    struct Subject: Hashable {
        fileprivate let account: AccountKey
        fileprivate let before: Int64
        fileprivate let limit: Int
    }

    private let loop: EventLoop
    private let responder: Responder
    private let cache: Cache
    private let databases: DatabaseReads<HistoryReads>
    private let counters: GatewayCounters
    private let cursors = CursorCoder()
    private var free: [HistoryRead] = []
    private(set) var count = 0

    init(loop: EventLoop, responder: Responder, cache: Cache, databases: DatabaseReads<HistoryReads>, counters: GatewayCounters) {
        self.loop = loop
        self.responder = responder
        self.cache = cache
        self.databases = databases
        self.counters = counters
        databases.reader = self
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
        read.begin(ticket, of: caller, minRevision: values.minRevision, ifNoneMatch: ifNoneMatch, nowNanoseconds: loop.nowNanoseconds)
        read.account.removeAll(keepingCapacity: true)
        read.account.append(account)
        read.before = before
        read.limit = values.limit
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
        if !cache.get(read, nowMilliseconds: loop.turnMilliseconds) { databases.ask(read) }
    }

    private func findPage(_ read: HistoryRead, revision: Int64) {
        read.stage = .page
        // The account has come so far: a replica that has not is too old.
        read.floor = max(read.floor, revision)
        setPageKey(of: read, revision)
        let key = read.key
        if let hit = cache.find(key.span, ofPartition: read.partition, nowMilliseconds: loop.turnMilliseconds) {
            counters.nearHits.add()
            let bytes = cache.nearBytes
            return show(read, revision: revision, body: bytes.span.extracting(hit.body))
        }
        if !cache.get(read, nowMilliseconds: loop.turnMilliseconds) { databases.ask(read) }
    }

    private func setPageKey(of read: HistoryRead, _ revision: Int64) {
        let account = read.account
        read.key.removeAll(keepingCapacity: true)
        CacheKey.appendPage(
            of: account.span, of: read.tenant, revision: revision, limit: read.limit, before: read.before, to: &read.key)
    }

    /// Redis's answer.
    func answered(_ read: HistoryRead, _ result: RedisResult) {
        guard case .reply(let reply) = result, reply.kind == .string, let value = CacheValue(reply.bytes) else {
            return databases.ask(read)
        }
        switch read.stage {
        case .page where value.kind == .body:
            counters.cacheHits.add()
            show(read, revision: value.revision, body: value.body)
        case .account
        where value.kind == .body && value.revision >= read.required
            && cache.isFresh(read.partition, nowMilliseconds: loop.turnMilliseconds):
            findPage(read, revision: value.revision)
        case .account, .page:
            read.floor = max(read.floor, value.revision)
            databases.ask(read)
        }
    }

    // MARK: Databases

    func subject(of read: HistoryRead) -> Subject { Subject(account: read.accountKey, before: read.before, limit: read.limit) }

    /// One entry more than the page, to know whether another page follows.
    func query(_ subject: Subject) -> Query {
        ReadQueries.transactions(of: subject.account, before: subject.before, limit: subject.limit + 1)
    }

    func render(_ rows: Rows, of subject: Subject, into body: inout [UInt8]) -> Int64? {
        guard let page = ReadQueries.transactions(rows) else { return nil }
        let shown = page.entries.prefix(subject.limit).map { entry in
            HistoryEntry(
                sequence: entry.sequence, payment: entry.payment, direction: entry.isDebit ? .debit : .credit, amount: entry.amount,
                counterparty: entry.counterparty, postedAfter: entry.postedAfter, reference: entry.reference, at: entry.decidedAt)
        }
        let last = page.entries.count > subject.limit ? shown.last : nil
        let account = subject.account
        let next = last.map { cursors.text(.entriesBefore(sequence: $0.sequence), tenant: account.tenant, list: account.account.text) }
        body.append(history: shown, of: account.account, revision: page.revision, next: next)
        return page.revision
    }

    /// Whoever read it from whichever server: a page at its revision is what it is.
    func keep(_ revision: Int64?, _ body: Span<UInt8>, for read: HistoryRead, coveredNanoseconds _: UInt64, isPrimary _: Bool) {
        guard let revision else { return }
        setPageKey(of: read, revision)
        let key = read.key
        cache.keepPage(key.span, revision: revision, body: body)
    }

    /// Called many times a second.
    func sweep(nowMilliseconds now: UInt64) { databases.sweep(nowMilliseconds: now) }

    func retry(_ read: HistoryRead) { databases.ask(read) }

    // MARK: Answers

    func show(_ read: HistoryRead, revision: Int64, body: Span<UInt8>) {
        let tags = read.ifNoneMatch
        responder.show(read.ticket, revision: revision, body: body, ifNoneMatch: tags.span)
        end(read)
    }

    func showNothing(_ read: HistoryRead) { refuse(read, Problem(.notFound)) }

    func refuse(_ read: HistoryRead, _ problem: Problem) {
        responder.refuse(read.ticket, problem)
        end(read)
    }

    private func end(_ read: HistoryRead) {
        count -= 1
        if free.count < 1_024 { free.append(read) }
    }
}
