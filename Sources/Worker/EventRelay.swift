internal import Bytes
internal import Kafka
internal import Ledger
internal import Loop
internal import Store
internal import Telemetry
internal import Wire

/// Writes what was committed to `payments.events`, in the order of the log.
///
/// The ledger's own rows are the outbox: what an event shows of them never changes, so it can be written again byte for byte, and a
/// payment costs no further row. How far events are known to be in the topic moves with the offsets (`relayed_offset`); the next
/// owner writes them again from there.
///
/// A consumer drops what is not beyond the highest offset that it has seen, so an event must never overtake one before it: records do
/// not expire, and after a failure nothing is produced until all that is under way is answered (`ProducerConfiguration.isOrdered`).
final class EventRelay {
    /// The events of one batch.
    private struct Stretch {
        /// Values one behind the other, in log order.
        var bytes: [UInt8] = []
        var events: [Place] = []
        var reach: [Int32: Int64]
        /// Of its events, those that are known to be in the topic.
        var delivered = 0
    }

    private struct Place {
        let end: Int
        let partition: Int32
        let tenant: TenantID
        let milliseconds: Int64
    }

    let relayed = Counter()
    let failures = Counter()
    /// How often all that waited was begun anew.
    let restarts = Counter()

    private let limits: WorkerLimits
    /// Events that the producer holds at most. Once the relay is behind, two more batches may come: one that is being stored and one that is
    /// stored and not told of.
    private let producedMax: Int
    private let onRelayed: ([Int32: Int64]) -> Void
    private var producer: Producer?
    private var timer: LoopTimer?
    /// Those that are not known to be in the topic, in order; `first` is the number of the first.
    private var stretches: [Stretch] = []
    private var first = 0
    /// The number of the first that is not produced yet.
    private var nextToProduce = 0
    private var bytesWaiting = 0
    private(set) var unrelayedEvents = 0
    /// Rises with every new beginning, so that what became of an earlier try is told from what becomes of this one.
    private var round: UInt64 = 0
    private var isRestarting = false
    private var isClosing = false
    private var key: [UInt8] = []
    private var headers = HeaderList()

    /// - Parameter onRelayed: called on the loop: all events below these offsets are in the topic.
    /// - Throws: a Kafka setting that cannot be used.
    init(loop: EventLoop, kafka: KafkaConfiguration, limits: WorkerLimits, onRelayed: @escaping ([Int32: Int64]) -> Void) throws(KafkaError)
    {
        self.limits = limits
        self.onRelayed = onRelayed
        let version: [UInt8] = Array("1".utf8)
        headers.append("v", version.span)
        producedMax = limits.unrelayedEventsMax + 2 * limits.batchRecordsMax
        var configuration = ProducerConfiguration(base: kafka, queueMessagesMax: producedMax)
        configuration.isOrdered = true
        producer = try Producer(loop: loop, configuration: configuration) { [unowned self] token, report in answered(token, report) }
        timer = LoopTimer(loop: loop) { [unowned self] in
            isRestarting = false
            produce()
            // What has nothing left of its own is answered by nobody.
            confirm()
        }
    }

    /// Whether so many events wait that no further batch is to be decided.
    var isBehind: Bool { unrelayedEvents > limits.unrelayedEventsMax || bytesWaiting > limits.unrelayedBytesMax }

    /// Events of a batch that is stored, in log order.
    ///
    /// - Parameters:
    ///   - bodies: of their payments, in their order, where they are written already.
    ///   - reach: the first offset of each of the batch's partitions that is not in it.
    func relay(_ events: [LedgerEvent], _ bodies: PaymentBodies = PaymentBodies(), log: String, reach: [Int32: Int64]) {
        guard !isClosing else { return }
        var stretch = Stretch(reach: reach)
        stretch.events.reserveCapacity(events.count)
        stretch.bytes.reserveCapacity(events.count * 640)
        var bodyPlace = 0
        for event in events {
            if case .payment = event.content, let body = bodies.find(event.id, from: &bodyPlace) {
                stretch.bytes.append(event, log: log, paymentBody: bodies.body(body))
            } else {
                stretch.bytes.append(event, log: log)
            }
            stretch.events.append(
                Place(
                    end: stretch.bytes.count, partition: event.partition, tenant: event.tenant,
                    milliseconds: event.decidedAt.microseconds / 1_000))
        }
        if stretch.events.isEmpty, let last = stretches.indices.last {
            // Nothing to wait for but what is before it.
            stretches[last].reach.merge(reach) { max($0, $1) }
            return
        }
        unrelayedEvents += stretch.events.count
        bytesWaiting += stretch.bytes.count
        stretches.append(stretch)
        produce()
        confirm()
    }

