internal import CSystem
internal import Glibc
internal import Kafka
internal import Loop
internal import Postgres
internal import Redis
internal import Server
internal import Telemetry

/// Serves the API.
public enum GatewayRole {
    /// What a thread tells the main thread.
    private enum News: Sendable {
        case started(thread: Int, longestTurn: Gauge, producer: Producer.Counts?)
        case failed(String)
        case ended
    }

    /// Runs until SIGTERM or SIGINT; a second signal ends the process at once with 1.
    ///
    /// Called once, on the main thread, before any other thread is started.
    /// - Returns: the process's exit code: 0 after a clean stop, 2 when a setting is wrong.
    public static func run(_ options: GatewayOptions) -> Int32 {
        if let problem = options.problem { return refuse(problem) }
        var options = options
        let descriptors = Int(clamping: sluice_descriptor_limit_raise())
        if let problem = options.limits.fit(descriptorsMax: descriptors, others: options.otherDescriptors) { return refuse(problem) }
        do throws(SocketError) {
            if let listen = options.listen { try Listener.requireFree(listen) }
        } catch {
            return refuse("\(error)")
        }
        let supervisor = Supervisor(options)
        return supervisor.run()
    }

    private static func refuse(_ problem: String) -> Int32 {
        Log.error("cannot start", .text("problem", problem))
        return 2
    }

    /// The main thread's part: threads, signals, admin listener.
    private final class Supervisor {
        private let loop = EventLoop()
        private let options: GatewayOptions
        private let shared: GatewayLoop.Shared
        private let news: Mailbox<News>
        private let stops: [Mailbox<Void>]
        private var threads: [LoopThread] = []
        private var longestTurns: [Int: Gauge] = [:]
        private var producers: [Int: Producer.Counts] = [:]
        private var admin: AdminServer?
        private var ended = 0
        private var problem: String?
        private var isStopping = false

        init(_ options: GatewayOptions) {
            self.options = options
            let count = options.threads
            shared = GatewayLoop.Shared(
                options: options, status: GatewayStatus(threads: count), pool: ReplicaPoolMetrics(replicas: options.replicas.count),
                listPool: ReplicaPoolMetrics(replicas: options.replicas.count),
                quota: ConnectionQuota(
                    connectionsMax: options.limits.connectionsMax, perAddressMax: options.limits.connectionsPerAddressMax),
                writes: TenantQuotas("writes", perSecond: options.limits.tenantWritesPerSecond),
                reads: TenantQuotas("reads", perSecond: options.limits.tenantReadsPerSecond),
                counters: (0..<count).map { _ in GatewayCounters() }, servers: (0..<count).map { _ in ServerCounters() },
                redis: (0..<count).map { _ in RedisMetrics() })
            news = Mailbox(capacity: 2 * count)
            stops = (0..<count).map { _ in Mailbox(capacity: 1) }
        }

        func run() -> Int32 {
            // Before any thread is started: they inherit the blocked signals.
            let signals = SignalWatch(loop: loop, signals: [SIGTERM, SIGINT]) { [unowned self] _ in
                if isStopping { exit(1) }
                stop()
            }
            let receiver = MailboxReceiver(loop: loop, mailbox: news) { [unowned self] in heard($0) }
            threads = stops.indices.map { GatewayRole.start($0, shared, stop: stops[$0], news: news) }
            withExtendedLifetime((signals, receiver, LogSweep(loop: loop))) { loop.run() }
            for thread in threads { thread.join() }
            admin?.close()
            Log.tellLeftOut(isEnding: true)
            if let problem { return GatewayRole.refuse(problem) }
            Log.info("gateway stopped")
            return 0
        }

        private func stop() {
            guard !isStopping else { return }
            isStopping = true
            shared.status.beginDraining()
            for mailbox in stops { _ = mailbox.send(()) }
        }

        private func heard(_ message: News) {
            switch message {
            case .started(let thread, let longestTurn, let producer):
                longestTurns[thread] = longestTurn
                producers[thread] = producer
                if longestTurns.count == options.threads, problem == nil { serveAdmin() }
            case .failed(let reason):
                problem = problem ?? reason
                ended += 1
                stop()
            case .ended: ended += 1
            }
            if ended == options.threads { loop.stop() }
        }

