internal import Bytes
internal import HTTP1
internal import Kafka
internal import Ledger
internal import Loop
internal import Postgres
internal import Redis
internal import Server
internal import Store
internal import Telemetry
internal import Wire

/// One thread of a gateway: everything on its loop, wired together.
final class GatewayLoop: RequestHandler, CacheClient {
    /// What the threads of a process are given.
    struct Shared: Sendable {
        let options: GatewayOptions
        let status: GatewayStatus
        let pool: ReplicaPoolMetrics
        let listPool: ReplicaPoolMetrics
        let quota: ConnectionQuota
        /// What each tenant may ask for in a second.
        let writes: TenantQuotas
        let reads: TenantQuotas
        /// What this process's messages to other gateways are known by.
        let sender = UInt64.random(in: 0 ... .max)
        /// One for each thread.
        let counters: [GatewayCounters]
        let servers: [ServerCounters]
        let redis: [RedisMetrics]
    }

    /// What is made once the loop stands. A class, so that a request holds one reference and not one to each part.
    final class Parts {
        let server: HTTPServer<GatewayLoop>
        let cache: Cache
        let pool: ReplicaPool
        let accounts: AccountReads
        let payments: PaymentReads
        let pages: PageReads
        let histories: HistoryReads
        /// Of lists and histories: none of their queries stands before a balance's in a session.
        let listPool: ReplicaPool
        /// Nil for a gateway that takes no commands.
        let door: CommandDoor?
        /// Hears of outcomes and of changes.
        let subscriber: RedisSubscriber

        init(
            server: HTTPServer<GatewayLoop>, cache: Cache, pool: ReplicaPool, accounts: AccountReads, payments: PaymentReads,
            pages: PageReads, histories: HistoryReads, listPool: ReplicaPool, door: CommandDoor?, subscriber: RedisSubscriber
        ) {
            self.server = server
            self.cache = cache
            self.pool = pool
            self.accounts = accounts
            self.payments = payments
            self.pages = pages
            self.histories = histories
            self.listPool = listPool
            self.door = door
            self.subscriber = subscriber
        }
    }

    private static let sweepMilliseconds = 25
    private static let statusMilliseconds: UInt64 = 250
    /// How soon the keys are read again while they never have been.
    private static let firstCredentialsMilliseconds = 100
    /// How long clients are left waiting for the keys; then they are told that the service is away.
    private static let patienceMilliseconds: UInt64 = 2_000

    let loop: EventLoop
    let shared: Shared
    let thread: Int
    let limits: GatewayLimits
    let counters: GatewayCounters
    private let responder: Responder
    private let identity = Identity()
    private var credentials = CredentialTable()
    var parts: Parts?
    private var sweepTimer: LoopTimer?
    var credentialsTimer: LoopTimer?
    var drainTimer: LoopTimer?
    var delayTimer: LoopTimer?
    private var accountID: [UInt8] = []
    private var nextStatusMilliseconds: UInt64 = 0
    var nextTellingMilliseconds: UInt64 = 0
    var telling: [UInt8] = []
    var nextPlacesMilliseconds: UInt64 = 0
    private let acceptsAtMilliseconds: UInt64
    private var allocatedBefore: UInt64 = 0
    private var writeLeases: TenantLeases
    private var readLeases: TenantLeases
    var isDraining = false
    var isEnding = false

    /// - Throws: what keeps the thread from serving, as a sentence.
    init(loop: EventLoop, shared: Shared, thread: Int) throws(StartProblem) {
        self.loop = loop
        self.shared = shared
        self.thread = thread
        limits = shared.options.limits
        writeLeases = TenantLeases(shared.writes)
        readLeases = TenantLeases(shared.reads)
        acceptsAtMilliseconds = loop.nowNanoseconds / 1_000_000 + Self.patienceMilliseconds
        counters = shared.counters[thread]
        responder = Responder(counters: counters)
        // The accounts' ids are decoded into it.
        accountID.reserveCapacity(256)
        let parts = try makeParts()
        self.parts = parts
        responder.server = parts.server
        let sweepTimer = LoopTimer(loop: loop) { [unowned self] in sweep() }
        sweepTimer.arm(afterMilliseconds: 0)
        self.sweepTimer = sweepTimer
        let credentialsTimer = LoopTimer(loop: loop) { [unowned self] in readCredentials() }
        credentialsTimer.arm(afterMilliseconds: 0)
        self.credentialsTimer = credentialsTimer
    }

    var producerCounts: Producer.Counts? { parts?.door?.producerCounts }

