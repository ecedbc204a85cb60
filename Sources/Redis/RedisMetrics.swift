public import Telemetry

/// What sessions and subscribers count. One may be shared by those of several threads.
public final class RedisMetrics: Sendable {
    /// Commands taken by `send`.
    public let commands = Counter()
    /// Commands not taken: not ready, or too many in flight.
    public let refused = Counter()
    /// Commands given up on.
    public let timedOut = Counter()
    /// Commands whose connection went.
    public let lost = Counter()
    /// Replies that came after their command was given up on.
    public let lateReplies = Counter()
    /// Connections that became ready.
    public let connections = Counter()
    /// Times that commands were sent: at most once a turn and session unless the socket was full.
    public let writes = Counter()

    public init() {}

    /// Adds the counters to a page; `labels` as they stand between the braces.
    public func register(on page: inout MetricsPage, labels: String = "") {
        let table: [(String, String, Counter)] = [
            ("sluice_redis_commands_total", "Commands sent to Redis.", commands),
            ("sluice_redis_commands_refused_total", "Commands not sent: no ready connection or too many in flight.", refused),
            ("sluice_redis_commands_timed_out_total", "Commands without an answer in time.", timedOut),
            ("sluice_redis_commands_lost_total", "Commands whose connection was lost.", lost),
            ("sluice_redis_late_replies_total", "Replies dropped because their command had timed out.", lateReplies),
            ("sluice_redis_connections_total", "Connections that became ready.", connections),
            ("sluice_redis_writes_total", "Writes to Redis sockets.", writes),
        ]
        for (name, help, counter) in table { page.counter(name, help: help, labels: labels) { counter.value } }
    }
}
