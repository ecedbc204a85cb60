internal import HTTP1

/// One of a gateway's limits, as an operator sets it: `SLUICE_LIMITS="connections=5000;request_milliseconds=5000"`.
public struct LimitSetting: Sendable {
    public let name: String
    public let range: ClosedRange<Int>
    /// What it bounds and what happens beyond it; one line.
    public let meaning: String
    private let read: @Sendable (GatewayLimits) -> Int
    private let write: @Sendable (inout GatewayLimits, Int) -> Void

    private init<Number: BinaryInteger & SendableMetatype>(
        _ name: String, _ path: any WritableKeyPath<GatewayLimits, Number> & Sendable, _ range: ClosedRange<Int>, _ meaning: String
    ) {
        self.name = name
        self.range = range
        self.meaning = meaning
        read = { Int($0[keyPath: path]) }
        write = { $0[keyPath: path] = Number($1) }
    }

    public func value(in limits: GatewayLimits) -> Int { read(limits) }

    /// Sets it; the value is within `range`.
    func set(_ value: Int, in limits: inout GatewayLimits) { write(&limits, value) }

    private static let milliseconds = 1...600_000
    private static let count = 1...1_000_000

    /// All of them, in the order in which a request meets them.
    public static let all: [LimitSetting] = [
        .init("connections", \.connectionsMax, count, "connections of the process; beyond, clients wait in the kernel's backlog"),
        .init(
            "connections_per_address", \.connectionsPerAddressMax, count,
            "of these from one address (IPv6: one /64); beyond, closed at once"),
        .init("request_line_bytes", \.connection.request.requestLineBytesMax, 16...1 << 20, "request line; beyond 414"),
        .init("header_fields", \.connection.request.fieldsMax, 1...64, "header fields of a request; beyond 431"),
        .init("header_bytes", \.connection.request.fieldBytesMax, 16...65_535, "all header fields of a request; beyond 431"),
        .init("body_bytes", \.connection.request.bodyBytesMax, 0...1 << 26, "body of a request; beyond 413"),
        .init("batch_bytes", \.connection.request.largeBodyBytesMax, 0...1 << 26, "body of a batch; beyond 413"),
        .init("requests_per_connection", \.connection.requestsPerConnectionMax, 1...1 << 30, "requests, then the connection is closed"),
        .init(
            "pipelined_requests", \.connection.pipelinedRequestsMax, 1...64,
            "requests of a connection without an answer; beyond, it is not read"),
        .init(
            "pipelined_per_turn", \.connection.pipelinedPerTurnMax, 1...64,
            "requests of a connection that are begun at once; the next ones when others had theirs"),
        .init("request_milliseconds", \.connection.requestMilliseconds, milliseconds, "from a request's first byte to its last; then 408"),
        .init("idle_milliseconds", \.connection.idleMilliseconds, milliseconds, "without a request; then the connection is closed"),
        .init(
            "write_milliseconds", \.connection.writeMilliseconds, milliseconds,
            "for a client to take an answer; then the connection is closed"),
        .init(
            "unread_bytes", \.connection.unwrittenBytesMax, 1...1 << 28,
            "answers that a client has not taken; beyond, its connection is closed"),
        .init(
            "gathered_bytes", \.connection.gatheredBytesMax, 1...1 << 28,
            "answers of a connection that are written together; beyond, before its next request is begun"),
        .init(
            "unsent_bytes", \.connection.unsentBytesMax, 4_096...1 << 30,
            "answers that the kernel takes for a client whose window is full; beyond, they are unread"),
        .init(
            "buffered_bytes", \.bufferedBytesMax, 1 << 16...1 << 40,
            "unfinished requests and unread answers of the process; beyond, the oldest are closed"),
        .init("commands", \.commandsMax, count, "commands under way, of a thread; beyond 503"),
        .init("reads", \.readsMax, count, "reads under way, of a thread; beyond 503"),
        .init("parked", \.parkedMax, count, "clients that wait for an outcome, of a thread; beyond, nobody is made to wait"),
        .init("tenant_writes_per_second", \.tenantWritesPerSecond, 1...10_000_000, "commands of one tenant; beyond 429"),
        .init("tenant_reads_per_second", \.tenantReadsPerSecond, 1...10_000_000, "reads of one tenant; beyond 429"),
        .init("produce_queue", \.produceQueueMax, count, "commands that the log has not acknowledged, of a thread; beyond 503"),
        .init("unacknowledged_milliseconds", \.unacknowledgedMillisecondsMax, milliseconds, "age of the oldest of these; beyond 503"),
        .init(
            "unsettled_milliseconds", \.unsettledMillisecondsMax, milliseconds,
            "age of the oldest command that the ledger has not applied, of a partition; beyond 503"),
        .init("delivery_milliseconds", \.deliveryTimeoutMilliseconds, milliseconds, "for the log to acknowledge a command; then 504"),
        .init("redis_milliseconds", \.redisTimeoutMilliseconds, milliseconds, "for Redis to answer; then the replicas are asked"),
        .init("query_milliseconds", \.queryDeadlineMilliseconds, milliseconds, "for a database to answer; then 503"),
        .init("sessions_per_replica", \.sessionsPerReplica, 1...32, "connections to each replica, of a thread"),
        .init("server_connections", \.connectionsPerServerMax, 2...1_000, "connections of the process to any one database server"),
        .init("near_bytes", \.nearBytes, 0...1 << 32, "copies of values in the process, of a thread; the oldest go; 0 for none"),
        .init("primary_reads_per_second", \.primaryReadsPerSecond, 0...100_000, "reads that the primary is asked for, by a thread"),
        .init("primary_lists_per_second", \.primaryListsPerSecond, 0...100_000, "lists that the primary is asked for, by a thread"),
        .init("replica_lag_milliseconds", \.lagMillisecondsMax, milliseconds, "a replica further behind is left out"),
        .init(
            "revision_wait_milliseconds", \.revisionWaitMilliseconds, milliseconds,
            "for replicas to reach a revision; then the primary is asked"),
        .init("credentials_milliseconds", \.credentialsMilliseconds, milliseconds, "between two readings of the API keys"),
        .init("page_rows", \.pageRowsMax, 1...1_000, "rows of a page; a request for more is 400"),
        .init("drain_delay_milliseconds", \.drainDelayMilliseconds, 0...600_000, "between SIGTERM and the end of accepting"),
        .init(
            "drain_idle_milliseconds", \.connection.drainIdleMilliseconds, milliseconds,
            "for a connection without a request, once accepting has ended"),
        .init("drain_milliseconds", \.drainMilliseconds, milliseconds, "from SIGTERM to the exit"),
    ]
}

extension GatewayLimits {
    /// Takes `name=value` pairs, separated by semicolons or white space.
    ///
    /// - Returns: what is wrong with the first that cannot be taken, as a sentence; nil when all were.
    public mutating func set(_ text: String) -> String? {
        var seen: Set<String> = []
        for part in text.split(whereSeparator: { $0 == ";" || $0.isWhitespace }) {
            let sides = part.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            guard sides.count == 2 else { return "'\(part)' is not allowed: use NAME=VALUE, separated by semicolons" }
            let name = String(sides[0])
            guard let setting = LimitSetting.all.first(where: { $0.name == name }) else {
                return "there is no limit '\(name)': `sluice gateway --show-limits` lists them"
            }
            guard seen.insert(name).inserted else { return "'\(name)' appears more than once" }
            guard let value = Int(sides[1]), setting.range.contains(value) else {
                return "'\(sides[1])' is not allowed for \(name): use \(setting.range.lowerBound) to \(setting.range.upperBound)"
            }
            setting.set(value, in: &self)
            if name == "connections" { connectionsAreGiven = true }
        }
        return nil
    }
}
