internal import CRdkafka
public import Loop
internal import Telemetry

/// A member of a consumer group that starts every partition at an offset its owner names.
///
/// Used on its loop's thread only; all handlers are called there. The order of things for a partition: `onAssigned`,
/// the owner finds its offset and calls `start`, `onRecords` any number of times, `onRevoked`, the owner ends its work and
/// calls `finishRevocation`. Offsets are never committed by themselves, and an offset that the log does not have is an
/// error, never a jump. Close it before letting it go.
public final class Consumer {
    /// What the log holds of a partition.
    public struct Watermarks: Equatable, Sendable {
        /// The oldest offset; nil when it is not known yet.
        public let low: Int64?
        /// The offset the next record will get.
        public let high: Int64
    }

    private enum Phase {
        case open
        /// A static member gives its partitions back and tells the group that it goes.
        case leaving
        case closing, freeing, closed
    }

    /// How long a group may take to be left, milliseconds; a broker that does not answer keeps nobody from stopping.
    private static let leavingMillisecondsMax: UInt64 = 2_000
    private static let closingTurnMilliseconds = 20
    private let loop: EventLoop
    private let configuration: ConsumerConfiguration
    private let onAssigned: ([Int32]) -> Void
    private let onRevoked: ([Int32], Bool) -> Void
    private let onRecords: (borrowing RecordBatch) -> Void
    private let onError: (Int32?, KafkaError) -> Void
    private var client: Client?
    private var phase = Phase.closed
    /// What the group gave this member; a part of it is started.
    private var assigned: [Int32] = []
    private var started: [PartitionQueue] = []
    /// Where the next turn begins, so that the first partition does not always come first.
    private var rotation = 0
    private var startsChanged = false
    private var isRevoking = false
    private var gathered = GatheredRecords()
    private var closeQueue: CloseQueue?
    private var leavesUntil: UInt64 = 0
    private var closeCompletion: (() -> Void)?

    /// Joins the group. Nothing flows before `start`.
    ///
    /// - Parameters:
    ///   - onAssigned: the partitions this member owns from now on.
    ///   - onRevoked: they are to be given back. `lost` means that another member may own them already. No more
    ///     records come; the group waits until `finishRevocation`, at most the maximum poll interval (5 minutes).
    ///   - onRecords: records in the order of the log, lent for the call.
    ///   - onError: an error of one partition or of the client. After an offset out of range the partition stands
    ///     still. After a fatal one (`FENCED_INSTANCE_ID`) the consumer is useless: close it.
    /// - Throws: a set-up error that names the wrong setting. A broker that is away is no error.
    public init(
        loop: EventLoop, configuration: ConsumerConfiguration,
        onAssigned: @escaping ([Int32]) -> Void,
        onRevoked: @escaping (_ partitions: [Int32], _ lost: Bool) -> Void,
        onRecords: @escaping (borrowing RecordBatch) -> Void,
        onError: @escaping (_ partition: Int32?, KafkaError) -> Void
    ) throws(KafkaError) {
        self.loop = loop
        self.configuration = configuration
        self.onAssigned = onAssigned
        self.onRevoked = onRevoked
        self.onRecords = onRecords
        self.onError = onError
        let client = try Client(
            loop: loop, role: .consumer, settings: configuration.settings, extra: configuration.base.extra
        ) { [unowned self] in turn() }
        self.client = client
        let topics = PartitionList(topic: configuration.topic)
        topics.add(RD_KAFKA_PARTITION_UA)
        let code = unsafe rd_kafka_subscribe(client.raw, topics.raw)
        guard code == RD_KAFKA_RESP_ERR_NO_ERROR else {
            client.shutDown(loop: loop) {}
            throw KafkaError(code, detail: "Kafka topic \"\(configuration.topic)\" cannot be subscribed to")
        }
        phase = .open
    }

    deinit { precondition(phase == .closed, "a consumer was released without being closed") }

    /// Lets the records of an assigned partition flow from this offset on (0 or more). In the same turn for as many
    /// partitions as possible: a later start makes those that flow fetch again what waits.
    public func start(partition: Int32, offset: Int64) {
        precondition(offset >= 0, "an offset below 0")
        guard let client, phase == .open, !isRevoking, assigned.contains(partition) else { return }
        precondition(!started.contains { $0.partition == partition }, "a partition was started twice")
        guard let queue = PartitionQueue(client: client, topic: configuration.topic, partition: partition, offset: offset) else {
            onError(partition, KafkaError(RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION))
            return
        }
        started.append(queue)
        startsChanged = true
        client.wakeAgain()
    }

    /// No records of this partition from the next one on, until `resume`. What was fetched waits; costs nothing.
    public func pause(partition: Int32) { started.first { $0.partition == partition }?.isPaused = true }

