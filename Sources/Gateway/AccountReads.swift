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

/// One read of an account under way.
final class AccountRead: LedgerRead {
    /// Its name in Redis; the account's id stands at the end.
    var key: [UInt8] = []
    fileprivate var idCount = 0
    /// The question to Redis that it waits for, as the copies in the process know it.
    var question = NearCache.Ticket.none
    /// Those that wait for the same answer.
    fileprivate var others: [AccountRead] = []
    /// It waits for a question that is younger than itself.
    fileprivate var hasAskedAgain = false

    fileprivate var accountKey: AccountKey {
        guard let account = AccountID(key.span.extracting((key.count - idCount)...)) else { preconditionFailure("a read of no account") }
        return AccountKey(tenant: tenant, account: account)
    }
}

/// Reads of accounts: a copy in the process, Redis, then the databases. What is shown is never older than what the client or Redis has
/// seen.
final class AccountReads: DatabaseReader {
    private let loop: EventLoop
    private let responder: Responder
    private let cache: Cache
    private let databases: DatabaseReads<AccountReads>
    private let counters: GatewayCounters
    /// By key in Redis: who asked for it last, and waits for the answer.
    private var asking: [[UInt8]: AccountRead] = [:]
    private var free: [AccountRead] = []
    private var key: [UInt8] = []
    private(set) var count = 0

    init(loop: EventLoop, responder: Responder, cache: Cache, databases: DatabaseReads<AccountReads>, counters: GatewayCounters) {
        self.loop = loop
        self.responder = responder
        self.cache = cache
        self.databases = databases
        self.counters = counters
        databases.reader = self
    }

    /// - Parameter account: a valid account's id.
    func begin(
        _ account: Span<UInt8>, of caller: CredentialTable.Caller, minRevision: Int64, ifNoneMatch: Span<UInt8>, _ ticket: RequestTicket
    ) {
        let now = loop.turnMilliseconds
        key.removeAll(keepingCapacity: true)
        CacheKey.appendAccount(account, of: caller.tenant, to: &key)
        if let hit = cache.find(key.span, ofPartition: caller.partition, nowMilliseconds: now), hit.revision >= minRevision {
            counters.nearHits.add()
            let bytes = cache.nearBytes
            return show(ticket, revision: hit.revision, body: bytes.span.extracting(hit.body), ifNoneMatch: ifNoneMatch)
        }
        let read = free.popLast() ?? AccountRead(ticket: ticket)
        count += 1
        read.begin(ticket, of: caller, minRevision: minRevision, ifNoneMatch: ifNoneMatch, nowNanoseconds: loop.nowNanoseconds)
        read.key.removeAll(keepingCapacity: true)
        read.key.append(key.span)
        read.idCount = account.count
        read.hasAskedAgain = false
        askCache(read, now)
    }

    /// Whoever asks while nothing has changed since the last question waits for its answer.
    private func askCache(_ read: AccountRead, _ now: UInt64) {
        if let asker = asking[read.key], cache.isAwaited(asker) { return asker.others.append(read) }
        guard cache.get(read, nowMilliseconds: now) else { return databases.ask(read) }
        asking[read.key] = read
    }

    /// Redis's answer.
    func answered(_ read: AccountRead, _ result: RedisResult) {
        if let asker = asking[read.key], asker === read { asking[read.key] = nil }
        var others: [AccountRead] = []
        swap(&others, &read.others)
        take(result, for: read, hasAsked: true)
        for other in others { take(result, for: other, hasAsked: other.hasAskedAgain) }
    }

    private func take(_ result: RedisResult, for read: AccountRead, hasAsked: Bool) {
        guard case .reply(let reply) = result, reply.kind == .string, let value = CacheValue(reply.bytes) else {
            return databases.ask(read)
        }
        let now = loop.turnMilliseconds
        let isFresh = cache.isFresh(read.partition, nowMilliseconds: now)
        if value.kind != .floor, value.revision >= read.required {
            guard !isFresh else {
                counters.cacheHits.add()
                let tags = read.ifNoneMatch
                show(read.ticket, revision: value.revision, body: value.body, ifNoneMatch: tags.span)
                return end(read)
            }
            counters.unbelieved.add()
        } else if !hasAsked, isFresh {
            // The question is older than this read, which presents what was committed since: Redis knows better by now. The next
            // one is younger than all that wait here, so nobody asks a third time.
            read.hasAskedAgain = true
            return askCache(read, now)
        }
        // Committed it was: a database that knows less is behind.
        read.floor = max(read.floor, value.revision)
        databases.ask(read)
    }

    // MARK: Databases

    func subject(of read: AccountRead) -> AccountKey { read.accountKey }
    func query(_ account: AccountKey) -> Query { ReadQueries.account(account) }

    func render(_ rows: Rows, of _: AccountKey, into body: inout [UInt8]) -> Int64? {
        guard !rows.isEmpty else { return nil }
        let account = AccountColumns.account(rows, 0)
        body.append(account)
        return account.revision
    }

    func keep(_ revision: Int64?, _ body: Span<UInt8>, for read: AccountRead, coveredNanoseconds covered: UInt64, isPrimary _: Bool) {
        let key = read.key
        if let revision {
            cache.fillAccount(key.span, ofPartition: read.partition, revision: revision, body: body, coveredNanoseconds: covered)
        } else {
            cache.fillTombstone(key.span, ofPartition: read.partition, coveredNanoseconds: covered)
        }
    }

    /// Called many times a second.
    func sweep(nowMilliseconds now: UInt64) { databases.sweep(nowMilliseconds: now) }

    func retry(_ read: AccountRead) { askCache(read, loop.turnMilliseconds) }

    // MARK: Answers

    func show(_ read: AccountRead, revision: Int64, body: Span<UInt8>) {
        let tags = read.ifNoneMatch
        show(read.ticket, revision: revision, body: body, ifNoneMatch: tags.span)
        end(read)
    }

    func showNothing(_ read: AccountRead) { refuse(read, Problem(.notFound)) }

    /// A body of `-` says that there is no such account.
    private func show(_ ticket: RequestTicket, revision: Int64, body: Span<UInt8>, ifNoneMatch tags: Span<UInt8>) {
        if body.count == 1 { return responder.refuse(ticket, Problem(.notFound)) }
        responder.show(ticket, revision: revision, body: body, ifNoneMatch: tags)
    }

    func refuse(_ read: AccountRead, _ problem: Problem) {
        responder.refuse(read.ticket, problem)
        end(read)
    }

    private func end(_ read: AccountRead) {
        count -= 1
        if free.count < 1_024 { free.append(read) }
    }
}