        private func serveAdmin() {
            let page = page()
            let status = shared.status
            let audit = options.auditMetrics.map { AuditFigures(path: $0) }
            do throws(SocketError) {
                let admin = try AdminServer(
                    address: options.admin, name: options.name, problems: { status.problems },
                    metrics: { page.render() + (audit?.text ?? "") })
                self.admin = admin
                Log.info(
                    "gateway started", .text("admin", admin.address.description), .text("role", options.role.rawValue),
                    .integer("threads", options.threads), .integer("connections_max", options.limits.connectionsMax))
            } catch {
                problem = "the admin listener: \(error)"
                stop()
            }
        }

        private func page() -> MetricsPage {
            var page = MetricsPage()
            for thread in 0..<options.threads {
                let labels = "thread=\"\(thread)\""
                shared.counters[thread].register(on: &page, labels: labels)
                shared.redis[thread].register(on: &page, labels: labels)
                shared.servers[thread].register(on: &page, labels: labels)
                if let gauge = longestTurns[thread] {
                    page.seconds(
                        "sluice_gateway_longest_turn_seconds", help: "The longest turn of a loop since its start.", labels: labels,
                        partsPerSecond: 1_000_000_000
                    ) { gauge.value }
                }
                if let counts = producers[thread] {
                    page.counter(
                        "sluice_gateway_producer_replacements_total", help: "Kafka clients replaced after a fatal error.", labels: labels
                    ) {
                        counts.replacements.value
                    }
                }
            }
            shared.pool.add(to: &page)
            shared.listPool.addReads(to: &page, use: "lists")
            let status = shared.status
            page.gauge("sluice_gateway_ready", help: "1 when requests can be served.") { status.problems.isEmpty ? 1 : 0 }
            return page
        }
    }

    /// One loop thread; what it makes lives and dies there.
    private static func start(_ thread: Int, _ shared: GatewayLoop.Shared, stop: Mailbox<Void>, news: Mailbox<News>) -> LoopThread {
        LoopThread(name: "gateway-\(thread)") { loop in
            let gateway: GatewayLoop
            do throws(StartProblem) {
                gateway = try GatewayLoop(loop: loop, shared: shared, thread: thread)
            } catch {
                _ = news.send(.failed(error.description))
                return
            }
            let receiver = MailboxReceiver(loop: loop, mailbox: stop) { gateway.drain() }
            _ = news.send(.started(thread: thread, longestTurn: loop.longestTurnNanoseconds, producer: gateway.producerCounts))
            withExtendedLifetime((receiver, gateway)) { loop.run() }
            _ = news.send(.ended)
        }
    }
}

extension ServerCounters {
    /// Adds the counters to a page; `labels` as they stand between the braces.
    fileprivate func register(on page: inout MetricsPage, labels: String) {
        page.counter("sluice_http_connections_total", help: "Connections accepted.", labels: labels) { self.accepted.value }
        page.counter("sluice_http_requests_total", help: "Requests read.", labels: labels) { self.requests.value }
        page.counter("sluice_http_refused_total", help: "Requests that the parser refused.", labels: labels) { self.refused.value }
        let counters: [(String, String, Counter)] = [
            ("address_refusals_total", "Connections closed at once, because their address has its share.", refusedAddresses),
            ("accept_pauses_total", "Times that accepting paused at the limit of connections.", acceptPauses),
            ("descriptor_exhaustions_total", "Times that the system had no descriptor for a connection.", exhaustions),
            ("shed_connections_total", "Connections closed because slow clients held too much memory.", shed),
            ("put_off_total", "Times that pipelined requests were left for a later turn.", putOff),
            ("request_timeouts_total", "Requests that did not arrive in time.", requestTimeouts),
            ("write_timeouts_total", "Connections whose client did not take its answer in time.", writeTimeouts),
        ]
        for (name, help, counter) in counters { page.counter("sluice_http_" + name, help: help, labels: labels) { counter.value } }
        page.gauge("sluice_http_buffered_bytes", help: "Unfinished requests and unread answers.", labels: labels) { self.buffered.value }
        page.gauge("sluice_http_connections", help: "Open connections.", labels: labels) { self.open.value }
    }
}

/// What keeps a gateway from starting: a sentence.
struct StartProblem: Error, CustomStringConvertible {
    let description: String
}
