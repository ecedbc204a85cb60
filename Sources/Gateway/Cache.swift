internal import Bytes
internal import Ledger
internal import Loop
internal import Redis
internal import Store
internal import Telemetry

/// Who is told the replies to what was asked of Redis.
protocol CacheClient: AnyObject {
    func answered(_ purpose: Cache.Purpose, _ result: RedisResult)
}

/// What this loop knows without a database: its session to Redis, the commands that a gateway sends and what each is for, and the
/// copies that are kept here in the process.
///
/// Redis is a copy and a hint: every function tells by false, and every purpose by a failure, that it has to go without.
final class Cache {
    /// What is done with a reply.
    enum Purpose {
        case account(AccountRead, NearCache.Ticket)
        case history(HistoryRead, NearCache.Ticket)
        case payment(PaymentRead)
        /// The marker of a command, set if there was none or only looked at.
        case marker(PendingCommand, setsMarker: Bool)
        /// The value of a payment that may be decided.
        case outcome(PendingCommand)
        /// How long the workers' leases are good.
        case leases(askedMilliseconds: UInt64)
        /// Whether the session tracks what it reads.
        case tracking
        /// Nobody waits for it.
        case nothing
    }

    /// On which Redis tells of changes to what a session has read.
    static let invalidationChannel = "__redis__:invalidate"
    private static let leasePollMilliseconds: UInt64 = 100
    private static let trackingRetryMilliseconds: UInt64 = 1_000
    /// How long leases are passed over on a new connection. A Redis that was frozen carries out what had been sent to it meanwhile, and so a
    /// renewal of a lease from before commits that it has not heard of: it is good for a lease's life from then on, and no longer.
    private static let leaseDistrustMilliseconds = UInt64(CacheLifetime.leaseMilliseconds) + 250

    private let loop: EventLoop
    private unowned let client: any CacheClient
    private let counters: GatewayCounters
    private var session: RedisSession?
    private let table = PurposeTable()
    private let isNearWanted: Bool
    private var near: NearCache
    private var tracking = TrackingMachine()
    private var freshness = Freshness()
    private var nextLeasePoll: UInt64 = 0
    private var leasesFromMilliseconds: UInt64 = 0
    private var nextTrackingRetry: UInt64 = 0
    private var command = CommandBuffer()
    private var key: [UInt8] = []
    private var value: [UInt8] = []
    private var lease: [UInt8] = []
    private var jitter = SystemRandomNumberGenerator()

    /// - Parameters:
    ///   - nearBytes: of the copies in the process and their table.
    ///   - client: kept unowned; it owns the cache.
    init(
        loop: EventLoop, configuration: RedisConfiguration, nearBytes: Int, metrics: RedisMetrics, counters: GatewayCounters,
        client: any CacheClient
    ) {
        self.loop = loop
        self.client = client
        self.counters = counters
        isNearWanted = nearBytes > 0
        near = NearCache(bytesMax: max(nearBytes, NearCache.bytesMin), ageMillisecondsMax: CacheLifetime.nearMilliseconds)
        counters.nearBytes.set(Int64(near.bytesReserved))
        session = RedisSession(
            loop: loop, configuration: configuration, metrics: metrics,
            onReply: { [unowned self] token, result in answered(table.take(token), result) },
            onStateChange: { [unowned self] isReady in sessionChanged(isReady) })
    }

    var isReady: Bool { session?.isReady ?? false }
    /// Whether copies in the process are kept and shown.
    var isNear: Bool { tracking.isOn }

    func close() { session?.close() }

    private func answered(_ purpose: Purpose, _ result: RedisResult) {
        switch purpose {
        case .account(let read, let ticket):
            if ticket != .none {
                let key = read.key
                keep(ticket, key.span, result)
            }
        case .history(let read, let ticket):
            if ticket != .none {
                let key = read.key
                keep(ticket, key.span, result)
            }
        case .leases(let asked): return learnLeases(result, asked)
        case .tracking:
            var isTracking = false
            if case .reply(let reply) = result { isTracking = reply.kind == .status }
            return perform(tracking.answered(isTracking: isTracking))
        case .payment, .marker, .outcome, .nothing: break
        }
        client.answered(purpose, result)
    }

