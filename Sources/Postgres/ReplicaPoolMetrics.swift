internal import Pool
public import Telemetry

/// What pools of replicas count. One may be shared by the pools of all threads, as long as they have the same replicas.
public struct ReplicaPoolMetrics: Sendable {
    /// Executions sent to a replica, and to the primary.
    public let onReplicas = Counter()
    public let onPrimary = Counter()
    /// Executions that a late replica served because there was nobody else.
    public let onLate = Counter()
    /// What the primary may be asked for in a second, by all pools together; reads that it was not asked for since that was used up, or the
    /// asker's share of it.
    public let primaryPerSecond = Gauge()
    public let primaryUsedUp = Counter()
    public let primaryOverShare = Counter()
    /// Executions refused because nobody could serve.
    public let refused = Counter()
    /// Executions repeated on another server.
    public let retried = Counter()
    /// Executions that a server was asked to stop, because nobody waited for them any more.
    public let cancelled = Counter()
    /// Times that a replica left the serving ones.
    public let ejections = Counter()
    /// `PoolMachine.ReplicaState` and lag of each replica, as the last pool to look saw them.
    public let states: [Gauge]
    public let lagMilliseconds: [Gauge]

    public init(replicas: Int) {
        states = (0..<replicas).map { _ in Gauge() }
        lagMilliseconds = (0..<replicas).map { _ in Gauge() }
    }

    /// Adds the reads by kind of server, for a pool beside the one whose replicas' states are shown.
    ///
    /// - Parameter use: what the pool is for.
    public func addReads(to page: inout MetricsPage, use: String) {
        for (server, counter) in [("replica", onReplicas), ("primary", onPrimary), ("late_replica", onLate), ("nobody", refused)] {
            page.counter(
                "sluice_replica_other_reads_total", help: "Reads of another kind sent to PostgreSQL, by kind of server.",
                labels: "use=\"\(use)\",server=\"\(server)\""
            ) { counter.value }
        }
        addUse(to: &page, use: use)
    }

    private func addUse(to page: inout MetricsPage, use: String) {
        let cancelled = cancelled
        page.counter(
            "sluice_replica_reads_cancelled_total", help: "Reads that a server was asked to stop, because their clients had gone.",
            labels: "use=\"\(use)\""
        ) { cancelled.value }
        let perSecond = primaryPerSecond
        page.gauge(
            "sluice_primary_budget_reads_per_second", help: "Reads that the primary may be asked for in a second, by all threads.",
            labels: "use=\"\(use)\""
        ) { perSecond.value }
        for (reason, counter) in [("used_up", primaryUsedUp), ("over_share", primaryOverShare)] {
            page.counter(
                "sluice_primary_budget_refused_total",
                help: "Reads that the primary was not asked for: the budget was used up, or the tenant's share of it.",
                labels: "use=\"\(use)\",reason=\"\(reason)\""
            ) { counter.value }
        }
    }

    /// Adds all of it to a process's page.
    public func add(to page: inout MetricsPage) {
        addUse(to: &page, use: "reads")
        let counters: [(String, String, Counter)] = [
            ("replica", "sluice_replica_reads_total", onReplicas), ("primary", "sluice_replica_reads_total", onPrimary),
            ("late_replica", "sluice_replica_reads_total", onLate),
        ]
        for (server, name, counter) in counters {
            page.counter(name, help: "Reads sent to PostgreSQL, by kind of server.", labels: "server=\"\(server)\"") { counter.value }
        }
        let (refused, retried, ejections) = (refused, retried, ejections)
        page.counter("sluice_replica_reads_refused_total", help: "Reads that no server could take.") { refused.value }
        page.counter("sluice_replica_reads_retried_total", help: "Reads repeated on another server.") { retried.value }
        page.counter("sluice_replica_ejections_total", help: "Times a replica left the serving ones.") { ejections.value }
        page.counter(
            "sluice_replica_cancels_dropped_total",
            help: "Requests to stop a read that were not sent: too many waited for a server, or too long."
        ) { Canceller.dropped.value }
        for index in states.indices {
            let (state, lag) = (states[index], lagMilliseconds[index])
            page.seconds(
                "sluice_replica_lag_seconds", help: "How far a replica is behind.", labels: "replica=\"\(index)\"", partsPerSecond: 1_000
            ) { lag.value }
            for candidate in PoolMachine.ReplicaState.allCases {
                page.gauge(
                    "sluice_replica_state", help: "1 for the state a replica is in.", labels: "replica=\"\(index)\",state=\"\(candidate)\""
                ) { state.value == Int64(candidate.rawValue) ? 1 : 0 }
            }
        }
    }
}
