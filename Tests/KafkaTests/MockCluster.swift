import CRdkafka

@testable import TestSupport

/// librdkafka's brokers in the process, for answers that a real broker cannot be made to give. They have real sockets:
/// the code under test does not know.
@safe
final class MockCluster {
    private let client: OpaquePointer
    private let cluster: OpaquePointer
    let bootstrapServers: String

    init(brokers: Int32 = 1) throws {
        guard let client = unsafe rd_kafka_new(RD_KAFKA_PRODUCER, rd_kafka_conf_new(), nil, 0),
            let cluster = unsafe rd_kafka_mock_cluster_new(client, brokers)
        else { throw Broker.Failure(description: "librdkafka made no mock cluster") }
        unsafe self.client = client
        unsafe self.cluster = cluster
        bootstrapServers = unsafe String(cString: rd_kafka_mock_cluster_bootstraps(cluster))
    }

    deinit {
        unsafe rd_kafka_mock_cluster_destroy(cluster)
        unsafe rd_kafka_destroy(client)
    }

    func createTopic(_ name: String, partitions: Int32) {
        _ = unsafe rd_kafka_mock_topic_create(cluster, name, partitions, 1)
    }

    func lead(_ topic: String, partition: Int32, broker: Int32) {
        _ = unsafe rd_kafka_mock_partition_set_leader(cluster, topic, partition, broker)
    }

    /// The next Produce requests are answered with these errors, one each.
    func failProduce(_ errors: [rd_kafka_resp_err_t]) {
        unsafe rd_kafka_mock_push_request_errors_array(cluster, 0, errors.count, errors)
    }

    /// Answers take this long.
    func delay(broker: Int32, milliseconds: Int32) { _ = unsafe rd_kafka_mock_broker_set_rtt(cluster, broker, milliseconds) }

    /// Connections are reset and refused, or taken again.
    func setDown(broker: Int32, _ isDown: Bool) {
        _ = unsafe isDown ? rd_kafka_mock_broker_set_down(cluster, broker) : rd_kafka_mock_broker_set_up(cluster, broker)
    }
}
