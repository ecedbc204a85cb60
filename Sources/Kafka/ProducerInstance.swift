internal import CKafka
internal import CRdkafka
internal import Loop

/// One librdkafka producer of a `Producer`: the live one, or one that turned fatal and waits for its last reports.
@safe
final class ProducerInstance {
    let client: Client
    /// Records that this instance was given and has not reported.
    var unanswered = 0
    /// An event of which a turn's bound left messages over.
    private var openEvent: OpaquePointer?
    private var topics: [Topic] = []

    @safe
    private struct Topic {
        let name: String
        let handle: OpaquePointer
    }

    init(client: Client) { self.client = client }

    /// Gives a record to librdkafka, which copies it. Returns its error; nil when it was taken.
    func produce(
        topic: String, partition: Int32, key: Span<UInt8>, value: Span<UInt8>, headers: borrowing HeaderList,
        timestampMilliseconds: Int64, opaque: UInt64
    ) -> KafkaError? {
        guard let handle = unsafe topicHandle(topic) else { return KafkaError(RD_KAFKA_RESP_ERR__INVALID_ARG) }
        let code = unsafe key.withUnsafeBufferPointer { key in
            unsafe value.withUnsafeBufferPointer { value in
                unsafe headers.withPointers { entries, bytes in
                    var record = unsafe sluice_kafka_record(
                        key: key.isEmpty ? nil : key.baseAddress, key_size: key.count,
                        value: value.baseAddress, value_size: value.count,
                        headers: entries.baseAddress, header_count: entries.count, header_bytes: bytes,
                        timestamp_milliseconds: timestampMilliseconds, opaque: opaque, partition: partition)
                    return unsafe sluice_kafka_try_produce(client.raw, handle, &record)
                }
            }
        }
        if code == 0 {
            unanswered += 1
            return nil
        }
        return KafkaError(code: code)
    }

    /// Topics are few, so a scan beats a table.
    private func topicHandle(_ name: String) -> OpaquePointer? {
        for topic in topics where topic.name == name { return unsafe topic.handle }
        guard let handle = unsafe rd_kafka_topic_new(client.raw, name, nil) else { return nil }
        topics.append(unsafe Topic(name: name, handle: handle))
        return unsafe handle
    }

    /// Takes reports and errors out until there are none or `limit` reports were handed out.
    ///
    /// - Returns: whether something may be left.
    func drain(limit: Int, onReport: (UInt64, DeliveryReport) -> Void, onFatal: (KafkaError) -> Void) -> Bool {
        var left = limit
        while let event = unsafe openEvent ?? client.nextEvent() {
            unsafe openEvent = nil
            switch unsafe rd_kafka_event_type(event) {
            case RD_KAFKA_EVENT_DR:
                while left > 0, let message = unsafe rd_kafka_event_message_next(event) {
                    left -= 1
                    unanswered -= 1
                    unsafe onReport(UInt64(UInt(bitPattern: message.pointee._private)), DeliveryReport(message))
                }
                if left == 0 {
                    unsafe openEvent = event
                    return true
                }
            case RD_KAFKA_EVENT_ERROR:
                let error = unsafe client.error(of: event)
                if error.isFatal { onFatal(error) }
            case RD_KAFKA_EVENT_LOG: unsafe ClientLog.write(event)
            default: break
            }
            unsafe rd_kafka_event_destroy(event)
        }
        return false
    }

    /// Gives up on everything unanswered: its reports come at once, by what is known of each.
    func purge() {
        // Not blocking: a broker thread may be within a long write.
        unsafe rd_kafka_purge(client.raw, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT | RD_KAFKA_PURGE_F_NON_BLOCKING)
    }

    /// Gives up on what is not on its way. What is may still reach the log, and is answered.
    func purgeQueue() {
        unsafe rd_kafka_purge(client.raw, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_NON_BLOCKING)
    }

    func shutDown(loop: EventLoop, completion: @escaping () -> Void) {
        precondition(unanswered == 0, "a producer was freed with records unanswered")
        if let event = unsafe openEvent { unsafe rd_kafka_event_destroy(event) }
        unsafe openEvent = nil
        for topic in topics { unsafe rd_kafka_topic_destroy(topic.handle) }
        topics = []
        client.shutDown(loop: loop, completion: completion)
    }
}
