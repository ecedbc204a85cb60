import Kafka
import Testing

@testable import TestSupport

extension BrokerTests {
    @Suite struct AdminTests {
        @Test func `a topic is created once, and the second time left as it is`() throws {
            let broker = try Broker()
            let configuration = KafkaConfiguration(bootstrapServers: broker.bootstrapServers)
            #expect(
                try KafkaAdmin.createTopic(
                    configuration, name: "t", partitions: 5, replication: 1, settings: [("retention.ms", "86400000")]))
            #expect(try !KafkaAdmin.createTopic(configuration, name: "t", partitions: 7, replication: 1))
            let topic = try KafkaAdmin.topic(configuration, name: "t")
            #expect(topic?.name == "t")
            #expect(topic?.partitions.map(\.number) == [0, 1, 2, 3, 4])
            #expect(topic?.partitions.allSatisfy { $0.leader == 1 && $0.replicas == [1] && $0.inSyncReplicas == [1] } == true)
        }

        @Test func `a topic that cannot be is refused with its name`() throws {
            let broker = try Broker()
            let configuration = KafkaConfiguration(bootstrapServers: broker.bootstrapServers)
            let error = #expect(throws: KafkaError.self) {
                try KafkaAdmin.createTopic(configuration, name: "no/such name", partitions: 1, replication: 1)
            }
            #expect(error?.description.contains("no/such name") == true)
        }

        @Test func `a topic that is not there is nil, and asking does not make it`() throws {
            let broker = try Broker()
            let configuration = KafkaConfiguration(bootstrapServers: broker.bootstrapServers)
            #expect(try KafkaAdmin.topic(configuration, name: "nowhere") == nil)
            #expect(try KafkaAdmin.topic(configuration, name: "nowhere") == nil)
        }

        @Test func `watermarks and every part of a partition can be read, and no other`() throws {
            let broker = try Broker()
            try fill(broker, partitions: 2, records: 100)
            let configuration = KafkaConfiguration(
                bootstrapServers: broker.bootstrapServers, extra: [("receive.message.max.bytes", "2000000000")])
            let watermarks = try KafkaAdmin.watermarks(configuration, topic: "t", partition: 1)
            #expect(watermarks.low == 0 && watermarks.high == 100)

            func read(_ from: Int64?, _ to: Int64?, atMost: Int = 1_000) throws -> ([String], Int64) {
                var values: [String] = []
                let next = try KafkaAdmin.readAll(configuration, topic: "t", partition: 1, from: from, to: to) { record in
                    values.append(text(record.value))
                    return values.count < atMost
                }
                return (values, next)
            }
            func expected(_ range: Range<Int>) -> [String] { range.map { "value \($0)" } }

            #expect(try read(nil, nil) == (expected(0..<100), 100))
            #expect(try read(10, 20) == (expected(10..<20), 20))
            #expect(try read(95, nil) == (expected(95..<100), 100))
            #expect(try read(nil, nil, atMost: 3) == (expected(0..<3), 3))
            #expect(try read(100, nil) == ([], 100))
            #expect(try read(20, 20) == ([], 20))
            let error = #expect(throws: KafkaError.self) { try read(101, nil) }
            #expect(error?.isOffsetOutOfRange == true)
        }

        @Test func `a cluster that is away is an error within the time given`() throws {
            let configuration = KafkaConfiguration(bootstrapServers: "127.0.0.1:\(try Broker.freePort())")
            let error = #expect(throws: KafkaError.self) { try KafkaAdmin.clusterID(configuration, timeoutMilliseconds: 300) }
            #expect(error?.isRetriable == true)
            #expect(throws: KafkaError.self) { try KafkaAdmin.topic(configuration, name: "t", timeoutMilliseconds: 300) }
            #expect(throws: KafkaError.self) {
                try KafkaAdmin.createTopic(configuration, name: "t", partitions: 1, replication: 1, timeoutMilliseconds: 300)
            }
        }

        @Test func `the cluster's identity is the same after a restart`() throws {
            let broker = try Broker()
            let configuration = KafkaConfiguration(bootstrapServers: broker.bootstrapServers)
            let before = try KafkaAdmin.clusterID(configuration)
            try broker.restart()
            #expect(try KafkaAdmin.clusterID(configuration) == before)
            #expect(before != nil)
        }
    }
}
