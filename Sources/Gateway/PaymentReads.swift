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
final class PaymentRead: LedgerRead {
    let id: OperationID
    /// Until when the client waits for the outcome, monotonic milliseconds; 0 when it does not.
    fileprivate var deadline: UInt64 = 0
    /// The body of a payment in processing, from its marker; empty for none.
    fileprivate var processing: [UInt8] = []
    fileprivate var hasAskedDatabase = false
    /// How often it was set aside to be looked at again.
    fileprivate var looks = 0

    fileprivate init(ticket: RequestTicket, id: OperationID) {
        self.id = id
        super.init(ticket: ticket)
    }
}

/// Reads of payments by id: the value in Redis, then the databases, then the marker of one that is not decided yet.
///
/// A replica is asked although there is a marker: a marker outlives the value of a payment that was decided long ago.
final class PaymentReads: DatabaseReader {
    struct Subject: Hashable {
        fileprivate let tenant: TenantID
        fileprivate let id: OperationID
    }

    /// Most payments are decided about as soon after they were accepted.
    private static let firstLookMilliseconds = 10

    private let loop: EventLoop
    private let limits: GatewayLimits
    private let responder: Responder
    private let cache: Cache
    private let databases: DatabaseReads<PaymentReads>
    private let counters: GatewayCounters
    private var polls: PollQueues<PaymentRead>
    private var pollTimer: LoopTimer?
    /// When the timer fires, monotonic milliseconds.
    private var pollsAt = UInt64.max
    private var isDraining = false
    private(set) var count = 0
    /// Clients that wait for an outcome.
    private(set) var parkedCount = 0

    init(
        loop: EventLoop, limits: GatewayLimits, responder: Responder, cache: Cache, databases: DatabaseReads<PaymentReads>,
        counters: GatewayCounters
    ) {
        self.loop = loop
        self.limits = limits
        self.responder = responder
        self.cache = cache
        self.databases = databases
        self.counters = counters
        polls = PollQueues(firstMilliseconds: Self.firstLookMilliseconds, longestMilliseconds: limits.paymentPollMilliseconds)
        databases.reader = self
        pollTimer = LoopTimer(loop: loop) { [unowned self] in poll() }
    }

    /// - Parameter waitSeconds: how long the client would wait for the outcome; passed over when too many wait.
    func begin(
        _ id: OperationID, of caller: CredentialTable.Caller, waitSeconds: Int, ifNoneMatch: Span<UInt8>, _ ticket: RequestTicket
    ) {
        let read = PaymentRead(ticket: ticket, id: id)
        count += 1
        let now = loop.nowNanoseconds
        read.begin(ticket, of: caller, minRevision: 0, ifNoneMatch: ifNoneMatch, nowNanoseconds: now)
        if waitSeconds > 0, parkedCount < limits.parkedMax, !isDraining {
            read.deadline = now / 1_000_000 + UInt64(waitSeconds) * 1_000
            parkedCount += 1
        }
        retry(read)
    }

    /// Asks Redis.
    func retry(_ read: PaymentRead) {
        if !cache.getPayment(read.id, of: read.tenant, for: read) { askDatabase(read) }
    }

    /// Redis's answer: the value and the marker.
    func answered(_ read: PaymentRead, _ result: RedisResult) {
        guard case .reply(let reply) = result, reply.kind == .array, reply.count == 2 else { return askDatabase(read) }
        if reply[1].kind == .string, let marker = Marker(reply[1].bytes), marker.body.count > 0 {
            read.processing.removeAll(keepingCapacity: true)
            read.processing.append(marker.body)
        }
        if reply[0].kind == .string, let value = CacheValue(reply[0].bytes), value.kind == .body {
            if value.revision >= read.floor, cache.isFresh(read.partition, nowMilliseconds: loop.turnMilliseconds) {
                counters.cacheHits.add()
                return show(read, revision: value.revision, body: value.body)
            }
            // It was captured or refunded since, perhaps, and nobody vouches for it; but so far it has come.
            counters.unbelieved.add()
            read.floor = max(read.floor, value.revision)
            return askDatabase(read)
        }
        // One that waits has seen that the databases do not have it: until its time is up the value in Redis will tell.
        if read.hasAskedDatabase, mayWait(read), !mayLack(read) { wait(read) } else { askDatabase(read) }
    }