    /// The server comes first, so that answers are on their way before anything else is sent at the end of a turn.
    private func makeParts() throws(StartProblem) -> Parts {
        let options = shared.options
        let server = try makeServer()
        var redis = options.redis
        redis.commandTimeoutMilliseconds = limits.redisTimeoutMilliseconds
        var sessionRedis = redis
        sessionRedis.setUp = RedisFunctions.setUp
        let cache = Cache(
            loop: loop, configuration: sessionRedis, nearBytes: limits.nearBytes, metrics: shared.redis[thread], counters: counters,
            client: self)
        let pool = ReplicaPool(
            loop: loop, replicas: options.replicas.map(configured), primary: configured(options.primary),
            primaryBudgetPerSecond: limits.primaryReadsPerSecond, lagBoundMilliseconds: limits.lagMillisecondsMax,
            sessionsPerReplica: limits.sessionsPerReplica, metrics: shared.pool)
        let listPool = ReplicaPool(
            loop: loop, replicas: options.replicas.map(configured), primary: configured(options.primary),
            primaryBudgetPerSecond: limits.primaryListsPerSecond, lagBoundMilliseconds: limits.lagMillisecondsMax,
            sessionsPerReplica: 1, primaryInFlightMax: 4, metrics: shared.listPool)
        let channel = ReplyChannel.name(gateway: options.name, thread: thread)
        var door: CommandDoor?
        if options.role.acceptsWrites {
            do throws(KafkaError) {
                door = try CommandDoor(
                    loop: loop, limits: limits, kafka: options.kafka, channel: channel, responder: responder, cache: cache,
                    lookUps: OutcomeLookUps(cache: cache, pool: pool), identity: identity, counters: counters)
            } catch {
                cache.close()
                pool.close()
                listPool.close()
                throw StartProblem(description: error.description)
            }
            door?.takeTurns = { [unowned self] tenant, count in
                writeLeases.take(tenant, count: count, nowNanoseconds: loop.nowNanoseconds)
            }
        }
        let subscriber = makeSubscriber(redis, channel: door == nil ? nil : channel)
        return Parts(
            server: server, cache: cache, pool: pool,
            accounts: AccountReads(
                loop: loop, responder: responder, cache: cache, databases: databases(pool), counters: counters),
            payments: PaymentReads(
                loop: loop, limits: limits, responder: responder, cache: cache, databases: databases(pool), counters: counters),
            pages: PageReads(responder: responder, pool: listPool, counters: counters),
            histories: HistoryReads(
                loop: loop, responder: responder, cache: cache, databases: databases(listPool), counters: counters),
            listPool: listPool,
            door: door, subscriber: subscriber)
    }

    private func databases<Reader: DatabaseReader>(_ pool: ReplicaPool) -> DatabaseReads<Reader> {
        DatabaseReads(loop: loop, limits: limits, responder: responder, pool: pool, counters: counters)
    }

    /// - Parameter channel: on which workers tell of outcomes; nil when nobody here waits for any.
    private func makeSubscriber(_ redis: RedisConfiguration, channel: String?) -> RedisSubscriber {
        var channels = [Cache.invalidationChannel] + (channel.map { [$0] } ?? [])
        if tellsQuotas { channels.append("\(SpentRequests.channel)") }
        return RedisSubscriber(
            loop: loop, configuration: redis, channels: channels,
            onMessage: { [unowned self] channel, payload in
                if channel.equals("__redis__:invalidate") {
                    parts?.cache.changed(payload)
                } else if channel.equals(SpentRequests.channel) {
                    heardOfQuotas(payload)
                } else {
                    parts?.door?.told(payload)
                }
            },
            onStateChange: { [unowned self] isReady in
                parts?.door?.hearsWords = isReady
                parts?.cache.listenerChanged(isReady ? parts?.subscriber.clientIdentifier : nil)
            })
    }

    private func makeServer() throws(StartProblem) -> HTTPServer<GatewayLoop> {
        var serverLimits = HTTPServer<GatewayLoop>.Limits()
        serverLimits.connection = limits.connection
        serverLimits.bufferedBytesMax = max(1, limits.bufferedBytesMax / shared.options.threads)
        do throws(SocketError) {
            let server = try HTTPServer(
                loop: loop, addresses: shared.options.addresses(ofThread: thread), reusePort: shared.options.threads > 1,
                limits: serverLimits, quota: shared.quota, counters: shared.servers[thread], handler: self)
            // Until the keys are read every answer would be a refusal: a gateway that starts beside others makes its clients wait
            // instead, for a moment.
            server.takesConnections = false
            return server
        } catch {
            throw StartProblem(description: "cannot listen on \(error)")
        }
    }