    public func resume(partition: Int32) {
        guard let queue = started.first(where: { $0.partition == partition }), queue.isPaused else { return }
        queue.isPaused = false
        client?.wakeAgain()
    }

    /// Gives the revoked partitions back. Called once after each `onRevoked`, from within it or later.
    public func finishRevocation() {
        precondition(isRevoking, "no revocation is under way")
        isRevoking = false
        dropAssignment()
        client?.wakeAgain()
    }

    /// Ends the flow of this partition, which stays assigned, until it is started anew. What was fetched is dropped.
    public func end(partition: Int32) {
        guard !isRevoking, let index = started.firstIndex(where: { $0.partition == partition }) else { return }
        started.remove(at: index).free()
        startsChanged = true
        client?.wakeAgain()
    }

    /// What the last answer of the broker said; asks nobody. Nil before the first.
    public func watermarks(partition: Int32) -> Watermarks? {
        guard let client else { return nil }
        var low: Int64 = -1
        var high: Int64 = -1
        let code = unsafe rd_kafka_get_watermark_offsets(client.raw, configuration.topic, partition, &low, &high)
        guard code == RD_KAFKA_RESP_ERR_NO_ERROR, high >= 0 else { return nil }
        return Watermarks(low: low >= 0 ? low : nil, high: high)
    }

    /// The cluster's identity as the last metadata told it; nil before that, or when the broker has none.
    public var clusterID: String? { client?.clusterID }

    /// Tells the group how far this member is, so that tools that show lag see it. Best effort, asynchronous; nothing
    /// here ever reads it back. An offset is that of the next record to apply.
    public func commit(_ offsets: [(partition: Int32, offset: Int64)]) {
        guard let client, phase == .open, !offsets.isEmpty else { return }
        let list = PartitionList(topic: configuration.topic, capacity: offsets.count)
        for (partition, offset) in offsets { list.add(partition, offset: offset) }
        unsafe rd_kafka_commit(client.raw, list.raw, 1)
    }

    /// Leaves the group. Assigned partitions are revoked first, so `finishRevocation` may be needed.
    ///
    /// - Parameters:
    ///   - keepsPlace: whether a static member only falls silent: its partitions wait for it until the session time-out, and if it is back
    ///     by then, nobody else is disturbed. Else they go to the others at once.
    ///   - completion: called on the loop when all threads of the client have ended.
    public func close(keepsPlace: Bool = false, completion: @escaping () -> Void = {}) {
        precondition(phase == .open, "a consumer was closed twice")
        guard let client else { preconditionFailure("an open consumer without a client") }
        closeCompletion = completion
        client.wakeEvery(milliseconds: Self.closingTurnMilliseconds)
        if keepsPlace || configuration.instanceID == nil || client.memberID == nil {
            beginClosing(client)
        } else {
            // Closing sends no word of a static member (KIP-345); giving up its subscription does.
            phase = .leaving
            leavesUntil = Clock.monotonicMilliseconds + Self.leavingMillisecondsMax
            unsafe rd_kafka_unsubscribe(client.raw)
        }
        client.wakeAgain()
    }

    private func beginClosing(_ client: Client) {
        phase = .closing
        closeQueue = CloseQueue(client: client)
    }

    // MARK: - Turns

    private func turn() {
        guard let client else { return }
        // Whoever is called here may close this consumer and let it go.
        withExtendedLifetime(self) {
            while let event = unsafe client.nextEvent() { unsafe handle(event, client) }
            if let closeQueue {
                while let event = unsafe closeQueue.nextEvent() { unsafe handle(event, client) }
            }
            if startsChanged, phase == .open, !isRevoking { applyStarts(client) }
            if phase == .open, !isRevoking { handOutRecords(client) }
            if phase == .leaving, !isRevoking {
                // An id that is forgotten was sent to the group's coordinator as that of one who leaves.
                if client.memberID == nil || Clock.monotonicMilliseconds >= leavesUntil { beginClosing(client) }
            }
            if phase == .closing, !isRevoking, closeQueue?.isClosed == true { free() }
        }
    }

    private func handle(_ event: OpaquePointer, _ client: Client) {
        defer { unsafe rd_kafka_event_destroy(event) }
        switch unsafe rd_kafka_event_type(event) {
        case RD_KAFKA_EVENT_REBALANCE: unsafe rebalance(event, client)
        case RD_KAFKA_EVENT_ERROR:
            let partition = unsafe rd_kafka_event_topic_partition(event)
            let number: Int32? = unsafe partition.map { unsafe $0.pointee.partition }.flatMap { $0 >= 0 ? $0 : nil }
            if let partition = unsafe partition { unsafe rd_kafka_topic_partition_destroy(partition) }
            unsafe onError(number, client.error(of: event))
        case RD_KAFKA_EVENT_OFFSET_COMMIT:
            let code = unsafe rd_kafka_event_error(event)
            if code != RD_KAFKA_RESP_ERR_NO_ERROR {
                Log.debug("offsets for lag tools were not committed", .text("error", KafkaError(code).name))
            }
        case RD_KAFKA_EVENT_LOG: unsafe ClientLog.write(event)
        // Records come through the partitions' own queues; the rest is of no use here.
        default: break
        }
    }

