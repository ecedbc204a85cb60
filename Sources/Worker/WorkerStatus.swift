internal import Telemetry

/// What the admin listener may know of the worker: written on the worker's loop, read on the admin thread.
final class WorkerStatus: Sendable {
    struct Snapshot: Sendable {
        /// Why the worker does not settle payments; empty when it does.
        var problems: [String] = ["starting"]
        var partitions = 0
        var queuedRecords = 0
        var accountsKnown = 0
        var owedAccounts = 0
        var refusedLeases = 0
        /// Events that are not known to be in their topic.
        var unrelayedEvents = 0
        /// Records in the log behind the last one applied, all partitions.
        var lagRecords: Int64 = 0
    }

    let snapshot = Locked(Snapshot())
    let settled = Counter()
    let declined = Counter()
    let accountsOpened = Counter()
    let changes = Counter()
    let repeated = Counter()
    let conflicts = Counter()
    let deadLetters = Counter()
    let batches = Counter()
    let batchFailures = Counter()
    let batchesDecidedAgain = Counter()
    let batchesFollowing = Counter()
    let batchDuration = DurationHistogram()
    /// From the gateway's acceptance to the commit.
    let settleDuration = DurationHistogram()

    /// The page that Prometheus reads.
    func page(publisherFailures: Counter, repliesTold: Counter, eventsRelayed: Counter?, relayFailures: Counter?) -> MetricsPage {
        var page = MetricsPage()
        func count(_ name: String, _ help: String, _ counter: Counter, _ labels: String = "") {
            page.counter(name, help: help, labels: labels) { counter.value }
        }
        count("sluice_worker_payments_total", "Payments decided.", settled, "outcome=\"settled\"")
        count("sluice_worker_payments_total", "Payments decided.", declined, "outcome=\"declined\"")
        count("sluice_worker_accounts_opened_total", "Accounts opened.", accountsOpened)
        count("sluice_worker_payment_changes_total", "Captures, voids, expiries and refunds that were made.", changes)
        count("sluice_worker_repeated_commands_total", "Commands that had been decided before.", repeated)
        count("sluice_worker_key_conflicts_total", "Other requests under a key that was used.", conflicts)
        count("sluice_worker_dead_letters_total", "Records that could not be read or applied.", deadLetters)
        count("sluice_worker_batches_total", "Transactions committed.", batches)
        count("sluice_worker_batch_failures_total", "Batches that failed and were tried again.", batchFailures)
        count(
            "sluice_worker_batches_decided_again_total", "Batches with an id that had been decided before and was not in memory.",
            batchesDecidedAgain)
        count("sluice_worker_batches_following_total", "Batches sent behind one that was not stored yet.", batchesFollowing)
        count("sluice_worker_publish_failures_total", "Values or replies that Redis did not take.", publisherFailures)
        count("sluice_worker_replies_total", "Outcomes told to waiting gateways.", repliesTold)
        if let eventsRelayed, let relayFailures {
            count("sluice_worker_events_relayed_total", "Events written to their topic, repetitions counted.", eventsRelayed)
            count("sluice_worker_relay_failures_total", "Events that the log did not take and that were written again.", relayFailures)
        }
        page.histogram(
            "sluice_worker_batch_duration_seconds", help: "From forming a batch, or the commit before it, to its commit.", batchDuration)
        page.histogram("sluice_worker_settle_duration_seconds", help: "From a payment's acceptance to its commit.", settleDuration)
        page.gauge("sluice_worker_partitions", help: "Partitions owned.") { Int64(self.snapshot.withLock { $0.partitions }) }
        page.gauge("sluice_worker_queued_records", help: "Records read and not decided.") {
            Int64(self.snapshot.withLock { $0.queuedRecords })
        }
        page.gauge("sluice_worker_accounts_known", help: "Accounts kept in memory.") { Int64(self.snapshot.withLock { $0.accountsKnown }) }
        page.gauge("sluice_worker_owed_accounts", help: "Accounts whose latest value Redis does not have.") {
            Int64(self.snapshot.withLock { $0.owedAccounts })
        }
        page.gauge("sluice_worker_leases_refused", help: "Partitions whose lease Redis refuses, as it knows of a later owner.") {
            Int64(self.snapshot.withLock { $0.refusedLeases })
        }
        page.gauge("sluice_worker_unrelayed_events", help: "Events that are not known to be in their topic.") {
            Int64(self.snapshot.withLock { $0.unrelayedEvents })
        }
        page.gauge("sluice_worker_lag_records", help: "Records in the log behind the last one applied.") {
            self.snapshot.withLock { $0.lagRecords }
        }
        page.gauge("sluice_worker_ready", help: "1 when payments are being settled.") {
            self.snapshot.withLock { $0.problems.isEmpty ? 1 : 0 }
        }
        return page
    }
}
