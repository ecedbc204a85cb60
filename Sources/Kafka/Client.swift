internal import CRdkafka
internal import CSystem
internal import Glibc
internal import Loop

/// One `rd_kafka_t` and the queue it reports to, watched by a loop.
///
/// librdkafka writes to an eventfd when the queue goes from empty to non-empty. Who is woken must take events until
/// there are none, or call `wakeAgain`. A timer wakes it four times a second besides: one lost wake-up must not hang a
/// payment, and the consumer's group protocol wants to see that it is polled.
@safe
final class Client {
    enum Role { case producer, consumer }

    let raw: OpaquePointer
    let queue: OpaquePointer
    private let wakeDescriptor: CInt
    private var watch: DescriptorWatch?
    private var belt: LoopTimer?
    private var beltMilliseconds = 250
    private let onWake: () -> Void

    /// - Parameter onWake: called on the loop; it takes events.
    init(
        loop: EventLoop, role: Role, settings: [(String, String)], extra: [(String, String)], onWake: @escaping () -> Void
    ) throws(KafkaError) {
        let events =
            role == .producer
            ? RD_KAFKA_EVENT_DR | RD_KAFKA_EVENT_ERROR | RD_KAFKA_EVENT_LOG
            : RD_KAFKA_EVENT_REBALANCE | RD_KAFKA_EVENT_FETCH | RD_KAFKA_EVENT_ERROR | RD_KAFKA_EVENT_LOG
                | RD_KAFKA_EVENT_OFFSET_COMMIT
        let raw = unsafe try ClientSettings.makeClient(
            role == .producer ? RD_KAFKA_PRODUCER : RD_KAFKA_CONSUMER, settings: settings, extra: extra, events: events)
        unsafe self.raw = raw
        if role == .consumer { unsafe rd_kafka_poll_set_consumer(raw) }
        let queue = unsafe role == .producer ? rd_kafka_queue_get_main(raw) : rd_kafka_queue_get_consumer(raw)
        guard let queue = unsafe queue else { preconditionFailure("a client without a queue") }
        unsafe self.queue = queue
        wakeDescriptor = sluice_eventfd_open()
        precondition(wakeDescriptor >= 0, "no eventfd: raise the limit of open files")
        self.onWake = onWake

        unsafe rd_kafka_set_log_queue(raw, queue)
        watch = DescriptorWatch(loop: loop, descriptor: wakeDescriptor) { [unowned self] _ in wake() }
        watch?.interest = .read
        belt = LoopTimer(loop: loop) { [unowned self] in wake() }
        unsafe watchQueue(queue)
        // What was queued before the watch began wakes nobody.
        wakeAgain()
    }

    deinit { precondition(watch == nil, "a Kafka client was released without being shut down") }

    /// Makes another queue of this client wake the same handler.
    func watchQueue(_ queue: OpaquePointer) {
        var one: UInt64 = 1
        unsafe rd_kafka_queue_io_event_enable(queue, wakeDescriptor, &one, MemoryLayout.size(ofValue: one))
    }

    func unwatchQueue(_ queue: OpaquePointer) { unsafe rd_kafka_queue_io_event_enable(queue, -1, nil, 0) }

    /// Has the handler called again in a later turn: it left events in the queue to bound this turn.
    func wakeAgain() {
        let code = sluice_eventfd_signal(wakeDescriptor)
        precondition(code == 0, "a Kafka client's eventfd is broken")
    }

    /// Wakes the handler this often without need, from now on.
    func wakeEvery(milliseconds: Int) {
        beltMilliseconds = milliseconds
        belt?.arm(afterMilliseconds: milliseconds)
    }

    /// The next event, or nil when there is none. The caller frees it with `rd_kafka_event_destroy`.
    func nextEvent() -> OpaquePointer? { unsafe rd_kafka_queue_poll(queue, 0) }

    /// The error that an error event carries; a fatal one as what caused it.
    func error(of event: OpaquePointer) -> KafkaError {
        let code = unsafe rd_kafka_event_error(event)
        let isFatal = unsafe code == RD_KAFKA_RESP_ERR__FATAL || rd_kafka_event_error_is_fatal(event) != 0
        return isFatal ? fatalError ?? KafkaError(code, isFatal: true) : KafkaError(code)
    }

    /// Why this client is beyond recovery; nil when it is not.
    var fatalError: KafkaError? {
        let code = unsafe rd_kafka_fatal_error(raw, nil, 0)
        return code == RD_KAFKA_RESP_ERR_NO_ERROR ? nil : KafkaError(code, isFatal: true)
    }

    /// The cluster's identity from the last metadata; nil before that. Does not wait.
    var clusterID: String? {
        guard let text = unsafe rd_kafka_clusterid(raw, 0) else { return nil }
        defer { unsafe rd_kafka_mem_free(raw, text) }
        return unsafe String(cString: text)
    }

    /// What the group knows this client as; nil for one that is no member, or has said that it leaves.
    var memberID: String? {
        guard let text = unsafe rd_kafka_memberid(raw) else { return nil }
        defer { unsafe rd_kafka_mem_free(raw, text) }
        return unsafe text.pointee == 0 ? nil : String(cString: text)
    }

    private func wake() {
        let code = sluice_eventfd_drain(wakeDescriptor)
        precondition(code == 0, "a Kafka client's eventfd is broken")
        belt?.arm(afterMilliseconds: beltMilliseconds)
        onWake()
    }

    /// Lets go of the client. Freeing it joins its threads, which takes from milliseconds to a second, so a thread
    /// that lives only for that does it; `completion` is called on the loop when it is done.
    ///
    /// All events, topics and other queues of the client must have been freed.
    func shutDown(loop: EventLoop, completion: @escaping () -> Void) {
        precondition(watch != nil, "a Kafka client was shut down twice")
        watch?.cancel()
        watch = nil
        belt = nil
        unsafe unwatchQueue(queue)
        Descriptors.close(wakeDescriptor)
        unsafe rd_kafka_queue_destroy(queue)
        let mailbox = Mailbox<Void>(capacity: 1)
        // The receiver must live until it is called: the closure that it holds holds it, and then lets go.
        let keeper = Keeper()
        keeper.receiver = MailboxReceiver(loop: loop, mailbox: mailbox) {
            keeper.receiver = nil
            completion()
        }
        let burial = unsafe Burial(client: UInt(bitPattern: raw), done: mailbox)
        let context = unsafe Unmanaged.passRetained(burial).toOpaque()
        var thread = pthread_t()
        let code = unsafe pthread_create(&thread, nil, buryClient, context)
        precondition(code == 0, "the system gave no thread: error \(code)")
        pthread_detach(thread)
    }
}

private final class Keeper { var receiver: MailboxReceiver<Void>? }

/// A client to be freed by another thread, and where to say so.
private final class Burial: Sendable {
    let client: UInt
    let done: Mailbox<Void>
    init(client: UInt, done: Mailbox<Void>) {
        self.client = client
        self.done = done
    }
}

private nonisolated func buryClient(_ context: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
    let burial = unsafe Unmanaged<Burial>.fromOpaque(context!).takeRetainedValue()
    unsafe sluice_thread_set_name("kafka-close")
    // A consumer was closed before, through its queue.
    unsafe rd_kafka_destroy_flags(OpaquePointer(bitPattern: burial.client), RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE)
    _ = burial.done.send(())
    return nil
}