    private func sessionChanged(_ isReady: Bool) {
        Log.info("redis", .flag("ready", isReady))
        // What comes back may be another server, or the same one as it was.
        freshness.forgetAll()
        leasesFromMilliseconds = loop.nowNanoseconds / 1_000_000 + Self.leaseDistrustMilliseconds
        nextLeasePoll = 0
        perform(tracking.sessionChanged(isReady: isReady))
    }

    /// Called many times a second.
    func sweep(nowMilliseconds now: UInt64) {
        if now >= nextLeasePoll {
            nextLeasePoll = now + Self.leasePollMilliseconds
            askLeases(now)
        }
        if now >= nextTrackingRetry {
            nextTrackingRetry = now + Self.trackingRetryMilliseconds
            perform(tracking.retry())
        }
    }

    // MARK: Leases

    /// The partitions of the tenants that are known here.
    func watch(_ partitions: some Sequence<Int32>) {
        freshness.watch(partitions)
        nextLeasePoll = 0
    }

    /// Whether what Redis has of a partition's accounts may be shown as it is.
    func isFresh(_ partition: Int32, nowMilliseconds now: UInt64) -> Bool { freshness.isGood(partition, nowMilliseconds: now) }

    private func askLeases(_ now: UInt64) {
        guard now >= leasesFromMilliseconds, !freshness.partitions.isEmpty else { return }
        RedisFunctions.encodeFresh(partitions: freshness.partitions, into: &command)
        _ = send(.leases(askedMilliseconds: now))
    }

    private func learnLeases(_ result: RedisResult, _ asked: UInt64) {
        // Without an answer what was learned before runs out by itself. Another number of them is of a list since changed.
        guard case .reply(let reply) = result, reply.kind == .array, reply.count == freshness.partitions.count else { return }
        for (index, partition) in freshness.partitions.enumerated() {
            freshness.learn(partition, leftMilliseconds: reply[index].integer ?? 0, askedMilliseconds: asked)
        }
    }

    // MARK: Copies in the process

    /// A copy that may be shown; `nearBytes` has its body.
    func find(_ key: Span<UInt8>, ofPartition partition: Int32, nowMilliseconds now: UInt64) -> NearCache.Hit? {
        guard tracking.isOn, freshness.isGood(partition, nowMilliseconds: now) else { return nil }
        return near.find(key, nowMilliseconds: now)
    }

    /// What the bodies of hits are ranges of.
    var nearBytes: [UInt8] { near.bytes }

    /// The connection that hears of changes has this id, or is gone.
    func listenerChanged(_ identifier: Int64?) {
        // Without a listener nothing is tracked, and so nothing kept.
        if isNearWanted { perform(tracking.listenerChanged(identifier)) }
    }

    /// Redis says that a key has changed; an empty one means all of them.
    func changed(_ key: Span<UInt8>) {
        counters.invalidations.add()
        if key.isEmpty { near.removeAll() } else { near.invalidate(key) }
    }

    private func keep(_ ticket: NearCache.Ticket, _ key: Span<UInt8>, _ result: RedisResult) {
        guard tracking.isOn, case .reply(let reply) = result, reply.kind == .string, let value = CacheValue(reply.bytes),
            value.kind != .floor
        else { return near.forget(ticket, key) }
        near.keep(
            ticket, key, revision: value.revision, body: value.body, nowMilliseconds: loop.turnMilliseconds)
    }

    private func perform(_ action: TrackingMachine.Action) {
        switch action {
        case .nothing: break
        case .ask(let identifier): askTracking(identifier)
        case .empty: near.removeAll()
        case .emptyAndAsk(let identifier):
            near.removeAll()
            askTracking(identifier)
        }
        counters.nearReady.set(tracking.isOn ? 1 : 0)
    }

