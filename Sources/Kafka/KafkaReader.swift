internal import CRdkafka
internal import Telemetry

extension KafkaAdmin {
    /// Reads a part of one partition from start to end, without a group: for audits and replays. Blocks.
    ///
    /// - Parameters:
    ///   - from: the first offset; nil for the oldest that the log has. One that the log does not have is an error
    ///     (`isOffsetOutOfRange`).
    ///   - to: the offset to stop before; nil for the end of the log as it is at the start of the call.
    ///   - idleMilliseconds: given up when nothing comes for so long.
    ///   - handler: gets each record in order, lent for the call; returns false to stop.
    /// - Returns: the offset after the last record that was handled or passed over.
    @discardableResult
    public static func readAll(
        _ configuration: KafkaConfiguration, topic: String, partition: Int32, from: Int64? = nil, to: Int64? = nil,
        idleMilliseconds: Int32 = 10_000, handler: (borrowing Record) -> Bool
    ) throws(KafkaError) -> Int64 {
        // The end of the log is told as an event, because the last offsets may hold no record (transaction markers).
        let client = try BlockingClient(configuration, settings: [("enable.partition.eof", "true"), ("check.crcs", "true")])
        let bounds = try watermarks(client, topic, partition, idleMilliseconds)
        var next = from ?? bounds.low
        let end = to ?? bounds.high
        guard next >= bounds.low, next <= bounds.high else { throw KafkaError(RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET) }
        guard next < end else { return next }

        let list = PartitionList(topic: topic)
        list.add(partition, offset: next)
        unsafe rd_kafka_poll_set_consumer(client.raw)
        let code = unsafe rd_kafka_assign(client.raw, list.raw)
        guard code == RD_KAFKA_RESP_ERR_NO_ERROR else { throw KafkaError(code) }
        defer { unsafe rd_kafka_assign(client.raw, nil) }

        var lastSeen = Clock.monotonicMilliseconds
        while next < end {
            guard let message = unsafe rd_kafka_consumer_poll(client.raw, 100) else {
                guard Clock.monotonicMilliseconds - lastSeen < UInt64(idleMilliseconds) else {
                    throw KafkaError(RD_KAFKA_RESP_ERR__TIMED_OUT)
                }
                continue
            }
            defer { unsafe rd_kafka_message_destroy(message) }
            switch unsafe message.pointee.err {
            case RD_KAFKA_RESP_ERR_NO_ERROR:
                guard unsafe message.pointee.offset < end else { return end }
                lastSeen = Clock.monotonicMilliseconds
                unsafe next = message.pointee.offset + 1
                guard unsafe handler(Record(message)) else { return next }
            case RD_KAFKA_RESP_ERR__PARTITION_EOF: unsafe next = max(next, message.pointee.offset)
            case let code:
                // A broker that went away may come back within the idle time.
                let error = KafkaError(code)
                guard error.isRetriable else { throw error }
            }
        }
        return next
    }
}
