internal import CRdkafka
internal import Glibc
internal import Telemetry

/// What command-line tools ask of a cluster. Every call makes a client, waits for its answer and frees it (some tens of
/// milliseconds): not for a loop's thread.
public enum KafkaAdmin {
    public struct Topic: Equatable, Sendable {
        public struct Partition: Equatable, Sendable {
            public let number: Int32
            /// The broker that leads it; nil when none does.
            public let leader: Int32?
            public let replicas: [Int32]
            public let inSyncReplicas: [Int32]
        }
        public let name: String
        /// By number, from 0.
        public let partitions: [Partition]
    }

    /// Where a partition's log begins and where its next record goes.
    public struct Watermarks: Equatable, Sendable {
        public let low: Int64
        public let high: Int64
    }

    /// Creates a topic and waits until each partition has a leader. One that exists is left as it is, whatever its
    /// number of partitions: look at `topic`.
    ///
    /// - Parameters:
    ///   - replication: copies of each partition; -1 for the broker's default.
    ///   - settings: of the topic, as `min.insync.replicas`.
    /// - Returns: false when it existed.
    @discardableResult
    public static func createTopic(
        _ configuration: KafkaConfiguration, name: String, partitions: Int32, replication: Int16,
        settings: [(String, String)] = [], timeoutMilliseconds: Int32 = 10_000
    ) throws(KafkaError) -> Bool {
        let client = try BlockingClient(configuration)
        var text = ErrorText()
        let made = unsafe text.withBuffer { buffer, size in
            unsafe rd_kafka_NewTopic_new(name, partitions, Int32(replication), buffer, size)
        }
        guard let made = unsafe made else {
            throw KafkaError(RD_KAFKA_RESP_ERR__INVALID_ARG, detail: "Kafka topic \"\(name)\": \(text.string)")
        }
        defer { unsafe rd_kafka_NewTopic_destroy(made) }
        for (setting, value) in settings {
            let code = unsafe rd_kafka_NewTopic_set_config(made, setting, value)
            guard code == RD_KAFKA_RESP_ERR_NO_ERROR else {
                throw KafkaError(code, detail: "Kafka topic setting \"\(setting)\" is wrong")
            }
        }
        let isNew = unsafe try create(client, made, name, timeoutMilliseconds)
        try waitForLeaders(client, name, partitions: isNew ? partitions : 1, timeoutMilliseconds)
        return isNew
    }

    /// A topic's partitions; nil when there is no such topic. Does not create it.
    public static func topic(
        _ configuration: KafkaConfiguration, name: String, timeoutMilliseconds: Int32 = 10_000
    ) throws(KafkaError) -> Topic? {
        try describe(try BlockingClient(configuration), name, timeoutMilliseconds)
    }

    public static func watermarks(
        _ configuration: KafkaConfiguration, topic: String, partition: Int32, timeoutMilliseconds: Int32 = 10_000
    ) throws(KafkaError) -> Watermarks {
        try watermarks(try BlockingClient(configuration), topic, partition, timeoutMilliseconds)
    }

    /// The cluster's identity; nil when the brokers have none.
    public static func clusterID(
        _ configuration: KafkaConfiguration, timeoutMilliseconds: Int32 = 10_000
    ) throws(KafkaError) -> String? {
        let client = try BlockingClient(configuration)
        // Asking for metadata first tells a cluster without an identity from one that is away.
        var metadata: UnsafePointer<rd_kafka_metadata>?
        let code = unsafe rd_kafka_metadata(client.raw, 0, nil, &metadata, timeoutMilliseconds)
        guard code == RD_KAFKA_RESP_ERR_NO_ERROR else { throw KafkaError(code) }
        unsafe rd_kafka_metadata_destroy(metadata)
        return identity(client)
    }

    /// How many brokers the cluster has now: what a topic's replication can be at most.
    public static func brokerCount(
        _ configuration: KafkaConfiguration, timeoutMilliseconds: Int32 = 10_000
    ) throws(KafkaError) -> Int {
        let client = try BlockingClient(configuration)
        var metadata: UnsafePointer<rd_kafka_metadata>?
        let code = unsafe rd_kafka_metadata(client.raw, 0, nil, &metadata, timeoutMilliseconds)
        guard code == RD_KAFKA_RESP_ERR_NO_ERROR, let metadata = unsafe metadata else { throw KafkaError(code) }
        defer { unsafe rd_kafka_metadata_destroy(metadata) }
        return unsafe Int(metadata.pointee.broker_cnt)
    }

    /// How far a group's members said they were, for lag tools; nil when they never did. Sluice's own offsets are in
    /// its database.
    public static func committedOffset(
        _ configuration: KafkaConfiguration, group: String, topic: String, partition: Int32, timeoutMilliseconds: Int32 = 10_000
    ) throws(KafkaError) -> Int64? {
        let client = try BlockingClient(configuration, settings: [("group.id", group)])
        let list = PartitionList(topic: topic, capacity: 1)
        list.add(partition)
        let code = unsafe rd_kafka_committed(client.raw, list.raw, timeoutMilliseconds)
        guard code == RD_KAFKA_RESP_ERR_NO_ERROR else { throw KafkaError(code) }
        let element = unsafe list.raw.pointee.elems[0]
        guard unsafe element.err == RD_KAFKA_RESP_ERR_NO_ERROR else { throw unsafe KafkaError(element.err) }
        return unsafe element.offset >= 0 ? element.offset : nil
    }

