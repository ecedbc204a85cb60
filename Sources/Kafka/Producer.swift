internal import CRdkafka
public import Loop
public import Telemetry

/// Produces records with `acks=all` and idempotence, and reports what became of each exactly once.
///
/// Used on its loop's thread only. A fatal error of librdkafka's idempotent producer (below 2.3 also without a cause on
/// the broker's side) replaces the client by itself: records of the old one are reported by their own status, new ones
/// go to the new one. Close it before letting it go.
public final class Producer {
    /// What a producer has done since it was made. Counters may be read on any thread.
    public struct Counts: Sendable {
        public let delivered = Counter()
        public let notPersisted = Counter()
        public let possiblyPersisted = Counter()
        /// Clients replaced after a fatal error.
        public let replacements = Counter()
    }
    public let counts = Counts()

    private enum Phase { case open, closing, closed }
    private let loop: EventLoop
    private let configuration: ProducerConfiguration
    private let onReport: (UInt64, DeliveryReport) -> Void
    private let onReplaced: (KafkaError) -> Void
    private var phase = Phase.closed
    private var table: InFlightTable
    private var live: ProducerInstance?
    /// Those that turned fatal, until their last report and then until their threads have ended.
    private var retiring: [ProducerInstance] = []
    private var burials = 0
    private var lastReplacementNanoseconds: UInt64?
    private var lastFatal = KafkaError(RD_KAFKA_RESP_ERR__FATAL, isFatal: true)
    private var flushes: [Flush] = []
    private var closeCompletion: (() -> Void)?
    /// A client that turns fatal at once, again and again, must not be made in a tight loop.
    private static let replacementPauseNanoseconds: UInt64 = 1_000_000_000

    /// - Parameters:
    ///   - onReport: called on the loop, never from within `produce`. It may produce.
    ///   - onReplaced: called on the loop after a fatal error, with its cause, when a new client took over.
    /// - Throws: a set-up error that names the wrong setting. A broker that is away is no error.
    public init(
        loop: EventLoop, configuration: ProducerConfiguration,
        onReport: @escaping (_ token: UInt64, DeliveryReport) -> Void,
        onReplaced: @escaping (KafkaError) -> Void = { _ in }
    ) throws(KafkaError) {
        self.loop = loop
        self.configuration = configuration
        self.onReport = onReport
        self.onReplaced = onReplaced
        table = InFlightTable(capacity: configuration.queueMessagesMax)
        live = try makeInstance()
        phase = .open
    }

    deinit { precondition(phase == .closed, "a producer was released without being closed") }

    /// Records that have no report yet.
    public var inFlight: Int { table.count }

    /// The age of the oldest record that has no report yet; nil when there is none.
    public var oldestUnacknowledgedNanoseconds: UInt64? {
        guard let oldest = table.oldestNanoseconds else { return nil }
        return loop.nowNanoseconds - oldest
    }

    /// Hands a record over; the bytes are copied. Never blocks and makes no system call.
    ///
    /// - Parameters:
    ///   - partition: 0 or more; there is no partitioner.
    ///   - key: empty for a record without a key.
    ///   - timestampMilliseconds: since 1970; 0 for now.
    ///   - token: comes back in the report. The caller keeps it unique if it wants to tell reports apart.
    public func produce(
        topic: String, partition: Int32, key: Span<UInt8>, value: Span<UInt8>, headers: borrowing HeaderList,
        timestampMilliseconds: Int64, token: UInt64
    ) -> ProduceResult {
        precondition(partition >= 0, "a record without a partition")
        precondition(phase != .closed, "a closed producer was used")
        guard phase == .open else { return .refused(KafkaError(RD_KAFKA_RESP_ERR__DESTROY)) }
        guard !table.isFull else { return .queueFull }
        let opaque = table.insert(token: token, nowNanoseconds: loop.nowNanoseconds)
        // The second try is for an instance that turned fatal and whose event was not seen yet.
        for _ in 0..<2 {
            if configuration.isOrdered, !retiring.isEmpty { break }
            guard let instance = live ?? replaceLost() else { break }
            let error = instance.produce(
                topic: topic, partition: partition, key: key, value: value, headers: headers,
                timestampMilliseconds: timestampMilliseconds, opaque: opaque)
            guard let error else { return .queued }
            guard error.isFatal else {
                _ = table.remove(opaque)
                return error.code == RD_KAFKA_RESP_ERR__QUEUE_FULL.rawValue ? .queueFull : .refused(error)
            }
            turnedFatal(instance, error: instance.client.fatalError ?? error)
        }
        _ = table.remove(opaque)
        return .refused(lastFatal)
    }

    /// Waits until nothing is unanswered, or the deadline.
    ///
    /// - Parameter completion: called on the loop, once, with how many records are still unanswered.
    public func flush(deadlineMilliseconds: Int, completion: @escaping (_ unanswered: Int) -> Void) {
        let flush = Flush(completion: completion)
        flush.timer = LoopTimer(loop: loop) { [unowned self, unowned flush] in
            // Held for the call: the list was what kept it.
            let flush = flush
            flushes.removeAll { $0 === flush }
            flush.finish(unanswered: table.count)
        }
        flush.timer?.arm(afterMilliseconds: table.count == 0 ? 0 : deadlineMilliseconds)
        flushes.append(flush)
    }

