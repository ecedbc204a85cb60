internal import CRdkafka
internal import Telemetry

/// An `rd_kafka_t` without a loop, for command-line tools: every call waits.
@safe
final class BlockingClient {
    let raw: OpaquePointer
    private let logs: OpaquePointer

    /// - Parameter settings: besides those of the configuration.
    init(_ configuration: KafkaConfiguration, settings: [(String, String)] = []) throws(KafkaError) {
        let raw = unsafe try ClientSettings.makeClient(
            RD_KAFKA_CONSUMER,
            settings: configuration.settings + [
                // Needed to assign a partition by hand; no group is ever joined.
                ("group.id", "sluice-tools"), ("enable.auto.commit", "false"), ("enable.auto.offset.store", "false"),
                ("auto.offset.reset", "error"), ("allow.auto.create.topics", "false"),
            ] + settings, extra: configuration.extra, events: RD_KAFKA_EVENT_LOG | RD_KAFKA_EVENT_ERROR)
        // Of its own: from the main queue, calls that wait for something else would print them.
        guard let queue = unsafe rd_kafka_queue_new(raw) else { preconditionFailure("out of memory") }
        unsafe self.raw = raw
        unsafe logs = queue
        unsafe rd_kafka_set_log_queue(raw, logs)
    }

    deinit {
        writeLogs()
        unsafe rd_kafka_queue_destroy(logs)
        unsafe rd_kafka_destroy(raw)
    }

    /// What the library said in the meantime: why a wait ran out.
    private func writeLogs() {
        while let event = unsafe rd_kafka_queue_poll(logs, 0) {
            if unsafe rd_kafka_event_type(event) == RD_KAFKA_EVENT_LOG { unsafe ClientLog.write(event) }
            unsafe rd_kafka_event_destroy(event)
        }
    }
}
