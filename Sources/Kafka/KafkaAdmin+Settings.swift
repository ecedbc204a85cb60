internal import CRdkafka
internal import Glibc
internal import Telemetry

/// What a cluster says of itself: who is in it, and which of its settings are in force.
public struct ClusterView: Sendable {
    /// What was answered about the settings of a topic or a broker.
    public enum Settings: Sendable {
        case told([String: String])
        /// The brokers do not tell, or not to this client.
        case refused(KafkaError)

        /// Nil where it was not told.
        public subscript(_ name: String) -> String? { if case .told(let values) = self { values[name] } else { nil } }
    }

    /// Nil when the brokers have none.
    public let identity: String?
    /// The numbers of the brokers that are there now.
    public let brokers: [Int32]
    /// Those that exist, by name.
    public let topics: [String: KafkaAdmin.Topic]
    /// Of the topics that exist, by name.
    public let topicSettings: [String: Settings]
    /// By the broker's number.
    public let brokerSettings: [Int32: Settings]
}

extension KafkaAdmin {
    /// Asks for all of that, over one client. Changes nothing.
    ///
    /// - Parameter timeoutMilliseconds: of each question.
    public static func view(
        _ configuration: KafkaConfiguration, topics names: [String], timeoutMilliseconds: Int32 = 5_000
    ) throws(KafkaError) -> ClusterView {
        let client = try BlockingClient(configuration)
        var metadata: UnsafePointer<rd_kafka_metadata>?
        let code = unsafe rd_kafka_metadata(client.raw, 0, nil, &metadata, timeoutMilliseconds)
        guard code == RD_KAFKA_RESP_ERR_NO_ERROR, let metadata = unsafe metadata else { throw KafkaError(code) }
        let brokers = unsafe (0..<Int(metadata.pointee.broker_cnt)).map { unsafe metadata.pointee.brokers[$0].id }.sorted()
        unsafe rd_kafka_metadata_destroy(metadata)
        var topics: [String: Topic] = [:]
        var topicSettings: [String: ClusterView.Settings] = [:]
        for name in names {
            guard let topic = try describe(client, name, timeoutMilliseconds) else { continue }
            topics[name] = topic
            topicSettings[name] = settings(client, RD_KAFKA_RESOURCE_TOPIC, name, timeoutMilliseconds)
        }
        var brokerSettings: [Int32: ClusterView.Settings] = [:]
        for broker in brokers { brokerSettings[broker] = settings(client, RD_KAFKA_RESOURCE_BROKER, "\(broker)", timeoutMilliseconds) }
        return ClusterView(
            identity: identity(client), brokers: brokers, topics: topics, topicSettings: topicSettings, brokerSettings: brokerSettings)
    }

    /// Where each partition of a topic begins and ends, by its number, over one client.
    public static func watermarks(
        _ configuration: KafkaConfiguration, topic: String, partitions: [Int32], timeoutMilliseconds: Int32 = 5_000
    ) throws(KafkaError) -> [Int32: Watermarks] {
        let client = try BlockingClient(configuration)
        var result: [Int32: Watermarks] = [:]
        for partition in partitions { result[partition] = try watermarks(client, topic, partition, timeoutMilliseconds) }
        return result
    }

    /// What is in force in a producer's client, once the operator's settings are applied to ours. Meets no broker.
    public static func settingsInForce(of producer: ProducerConfiguration, names: [String]) throws(KafkaError) -> [String: String] {
        let client = unsafe try ClientSettings.makeClient(
            RD_KAFKA_PRODUCER, settings: producer.settings, extra: producer.extra, events: RD_KAFKA_EVENT_LOG | RD_KAFKA_EVENT_ERROR)
        defer { unsafe rd_kafka_destroy(client) }
        var result: [String: String] = [:]
        for name in names {
            var bytes = [CChar](repeating: 0, count: 512)
            var size = bytes.count
            let found = unsafe bytes.withUnsafeMutableBufferPointer { buffer in
                unsafe rd_kafka_conf_get(rd_kafka_conf(client), name, buffer.baseAddress, &size)
            }
            guard found == RD_KAFKA_CONF_OK else { continue }
            result[name] = unsafe bytes.withUnsafeBufferPointer { buffer in unsafe String(cString: buffer.baseAddress!) }
        }
        return result
    }

