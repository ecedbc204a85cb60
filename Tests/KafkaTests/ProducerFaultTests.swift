import CRdkafka
import Glibc
import Kafka
import Loop
import Telemetry
import Testing

@testable import TestSupport

extension BrokerTests {
    @Suite struct ProducerFaultTests {
        @Test func `a frozen broker: the oldest record ages, then may be persisted, and all goes on after the thaw`() throws {
            let broker = try Broker()
            let fixture = try ProducerFixture(broker.bootstrapServers) { $0.deliveryTimeoutMilliseconds = 1_500 }
            defer { fixture.close() }
            #expect(fixture.produce(0) == .queued)
            #expect(fixture.run(seconds: 5, reports: 1))

            broker.freeze()
            defer { broker.thaw() }
            #expect(fixture.produce(1) == .queued)
            let aged = fixture.harness.run(seconds: 1) { (fixture.producer.oldestUnacknowledgedNanoseconds ?? 0) >= 500_000_000 }
            #expect(aged)
            #expect(fixture.produce(2) == .queued)
            let age = fixture.producer.oldestUnacknowledgedNanoseconds ?? 0
            #expect(age >= 500_000_000 && age < 1_500_000_000, "a newer record does not make the oldest younger")
            #expect(fixture.run(seconds: 6, reports: 3))
            // It was sent and never answered.
            guard case .possiblyPersisted(let error) = fixture.reports[1]?.first else {
                Issue.record("\(fixture.reports)")
                return
            }
            #expect(error.isRetriable)
            #expect(fixture.producer.oldestUnacknowledgedNanoseconds == nil)

            broker.thaw()
            var delivered = false
            var token: UInt64 = 10
            fixture.onReport = { _, report in if case .delivered = report { delivered = true } }
            for _ in 0..<6 where !delivered {
                #expect(fixture.produce(token) == .queued)
                _ = fixture.harness.run(seconds: 3) { fixture.producer.inFlight == 0 }
                token += 1
            }
            #expect(delivered)
            #expect(fixture.everyTokenOnce)
        }

