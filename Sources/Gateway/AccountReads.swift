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

/// One read of an account under way. Reused, with the memory it has grown to.
final class AccountRead {
    fileprivate(set) var ticket: RequestTicket
    fileprivate(set) var tenant = TenantID(0)
    fileprivate var partition: Int32 = 0
    /// Its name in Redis; the account's id stands at the end.
    var key: [UInt8] = []
    fileprivate var idCount = 0
    /// What the client has seen: nothing older is shown.
    fileprivate var minRevision: Int64 = 0
    /// What Redis knows to exist: nothing older is shown by a replica.
    fileprivate var floor: Int64 = 0
    /// The client's `If-None-Match`; empty for none.
    fileprivate var ifNoneMatch: [UInt8] = []
    /// Until when replicas are asked again; 0 before the first was too old.
    fileprivate var deadline: UInt64 = 0

    init(ticket: RequestTicket) { self.ticket = ticket }

    fileprivate var required: Int64 { max(minRevision, floor) }

    fileprivate var accountKey: AccountKey {
        guard let account = AccountID(key.span.extracting((key.count - idCount)...)) else { preconditionFailure("a read of no account") }
        return AccountKey(tenant: tenant, account: account)
    }
}

/// Reads of accounts: a copy in the process, Redis, then a replica, then the primary within its budget. What is shown is never older
/// than what the client or Redis has seen.
final class AccountReads {
    private struct Place: Hashable {
        let account: AccountKey
        let isPrimary: Bool
    }

    private let loop: EventLoop
    private let limits: GatewayLimits
    private let responder: Responder
    private let cache: Cache
    private let pool: ReplicaPool
    private let counters: GatewayCounters
    private var flights = Flights<Place, AccountRead>()
    private var tooEarly = DeadlineQueue<AccountRead>()
    private var free: [AccountRead] = []
    private var body: [UInt8] = []
    private var key: [UInt8] = []
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
        read.ticket = ticket
        read.tenant = caller.tenant
        read.partition = caller.partition
        read.key.removeAll(keepingCapacity: true)
        read.key.append(key.span)
        read.idCount = account.count
        read.minRevision = minRevision
        read.floor = 0
        read.deadline = 0
        read.ifNoneMatch.removeAll(keepingCapacity: true)
        read.ifNoneMatch.append(ifNoneMatch)
        askCache(read, now)
    }

    private func askCache(_ read: AccountRead, _ now: UInt64) {
        if !cache.get(read, nowMilliseconds: now) { askReplica(read) }
    }

    /// Redis's answer.
    func answered(_ read: AccountRead, _ result: RedisResult) {
        guard case .reply(let reply) = result, reply.kind == .string, let value = CacheValue(reply.bytes) else { return askReplica(read) }
        let isBelieved = value.kind != .floor && value.revision >= read.required
        if isBelieved, cache.isFresh(read.partition, nowMilliseconds: loop.turnMilliseconds) {
            counters.cacheHits.add()
            let tags = read.ifNoneMatch
            show(read.ticket, revision: value.revision, body: value.body, ifNoneMatch: tags.span)
            return end(read)
        }
        if isBelieved { counters.unbelieved.add() }
        // Committed it was: a database that knows less is behind.
        read.floor = max(read.floor, value.revision)
        askReplica(read)
    }

    // MARK: Databases

    private func askReplica(_ read: AccountRead) { ask(read, isPrimary: false) }

    private func ask(_ read: AccountRead, isPrimary: Bool) {
        let place = Place(account: read.accountKey, isPrimary: isPrimary)
        guard flights.join(place, read) else { return counters.sharedMisses.add() }
        counters.cacheMisses.add()
        let queries = [ReadQueries.account(place.account)]
        let done: ReplicaPool.DatedCompletion = { [unowned self] result, covered in landed(place, result, covered) }
        let sent = isPrimary ? pool.executeDatedOnPrimary(queries, completion: done) : pool.executeDated(queries, completion: done)
        if !sent { landed(place, .failure(.notReady), 0) }
    }

    private func landed(_ place: Place, _ result: Result<[Rows], PostgresError>, _ covered: UInt64) {
        let reads = flights.land(place)
        guard case .success(let answers) = result else {
            for read in reads { refuse(read, .noDatabase) }
            return
        }
        guard !answers[0].isEmpty else { return landedNowhere(reads, isPrimary: place.isPrimary, covered) }
        let account = AccountColumns.account(answers[0], 0)
        body.removeAll(keepingCapacity: true)
        body.append(account)
        if let first = reads.first {
            let key = first.key
            cache.fillAccount(
                key.span, ofPartition: first.partition, revision: account.revision, body: body.span, coveredNanoseconds: covered)
        }
        for read in reads {
            if account.revision >= read.required {
                let tags = read.ifNoneMatch
                show(read.ticket, revision: account.revision, body: body.span, ifNoneMatch: tags.span)
                end(read)
            } else if !place.isPrimary {
                replicaIsTooOld(read)
            } else {
                refuse(read, Problem(.revisionNotReached, detail: "the account is at revision \(account.revision)"))
            }
        }
    }

    /// There is no such account, as far as the server that was asked knows.
    private func landedNowhere(_ reads: [AccountRead], isPrimary: Bool, _ covered: UInt64) {
        if let first = reads.first {
            let key = first.key
            cache.fillTombstone(key.span, ofPartition: first.partition, coveredNanoseconds: covered)
        }
        for read in reads {
            if read.required == 0 || isPrimary { refuse(read, Problem(.notFound)) } else { replicaIsTooOld(read) }
        }
    }

    /// Waits a little for the replicas, then asks the primary.
    private func replicaIsTooOld(_ read: AccountRead) {
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
        while let read = tooEarly.popDue(now: now) { askCache(read, now) }
    }

    // MARK: Answers

    /// A body of `-` says that there is no such account.
    private func show(_ ticket: RequestTicket, revision: Int64, body: Span<UInt8>, ifNoneMatch tags: Span<UInt8>) {
        if body.count == 1 { return responder.refuse(ticket, Problem(.notFound)) }
        responder.show(ticket, revision: revision, body: body, ifNoneMatch: tags)
    }

    private func refuse(_ read: AccountRead, _ problem: Problem) {
        responder.refuse(read.ticket, problem)
        end(read)
    }

    private func end(_ read: AccountRead) {
        count -= 1
        if free.count < 1_024 { free.append(read) }
    }
}
