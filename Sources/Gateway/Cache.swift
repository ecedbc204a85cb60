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

/// This loop's session to Redis: the commands that a gateway sends, and what each is for.
///
/// Redis is a copy and a hint: every function tells by false, and every purpose by a failure, that it has to go without.
final class Cache {
    /// What is done with a reply.
    enum Purpose {
        case account(AccountRead)
        case payment(PaymentRead)
        /// The marker of a command, set if there was none or only looked at.
        case marker(PendingCommand, setsMarker: Bool)
        /// The value of a payment that may be decided.
        case outcome(PendingCommand)
        /// Nobody waits for it.
        case nothing
    }

    private let session: RedisSession
    private let table: PurposeTable
    private var command = CommandBuffer()
    private var key: [UInt8] = []
    private var value: [UInt8] = []
    private var jitter = SystemRandomNumberGenerator()

    /// - Parameter client: kept unowned; it owns the cache.
    init(loop: EventLoop, configuration: RedisConfiguration, metrics: RedisMetrics, client: any CacheClient) {
        let table = PurposeTable()
        self.table = table
        session = RedisSession(
            loop: loop, configuration: configuration, metrics: metrics,
            onReply: { [unowned client] token, result in client.answered(table.take(token), result) },
            onStateChange: { isReady in Log.info("redis", .flag("ready", isReady)) })
    }

    var isReady: Bool { session.isReady }

    func close() { session.close() }

    // MARK: Reads

    /// `GET` of a key that the reader has made.
    func get(_ key: Span<UInt8>, for read: AccountRead) -> Bool {
        command.begin(argumentCount: 2)
        command.append("GET")
        command.append(key)
        return send(.account(read))
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

    // MARK: Fills

    /// What a replica showed, after a miss.
    func fillAccount(_ key: Span<UInt8>, revision: Int64, body: Span<UInt8>) {
        let spread = Int.random(in: 0...(CacheLifetime.bodyMilliseconds / 10), using: &jitter)
        RedisFunctions.encodeFill(
            key: key, revision: revision, body: body, lifetimeMilliseconds: CacheLifetime.bodyMilliseconds + spread, into: &command)
        _ = send(.nothing)
    }

    /// There is no such account.
    func fillTombstone(_ key: Span<UInt8>) {
        value.removeAll(keepingCapacity: true)
        value.append(UInt8(ascii: "-"))
        RedisFunctions.encodeFill(
            key: key, revision: 0, body: value.span, lifetimeMilliseconds: CacheLifetime.tombstoneMilliseconds, into: &command)
        _ = send(.nothing)
    }

    /// A payment that is decided.
    func fillPayment(_ id: OperationID, of tenant: TenantID, revision: Int64, body: Span<UInt8>) {
        setKey { CacheKey.appendPayment(id, of: tenant, to: &$0) }
        RedisFunctions.encodeFill(
            key: key.span, revision: revision, body: body, lifetimeMilliseconds: CacheLifetime.paymentMilliseconds, into: &command)
        _ = send(.nothing)
    }

    private func setKey(_ write: (inout [UInt8]) -> Void) {
        key.removeAll(keepingCapacity: true)
        write(&key)
    }

    private func send(_ purpose: Purpose) -> Bool {
        let token = table.put(purpose)
        if session.send(command, token: token) { return true }
        _ = table.take(token)
        return false
    }
}

/// The purposes of what is in flight, by token. Slots are reused, so that a read allocates nothing.
private final class PurposeTable {
    private var purposes: [Cache.Purpose] = []
    private var free: [UInt32] = []

    func put(_ purpose: Cache.Purpose) -> UInt64 {
        if let slot = free.popLast() {
            purposes[Int(slot)] = purpose
            return UInt64(slot)
        }
        purposes.append(purpose)
        return UInt64(purposes.count - 1)
    }

    /// Each token is taken once: the session answers it exactly once.
    func take(_ token: UInt64) -> Cache.Purpose {
        let purpose = purposes[Int(token)]
        purposes[Int(token)] = .nothing
        free.append(UInt32(token))
        return purpose
    }
}