    private func rebalance(_ event: OpaquePointer, _ client: Client) {
        let partitions = unsafe PartitionList.partitions(of: rd_kafka_event_topic_partition_list(event))
        switch unsafe rd_kafka_event_error(event) {
        case RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS where phase == .open:
            // An empty assignment at once: the group is not held up while the owner looks for its offsets.
            assign(client, [])
            assigned = partitions
            onAssigned(partitions)
        case RD_KAFKA_RESP_ERR__REVOKE_PARTITIONS where !assigned.isEmpty && !isRevoking:
            isRevoking = true
            onRevoked(assigned, unsafe rd_kafka_assignment_lost(client.raw) != 0)
        case RD_KAFKA_RESP_ERR__REVOKE_PARTITIONS where isRevoking:
            break  // The owner's `finishRevocation` answers this one too.
        default: dropAssignment()
        }
    }

    /// librdkafka replaces its whole assignment at once, so what flows already goes in again with its position.
    private func applyStarts(_ client: Client) {
        startsChanged = false
        assign(client, started)
    }

    private func assign(_ client: Client, _ partitions: [PartitionQueue]) {
        let list = PartitionList(topic: configuration.topic, capacity: partitions.count)
        for queue in partitions { list.add(queue.partition, offset: queue.nextOffset) }
        // Waits for librdkafka's own thread to take the list: microseconds.
        let code = unsafe rd_kafka_assign(client.raw, list.raw)
        if code != RD_KAFKA_RESP_ERR_NO_ERROR { onError(nil, KafkaError(code)) }
    }

    private func dropAssignment() {
        for queue in started { queue.free() }
        started = []
        assigned = []
        startsChanged = false
        guard let client else { return }
        let code = unsafe rd_kafka_assign(client.raw, nil)
        if code != RD_KAFKA_RESP_ERR_NO_ERROR { onError(nil, KafkaError(code)) }
    }

    private func handOutRecords(_ client: Client) {
        var recordsLeft = configuration.recordsPerTurnMax
        var bytesLeft = configuration.bytesPerTurnMax
        let queues = started
        guard !queues.isEmpty else { return }
        rotation = (rotation + 1) % queues.count
        for step in queues.indices {
            let queue = queues[(rotation + step) % queues.count]
            // Handlers may pause, give back or close.
            guard phase == .open, !isRevoking, !queue.isPaused, !queue.isFreed else { continue }
            guard recordsLeft > 0, bytesLeft > 0 else {
                client.wakeAgain()
                return
            }
            let end = queue.gather(into: &gathered, recordsMax: recordsLeft, bytesMax: bytesLeft)
            recordsLeft -= gathered.count
            bytesLeft -= gathered.bytes
            gathered.handOut(partition: queue.partition, to: onRecords)
            switch end {
            case .drained: break
            case .full: client.wakeAgain()
            case .failed(let error):
                onError(queue.partition, error)
                client.wakeAgain()
            }
        }
    }

    // MARK: - Ends

    private func free() {
        guard let client else { return }
        phase = .freeing
        for queue in started { queue.free() }
        started = []
        assigned = []
        closeQueue?.free()
        closeQueue = nil
        self.client = nil
        client.shutDown(loop: loop) { [self] in
            phase = .closed
            let completion = closeCompletion
            closeCompletion = nil
            completion?()
        }
    }
}

/// Where the last events of a consumer that is closing arrive.
@safe
private final class CloseQueue {
    private let client: Client
    private var queue: OpaquePointer?

    /// Begins to leave the group.
    init(client: Client) {
        self.client = client
        guard let queue = unsafe rd_kafka_queue_new(client.raw) else { preconditionFailure("out of memory") }
        unsafe self.queue = queue
        unsafe client.watchQueue(queue)
        // The only error is that of a consumer that turned fatal, which leaves all the same.
        if let error = unsafe rd_kafka_consumer_close_queue(client.raw, queue) { unsafe rd_kafka_error_destroy(error) }
    }

    var isClosed: Bool { unsafe rd_kafka_consumer_closed(client.raw) != 0 }

    func nextEvent() -> OpaquePointer? { unsafe rd_kafka_queue_poll(queue, 0) }

    func free() {
        guard let queue = unsafe queue else { return }
        unsafe self.queue = nil
        unsafe client.unwatchQueue(queue)
        unsafe rd_kafka_queue_destroy(queue)
    }
}
