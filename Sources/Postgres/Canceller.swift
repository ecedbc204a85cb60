internal import CLibpq
internal import Loop
internal import Telemetry

/// Owns one `PGcancel`: address and key of a connection's server process, usable on any thread.
@safe
final class CancelRequest: Sendable {
    /// Written once, before the request is shared, and read by one thread at a time: `PQcancel` does not change it.
    private let address: UInt
    /// Where the server is, as HOST:PORT.
    let server: String
    private let madeMilliseconds = Clock.monotonicMilliseconds

    init(_ pointer: OpaquePointer, server: String) {
        address = UInt(bitPattern: pointer)
        self.server = server
    }

    deinit { unsafe PQfreeCancel(OpaquePointer(bitPattern: address)) }

    /// Whether it is still likely to meet the statement that it is for.
    var isTimely: Bool { Clock.monotonicMilliseconds < madeMilliseconds + Canceller.patienceMilliseconds }

    /// Opens a connection of its own, asks, and waits for the server to hang up: blocks while the server is frozen.
    func send() {
        var message = [CChar](repeating: 0, count: 256)
        let sent = unsafe PQcancel(OpaquePointer(bitPattern: address), &message, CInt(message.count))
        if sent == 0 { Log.info("a cancel request did not reach PostgreSQL") }
    }
}

/// The process's threads for cancel requests, one for each server, because libpq 15 has no other than the blocking call: a frozen server
/// holds up its own cancels and nobody else's.
///
/// Best effort: what has waited too long is dropped, as its statement may have ended and another be hit, and so is what comes while too many wait.
/// What bounds a statement is `statement_timeout`; a cancel only ends it earlier.
enum Canceller {
    /// Beyond it a request is not sent. Well below the time for which `ReplicaPool` takes a statement that was stopped for one hit in place of another.
    static let patienceMilliseconds: UInt64 = 1_000
    /// Requests that wait for one server; its thread may hold as many again.
    static let waitingMax = 64
    /// Threads, which live as long as the process. A process knows a handful of servers; where addresses come and go, a new server is
    /// given the thread of the one that was asked longest ago.
    static let lanesMax = 16

    /// Requests that were not sent.
    static let dropped = Counter()
    private static let lanes = Locked(LaneTable<CancelLane>(capacity: lanesMax))

    /// Leaves the request to its server's thread, which starts with the first one. Never blocks.
    static func send(_ request: CancelRequest) {
        let lane = lanes.withLock { $0.lane(for: request.server, make: CancelLane.init) }
        if !lane.take(request) { drop() }
    }

    fileprivate static func drop() {
        dropped.add()
        Log.info("a cancel request was dropped")
    }
}

/// One lane for each server, and a bound.
struct LaneTable<Lane> {
    private let capacity: Int
    /// The server that was asked for last is at the end.
    private var entries: [(server: String, lane: Lane)] = []

    /// - Parameter capacity: most lanes, above 0.
    init(capacity: Int) { self.capacity = capacity }

    /// The server's lane. A server beyond the bound takes over the lane of the one that was asked for longest ago.
    mutating func lane(for server: String, make: () -> Lane) -> Lane {
        let index = entries.firstIndex { $0.server == server } ?? (entries.count < capacity ? nil : 0)
        let lane = index.map { entries.remove(at: $0).lane } ?? make()
        entries.append((server, lane))
        return lane
    }
}

/// The thread for the cancel requests of one server.
private final class CancelLane: Sendable {
    private let requests: Mailbox<CancelRequest>
    private let thread: LoopThread

    init() {
        let requests = Mailbox<CancelRequest>(capacity: Canceller.waitingMax)
        self.requests = requests
        thread = LoopThread(name: "pg-cancel") { loop in
            let receiver = MailboxReceiver(loop: loop, mailbox: requests) { $0.isTimely ? $0.send() : Canceller.drop() }
            withExtendedLifetime(receiver) { loop.run() }
        }
    }

    /// False when too many wait.
    func take(_ request: CancelRequest) -> Bool { requests.send(request) }
}