    private func configured(_ configuration: PostgresConfiguration) -> PostgresConfiguration {
        var configuration = configuration
        configuration.queryDeadlineMilliseconds = limits.queryDeadlineMilliseconds
        configuration.statementTimeoutMilliseconds = limits.queryDeadlineMilliseconds
        configuration.setUp = [SchemaCheck.setUp]
        return configuration
    }

    // MARK: Requests

    func handle(_ head: borrowing RequestHead, bytes: Span<UInt8>, body: Span<UInt8>, ticket: RequestTicket) {
        do throws(Problem) {
            try serve(head, bytes, body: body, ticket)
        } catch {
            var quota: QuotaPolicy?
            if error.code == .tooManyRequests {
                counters.tooMany.add()
                quota = head.method == .post ? shared.writes.policy : shared.reads.policy
            }
            responder.refuse(ticket, error, quota: quota)
        }
    }

    func writeBody(of refusal: Refusal, into body: inout [UInt8]) -> StaticString {
        body.append(Problem(refusal))
        return "application/problem+json"
    }

    /// Whoever is not known learns nothing, not even which paths there are.
    private func serve(
        _ head: borrowing RequestHead, _ bytes: Span<UInt8>, body: Span<UInt8>, _ ticket: RequestTicket
    ) throws(Problem) {
        guard let parts else { preconditionFailure("a request before the start") }
        let caller = try caller(head, bytes)
        guard let resource = Resource.find(head.path, in: bytes) else { throw Problem(.notFound) }
        switch head.method {
        case .get where resource.isReadable, .head where resource.isReadable: break
        case .post where resource.takesCommands && parts.door != nil: break
        default: return responder.refuse(ticket, Problem(.methodNotAllowed), allow: resource.allowedMethods(shared.options.role))
        }
        let scope = resource.scope(of: head.method)
        guard caller.scopes.contains(scope) else { throw Problem(.forbidden, detail: "the API key lacks the scope `\(scope)`") }
        guard takeTurn(of: caller.tenant, isWrite: head.method == .post) else { throw Problem(.tooManyRequests) }
        let values = try QueryValues(head.query, in: bytes, allowed: resource.parameters(of: head.method), limits: limits)
        if head.method == .post, let door = parts.door { return try door.post(resource, head, bytes, body: body, from: caller, ticket) }
        try read(resource, values, head, bytes, of: caller, parts, ticket)
    }

    /// Whether the tenant may ask for something now. A connection's requests of one turn are all of one tenant, mostly: no lock is
    /// taken for most of them.
    private func takeTurn(of tenant: TenantID, isWrite: Bool) -> Bool {
        isWrite
            ? writeLeases.take(tenant, nowNanoseconds: loop.nowNanoseconds) : readLeases.take(tenant, nowNanoseconds: loop.nowNanoseconds)
    }

    private func caller(_ head: borrowing RequestHead, _ bytes: Span<UInt8>) throws(Problem) -> CredentialTable.Caller {
        guard head.fields.count(of: .authorization) == 1, let range = head.fields.first(.authorization) else {
            return try credentials.caller(authorization: nil, identity)
        }
        return try credentials.caller(authorization: bytes[range], identity)
    }

    private func read(
        _ resource: Resource, _ values: QueryValues, _ head: borrowing RequestHead, _ bytes: Span<UInt8>,
        of caller: CredentialTable.Caller, _ parts: Parts, _ ticket: RequestTicket
    ) throws(Problem) {
        let tenant = caller.tenant
        guard readCount < limits.readsMax else { throw Problem(.serviceUnavailable, detail: "too many reads are under way") }
        // A field that is repeated is one list; asking for the first part only gives a 200 where a 304 would have done.
        let tags = bytes[head.fields.first(.ifNoneMatch) ?? .empty]
        switch resource {
        case .accounts: try parts.pages.accounts(of: tenant, values, bytes, ticket)
        case .payments: try parts.pages.payments(of: tenant, values, bytes, ticket)
        case .payment(let segment):
            guard let id = OperationID(hex: bytes[segment]) else { throw Problem(.notFound) }
            parts.payments.begin(
                id, of: caller, waitSeconds: values.waitSeconds, ifNoneMatch: tags, ticket)
        case .account(let segment), .balance(let segment):
            let account = try decodeAccount(bytes[segment])
            parts.accounts.begin(
                account.span, of: caller, minRevision: values.minRevision, ifNoneMatch: tags, ticket)
        case .transactions(let segment):
            let account = try decodeAccount(bytes[segment])
            try parts.histories.begin(account.span, of: caller, values, ifNoneMatch: tags, bytes, ticket)
        case .batches, .changeOfPayment, .changeOfAccount: preconditionFailure("a batch or a change is not read")
        }
    }

