internal import CRdkafka

/// What librdkafka or a broker said went wrong. Text is built only when it is asked for.
public struct KafkaError: Error, Equatable, Sendable, CustomStringConvertible {
    /// An `rd_kafka_resp_err_t`: negative from the library itself, positive from the broker's protocol.
    public let code: Int32
    /// The client that raised it will not recover: it must be replaced.
    public let isFatal: Bool
    /// What a set-up error is about, in words. Nil for all others.
    let detail: String?

    init(code: Int32, isFatal: Bool = false, detail: String? = nil) {
        self.code = code
        self.isFatal = isFatal || code == RD_KAFKA_RESP_ERR__FATAL.rawValue
        self.detail = detail
    }

    init(_ code: rd_kafka_resp_err_t, isFatal: Bool = false, detail: String? = nil) {
        self.init(code: code.rawValue, isFatal: isFatal, detail: detail)
    }

    /// The stable symbol, as `_TRANSPORT` or `NOT_ENOUGH_REPLICAS`.
    public var name: String { unsafe String(cString: rd_kafka_err2name(rd_kafka_resp_err_t(code))) }

    /// One sentence for an operator. A set-up error names the setting.
    public var description: String {
        if let detail { return detail }
        return unsafe String(cString: rd_kafka_err2str(rd_kafka_resp_err_t(code)))
    }

    /// The same may succeed later with nothing changed: a broker or a leader is away, a wait ran out, a queue is full.
    public var isRetriable: Bool {
        switch rd_kafka_resp_err_t(code) {
        case RD_KAFKA_RESP_ERR__TRANSPORT, RD_KAFKA_RESP_ERR__RESOLVE, RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN,
            RD_KAFKA_RESP_ERR__MSG_TIMED_OUT, RD_KAFKA_RESP_ERR__TIMED_OUT, RD_KAFKA_RESP_ERR__TIMED_OUT_QUEUE,
            RD_KAFKA_RESP_ERR__QUEUE_FULL, RD_KAFKA_RESP_ERR__WAIT_COORD, RD_KAFKA_RESP_ERR__IN_PROGRESS,
            RD_KAFKA_RESP_ERR__RETRY, RD_KAFKA_RESP_ERR__PURGE_QUEUE, RD_KAFKA_RESP_ERR__PURGE_INFLIGHT,
            RD_KAFKA_RESP_ERR__WAIT_CACHE, RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE,
            RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION, RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT,
            RD_KAFKA_RESP_ERR_BROKER_NOT_AVAILABLE, RD_KAFKA_RESP_ERR_REPLICA_NOT_AVAILABLE,
            RD_KAFKA_RESP_ERR_NETWORK_EXCEPTION, RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS,
            RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE, RD_KAFKA_RESP_ERR_NOT_COORDINATOR,
            RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS, RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS_AFTER_APPEND,
            RD_KAFKA_RESP_ERR_REBALANCE_IN_PROGRESS, RD_KAFKA_RESP_ERR_NOT_CONTROLLER,
            RD_KAFKA_RESP_ERR_KAFKA_STORAGE_ERROR, RD_KAFKA_RESP_ERR_FENCED_LEADER_EPOCH,
            RD_KAFKA_RESP_ERR_UNKNOWN_LEADER_EPOCH, RD_KAFKA_RESP_ERR_OFFSET_NOT_AVAILABLE:
            true
        default: false
        }
    }

    /// An offset that was asked for is not in the log: too old, too new, or of another incarnation.
    public var isOffsetOutOfRange: Bool {
        code == RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET.rawValue || code == RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE.rawValue
    }

    /// The topic, or this partition of it, does not exist.
    public var isUnknownPartition: Bool {
        code == RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION.rawValue || code == RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC.rawValue
            || code == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART.rawValue
    }
}
