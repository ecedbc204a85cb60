public import HTTP1
internal import Store
internal import Wire

/// The bounds of a gateway, each with a name that operators set it by (`LimitSetting`). Counts are of one thread unless they say
/// otherwise.
public struct GatewayLimits: Sendable {
    /// What one connection and one request may cost.
    public var connection = {
        var limits = ConnectionLimits()
        limits.request.largeBodyPath = Array("/v1/batches".utf8)
        return limits
    }()
    /// Open connections of the process; at the bound accepting pauses.
    public var connectionsMax = 20_000
    /// Whether an operator chose that number: then one that the system cannot hold is no start, and no smaller number.
    var connectionsAreGiven = false
    /// Of these from one address; those beyond are closed at once.
    public var connectionsPerAddressMax = 10_000
    /// Unfinished requests and unread answers of the process, bytes; beyond it the oldest are closed.
    public var bufferedBytesMax = 256 * 1024 * 1024
    /// Commands and reads of one tenant in a second, of the process; past it 429.
    public var tenantWritesPerSecond = 20_000
    public var tenantReadsPerSecond = 200_000
    /// Commands between their arrival and their answer; past it new ones are refused.
    public var commandsMax = 20_000
    /// Clients that wait for an outcome; past it the wish to wait is passed over.
    public var parkedMax = 10_000
    /// Reads under way; past it new ones are refused.
    public var readsMax = 20_000
    /// New commands are refused once the oldest that the log has not acknowledged is as old, milliseconds.
    public var unacknowledgedMillisecondsMax = 500
    /// New commands of a partition are refused once the oldest that the ledger has not applied is as old, milliseconds.
    public var unsettledMillisecondsMax = 30_000
    /// How often the ledger is asked how far it is, milliseconds.
    public var settlementPollMilliseconds = 500
    /// Commands that the log has not acknowledged; past it new ones are refused.
    public var produceQueueMax = 10_000
    /// From producing to a report, milliseconds; librdkafka looks once a second, so a report may be that much later.
    public var deliveryTimeoutMilliseconds = 5_000
    /// Redis's time for a command, milliseconds; then the replicas are asked.
    public var redisTimeoutMilliseconds = 250
    /// Memory for copies of values in the process, bytes; 0: there are none.
    public var nearBytes = 8 * 1024 * 1024
    /// A database query's time, milliseconds.
    public var queryDeadlineMilliseconds = 2_000
    /// Connections to each replica.
    public var sessionsPerReplica = 2
    /// Connections of the whole process to any one database server: a thread has `sessionsPerReplica` and one for lists to each replica,
    /// and two to the primary. Ten such gateways stay below 250 with the workers' few.
    public var connectionsPerServerMax = 24
    /// Reads that the primary may be asked for in a second.
    public var primaryReadsPerSecond = 200
    /// Lists and histories that the primary may be asked for in a second.
    public var primaryListsPerSecond = 20
    /// A replica that is further behind is left out, milliseconds.
    public var lagMillisecondsMax = 5_000
    /// How long a read waits for a revision before the primary is asked, milliseconds.
    public var revisionWaitMilliseconds = 150
    /// How often such a read looks again, milliseconds.
    public var revisionRetryMilliseconds = 25
    /// How soon a waiting command looks for its outcome while no worker's word can come (then after twice as long, up to 32 times; eight times
    /// as long at first while one can), and how often a waiting `GET` of a payment does at last (it looks sooner and more often at first), milliseconds.
    public var paymentPollMilliseconds = 100
    /// How often the API keys are read, milliseconds: a revoked key works that much longer.
    public var credentialsMilliseconds = 2_000
    /// Rows of a page where the request does not say.
    public var pageRowsDefault = 50
    /// Rows of a page at most.
    public var pageRowsMax = 200
    /// From the signal to stop to the end of accepting, milliseconds: readiness fails meanwhile, so that whoever balances loads by
    /// it goes elsewhere first.
    public var drainDelayMilliseconds = 0
    /// From the signal to stop to the end, milliseconds; below what the process's supervisor waits.
    public var drainMilliseconds = 12_000

    public init() {
        // A batch is as long as the payments in it.
        connection.request.largeBodyPath = Array("/v1/batches".utf8)
    }

    /// The slowest librdkafka is to look for messages whose time is up, milliseconds.
    static let reportSlackMilliseconds = 1_000