    /// Whether Redis may lack what is decided, and the databases are to be asked again: after the second look, the fourth, the eighth and so on,
    /// as thousands may wait for a worker that is away. While a worker vouches for its values they come by themselves, but for one that
    /// was lost on its way.
    private func mayLack(_ read: PaymentRead) -> Bool {
        guard read.looks & (read.looks - 1) == 0 else { return false }
        return read.looks >= 8 || !cache.isFresh(read.partition, nowMilliseconds: loop.turnMilliseconds)
    }

    // MARK: Databases

    private func askDatabase(_ read: PaymentRead) {
        read.hasAskedDatabase = true
        databases.ask(read)
    }

    func subject(of read: PaymentRead) -> Subject { Subject(tenant: read.tenant, id: read.id) }
    func query(_ subject: Subject) -> Query { ReadQueries.payment(subject.id, of: subject.tenant) }

    func render(_ rows: Rows, of _: Subject, into body: inout [UInt8]) -> Int64? {
        guard !rows.isEmpty else { return nil }
        let payment = PaymentColumns.payment(rows, 0)
        body.append(payment)
        return payment.revision
    }

    /// Never that there is none: it may be decided in this instant. Nor what a replica has: it may show an outcome whose commit waits for the
    /// synchronous standby, and who finds one in Redis takes it for final (`OutcomeLookUps`).
    func keep(_ revision: Int64?, _ body: Span<UInt8>, for read: PaymentRead, coveredNanoseconds covered: UInt64, isPrimary: Bool) {
        guard let revision, isPrimary else { return }
        cache.fillPayment(
            read.id, of: read.tenant, ofPartition: read.partition, revision: revision, body: body, coveredNanoseconds: covered)
    }

    // MARK: Waiting

    private func mayWait(_ read: PaymentRead) -> Bool {
        !isDraining && read.deadline > loop.nowNanoseconds / 1_000_000 && !responder.hasLeft(read.ticket)
    }

    private func wait(_ read: PaymentRead) {
        polls.append(read, looks: read.looks, now: loop.nowNanoseconds / 1_000_000)
        read.looks += 1
        armPolls()
    }

    private func armPolls() {
        guard let next = polls.nextDeadline, next < pollsAt else { return }
        pollsAt = next
        let now = loop.nowNanoseconds / 1_000_000
        pollTimer?.arm(afterMilliseconds: next > now ? Int(next - now) : 0)
    }

    /// Looks again for those that wait.
    private func poll() {
        pollsAt = .max
        let now = loop.nowNanoseconds / 1_000_000
        while let read = polls.popDue(now: now) { look(read) }
        armPolls()
    }

    /// Looks again for those that wait for a replica; called many times a second.
    func sweep(nowMilliseconds now: UInt64) { databases.sweep(nowMilliseconds: now) }

    /// Nobody waits any longer: what is known now is shown.
    func drain() {
        isDraining = true
        while let read = polls.popDue(now: .max) { look(read) }
    }

    private func look(_ read: PaymentRead) {
        guard !responder.hasLeft(read.ticket) else {
            counters.abandoned.add()
            return showUndecided(read)
        }
        read.askedNanoseconds = loop.nowNanoseconds
        retry(read)
    }

    // MARK: Answers

    func showNothing(_ read: PaymentRead) {
        if mayWait(read) { wait(read) } else { showUndecided(read) }
    }

    private func showUndecided(_ read: PaymentRead) {
        let processing = read.processing
        if !processing.isEmpty { return show(read, revision: 0, body: processing.span) }
        // Never a plain "not found": that Redis has no marker proves nothing (it was full, it was restarted empty, the marker has
        // expired while the standby was away), and who believes it pays again under another key.
        let detail = "no such payment is decided: it may not exist, or it was accepted and is still to be decided"
        refuse(read, Problem(.paymentNotVisibleYet, detail: detail, paymentID: read.id))
    }

    func show(_ read: PaymentRead, revision: Int64, body: Span<UInt8>) {
        let tags = read.ifNoneMatch
        responder.show(read.ticket, revision: revision, body: body, ifNoneMatch: tags.span)
        end(read)
    }

    func refuse(_ read: PaymentRead, _ problem: Problem) {
        responder.refuse(read.ticket, problem)
        end(read)
    }

    private func end(_ read: PaymentRead) {
        count -= 1
        if read.deadline > 0 { parkedCount -= 1 }
    }
}