    // MARK: - Parts, on a client

    /// After metadata; nil when the brokers have none.
    static func identity(_ client: BlockingClient) -> String? {
        guard let text = unsafe rd_kafka_clusterid(client.raw, 1_000) else { return nil }
        defer { unsafe rd_kafka_mem_free(client.raw, text) }
        let identity = unsafe String(cString: text)
        return identity.isEmpty ? nil : identity
    }

    private static func create(
        _ client: BlockingClient, _ topic: OpaquePointer, _ name: String, _ timeoutMilliseconds: Int32
    ) throws(KafkaError) -> Bool {
        var topics: [OpaquePointer?] = unsafe [topic]
        let event = unsafe try ask(client, RD_KAFKA_ADMIN_OP_CREATETOPICS, timeoutMilliseconds) { options, queue in
            unsafe rd_kafka_AdminOptions_set_operation_timeout(options, timeoutMilliseconds, nil, 0)
            unsafe rd_kafka_CreateTopics(client.raw, &topics, 1, options, queue)
        }
        defer { unsafe rd_kafka_event_destroy(event) }
        var count = 0
        guard let result = unsafe rd_kafka_event_CreateTopics_result(event),
            let results = unsafe rd_kafka_CreateTopics_result_topics(result, &count), count == 1
        else { throw KafkaError(RD_KAFKA_RESP_ERR__BAD_MSG) }
        switch unsafe rd_kafka_topic_result_error(results[0]) {
        case RD_KAFKA_RESP_ERR_NO_ERROR: return true
        case RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS: return false
        case let code:
            let reason = unsafe rd_kafka_topic_result_error_string(results[0]).map { unsafe String(cString: $0) }
            throw KafkaError(code, detail: "Kafka topic \"\(name)\" was not created: \(reason ?? KafkaError(code).name)")
        }
    }

    private static func waitForLeaders(
        _ client: BlockingClient, _ name: String, partitions: Int32, _ timeoutMilliseconds: Int32
    ) throws(KafkaError) {
        let deadline = Clock.monotonicMilliseconds + UInt64(timeoutMilliseconds)
        while true {
            if let topic = try describe(client, name, timeoutMilliseconds), topic.partitions.count >= Int(partitions),
                topic.partitions.allSatisfy({ $0.leader != nil })
            {
                return
            }
            guard Clock.monotonicMilliseconds < deadline else { throw KafkaError(RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE) }
            usleep(50_000)
        }
    }

    static func describe(_ client: BlockingClient, _ name: String, _ timeoutMilliseconds: Int32) throws(KafkaError) -> Topic? {
        guard let handle = unsafe rd_kafka_topic_new(client.raw, name, nil) else {
            throw KafkaError(RD_KAFKA_RESP_ERR__INVALID_ARG, detail: "Kafka topic \"\(name)\": not a name")
        }
        defer { unsafe rd_kafka_topic_destroy(handle) }
        var metadata: UnsafePointer<rd_kafka_metadata>?
        let code = unsafe rd_kafka_metadata(client.raw, 0, handle, &metadata, timeoutMilliseconds)
        guard code == RD_KAFKA_RESP_ERR_NO_ERROR, let metadata = unsafe metadata else { throw KafkaError(code) }
        defer { unsafe rd_kafka_metadata_destroy(metadata) }
        guard unsafe metadata.pointee.topic_cnt == 1 else { return nil }
        let topic = unsafe metadata.pointee.topics[0]
        switch unsafe topic.err {
        case RD_KAFKA_RESP_ERR_NO_ERROR, RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE: break
        case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART: return nil
        case let code: throw KafkaError(code)
        }
        let partitions = unsafe (0..<Int(topic.partition_cnt)).map { unsafe Topic.Partition(topic.partitions[$0]) }
        return Topic(name: name, partitions: partitions.sorted { $0.number < $1.number })
    }

    static func watermarks(
        _ client: BlockingClient, _ topic: String, _ partition: Int32, _ timeoutMilliseconds: Int32
    ) throws(KafkaError) -> Watermarks {
        var low: Int64 = -1
        var high: Int64 = -1
        let code = unsafe rd_kafka_query_watermark_offsets(client.raw, topic, partition, &low, &high, timeoutMilliseconds)
        guard code == RD_KAFKA_RESP_ERR_NO_ERROR else { throw KafkaError(code) }
        return Watermarks(low: low, high: high)
    }
}

extension KafkaAdmin.Topic.Partition {
    init(_ partition: rd_kafka_metadata_partition) {
        unsafe self.init(
            number: partition.id, leader: partition.leader >= 0 ? partition.leader : nil,
            replicas: (0..<Int(partition.replica_cnt)).map { unsafe partition.replicas[$0] },
            inSyncReplicas: (0..<Int(partition.isr_cnt)).map { unsafe partition.isrs[$0] })
    }
}