        @Test func `a broker that is gone: what is produced then was never persisted`() throws {
            let broker = try Broker()
            let fixture = try ProducerFixture(broker.bootstrapServers) { $0.deliveryTimeoutMilliseconds = 1_000 }
            defer { fixture.close() }
            #expect(fixture.produce(0) == .queued)
            #expect(fixture.run(seconds: 5, reports: 1))
            broker.kill()
            // Let the reset connection be noticed: nothing can be sent from here on.
            _ = fixture.harness.run(seconds: 0.3) { false }
            for token in 1..<20 { #expect(fixture.produce(UInt64(token)) == .queued) }
            #expect(fixture.run(seconds: 6, reports: 20))
            for token in 1..<20 {
                guard case .notPersisted(let error) = fixture.reports[UInt64(token)]?.first else {
                    Issue.record("\(token): \(String(describing: fixture.reports[UInt64(token)]))")
                    continue
                }
                #expect(error.isRetriable)
            }
            #expect(fixture.everyTokenOnce)
            #expect(fixture.producer.counts.notPersisted.value == 19)
        }

        @Test func `records produced while the broker restarts are delivered, once each and in order`() throws {
            let broker = try Broker()
            let configuration = KafkaConfiguration(bootstrapServers: broker.bootstrapServers)
            let fixture = try ProducerFixture(broker.bootstrapServers) { $0.deliveryTimeoutMilliseconds = 10_000 }
            defer { fixture.close() }
            #expect(fixture.produce(0, value: "0") == .queued)
            #expect(fixture.run(seconds: 5, reports: 1))
            try broker.restart()
            for token in 1..<50 { #expect(fixture.produce(UInt64(token), value: "\(token)") == .queued) }
            #expect(fixture.run(seconds: 12, reports: 50))
            #expect(fixture.everyTokenOnce)
            #expect(fixture.producer.counts.delivered.value == 50)
            var values: [String] = []
            try KafkaAdmin.readAll(configuration, topic: "t", partition: 0) { record in
                values.append(text(record.value))
                return true
            }
            #expect(values == (0..<50).map { "\($0)" })
        }

        @Test func `a close answers every record at once by what is known of it`() throws {
            let broker = try Broker()
            let fixture = try ProducerFixture(broker.bootstrapServers) { $0.deliveryTimeoutMilliseconds = 60_000 }
            #expect(fixture.produce(0) == .queued)
            #expect(fixture.run(seconds: 5, reports: 1))
            broker.freeze()
            defer { broker.thaw() }
            for token in 1..<4 {
                #expect(fixture.produce(UInt64(token)) == .queued)
                _ = fixture.harness.run(seconds: 0.1) { false }
            }
            // Within the linger, so never sent.
            #expect(fixture.produce(4) == .queued)
            fixture.close()
            #expect(fixture.reportCount == 5)
            #expect(fixture.everyTokenOnce)
            for token in 1..<4 {
                guard case .possiblyPersisted = fixture.reports[UInt64(token)]?.first else {
                    Issue.record("\(token): \(String(describing: fixture.reports[UInt64(token)]))")
                    continue
                }
            }
            guard case .notPersisted = fixture.reports[4]?.first else {
                Issue.record("4: \(String(describing: fixture.reports[4]))")
                return
            }
            #expect(fixture.producer.inFlight == 0)
        }

        @Test func `a producer may be closed from within a report, and one that never met a broker too`() throws {
            let harness = Harness()
            let port = try Broker.freePort()
            var configuration = ProducerConfiguration(base: KafkaConfiguration(bootstrapServers: "127.0.0.1:\(port)"))
            configuration.deliveryTimeoutMilliseconds = 500
            var producer: Producer?
            var reports: [UInt64] = []
            var closed = false
            producer = try Producer(loop: harness.loop, configuration: configuration) { token, _ in
                reports.append(token)
                if reports.count == 1 {
                    producer?.close { closed = true }
                    producer = nil
                }
            }
            weak let observed = producer
            for token in 0..<20 {
                #expect(
                    producer?.produce(
                        topic: "t", partition: 0, key: [UInt8]().span, value: [1].span, headers: HeaderList(), timestampMilliseconds: 0,
                        token: UInt64(token)) == .queued)
            }
            #expect(harness.run(seconds: 8) { closed })
            #expect(reports.sorted() == Array(0..<20))
            #expect(observed == nil, "a closed producer is let go")
        }

        @Test func `a fatal error replaces the client, and nothing is lost or answered twice`() throws {
            let cluster = try MockCluster()
            cluster.createTopic("t", partitions: 2)
            let fixture = try ProducerFixture(cluster.bootstrapServers) {
                $0.lingerMilliseconds = 0
                $0.deliveryTimeoutMilliseconds = 4_000
            }
            defer { fixture.close() }
            #expect(fixture.produce(0) == .queued)
            #expect(fixture.run(seconds: 5, reports: 1))

            // The broker lost what it had acknowledged: librdkafka cannot go on with this producer.
            cluster.failProduce([RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER])
            for token in 1..<100 {
                #expect(fixture.produce(UInt64(token), partition: Int32(token % 2)) == .queued)
                if token % 10 == 0 { _ = fixture.harness.run(seconds: 0.01) { false } }
            }
            #expect(fixture.run(seconds: 10, reports: 100))
            #expect(fixture.everyTokenOnce)
            #expect(fixture.replaced.count == 1)
            #expect(fixture.replaced.first?.isFatal == true)
            #expect(fixture.producer.counts.replacements.value == 1)

            for token in 100..<150 { #expect(fixture.produce(UInt64(token)) == .queued) }
            #expect(fixture.run(seconds: 5, reports: 150))
            for token in 100..<150 {
                guard case .delivered = fixture.reports[UInt64(token)]?.first else {
                    Issue.record("\(token): \(String(describing: fixture.reports[UInt64(token)]))")
                    continue
                }
            }
            // Whatever was reported as delivered or as not persisted must be so.
            var inLog: Set<String> = []
            for partition in Int32(0)..<2 {
                try KafkaAdmin.readAll(
                    KafkaConfiguration(bootstrapServers: cluster.bootstrapServers), topic: "t", partition: partition
                ) { record in
                    inLog.insert("\(partition):\(record.offset)")
                    return true
                }
            }
            for reports in fixture.reports.values {
                if case .delivered(let partition, let offset) = reports[0] { #expect(inLog.contains("\(partition):\(offset)")) }
            }
        }

        @Test func `an ordered producer's fatal client answers also for what came back to it, and the next one goes on`() throws {
            let cluster = try MockCluster(brokers: 2)
            cluster.createTopic("t", partitions: 2)
            for partition in Int32(0)..<2 { cluster.lead("t", partition: partition, broker: partition + 1) }
            let fixture = try ProducerFixture(cluster.bootstrapServers) {
                $0.lingerMilliseconds = 0
                $0.isOrdered = true
            }
            defer { fixture.close() }
            for partition in Int32(0)..<2 { #expect(fixture.produce(UInt64(partition), partition: partition) == .queued) }
            #expect(fixture.run(seconds: 5, reports: 2))
            // On its way to a slow broker when the other one makes the client fatal; then that connection breaks.
            cluster.delay(broker: 2, milliseconds: 30_000)
            #expect(fixture.produce(2, partition: 1) == .queued)
            _ = fixture.harness.run(seconds: 0.2) { false }
            cluster.failProduce([RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER])
            #expect(fixture.produce(3, partition: 0) == .queued)
            #expect(fixture.harness.run(seconds: 5) { fixture.replaced.count == 1 })
            _ = fixture.harness.run(seconds: 0.5) { false }
            #expect(fixture.reports[2] == nil, "still in flight")
            #expect(fixture.produce(4, partition: 0) != .queued, "nothing may overtake what is in flight")
            cluster.setDown(broker: 2, true)
            #expect(fixture.run(seconds: 5, reports: 4), "it never expires, and nobody sends it again")
            #expect(fixture.produce(5, partition: 0) == .queued)
            #expect(fixture.run(seconds: 5, reports: 5))
            #expect(fixture.everyTokenOnce)
        }

        @Test func `a produce that meets a client that has turned fatal unseen goes to the new one`() throws {
            let cluster = try MockCluster()
            cluster.createTopic("t", partitions: 1)
            let fixture = try ProducerFixture(cluster.bootstrapServers) { $0.lingerMilliseconds = 0 }
            defer { fixture.close() }
            #expect(fixture.produce(0) == .queued)
            #expect(fixture.run(seconds: 5, reports: 1))
            cluster.failProduce([RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER])
            #expect(fixture.produce(1) == .queued)
            // The loop does not turn meanwhile, so the error event waits.
            usleep(300_000)
            #expect(fixture.produce(2) == .queued)
            #expect(fixture.producer.counts.replacements.value == 1)
            #expect(fixture.run(seconds: 5, reports: 3))
            #expect(fixture.everyTokenOnce)
            guard case .delivered = fixture.reports[2]?.first else {
                Issue.record("\(fixture.reports)")
                return
            }
        }

        @Test func `clients that turned fatal one after another still answer what they had in flight`() throws {
            let cluster = try MockCluster(brokers: 3)
            cluster.createTopic("t", partitions: 3)
            for partition in Int32(0)..<3 { cluster.lead("t", partition: partition, broker: partition + 1) }
            let fixture = try ProducerFixture(cluster.bootstrapServers) {
                $0.lingerMilliseconds = 0
                $0.deliveryTimeoutMilliseconds = 10_000
            }
            defer { fixture.close() }
            for round in UInt64(0)..<2 {
                // In each round another broker turns slow, when it is connected: it is slow in its greeting too.
                let slow = Int32(round) + 1
                #expect(fixture.produce(round * 10, partition: 0) == .queued)
                #expect(fixture.produce(round * 10 + 1, partition: slow) == .queued)
                let connected = fixture.harness.run(seconds: 5) {
                    fixture.reports[round * 10] != nil && fixture.reports[round * 10 + 1] != nil
                }
                #expect(connected)
                cluster.delay(broker: slow + 1, milliseconds: 4_000)
                #expect(fixture.produce(round * 10 + 2, partition: slow) == .queued)
                _ = fixture.harness.run(seconds: 0.2) { false }
                cluster.failProduce([RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER])
                #expect(fixture.produce(round * 10 + 3, partition: 0) == .queued)
                #expect(fixture.harness.run(seconds: 5) { fixture.replaced.count == Int(round) + 1 })
                // Beyond the pause between two replacements.
                if round == 0 { _ = fixture.harness.run(seconds: 1.1) { false } }
            }
            #expect(fixture.reports[2] == nil && fixture.reports[12] == nil, "both still in flight, each in its own old client")
            #expect(fixture.run(seconds: 12, reports: 8))
            #expect(fixture.everyTokenOnce)
            for (token, partition) in [(UInt64(2), Int32(1)), (12, 2)] {
                guard case .delivered(partition, _) = fixture.reports[token]?.first else {
                    Issue.record("\(token): \(String(describing: fixture.reports[token]))")
                    continue
                }
            }
        }

        @Test func `a client that turns fatal again at once is not replaced in a loop, and refuses in between`() throws {
            let cluster = try MockCluster()
            cluster.createTopic("t", partitions: 1)
            let fixture = try ProducerFixture(cluster.bootstrapServers) { $0.lingerMilliseconds = 0 }
            defer { fixture.close() }
            #expect(fixture.produce(0) == .queued)
            #expect(fixture.run(seconds: 5, reports: 1))
            var refusals = 0
            var token: UInt64 = 1
            let end = fixture.harness.loop.nowNanoseconds + 1_500_000_000
            while fixture.harness.loop.nowNanoseconds < end {
                cluster.failProduce([RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER])
                switch fixture.produce(token) {
                case .queued: break
                case .refused(let error):
                    #expect(error.isFatal)
                    refusals += 1
                case .queueFull: Issue.record("not full")
                }
                token += 1
                _ = fixture.harness.run(seconds: 0.02) { false }
            }
            #expect(refusals > 0)
            #expect(fixture.producer.counts.replacements.value >= 1 && fixture.producer.counts.replacements.value <= 3)
            fixture.close()
            #expect(fixture.everyTokenOnce)
            #expect(fixture.reportCount + refusals == Int(token))
        }
    }
}
