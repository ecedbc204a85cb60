internal import CRdkafka
internal import Telemetry

/// What became of a produced record; each token gets exactly one.
public enum DeliveryReport: Equatable, Sendable {
    /// Written on all in-sync replicas. `offset` is -1 when the broker recognised a repeat and did not tell the first's.
    case delivered(partition: Int32, offset: Int64)
    /// It is not in the log and never will be.
    case notPersisted(KafkaError)
    /// It may be in the log: it was sent, and no answer came.
    case possiblyPersisted(KafkaError)

    /// Reads a message of a delivery event.
    init(_ message: UnsafePointer<rd_kafka_message_t>) {
        switch unsafe rd_kafka_message_status(message) {
        case RD_KAFKA_MSG_STATUS_PERSISTED:
            self = unsafe .delivered(partition: message.pointee.partition, offset: message.pointee.offset)
        case RD_KAFKA_MSG_STATUS_POSSIBLY_PERSISTED where SafetyCatch.acknowledgements.isOff:
            // Without acknowledgements nothing better is ever known.
            self = unsafe .delivered(partition: message.pointee.partition, offset: message.pointee.offset)
        case RD_KAFKA_MSG_STATUS_NOT_PERSISTED: self = unsafe .notPersisted(KafkaError(message.pointee.err))
        default: self = unsafe .possiblyPersisted(KafkaError(message.pointee.err))
        }
    }
}

/// What `Producer.produce` came to.
public enum ProduceResult: Equatable, Sendable {
    /// A report with this token will follow.
    case queued
    /// Nothing was produced: as much is unanswered as may be.
    case queueFull
    /// Nothing was produced, and the error says why.
    case refused(KafkaError)
}
