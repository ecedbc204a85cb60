internal import CRdkafka

/// One started partition: its own queue, so that pausing it is not asking, which loses nothing that was fetched and
/// holds up no other partition. What waits in the queue is bounded by the consumer's configuration.
@safe
final class PartitionQueue {
    let partition: Int32
    /// The next offset to hand out.
    private(set) var nextOffset: Int64
    var isPaused = false
    private var queue: OpaquePointer?
    private let client: Client

    /// Must be made before the partition is assigned to librdkafka: only then its queue stays apart from the others.
    init?(client: Client, topic: String, partition: Int32, offset: Int64) {
        guard let queue = unsafe rd_kafka_queue_get_partition(client.raw, topic, partition) else { return nil }
        self.client = client
        self.partition = partition
        nextOffset = offset
        unsafe self.queue = queue
        unsafe rd_kafka_queue_forward(queue, nil)
        unsafe client.watchQueue(queue)
    }

    deinit { precondition(unsafe queue == nil, "a partition's queue was released without being freed") }

    var isFreed: Bool { unsafe queue == nil }

    /// What a call of `gather` ended with.
    enum GatherEnd {
        case drained, full
        case failed(KafkaError)
    }

    /// Moves what has been fetched into `gathered`, until its bounds or an error.
    func gather(into gathered: inout GatheredRecords, recordsMax: Int, bytesMax: Int) -> GatherEnd {
        guard let queue = unsafe queue else { return .drained }
        while gathered.count < recordsMax, gathered.bytes < bytesMax {
            guard let event = unsafe rd_kafka_queue_poll(queue, 0) else { return .drained }
            switch unsafe rd_kafka_event_type(event) {
            case RD_KAFKA_EVENT_FETCH:
                // Older ones can only be what an earlier assignment of this partition had fetched.
                if let message = unsafe rd_kafka_event_message_next(event), unsafe message.pointee.offset >= nextOffset {
                    unsafe nextOffset = message.pointee.offset + 1
                    unsafe gathered.append(event, message)
                    continue
                }
            case RD_KAFKA_EVENT_ERROR:
                let error = unsafe client.error(of: event)
                unsafe rd_kafka_event_destroy(event)
                return .failed(error)
            case RD_KAFKA_EVENT_LOG: unsafe ClientLog.write(event)
            default: break
            }
            unsafe rd_kafka_event_destroy(event)
        }
        return .full
    }

    func free() {
        guard let queue = unsafe queue else { return }
        unsafe self.queue = nil
        unsafe client.unwatchQueue(queue)
        unsafe rd_kafka_queue_destroy(queue)
    }
}

/// The records of one call of the owner, and the events that hold their memory. Reused from turn to turn.
@safe
struct GatheredRecords {
    private var events: [OpaquePointer] = unsafe []
    private var messages: [UnsafePointer<rd_kafka_message_t>] = unsafe []
    /// Of keys and values.
    private(set) var bytes = 0

    var count: Int { unsafe messages.count }

    mutating func append(_ event: OpaquePointer, _ message: UnsafePointer<rd_kafka_message_t>) {
        unsafe events.append(event)
        unsafe messages.append(message)
        unsafe bytes += message.pointee.len + message.pointee.key_len
    }

    /// Lends the records and frees them after.
    mutating func handOut(partition: Int32, to body: (borrowing RecordBatch) -> Void) {
        guard count > 0 else { return }
        unsafe messages.withUnsafeBufferPointer { messages in
            let batch = unsafe RecordBatch(partition: partition, messages: messages)
            body(batch)
        }
        unsafe messages.removeAll(keepingCapacity: true)
        for index in unsafe events.indices { unsafe rd_kafka_event_destroy(events[index]) }
        unsafe events.removeAll(keepingCapacity: true)
        bytes = 0
    }
}