    /// Deletes a topic with all that is in it. One that does not exist is no error.
    public static func deleteTopic(
        _ configuration: KafkaConfiguration, name: String, timeoutMilliseconds: Int32 = 10_000
    ) throws(KafkaError) {
        let client = try BlockingClient(configuration)
        guard let topic = unsafe rd_kafka_DeleteTopic_new(name) else { throw KafkaError(RD_KAFKA_RESP_ERR__CRIT_SYS_RESOURCE) }
        defer { unsafe rd_kafka_DeleteTopic_destroy(topic) }
        var topics: [OpaquePointer?] = unsafe [topic]
        let answered = unsafe try ask(client, RD_KAFKA_ADMIN_OP_DELETETOPICS, timeoutMilliseconds) { options, queue in
            unsafe rd_kafka_DeleteTopics(client.raw, &topics, 1, options, queue)
        }
        defer { unsafe rd_kafka_event_destroy(answered) }
        var count = 0
        guard let result = unsafe rd_kafka_event_DeleteTopics_result(answered),
            let results = unsafe rd_kafka_DeleteTopics_result_topics(result, &count), count == 1
        else { throw KafkaError(RD_KAFKA_RESP_ERR__BAD_MSG) }
        let code = unsafe rd_kafka_topic_result_error(results[0])
        guard code == RD_KAFKA_RESP_ERR_NO_ERROR || code == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART else { throw KafkaError(code) }
    }

    // MARK: - Parts, on a client

    private static func settings(
        _ client: BlockingClient, _ type: rd_kafka_ResourceType_t, _ name: String, _ timeoutMilliseconds: Int32
    ) -> ClusterView.Settings {
        guard let resource = unsafe rd_kafka_ConfigResource_new(type, name) else {
            return .refused(KafkaError(RD_KAFKA_RESP_ERR__INVALID_ARG))
        }
        defer { unsafe rd_kafka_ConfigResource_destroy(resource) }
        var resources: [OpaquePointer?] = unsafe [resource]
        let answered: OpaquePointer
        do throws(KafkaError) {
            unsafe answered = try ask(client, RD_KAFKA_ADMIN_OP_DESCRIBECONFIGS, timeoutMilliseconds) { options, queue in
                unsafe rd_kafka_DescribeConfigs(client.raw, &resources, 1, options, queue)
            }
        } catch {
            return .refused(error)
        }
        defer { unsafe rd_kafka_event_destroy(answered) }
        var count = 0
        guard let result = unsafe rd_kafka_event_DescribeConfigs_result(answered),
            let described = unsafe rd_kafka_DescribeConfigs_result_resources(result, &count), count == 1
        else { return .refused(KafkaError(RD_KAFKA_RESP_ERR__BAD_MSG)) }
        let code = unsafe rd_kafka_ConfigResource_error(described[0])
        guard code == RD_KAFKA_RESP_ERR_NO_ERROR else { return .refused(KafkaError(code)) }
        var entries = 0
        guard let list = unsafe rd_kafka_ConfigResource_configs(described[0], &entries) else { return .told([:]) }
        var values: [String: String] = [:]
        for index in 0..<entries {
            guard let name = unsafe rd_kafka_ConfigEntry_name(list[index]), let value = unsafe rd_kafka_ConfigEntry_value(list[index])
            else { continue }
            unsafe values[String(cString: name)] = unsafe String(cString: value)
        }
        return .told(values)
    }

    /// Sends one administrative request and waits. The caller frees the event.
    static func ask(
        _ client: BlockingClient, _ operation: rd_kafka_admin_op_t, _ timeoutMilliseconds: Int32,
        _ send: (OpaquePointer, OpaquePointer) -> Void
    ) throws(KafkaError) -> OpaquePointer {
        guard let options = unsafe rd_kafka_AdminOptions_new(client.raw, operation), let answers = unsafe rd_kafka_queue_new(client.raw)
        else { throw KafkaError(RD_KAFKA_RESP_ERR__CRIT_SYS_RESOURCE) }
        defer {
            unsafe rd_kafka_queue_destroy(answers)
            unsafe rd_kafka_AdminOptions_destroy(options)
        }
        unsafe rd_kafka_AdminOptions_set_request_timeout(options, timeoutMilliseconds, nil, 0)
        unsafe send(options, answers)
        guard let event = unsafe rd_kafka_queue_poll(answers, timeoutMilliseconds + 1_000) else {
            throw KafkaError(RD_KAFKA_RESP_ERR__TIMED_OUT)
        }
        let code = unsafe rd_kafka_event_error(event)
        guard code == RD_KAFKA_RESP_ERR_NO_ERROR else {
            unsafe rd_kafka_event_destroy(event)
            throw KafkaError(code)
        }
        return unsafe event
    }
}
