public import Kafka
public import Loop
public import Postgres
public import Redis

/// What a gateway serves.
public enum ServedRole: String, Sendable, CaseIterable {
    /// Writes, and reads for whoever asks here.
    case payments
    /// Reads only: a write is refused, and no producer is made.
    case inquiries
    case all

    var acceptsWrites: Bool { self != .inquiries }
}

/// What a gateway is told at its start.
public struct GatewayOptions: Sendable {
    /// The instance's name, unique among the gateways: outcomes for its clients are addressed by it.
    public var name: String
    public var role = ServedRole.all
    /// Event loops, each with its own listener, Redis session, replica sessions and producer: 1 to 64.
    public var threads = 1
    /// The TCP address that all threads listen on; nil for none.
    public var listen: SocketAddress?
    /// Thread N listens on the Unix socket `PREFIX.N`; nil for none.
    public var listenUnixPrefix: String?
    /// Where health, readiness and metrics are served.
    public var admin: SocketAddress
    public var kafka: KafkaConfiguration
    public var primary: PostgresConfiguration
    /// Empty: the primary serves all reads that miss Redis, within its budget.
    public var replicas: [PostgresConfiguration]
    public var redis: RedisConfiguration
    public var limits = GatewayLimits()
    /// The file where `sluice audit` leaves its figures, to be shown with ours; nil for none.
    public var auditMetrics: String?

    public init(
        name: String, admin: SocketAddress, kafka: KafkaConfiguration, primary: PostgresConfiguration, replicas: [PostgresConfiguration],
        redis: RedisConfiguration
    ) {
        self.name = name
        self.admin = admin
        self.kafka = kafka
        self.primary = primary
        self.replicas = replicas
        self.redis = redis
    }

    /// What cannot work, as a sentence; nil when all can.
    public var problem: String? {
        if !(1...64).contains(threads) { return "The threads must be 1 to 64, not \(threads)." }
        if listen == nil, listenUnixPrefix == nil { return "Nothing to listen on: a TCP address, a Unix socket prefix or both are needed." }
        switch listen {
        case .unix: return "The listen address must be a TCP address; Unix sockets, one for each thread, have a prefix."
        case .tcp(_, 0) where threads > 1: return "Port 0 needs a single thread: several would each get another port."
        default: break
        }
        // `sun_path` holds 107 bytes and an end; a thread's number takes up to 3 of them.
        if let prefix = listenUnixPrefix, prefix.isEmpty || prefix.utf8.count > 104 {
            return "The Unix socket prefix must be 1 to 104 bytes long."
        }
        let connections = threads * max(limits.sessionsPerReplica + 1, 2)
        if connections > limits.connectionsPerServerMax {
            return
                "\(threads) threads would hold \(connections) connections to a database server, and \(limits.connectionsPerServerMax) are allowed: "
                + "use fewer threads, or allow more where the servers have them (SLUICE_SERVER_CONNECTIONS)."
        }
        return limits.problem
    }

    /// Descriptors of a process for other things than clients: for each thread sessions with databases and Redis, connections to
    /// brokers, a loop and its mailboxes; a log, the admin listener, a margin for what is opened anew before the old is closed.
    var otherDescriptors: Int { 128 + threads * (32 + 2 * limits.sessionsPerReplica * (replicas.count + 1)) }

    /// Where one thread listens.
    func addresses(ofThread thread: Int) -> [SocketAddress] {
        var addresses: [SocketAddress] = []
        if let listen { addresses.append(listen) }
        if let listenUnixPrefix { addresses.append(.unix(path: "\(listenUnixPrefix).\(thread)")) }
        return addresses
    }
}