    private func askTracking(_ identifier: Int64) {
        command.begin(argumentCount: 5)
        command.append("CLIENT")
        command.append("TRACKING")
        command.append("ON")
        command.append("REDIRECT")
        command.append(decimal: identifier)
        if !send(.tracking) { perform(tracking.answered(isTracking: false)) }
    }

    // MARK: Reads

    /// `GET` of the reader's key.
    func get(_ read: AccountRead, nowMilliseconds now: UInt64) -> Bool {
        let key = read.key
        let ticket = encodeGet(key.span, now)
        read.question = ticket
        if send(.account(read, ticket)) { return true }
        near.forget(ticket, key.span)
        return false
    }

    /// Whether what the read has asked for had not changed since, as far as this process was told: its answer will do for others too.
    func isAwaited(_ read: AccountRead) -> Bool {
        let key = read.key
        return tracking.isOn && near.awaits(read.question, key.span)
    }

    func get(_ read: HistoryRead, nowMilliseconds now: UInt64) -> Bool {
        let key = read.key
        let ticket = encodeGet(key.span, now)
        if send(.history(read, ticket)) { return true }
        near.forget(ticket, key.span)
        return false
    }

    /// A question whose reply may be kept, which is announced before it is sent.
    private func encodeGet(_ key: Span<UInt8>, _ now: UInt64) -> NearCache.Ticket {
        command.begin(argumentCount: 2)
        command.append("GET")
        command.append(key)
        return tracking.isOn ? near.expect(key, nowMilliseconds: now) : .none
    }

    /// A payment's value and its marker, in one command: two elements.
    func getPayment(_ id: OperationID, of tenant: TenantID, for read: PaymentRead) -> Bool {
        command.begin(argumentCount: 3)
        command.append("MGET")
        setKey { CacheKey.appendPayment(id, of: tenant, to: &$0) }
        command.append(key.span)
        setKey { CacheKey.appendMarker(id, of: tenant, to: &$0) }
        command.append(key.span)
        return send(.payment(read))
    }

    /// The payment's value, to tell what became of a command.
    func getOutcome(of pending: PendingCommand) -> Bool {
        command.begin(argumentCount: 2)
        command.append("GET")
        setKey { CacheKey.appendPayment(pending.id, of: pending.tenant, to: &$0) }
        command.append(key.span)
        return send(.outcome(pending))
    }

    // MARK: Markers

    /// Looks for the marker of a command; sets it when there is none and `sets` says so.
    func mark(_ pending: PendingCommand, sets: Bool) -> Bool {
        setKey { CacheKey.appendMarker(pending.id, of: pending.tenant, to: &$0) }
        command.begin(argumentCount: sets ? 7 : 2)
        command.append(sets ? "SET" : "GET")
        command.append(key.span)
        if sets {
            value.removeAll(keepingCapacity: true)
            pending.appendMarker(to: &value)
            command.append(value.span)
            command.append("NX")
            command.append("GET")
            command.append("PX")
            command.append(decimal: Int64(CacheLifetime.markerMilliseconds))
        }
        return send(.marker(pending, setsMarker: sets))
    }

    /// The log has the command: its marker stays while a worker may be behind.
    ///
    /// - Parameter isOwn: whether this attempt set it. Another's may be gone since, or there was no Redis to set it in: it is set anew
    ///   where it is missing, because an accepted payment can be read at once.
    func keepMarker(of pending: PendingCommand, isOwn: Bool) {
        setKey { CacheKey.appendMarker(pending.id, of: pending.tenant, to: &$0) }
        if !isOwn {
            value.removeAll(keepingCapacity: true)
            pending.appendMarker(to: &value)
            command.begin(argumentCount: 6)
            command.append("SET")
            command.append(key.span)
            command.append(value.span)
            command.append("NX")
            command.append("PX")
            command.append(decimal: Int64(CacheLifetime.acceptedMarkerMilliseconds))
            _ = send(.nothing)
        }
        command.begin(argumentCount: 3)
        command.append("PEXPIRE")
        command.append(key.span)
        command.append(decimal: Int64(CacheLifetime.acceptedMarkerMilliseconds))
        _ = send(.nothing)
    }

