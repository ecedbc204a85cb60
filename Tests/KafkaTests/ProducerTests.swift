import Kafka
import Loop
import Telemetry
import Testing

@testable import TestSupport

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

        @Test func `partition, key, value, headers and time arrive as they were given`() throws {
            let broker = try Broker()
            let configuration = KafkaConfiguration(bootstrapServers: broker.bootstrapServers)
            try KafkaAdmin.createTopic(configuration, name: "t", partitions: 3, replication: 1)
            let fixture = try ProducerFixture(broker.bootstrapServers)
            defer { fixture.close() }
            var headers = HeaderList()
            headers.append("tenant", text: "acme")
            headers.append("raw", [0, 255, 10].span)
            headers.append("tenant", text: "the last one counts")
            headers.append("empty", [UInt8]().span)
            let time: Int64 = 1_700_000_000_123
            #expect(
                fixture.produce(7, partition: 2, key: "key\0with a zero", value: "välue", headers: headers, timestampMilliseconds: time)
                    == .queued)
            #expect(fixture.produce(8, partition: 2, value: "") == .queued)
            #expect(fixture.run(seconds: 5, reports: 2))
            #expect(fixture.reports[7] == [.delivered(partition: 2, offset: 0)])

            var seen = 0
            try KafkaAdmin.readAll(configuration, topic: "t", partition: 2) { record in
                #expect(record.partition == 2)
                #expect(record.offset == Int64(seen))
                if seen == 0 {
                    #expect(text(record.key) == "key\0with a zero")
                    #expect(text(record.value) == "välue")
                    #expect(record.timestampMilliseconds == time)
                    #expect(headerText(record, "tenant") == "the last one counts")
                    #expect(headerText(record, "raw")?.unicodeScalars.count == 3)
                    #expect(headerText(record, "empty") == "")
                    #expect(headerText(record, "none") == nil)
                    #expect(
                        record.headers == [
                            Header(name: "tenant", value: Array("acme".utf8)), Header(name: "raw", value: [0, 255, 10]),
                            Header(name: "tenant", value: Array("the last one counts".utf8)), Header(name: "empty", value: []),
                        ])
                } else {
                    #expect(record.key.isEmpty && record.value.isEmpty && record.headers.isEmpty)
                }
                seen += 1
                return true
            }
            #expect(seen == 2)
        }

        @Test func `a report wakes the loop, it does not wait for a timer`() throws {
            let broker = try Broker()
            let fixture = try ProducerFixture(broker.bootstrapServers) { $0.lingerMilliseconds = 0 }
            defer { fixture.close() }
            #expect(fixture.produce(0) == .queued)
            #expect(fixture.run(seconds: 5, reports: 1))
            var milliseconds: [Double] = []
            var sentAt: UInt64 = 0
            fixture.onReport = { token, _ in
                milliseconds.append(Double(fixture.harness.loop.nowNanoseconds - sentAt) / 1e6)
                guard token < 50 else { return }
                sentAt = fixture.harness.loop.nowNanoseconds
                #expect(fixture.produce(token + 1) == .queued)
            }
            sentAt = fixture.harness.loop.nowNanoseconds
            #expect(fixture.produce(1) == .queued)
            #expect(fixture.run(seconds: 20, reports: 51))
            // The belt ticks every 250 ms: were it what wakes the loop, the median could not be below half of that.
            milliseconds.sort()
            #expect(milliseconds[25] < 60, "median of 50 reports one by one: \(milliseconds[25]) ms")
        }

        @Test func `no turn hands out more reports than its bound, and none is lost by that`() throws {
            let broker = try Broker()
            let fixture = try ProducerFixture(broker.bootstrapServers) {
                $0.reportsPerTurnMax = 7
                $0.lingerMilliseconds = 50
            }
            defer { fixture.close() }
            var inTurn = 0
            var most = 0
            fixture.onReport = { _, _ in inTurn += 1 }
            fixture.harness.loop.atTurnEnd {
                most = max(most, inTurn)
                inTurn = 0
            }
            for token in 0..<500 { #expect(fixture.produce(UInt64(token)) == .queued) }
            #expect(fixture.run(seconds: 10, reports: 500))
            #expect(fixture.everyTokenOnce)
            #expect(most == 7)
        }

        @Test func `a full queue refuses, by count and by bytes, and takes records again when there is room`() throws {
            let broker = try Broker()
            let fixture = try ProducerFixture(broker.bootstrapServers) {
                $0.queueMessagesMax = 10
                $0.lingerMilliseconds = 100
            }
            defer { fixture.close() }
            for token in 0..<10 { #expect(fixture.produce(UInt64(token)) == .queued) }
            #expect(fixture.produce(10) == .queueFull)
            #expect(fixture.producer.inFlight == 10)
            #expect(fixture.run(seconds: 5, reports: 10))
            #expect(fixture.produce(11) == .queued)
            #expect(fixture.run(seconds: 5, reports: 11))
            #expect(fixture.reports[10] == nil)

            let small = try ProducerFixture(broker.bootstrapServers, harness: fixture.harness) {
                $0.queueKilobytesMax = 1
                $0.lingerMilliseconds = 100
            }
            defer { small.close() }
            let value = String(repeating: "v", count: 700)
            #expect(small.produce(0, value: value) == .queued)
            #expect(small.produce(1, value: value) == .queueFull)
            #expect(small.producer.inFlight == 1)
            #expect(small.run(seconds: 5, reports: 1))
            #expect(small.reports[1] == nil)
        }

        @Test func `a partition that does not exist is not persisted`() throws {
            let broker = try Broker()
            let configuration = KafkaConfiguration(bootstrapServers: broker.bootstrapServers)
            try KafkaAdmin.createTopic(configuration, name: "t", partitions: 3, replication: 1)
            let fixture = try ProducerFixture(broker.bootstrapServers)
            defer { fixture.close() }
            // The topic is not known yet: the refusal comes as a report.
            #expect(fixture.produce(0, partition: 3) == .queued)
            #expect(fixture.produce(1, partition: 2) == .queued)
            #expect(fixture.run(seconds: 8, reports: 2))
            guard case .notPersisted(let error) = fixture.reports[0]?.first else {
                Issue.record("\(fixture.reports)")
                return
            }
            #expect(error.isUnknownPartition && !error.isRetriable)
            // Now it is known: refused at once, and no report follows.
            guard case .refused(let refusal) = fixture.produce(2, partition: 3) else {
                Issue.record("not refused")
                return
            }
            #expect(refusal.isUnknownPartition)
            #expect(fixture.producer.inFlight == 0)
        }

        @Test func `a flush ends when all is answered, or at its deadline`() throws {
            let broker = try Broker()
            let fixture = try ProducerFixture(broker.bootstrapServers) { $0.lingerMilliseconds = 200 }
            defer { fixture.close() }
            var results: [Int] = []
            fixture.producer.flush(deadlineMilliseconds: 5_000) { results.append($0) }
            #expect(fixture.harness.run(seconds: 1) { results == [0] })
            for token in 0..<5 { #expect(fixture.produce(UInt64(token)) == .queued) }
            fixture.producer.flush(deadlineMilliseconds: 10) { results.append($0) }
            fixture.producer.flush(deadlineMilliseconds: 5_000) { results.append($0) }
            #expect(fixture.harness.run(seconds: 5) { results.count == 3 })
            #expect(results == [0, 5, 0])
            #expect(fixture.reportCount == 5)
        }
    }
}

/// All tests with brokers, one at a time: each has a process of its own, and some measure time.
@Suite(.serialized) struct BrokerTests {}