    /// What makes the limits impossible, as a sentence; nil when they can be kept.
    public var problem: String? {
        if let problem = connection.problem { return problem }
        let counts = [
            ("connections", connectionsMax), ("commands", commandsMax), ("parked clients", parkedMax), ("reads", readsMax),
            ("produced commands", produceQueueMax), ("connections of an address", connectionsPerAddressMax),
        ]
        for (name, value) in counts where !(1...1_000_000).contains(value) {
            return "The limit of \(name) must be 1 to 1000000, not \(value)."
        }
        let times = [
            ("unacknowledged", unacknowledgedMillisecondsMax), ("unsettled", unsettledMillisecondsMax),
            ("settlement poll", settlementPollMilliseconds), ("delivery", deliveryTimeoutMilliseconds),
            ("Redis", redisTimeoutMilliseconds),
            ("query", queryDeadlineMilliseconds), ("replica lag", lagMillisecondsMax), ("revision wait", revisionWaitMilliseconds),
            ("revision retry", revisionRetryMilliseconds), ("payment poll", paymentPollMilliseconds),
            ("credentials", credentialsMilliseconds), ("drain", drainMilliseconds),
        ]
        if !(0...600_000).contains(drainDelayMilliseconds) {
            return "The drain delay must be 0 to 600000 milliseconds, not \(drainDelayMilliseconds)."
        }
        for (name, value) in times where !(1...600_000).contains(value) {
            return "The \(name) time must be 1 to 600000 milliseconds, not \(value)."
        }
        if nearBytes != 0, !(64 * 1024...1 << 32).contains(nearBytes) {
            return "The memory for copies must be 64 KiB to 4 GiB, not \(nearBytes) bytes."
        }
        return relationProblem
    }

    /// The bounds that lean on each other.
    private var relationProblem: String? {
        if !(1...32).contains(sessionsPerReplica) { return "The connections to each replica must be 1 to 32, not \(sessionsPerReplica)." }
        if !(0...100_000).contains(primaryReadsPerSecond) {
            return "The primary's reads in a second must be 0 to 100000, not \(primaryReadsPerSecond)."
        }
        if !(0...100_000).contains(primaryListsPerSecond) {
            return "The primary's lists in a second must be 0 to 100000, not \(primaryListsPerSecond)."
        }
        if pageRowsMax < 1 || pageRowsMax > 1_000 || pageRowsDefault < 1 || pageRowsDefault > pageRowsMax {
            return "A page must have 1 to 1000 rows at most, and the default must not be above that."
        }
        if unacknowledgedMillisecondsMax >= deliveryTimeoutMilliseconds {
            return "The unacknowledged time must be below the delivery time: it refuses before messages are given up."
        }
        let report = deliveryTimeoutMilliseconds + Self.reportSlackMilliseconds
        if report + redisTimeoutMilliseconds > CacheLifetime.markerMilliseconds {
            return "The delivery time must be at least \(Self.reportSlackMilliseconds) ms and Redis's time below the marker's lifetime of "
                + "\(CacheLifetime.markerMilliseconds) ms."
        }
        if drainDelayMilliseconds + max(report, Int(connection.drainIdleMilliseconds)) >= drainMilliseconds {
            return "The drain time must be above the drain delay and, after it, more than \(Self.reportSlackMilliseconds) ms above the "
                + "delivery time and above the time of idle connections: what was produced and what was sent is waited for."
        }
        if lagMillisecondsMax + queryDeadlineMilliseconds + redisTimeoutMilliseconds >= CacheLifetime.floorMilliseconds {
            return
                "The replica lag and the query time together must be below the floor's lifetime of \(CacheLifetime.floorMilliseconds) ms: "
                + "a late replica could bring an old value back."
        }
        return nil
    }

    /// Fits the connections to what the process may open.
    ///
    /// - Parameters:
    ///   - descriptorsMax: files that the process may have open.
    ///   - others: how many of them are for other things than clients.
    /// - Returns: why they cannot be fitted, as a sentence.
    mutating func fit(descriptorsMax: Int, others: Int) -> String? {
        let most = descriptorsMax - others
        if connectionsMax > most {
            guard !connectionsAreGiven, most >= 16 else {
                return
                    "The limit of connections is \(connectionsMax), but the process may open \(descriptorsMax) files and needs \(others) of them "
                    + "for other things: raise the limit of open files (ulimit -n, LimitNOFILE) to \(connectionsMax + others), or lower the "
                    + "limit of connections to \(max(0, most))."
            }
            connectionsMax = most
        }
        connectionsPerAddressMax = min(connectionsPerAddressMax, connectionsMax)
        return nil
    }
}