    /// Nothing was persisted by this attempt.
    func dropMarker(of pending: PendingCommand) {
        setKey { CacheKey.appendMarker(pending.id, of: pending.tenant, to: &$0) }
        RedisFunctions.encodeUnmark(key: key.span, into: &command)
        _ = send(.nothing)
    }

    // MARK: Other gateways

    /// Tells all who hear a channel; nobody learns whether they did.
    func tell(_ channel: StaticString, _ message: Span<UInt8>) {
        command.begin(argumentCount: 3)
        command.append("PUBLISH")
        command.append(channel)
        command.append(message)
        _ = send(.nothing)
    }

    // MARK: Fills

    /// What a database showed of an account, after a miss.
    ///
    /// - Parameter coveredNanoseconds: every commit acknowledged before this instant is in it; 0: nobody knows, so it is not kept.
    func fillAccount(
        _ key: Span<UInt8>, ofPartition partition: Int32, revision: Int64, body: Span<UInt8>, coveredNanoseconds: UInt64
    ) {
        let spread = Int.random(in: 0...(CacheLifetime.bodyMilliseconds / 10), using: &jitter)
        fill(
            key, partition, revision: revision, body: body, lifetimeMilliseconds: CacheLifetime.bodyMilliseconds + spread,
            coveredNanoseconds)
    }

    /// There is no such account.
    func fillTombstone(_ key: Span<UInt8>, ofPartition partition: Int32, coveredNanoseconds: UInt64) {
        let tombstone: [UInt8] = [UInt8(ascii: "-")]
        fill(
            key, partition, revision: 0, body: tombstone.span, lifetimeMilliseconds: CacheLifetime.tombstoneMilliseconds, coveredNanoseconds
        )
    }

    /// A page of an account's history at a revision, which never changes.
    func keepPage(_ key: Span<UInt8>, revision: Int64, body: Span<UInt8>) {
        value.removeAll(keepingCapacity: true)
        CacheValue.append(revision: revision, body: body, to: &value)
        command.begin(argumentCount: 5)
        command.append("SET")
        command.append(key)
        command.append(value.span)
        command.append("PX")
        command.append(decimal: Int64(CacheLifetime.pageMilliseconds))
        _ = send(.nothing)
    }

    private func fill(
        _ key: Span<UInt8>, _ partition: Int32, revision: Int64, body: Span<UInt8>, lifetimeMilliseconds: Int, _ coveredNanoseconds: UInt64
    ) {
        let now = loop.nowNanoseconds
        guard coveredNanoseconds > 0, coveredNanoseconds <= now else { return }
        let age = Int((now - coveredNanoseconds) / 1_000_000) + 1
        // Floors that would turn it away may be gone after their time.
        guard age < CacheLifetime.floorMilliseconds / 2 else { return }
        lease.removeAll(keepingCapacity: true)
        CacheKey.appendLease(ofPartition: partition, to: &lease)
        RedisFunctions.encodeFill(
            key: key, lease: lease.span, revision: revision, body: body, lifetimeMilliseconds: lifetimeMilliseconds, ageMilliseconds: age,
            into: &command)
        _ = send(.nothing)
    }

    /// A payment that is decided. Its changes are written as bodies, which outlive what a late replica may still say.
    func fillPayment(
        _ id: OperationID, of tenant: TenantID, ofPartition partition: Int32, revision: Int64, body: Span<UInt8>,
        coveredNanoseconds: UInt64
    ) {
        setKey { CacheKey.appendPayment(id, of: tenant, to: &$0) }
        let key = key
        fill(
            key.span, partition, revision: revision, body: body, lifetimeMilliseconds: CacheLifetime.paymentMilliseconds, coveredNanoseconds
        )
    }

    private func setKey(_ write: (inout [UInt8]) -> Void) {
        key.removeAll(keepingCapacity: true)
        write(&key)
    }

    private func send(_ purpose: Purpose) -> Bool {
        let token = table.put(purpose)
        if session?.send(command, token: token) == true { return true }
        _ = table.take(token)
        return false
    }
}
