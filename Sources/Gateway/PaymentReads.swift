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

/// One read of a payment under way.
final class PaymentRead {
    fileprivate let ticket: RequestTicket
    fileprivate let tenant: TenantID
    fileprivate let id: OperationID
    /// The client's `If-None-Match`; empty for none.
    fileprivate var ifNoneMatch: [UInt8] = []
    /// Until when the client waits for the outcome, monotonic milliseconds; 0 when it does not.
    fileprivate var deadline: UInt64 = 0
    /// The body of a payment in processing, from its marker; empty for none.
    fileprivate var processing: [UInt8] = []
    fileprivate var hasAskedDatabase = false

    fileprivate init(ticket: RequestTicket, tenant: TenantID, id: OperationID) {
        self.ticket = ticket
        self.tenant = tenant
        self.id = id
    }
}

/// Reads of payments by id: the value in Redis, then a replica, then the marker of one that is not decided yet.
///
/// The replica is asked although there is a marker: a marker outlives the value of a payment that was decided long ago.
final class PaymentReads {
    /// The tenant is part of it: who asks for another's payment finds nothing, and must not find it for the other.
    private struct Place: Hashable {
        let tenant: TenantID
        let id: OperationID
    }

    private let loop: EventLoop
    private let limits: GatewayLimits
    private let responder: Responder
    private let cache: Cache
    private let pool: ReplicaPool
    private let counters: GatewayCounters
    private var flights = Flights<Place, PaymentRead>()
    private var polls = DeadlineQueue<PaymentRead>()
    private var body: [UInt8] = []
    private var isDraining = false
    private(set) var count = 0
    /// Clients that wait for an outcome.
    private(set) var parkedCount = 0

    init(loop: EventLoop, limits: GatewayLimits, responder: Responder, cache: Cache, pool: ReplicaPool, counters: GatewayCounters) {
        self.loop = loop
        self.limits = limits
        self.responder = responder
        self.cache = cache
        self.pool = pool
        self.counters = counters
    }

    /// - Parameter waitSeconds: how long the client would wait for the outcome; passed over when too many wait.
    func begin(_ id: OperationID, of tenant: TenantID, waitSeconds: Int, ifNoneMatch: Span<UInt8>, _ ticket: RequestTicket) {
        let read = PaymentRead(ticket: ticket, tenant: tenant, id: id)
        count += 1
        read.ifNoneMatch.append(ifNoneMatch)
        if waitSeconds > 0, parkedCount < limits.parkedMax, !isDraining {
            read.deadline = loop.nowNanoseconds / 1_000_000 + UInt64(waitSeconds) * 1_000
            parkedCount += 1
        }
        askCache(read)
    }

    private func askCache(_ read: PaymentRead) {
        if !cache.getPayment(read.id, of: read.tenant, for: read) { askReplica(read) }
    }

    /// Redis's answer: the value and the marker.
    func answered(_ read: PaymentRead, _ result: RedisResult) {
        guard case .reply(let reply) = result, reply.kind == .array, reply.count == 2 else { return askReplica(read) }
        if reply[0].kind == .string, let value = CacheValue(reply[0].bytes), value.kind == .body {
            counters.cacheHits.add()
            return show(read, revision: value.revision, body: value.body)
        }
        if reply[1].kind == .string, let marker = Marker(reply[1].bytes), marker.body.count > 0 {
            read.processing.removeAll(keepingCapacity: true)
            read.processing.append(marker.body)
        }
        // One that waits has seen that the databases do not have it: until its time is up the value in Redis will tell.
        if read.hasAskedDatabase, mayWait(read) { wait(read) } else { askReplica(read) }
    }

    // MARK: Databases

    private func askReplica(_ read: PaymentRead) {
        read.hasAskedDatabase = true
        let place = Place(tenant: read.tenant, id: read.id)
        guard flights.join(place, read) else { return counters.sharedMisses.add() }
        counters.cacheMisses.add()
        let queries = [ReadQueries.payment(place.id, of: place.tenant)]
        if !pool.execute(queries, completion: { [unowned self] result in landed(place, result) }) { landed(place, .failure(.notReady)) }
    }

    private func landed(_ place: Place, _ result: Result<[Rows], PostgresError>) {
        let reads = flights.land(place)
        guard case .success(let answers) = result else {
            for read in reads { refuse(read, .noDatabase) }
            return
        }
        for read in reads {
            guard !answers[0].isEmpty else {
                if mayWait(read) { wait(read) } else { showUndecided(read) }
                continue
            }
            let payment = PaymentColumns.payment(answers[0], 0)
            body.removeAll(keepingCapacity: true)
            body.append(payment)
            cache.fillPayment(place.id, of: place.tenant, revision: payment.revision, body: body.span)
            show(read, revision: payment.revision, body: body.span)
        }
    }

    // MARK: Waiting

    private func mayWait(_ read: PaymentRead) -> Bool { !isDraining && read.deadline > loop.nowNanoseconds / 1_000_000 }

    private func wait(_ read: PaymentRead) {
        polls.append(read, deadline: loop.nowNanoseconds / 1_000_000 + UInt64(limits.paymentPollMilliseconds))
    }

    /// Looks again for those that wait; called many times a second.
    func sweep(nowMilliseconds now: UInt64) {
        while let read = polls.popDue(now: now) { askCache(read) }
    }

    /// Nobody waits any longer: what is known now is shown.
    func drain() {
        isDraining = true
        while let read = polls.popDue(now: .max) { askCache(read) }
    }

    // MARK: Answers

    private func showUndecided(_ read: PaymentRead) {
        let processing = read.processing
        if !processing.isEmpty { return show(read, revision: 0, body: processing.span) }
        // Never a plain "not found": that Redis has no marker proves nothing (it was full, it was restarted empty, the marker has
        // expired while the standby was away), and who believes it pays again under another key.
        let detail = "no such payment is decided: it may not exist, or it was accepted and is still to be decided"
        refuse(read, Problem(.paymentNotVisibleYet, detail: detail, paymentID: read.id))
    }

    private func show(_ read: PaymentRead, revision: Int64, body: Span<UInt8>) {
        let tags = read.ifNoneMatch
        responder.show(read.ticket, revision: revision, body: body, ifNoneMatch: tags.span)
        end(read)
    }

    private func refuse(_ read: PaymentRead, _ problem: Problem) {
        responder.refuse(read.ticket, problem)
        end(read)
    }

    private func end(_ read: PaymentRead) {
        count -= 1
        if read.deadline > 0 { parkedCount -= 1 }
    }
}
