internal import CRdkafka

/// A producer's or a consumer's `rd_kafka_conf_t`, made from names and values.
enum ClientSettings {
    /// What the promises of this module rest on, with librdkafka's older names for the same.
    private static let reserved: Set<String> = [
        "acks", "request.required.acks", "enable.idempotence", "transactional.id", "group.id", "group.instance.id",
        "enable.auto.commit", "auto.commit.enable", "enable.auto.offset.store", "auto.offset.reset",
        "partition.assignment.strategy", "log.queue", "enabled_events", "topic", "builtin.features",
    ]
    /// Values of settings with these in their names are secrets: librdkafka's text about them is not repeated.
    private static let secretWords = ["password", "secret", "pem", "key", "token"]

    /// Makes a client. `events` is a mask of `RD_KAFKA_EVENT_` values to deliver through queues.
    static func makeClient(
        _ type: rd_kafka_type_t, settings: [(String, String)], extra: [(String, String)], events: Int32
    ) throws(KafkaError) -> OpaquePointer {
        guard let configuration = unsafe rd_kafka_conf_new() else { throw KafkaError(RD_KAFKA_RESP_ERR__CRIT_SYS_RESOURCE) }
        do throws(KafkaError) {
            for (name, value) in settings { try unsafe set(configuration, name, value) }
            for (name, value) in extra {
                guard !reserved.contains(name) else {
                    throw KafkaError(
                        RD_KAFKA_RESP_ERR__INVALID_ARG, detail: "Kafka setting \"\(name)\" is fixed and cannot be set: remove it")
                }
                try unsafe set(configuration, name, value)
            }
        } catch {
            unsafe rd_kafka_conf_destroy(configuration)
            throw error
        }
        unsafe rd_kafka_conf_set_events(configuration, events)

        var text = ErrorText()
        let client = unsafe text.withBuffer { buffer, size in unsafe rd_kafka_new(type, configuration, buffer, size) }
        guard let client = unsafe client else {
            // The library takes the configuration over only when it made a client.
            unsafe rd_kafka_conf_destroy(configuration)
            throw KafkaError(RD_KAFKA_RESP_ERR__INVALID_ARG, detail: "Kafka client not made: \(text.string)")
        }
        return unsafe client
    }

    private static func set(_ configuration: OpaquePointer, _ name: String, _ value: String) throws(KafkaError) {
        var text = ErrorText()
        let result = unsafe text.withBuffer { buffer, size in unsafe rd_kafka_conf_set(configuration, name, value, buffer, size) }
        switch result {
        case RD_KAFKA_CONF_OK: return
        case RD_KAFKA_CONF_UNKNOWN:
            throw KafkaError(RD_KAFKA_RESP_ERR__INVALID_ARG, detail: "Kafka setting \"\(name)\" does not exist: \(text.string)")
        default:
            let isSecret = secretWords.contains { name.contains($0) }
            let reason = isSecret ? "its value was refused" : text.string
            throw KafkaError(RD_KAFKA_RESP_ERR__INVALID_ARG, detail: "Kafka setting \"\(name)\" is wrong: \(reason)")
        }
    }
}

/// The buffer that librdkafka writes an error's text to.
struct ErrorText {
    private var bytes = [CChar](repeating: 0, count: 512)

    mutating func withBuffer<Result>(_ body: (UnsafeMutablePointer<CChar>, Int) -> Result) -> Result {
        unsafe bytes.withUnsafeMutableBufferPointer { buffer in unsafe body(buffer.baseAddress!, buffer.count) }
    }

    var string: String {
        unsafe bytes.withUnsafeBufferPointer { buffer in unsafe String(cString: buffer.baseAddress!) }
    }
}
