internal import Glibc
internal import Kafka
internal import Loop
internal import Postgres
internal import Redis
internal import Server
internal import Store
internal import Synchronization
internal import Telemetry

/// Consumes the log and owns the ledger's transactions.
public enum WorkerRole {
    /// Runs until SIGTERM or SIGINT; a second signal ends the process at once with 1.
    ///
    /// Called once, on the main thread, before any other thread is started.
    /// - Returns: the process's exit code: 0 after a clean stop, 2 when a setting is wrong.
    public static func run(_ options: WorkerOptions) -> Int32 {
        if let problem = options.limits.problem { return refuse(problem) }
        do {
            try options.database.validate()
        } catch {
            return refuse("the database setting cannot be used: \(error)")
        }
        var options = options
        options.redis.setUp = RedisFunctions.setUp
        options.database.applicationName = options.name
        // A commit that waits for a standby keeps its locks after its connection was given up. Those that come after it are
        // turned back soon and try again, instead of leaving one more waiting backend behind at each deadline.
        options.database.setUp = ["SET lock_timeout = '2s'", SchemaCheck.setUp]

        let loop = EventLoop()
        let status = WorkerStatus()
        let worker: WorkerLoop
        do throws(KafkaError) {
            worker = try WorkerLoop(loop: loop, options: options, status: status)
        } catch {
            return refuse(error.description)
        }
        var signalsSeen = 0
        let signals = SignalWatch(loop: loop, signals: [SIGTERM, SIGINT]) { _ in
            signalsSeen += 1
            if signalsSeen > 1 { exit(1) }
            worker.stop()
        }
        let page = status.page(
            publisherFailures: worker.publisher.failures, repliesTold: worker.publisher.repliesTold, eventsRelayed: worker.relay?.relayed,
            relayFailures: worker.relay?.failures)
        let stall = loop.longestTurnNanoseconds
        var metrics = page
        metrics.seconds(
            "sluice_worker_longest_turn_seconds", help: "The longest turn of the worker's loop since its start.",
            partsPerSecond: 1_000_000_000
        ) { stall.value }
        let rendered = metrics
        let admin: AdminServer
        do throws(SocketError) {
            admin = try AdminServer(
                address: options.admin, name: options.name, problems: { status.snapshot.withLock { $0.problems } },
                metrics: { rendered.render() })
        } catch {
            return refuse("the admin listener: \(error)")
        }
        Log.info("worker started", .text("admin", admin.address.description))
        withExtendedLifetime((signals, worker, LogSweep(loop: loop))) { loop.run() }
        admin.close()
        Log.tellLeftOut(isEnding: true)
        Log.info("worker stopped")
        return 0
    }

    private static func refuse(_ problem: String) -> Int32 {
        Log.error("cannot start", .text("problem", problem))
        return 2
    }
}
