internal import CRdkafka

/// A list of partitions of one topic as librdkafka takes them.
@safe
final class PartitionList {
    let raw: UnsafeMutablePointer<rd_kafka_topic_partition_list_t>
    private let topic: String

    init(topic: String, capacity: Int = 8) {
        self.topic = topic
        guard let raw = unsafe rd_kafka_topic_partition_list_new(Int32(capacity)) else { preconditionFailure("out of memory") }
        unsafe self.raw = raw
    }

    deinit { unsafe rd_kafka_topic_partition_list_destroy(raw) }

    func add(_ partition: Int32, offset: Int64? = nil) {
        let element = unsafe rd_kafka_topic_partition_list_add(raw, topic, partition)
        if let offset { unsafe element!.pointee.offset = offset }
    }

    /// The partitions of a list that an event holds.
    static func partitions(of list: UnsafeMutablePointer<rd_kafka_topic_partition_list_t>?) -> [Int32] {
        guard let list = unsafe list else { return [] }
        return unsafe (0..<Int(list.pointee.cnt)).map { unsafe list.pointee.elems[$0].partition }
    }
}