    /// A valid id's bytes, in memory that is used again for the next one.
    private func decodeAccount(_ segment: Span<UInt8>) throws(Problem) -> [UInt8] {
        guard Decoded.account(segment, into: &accountID) else { throw Problem(.notFound) }
        let account = accountID
        guard AccountID.isValid(account.span) else { throw Problem(.notFound) }
        return account
    }

    private var readCount: Int {
        guard let parts else { return 0 }
        return parts.accounts.count + parts.payments.count + parts.pages.count + parts.histories.count
    }

    // MARK: Redis

    func answered(_ purpose: Cache.Purpose, _ result: RedisResult) {
        guard let parts else { return }
        switch purpose {
        case .account(let read, _): parts.accounts.answered(read, result)
        case .history(let read, _): parts.histories.answered(read, result)
        case .payment(let read): parts.payments.answered(read, result)
        case .marker(let pending, let setsMarker):
            parts.door?.marked(pending, CommandFlow.Marking(of: pending, result, setsMarker: setsMarker))
        case .outcome(let pending): parts.door?.answeredOutcome(pending, result)
        case .leases, .tracking, .nothing: break
        }
    }

    // MARK: Time

    private func sweep() {
        sweepTimer?.arm(afterMilliseconds: Self.sweepMilliseconds)
        guard let parts else { return }
        let now = loop.nowNanoseconds / 1_000_000
        parts.door?.sweep(nowMilliseconds: now)
        parts.cache.sweep(nowMilliseconds: now)
        parts.accounts.sweep(nowMilliseconds: now)
        parts.payments.sweep(nowMilliseconds: now)
        parts.histories.sweep(nowMilliseconds: now)
        askHowFarTheLedgerIs(parts, nowMilliseconds: now)
        tellOfQuotas(parts, nowMilliseconds: now)
        guard now >= nextStatusMilliseconds else { return }
        nextStatusMilliseconds = now + Self.statusMilliseconds
        publish(parts)
    }

    private func publish(_ parts: Parts) {
        var problems: [String] = []
        if !credentials.isLoaded {
            problems.append("the API keys are not read yet")
            if loop.nowNanoseconds / 1_000_000 >= acceptsAtMilliseconds { parts.server.takesConnections = true }
        }
        if !parts.pool.isReady {
            problems.append("no database can be read" + (parts.pool.lastFailure.map { ": \($0)" } ?? ""))
        }
        if let door = parts.door {
            if door.oldestUnacknowledgedMilliseconds > limits.unacknowledgedMillisecondsMax {
                problems.append("the log does not acknowledge commands")
            }
            let unsettled = door.settlement.oldestMilliseconds(nowMilliseconds: loop.turnMilliseconds)
            if unsettled > UInt64(limits.unsettledMillisecondsMax) { problems.append("the ledger is behind the log") }
            if door.settlement.hasAnyGoneBack { problems.append("the log is not the one that the ledger has applied: it went back") }
            counters.unsettledMilliseconds.set(Int64(unsettled))
            counters.commands.set(Int64(door.commandCount))
            counters.parked.set(Int64(door.parkedCount + parts.payments.parkedCount))
            counters.unacknowledged.set(Int64(door.unacknowledgedCount))
            counters.oldestUnacknowledgedMilliseconds.set(Int64(door.oldestUnacknowledgedMilliseconds))
            counters.wordsReady.set(parts.subscriber.isReady ? 1 : 0)
        }
        counters.reads.set(Int64(readCount))
        let allocated = ThreadMemory.allocatedBytes
        counters.allocated.add(allocated - allocatedBefore)
        allocatedBefore = allocated
        counters.redisReady.set(parts.cache.isReady ? 1 : 0)
        writeLeases.forgetIdle()
        readLeases.forgetIdle()
        shared.status.set(problems, ofThread: thread)
    }

    private func readCredentials() {
        credentials.expire(now: Timestamp(microseconds: Clock.wallMicroseconds))
        credentialsTimer?.arm(
            afterMilliseconds: credentials.isLoaded ? limits.credentialsMilliseconds : Self.firstCredentialsMilliseconds)
        _ = parts?.pool.execute([CredentialQueries.all, PartitionQueries.allPlaces]) { [unowned self] result in
            switch result {
            case .success(let answers):
                parts?.door.map { note(answers[1], $0) }
                let list = CredentialQueries.credentials(answers[0])
                credentials.replace(with: list, changedAt: CredentialQueries.changedAt(answers[0]))
                parts?.cache.watch(list.lazy.map(\.partition))
                parts?.server.takesConnections = true
                counters.credentials.set(Int64(list.count))
            case .failure(let error): Log.warning("the API keys could not be read", .text("error", error.description))
            }
        }
    }
}