    /// The ledger has lost what it had committed in a partition: events of it that wait are not written, nor do they count as written.
    /// All others that are not known to be in the topic are written again.
    func forget(partition: Int32) {
        for index in stretches.indices {
            stretches[index].reach[partition] = nil
            guard stretches[index].events.contains(where: { $0.partition == partition }) else { continue }
            let whole = stretches[index]
            var kept = Stretch(reach: whole.reach)
            var start = 0
            for place in whole.events {
                defer { start = place.end }
                guard place.partition != partition else { continue }
                kept.bytes.append(whole.bytes.span.extracting(start..<place.end))
                kept.events.append(
                    Place(end: kept.bytes.count, partition: place.partition, tenant: place.tenant, milliseconds: place.milliseconds))
            }
            unrelayedEvents -= whole.events.count - kept.events.count
            bytesWaiting -= whole.bytes.count - kept.bytes.count
            stretches[index] = kept
        }
        if !stretches.isEmpty { restart() }
    }

    /// Waits a little for what is under way, then ends it. What is not known to be in the topic is written by the next owner.
    func close(completion: @escaping () -> Void) {
        timer?.cancel()
        isClosing = true
        guard let producer else { return completion() }
        producer.flush(deadlineMilliseconds: limits.relayFlushMilliseconds) { _ in producer.close(completion: completion) }
    }

    private func produce() {
        while !isRestarting, !isClosing, nextToProduce < first + stretches.count {
            // What is answered makes room, also what an earlier round has left.
            guard let producer, producer.inFlight + stretches[nextToProduce - first].events.count <= producedMax else { return }
            guard produce(stretches[nextToProduce - first], with: producer) else { return restart() }
            nextToProduce += 1
        }
    }

    /// False when the producer took less than all of it.
    private func produce(_ stretch: Stretch, with producer: Producer) -> Bool {
        let token = tokenOfRound | UInt64(nextToProduce)
        var start = 0
        for place in stretch.events {
            key.removeAll(keepingCapacity: true)
            key.append(decimal: place.tenant.rawValue)
            let values = stretch.bytes.span
            let result = producer.produce(
                topic: Topic.events, partition: place.partition, key: key.span, value: values.extracting(start..<place.end),
                headers: headers, timestampMilliseconds: place.milliseconds, token: token)
            guard result == .queued else { return false }
            start = place.end
        }
        return true
    }

    /// A token is a round and the number of a stretch.
    private var tokenOfRound: UInt64 { round << 40 }
    private static let numberMask: UInt64 = (1 << 40) - 1

    private func answered(_ token: UInt64, _ report: DeliveryReport) {
        let isOfThisRound = token & ~Self.numberMask == tokenOfRound
        if case .delivered = report {
            relayed.add()
            if isOfThisRound {
                let index = Int(token & Self.numberMask) - first
                stretches[index].delivered += 1
                if index == 0 { confirm() }
            }
        } else {
            failures.add()
            if isOfThisRound { restart() }
        }
        produce()
    }

    private func confirm() {
        var reach: [Int32: Int64] = [:]
        var count = 0
        while count < stretches.count, first + count < nextToProduce, stretches[count].delivered == stretches[count].events.count {
            reach.merge(stretches[count].reach) { max($0, $1) }
            unrelayedEvents -= stretches[count].events.count
            bytesWaiting -= stretches[count].bytes.count
            count += 1
        }
        guard count > 0 else { return }
        stretches.removeFirst(count)
        first += count
        onRelayed(reach)
    }

    /// Begins anew from the first event that is not known to be in the topic, after a while. The producer takes nothing before it has
    /// answered for all that it took.
    private func restart() {
        guard !isClosing else { return }
        round += 1
        restarts.add()
        nextToProduce = first
        for index in stretches.indices { stretches[index].delivered = 0 }
        isRestarting = true
        timer?.arm(afterMilliseconds: limits.relayRetryMilliseconds)
        Log.warning("events did not reach the log; they are written again", .integer("events", unrelayedEvents))
    }
}
