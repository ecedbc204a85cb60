internal import HTTP1
internal import Telemetry

/// What one thread of a gateway counts; read by the admin thread.
final class GatewayCounters: Sendable {
    let answered2xx = Counter()
    let answered3xx = Counter()
    let answered4xx = Counter()
    let answered5xx = Counter()
    /// Commands produced, each time.
    let produced = Counter()
    /// Commands that the log has acknowledged.
    let accepted = Counter()
    /// Commands refused at the door because the log is behind or a bound is reached.
    let refusedAtDoor = Counter()
    /// Requests beyond their tenant's quota.
    let tooMany = Counter()
    let spentElsewhere = Counter()
    let notPersisted = Counter()
    let outcomeUnknown = Counter()
    /// Requests that joined one in flight.
    let joined = Counter()
    /// Commands whose key was used before.
    let repeated = Counter()
    /// Waiting clients that were told the outcome, and those whose time ran out.
    let waitsDecided = Counter()
    let waitsExpired = Counter()
    /// Outcomes told by workers that nobody here waits for any more.
    let lateWords = Counter()
    /// Reads served from copies in the process, and changes that Redis told of.
    let nearHits = Counter()
    let invalidations = Counter()
    /// Reads served from Redis, those that had to ask a database, and those that joined such a question.
    let cacheHits = Counter()
    let cacheMisses = Counter()
    let sharedMisses = Counter()
    /// Values in Redis that were not believed: the worker's lease was not good.
    let unbelieved = Counter()
    /// Bytes that the thread has allocated.
    let allocated = Counter()
    /// Reads that a replica answered below what was promised.
    let replicaTooOld = Counter()
    /// Reads given up because their client has left.
    let abandoned = Counter()
    /// From a command's arrival to the log's acknowledgement.
    let acceptDuration = DurationHistogram()
    /// From a waiting command's arrival to its outcome.
    let outcomeDuration = DurationHistogram()

    let commands = Gauge()
    let parked = Gauge()
    let reads = Gauge()
    let unacknowledged = Gauge()
    let oldestUnacknowledgedMilliseconds = Gauge()
    let unsettledMilliseconds = Gauge()
    let credentials = Gauge()
    let redisReady = Gauge()
    let nearReady = Gauge()
    let nearBytes = Gauge()
    let wordsReady = Gauge()

    init() {}

    func count(_ status: Status) {
        switch status.rawValue / 100 {
        case 2: answered2xx.add()
        case 3: answered3xx.add()
        case 4: answered4xx.add()
        default: answered5xx.add()
        }
    }

    /// - Parameter labels: names the thread.
    func register(on page: inout MetricsPage, labels: String) {
        for (status, counter) in [("2xx", answered2xx), ("3xx", answered3xx), ("4xx", answered4xx), ("5xx", answered5xx)] {
            page.counter("sluice_gateway_answers_total", help: "Answers by status.", labels: labels + ",status=\"\(status)\"") {
                counter.value
            }
        }
        let counters: [(String, String, Counter)] = [
            ("commands_produced_total", "Commands handed to the log's client.", produced),
            ("commands_accepted_total", "Commands that the log has acknowledged.", accepted),
            ("commands_refused_total", "Commands refused before producing.", refusedAtDoor),
            ("too_many_requests_total", "Requests beyond their tenant's quota.", tooMany),
            ("requests_elsewhere_total", "Requests that other gateways let through and that count for the quotas here.", spentElsewhere),
            ("commands_not_persisted_total", "Commands that the log did not take.", notPersisted),
            ("commands_outcome_unknown_total", "Commands that the log may have taken.", outcomeUnknown),
            ("commands_joined_total", "Requests that joined one in flight under the same key.", joined),
            ("commands_repeated_total", "Requests under a key that was used before.", repeated),
            ("waits_decided_total", "Waiting clients that were told the outcome.", waitsDecided),
            ("waits_expired_total", "Waiting clients whose time ran out.", waitsExpired),
            ("late_words_total", "Outcomes told by workers that nobody waits for any more.", lateWords),
            ("allocated_bytes_total", "Bytes that the thread has allocated, freed ones included.", allocated),
            ("near_hits_total", "Reads served from copies in the process.", nearHits),
            ("near_invalidations_total", "Changes of values that Redis told of.", invalidations),
            ("cache_unbelieved_total", "Values in Redis passed over because no worker vouched for them.", unbelieved),
            ("cache_hits_total", "Reads served from Redis.", cacheHits),
            ("cache_misses_total", "Reads that a database was asked for.", cacheMisses),
            ("cache_shared_misses_total", "Reads that waited for another's question to a database.", sharedMisses),
            ("replica_too_old_total", "Answers of a replica below what was promised.", replicaTooOld),
            ("reads_abandoned_total", "Reads given up because their client has left.", abandoned),
        ]
        for (name, help, counter) in counters { page.counter("sluice_gateway_" + name, help: help, labels: labels) { counter.value } }
        let gauges: [(String, String, Gauge)] = [
            ("commands", "Commands under way.", commands), ("parked_clients", "Clients that wait for an outcome.", parked),
            ("reads", "Reads under way.", reads), ("unacknowledged_commands", "Commands produced and not acknowledged.", unacknowledged),
            ("credentials", "API keys that are known.", credentials), ("redis_ready", "1 while Redis takes commands.", redisReady),
            ("near_ready", "1 while copies in the process are kept and shown.", nearReady),
            ("near_bytes", "Memory set aside for copies in the process.", nearBytes),
            ("words_ready", "1 while workers' words are heard.", wordsReady),
        ]
        for (name, help, gauge) in gauges { page.gauge("sluice_gateway_" + name, help: help, labels: labels) { gauge.value } }
        let ages: [(String, String, Gauge)] = [
            ("oldest_unacknowledged_seconds", "Age of the oldest command not acknowledged.", oldestUnacknowledgedMilliseconds),
            ("unsettled_seconds", "Age of the oldest command that the log has and the ledger has not.", unsettledMilliseconds),
        ]
        for (name, help, gauge) in ages {
            page.seconds("sluice_gateway_" + name, help: help, labels: labels, partsPerSecond: 1_000) { gauge.value }
        }
        page.histogram(
            "sluice_gateway_accept_duration_seconds", help: "From a command's arrival to the log's acknowledgement.", labels: labels,
            acceptDuration)
        page.histogram(
            "sluice_gateway_outcome_duration_seconds", help: "From a waiting command's arrival to its outcome.", labels: labels,
            outcomeDuration)
    }
}