    /// Ends it: what is unanswered is given up and reported at once (never sent is `notPersisted`, in flight is
    /// `possiblyPersisted`), then the client is freed. `flush` first to wait for answers.
    ///
    /// - Parameter completion: called on the loop when all threads of the client have ended; after every report.
    public func close(completion: @escaping () -> Void = {}) {
        precondition(phase == .open, "a producer was closed twice")
        phase = .closing
        closeCompletion = completion
        for instance in retiring + [live].compactMap(\.self) {
            instance.purge()
            // What moved between queues during the purge is caught by the next one.
            instance.client.wakeEvery(milliseconds: 50)
            instance.client.wakeAgain()
        }
        if live == nil, retiring.isEmpty { settleLater() }
    }

    // MARK: - Instances

    private func makeInstance() throws(KafkaError) -> ProducerInstance {
        // The handler needs the instance, and the instance needs the client that holds the handler.
        let link = InstanceLink()
        let client = try Client(
            loop: loop, role: .producer, settings: configuration.settings, extra: configuration.extra
        ) { [unowned self] in
            if let instance = link.instance { drain(instance) }
        }
        let instance = ProducerInstance(client: client)
        link.instance = instance
        return instance
    }

    private func drain(_ instance: ProducerInstance) {
        if phase == .closing {
            instance.purge()
        } else if configuration.isOrdered, instance !== live {
            // What was in flight comes back into the queue when it is to be sent again; a fatal client sends nothing, and nothing expires.
            instance.purgeQueue()
        }
        let more = instance.drain(
            limit: configuration.reportsPerTurnMax,
            onReport: { [self] opaque, report in answer(opaque, report) },
            onFatal: { [self] error in turnedFatal(instance, error: error) })
        if more { instance.client.wakeAgain() }
        settle()
    }

    private func answer(_ opaque: UInt64, _ report: DeliveryReport) {
        guard let token = table.remove(opaque) else { preconditionFailure("librdkafka reported a record twice") }
        switch report {
        case .delivered: counts.delivered.add()
        case .notPersisted: counts.notPersisted.add()
        case .possiblyPersisted: counts.possiblyPersisted.add()
        }
        onReport(token, report)
    }

    /// An instance that turned fatal sends nothing more. librdkafka has failed what it had not sent; what it had sent
    /// is reported when its answer comes or its time is up.
    private func turnedFatal(_ instance: ProducerInstance, error: KafkaError) {
        guard live === instance else { return }
        live = nil
        lastFatal = error
        retiring.append(instance)
        if configuration.isOrdered { instance.client.wakeEvery(milliseconds: 50) }
        instance.client.wakeAgain()
        Log.error("the Kafka producer turned fatal", .text("error", error.name), .integer("unanswered", instance.unanswered))
        if phase == .open { _ = replaceLost() }
    }

    /// Nil within the pause after the last replacement, or when the system gives no new client.
    private func replaceLost() -> ProducerInstance? {
        let now = loop.nowNanoseconds
        if let last = lastReplacementNanoseconds, now - last < Self.replacementPauseNanoseconds { return nil }
        lastReplacementNanoseconds = now
        do throws(KafkaError) {
            let instance = try makeInstance()
            live = instance
            counts.replacements.add()
            onReplaced(lastFatal)
            return instance
        } catch {
            Log.error("no new Kafka producer could be made", .text("error", error.description))
            lastFatal = error
            return nil
        }
    }

    // MARK: - Ends

    /// Finishes what waits for reports. Not from within `ProducerInstance.drain`.
    private func settle() {
        for instance in retiring where instance.unanswered == 0 { bury(instance) }
        retiring.removeAll { $0.unanswered == 0 }
        if table.count == 0 {
            let done = flushes
            flushes = []
            for flush in done { flush.finish(unanswered: 0) }
        }
        guard phase == .closing else { return }
        if let instance = live, instance.unanswered == 0 {
            live = nil
            bury(instance)
        }
        if live == nil, retiring.isEmpty, burials == 0 { finishClose() }
    }

    private func bury(_ instance: ProducerInstance) {
        burials += 1
        instance.shutDown(loop: loop) { [self] in
            burials -= 1
            settle()
        }
    }

    private func settleLater() {
        flush(deadlineMilliseconds: 0) { [self] _ in settle() }
    }

    private func finishClose() {
        phase = .closed
        let completion = closeCompletion
        closeCompletion = nil
        completion?()
    }
}

/// Someone who waits until nothing is unanswered.
private final class Flush {
    var timer: LoopTimer?
    private var completion: ((Int) -> Void)?

    init(completion: @escaping (Int) -> Void) { self.completion = completion }

    func finish(unanswered: Int) {
        timer?.cancel()
        let completion = completion
        self.completion = nil
        completion?(unanswered)
    }
}

private final class InstanceLink {
    weak var instance: ProducerInstance?
}
