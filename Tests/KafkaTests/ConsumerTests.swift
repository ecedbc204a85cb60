import Kafka
import Loop
import Testing

extension BrokerTests {
    @Suite struct ConsumerTests {
        /// A topic with records `value 0...` in each partition.
        private func fill(_ broker: Broker, partitions: Int32, records: Int) throws {
            let configuration = KafkaConfiguration(bootstrapServers: broker.bootstrapServers)
            try KafkaAdmin.createTopic(configuration, name: "t", partitions: partitions, replication: 1)
            let fixture = try ProducerFixture(broker.bootstrapServers)
            defer { fixture.close() }
            for number in 0..<records {
                for partition in 0..<partitions {
                    let token = UInt64(number) * UInt64(partitions) + UInt64(partition)
                    #expect(fixture.produce(token, partition: partition, key: "key \(number)", value: "value \(number)") == .queued)
                }
            }
            #expect(fixture.run(seconds: 20, reports: records * Int(partitions)))
        }

        @Test func `records flow from the offsets that the owner names, in order, and not before`() throws {
            let broker = try Broker()
            try fill(broker, partitions: 3, records: 100)
            let fixture = try ConsumerFixture(broker.bootstrapServers)
            defer { fixture.close() }
            fixture.startAt = { _ in nil }
            #expect(fixture.harness.run(seconds: 10) { fixture.assigned.count == 1 })
            #expect(fixture.assigned == [[0, 1, 2]])
            #expect(!fixture.harness.run(seconds: 0.3) { fixture.recordCount > 0 })

            fixture.consumer.start(partition: 0, offset: 0)
            fixture.consumer.start(partition: 1, offset: 40)
            #expect(fixture.run(seconds: 5, records: 160))
            // Later, and without a repeat of what flows already.
            fixture.consumer.start(partition: 2, offset: 99)
            #expect(fixture.run(seconds: 5, records: 161))
            #expect(!fixture.harness.run(seconds: 0.3) { fixture.recordCount > 161 })
            for (partition, first) in [(Int32(0), 0), (1, 40), (2, 99)] {
                let expected = (first..<100).map { ConsumerFixture.Seen(offset: Int64($0), key: "key \($0)", value: "value \($0)") }
                #expect(fixture.records[partition] == expected)
            }
            #expect(fixture.errors.isEmpty)
        }
    }
}
