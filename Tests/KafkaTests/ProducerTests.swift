import Kafka
import Loop
import Telemetry
import Testing

extension BrokerTests {
    @Suite struct ProducerTests {
        @Test func `every record is reported once, with offsets in the order of producing`() throws {
            let broker = try Broker()
            let fixture = try ProducerFixture(broker.bootstrapServers)
            defer { fixture.close() }
            for token in 0..<2_000 { #expect(fixture.produce(UInt64(token), value: "value \(token)") == .queued) }
            #expect(fixture.producer.inFlight == 2_000)
            #expect(fixture.run(seconds: 10, reports: 2_000))
            #expect(fixture.everyTokenOnce)
            for token in 0..<2_000 { #expect(fixture.reports[UInt64(token)] == [.delivered(partition: 0, offset: Int64(token))]) }
            #expect(fixture.producer.inFlight == 0)
            #expect(fixture.producer.oldestUnacknowledgedNanoseconds == nil)
            #expect(fixture.producer.counts.delivered.value == 2_000)
        }
    }
}

/// All tests with brokers, one at a time: each has a process of its own, and some measure time.
@Suite(.serialized) struct BrokerTests {}
