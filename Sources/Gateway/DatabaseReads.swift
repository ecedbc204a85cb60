internal import Ledger
internal import Loop
internal import Postgres
internal import Server
internal import Store
internal import Telemetry
internal import Wire

/// What differs between the reads that go to a database: what they ask, and what they show.
protocol DatabaseReader: AnyObject {
    associatedtype Read: LedgerRead
    /// What is read. The tenant is part of it: who asks for another's finds nothing, and must not find it for the other.
    associatedtype Subject: Hashable

    func subject(of read: Read) -> Subject
    func query(_ subject: Subject) -> Query
    /// Renders what a server has of it; its revision, or nil when the server has nothing.
    func render(_ rows: Rows, of subject: Subject, into body: inout [UInt8]) -> Int64?
    /// Puts into Redis what a server has; `coveredNanoseconds` as in `ReplicaPool.DatedCompletion`.
    func keep(_ revision: Int64?, _ body: Span<UInt8>, for read: Read, coveredNanoseconds: UInt64, isPrimary: Bool)
    func show(_ read: Read, revision: Int64, body: Span<UInt8>)
    /// The server that was asked does not have it, and no one has seen it.
    func showNothing(_ read: Read)
    func refuse(_ read: Read, _ problem: Problem)
    /// Looks again from the start: a replica was behind.
    func retry(_ read: Read)
}

/// The way of reads through the databases: a replica; while it is behind what the client or Redis has seen, again for a moment; then
/// the primary within its budget. Who asks for the same thing at once asks once.
///
/// Redis only says where to look: when the primary is asked, it has the last word on what exists, and the client's own revision alone
/// is held against it.
final class DatabaseReads<Reader: DatabaseReader> {
    private typealias Read = Reader.Read

    private struct Place: Hashable {
        let subject: Reader.Subject
        let isPrimary: Bool
    }

    /// What a server answered a moment ago. Who has asked Redis before that and is told only now that it has nothing need not ask again.
    private struct Landing {
        let revision: Int64?
        let body: [UInt8]
        let nanoseconds: UInt64
    }

    /// Longer than Redis takes to answer what it was asked before a landing; only a query that was saved depends on it.
    private static var landingNanoseconds: UInt64 { 50_000_000 }
    private static var landingBytesMax: Int { 1_048_576 }

    private let loop: EventLoop
    private let limits: GatewayLimits
    private let responder: Responder
    private let pool: ReplicaPool
    private let counters: GatewayCounters
    /// Set once the reader is made, which owns this.
    unowned var reader: Reader?
    private var flights = Flights<Place, Read>()
    private var landings: [Place: Landing] = [:]
    private var landingBytes = 0
    private var tooEarly = DeadlineQueue<Read>()
    private var body: [UInt8] = []

    init(loop: EventLoop, limits: GatewayLimits, responder: Responder, pool: ReplicaPool, counters: GatewayCounters) {
        self.loop = loop
        self.limits = limits
        self.responder = responder
        self.pool = pool
        self.counters = counters
    }

    /// Asks a replica, or joins who did. The reader is told, perhaps before this returns.
    func ask(_ read: Reader.Read) { ask(read, isPrimary: false) }

    /// Looks again for those that wait for a replica; called many times a second.
    func sweep(nowMilliseconds now: UInt64) {
        while let read = tooEarly.popDue(now: now) {
            guard !responder.hasLeft(read.ticket) else {
                abandon(read)
                continue
            }
            read.askedNanoseconds = loop.nowNanoseconds
            reader?.retry(read)
        }
        guard !landings.isEmpty else { return }
        let nanoseconds = loop.nowNanoseconds
        landings = landings.filter { $0.value.nanoseconds + Self.landingNanoseconds > nanoseconds }
        landingBytes = landings.values.reduce(0) { $0 + $1.body.count }
    }

    private func ask(_ read: Read, isPrimary: Bool) {
        guard let reader else { preconditionFailure("a read before the start") }
        let place = Place(subject: reader.subject(of: read), isPrimary: isPrimary)
        if let landing = landings[place], landing.nanoseconds > read.askedNanoseconds {
            counters.sharedMisses.add()
            return settle([read], place, landing.revision, landing.body)
        }
        guard flights.join(place, read) else { return counters.sharedMisses.add() }
        counters.cacheMisses.add()
        let queries = [reader.query(place.subject)]
        let done: ReplicaPool.DatedCompletion = { [unowned self] result, covered in landed(place, result, covered) }
        let asker = read.tenant.rawValue
        let isWanted = { [unowned self] in flights.waiters(place).contains { !responder.hasLeft($0.ticket) } }
        let sent =
            isPrimary
            ? pool.executeDatedOnPrimary(queries, for: asker, isWanted: isWanted, completion: done)
            : pool.executeDated(queries, for: asker, isWanted: isWanted, completion: done)
        if !sent { landed(place, .failure(.notReady), 0) }
    }

    private func landed(_ place: Place, _ result: Result<[Rows], PostgresError>, _ covered: UInt64) {
        let reads = flights.land(place)
        guard let reader, let first = reads.first else { return }
        guard case .success(let answers) = result else {
            for read in reads {
                if responder.hasLeft(read.ticket) {
                    abandon(read)
                } else if case .failure(.cancelled) = result {
                    // It was stopped for those who have gone; this one came just then.
                    ask(read, isPrimary: place.isPrimary)
                } else {
                    reader.refuse(read, .noDatabase)
                }
            }
            return
        }
        body.removeAll(keepingCapacity: true)
        let revision = reader.render(answers[0], of: place.subject, into: &body)
        let rendered = body
        reader.keep(revision, rendered.span, for: first, coveredNanoseconds: covered, isPrimary: place.isPrimary)
        remember(place, revision, rendered)
        settle(reads, place, revision, rendered)
    }

    private func remember(_ place: Place, _ revision: Int64?, _ body: [UInt8]) {
        if landingBytes + body.count > Self.landingBytesMax || landings.count >= 1_024 {
            landings.removeAll(keepingCapacity: true)
            landingBytes = 0
        }
        guard body.count <= Self.landingBytesMax else { return }
        landings[place] = Landing(revision: revision, body: body, nanoseconds: loop.nowNanoseconds)
        landingBytes += body.count
    }

    private func settle(_ reads: [Read], _ place: Place, _ revision: Int64?, _ body: [UInt8]) {
        guard let reader else { return }
        for read in reads {
            if let revision, revision >= (place.isPrimary ? read.minRevision : read.required) {
                reader.show(read, revision: revision, body: body.span)
            } else if revision == nil, place.isPrimary || read.required == 0 {
                reader.showNothing(read)
            } else if place.isPrimary {
                reader.refuse(read, Problem(.revisionNotReached, detail: "the ledger is at revision \(revision ?? 0)"))
            } else {
                replicaIsTooOld(read)
            }
        }
    }

    private func replicaIsTooOld(_ read: Read) {
        counters.replicaTooOld.add()
        let now = loop.nowNanoseconds / 1_000_000
        if read.patienceMilliseconds == 0 { read.patienceMilliseconds = now + UInt64(limits.revisionWaitMilliseconds) }
        if now < read.patienceMilliseconds {
            tooEarly.append(read, deadline: now + UInt64(limits.revisionRetryMilliseconds))
        } else if responder.hasLeft(read.ticket) {
            abandon(read)
        } else {
            ask(read, isPrimary: true)
        }
    }

    /// Who is not there any more is not worth a server's time. One that has only ended its own side is told why.
    private func abandon(_ read: Read) {
        counters.abandoned.add()
        reader?.refuse(read, .clientHasLeft)
    }
}
