import Kafka
import Loop
import Testing

@testable import TestSupport

/// A topic with records `value 0...` in each partition.
func fill(_ broker: Broker, partitions: Int32, records: Int) throws {
    let configuration = KafkaConfiguration(bootstrapServers: broker.bootstrapServers)
    try KafkaAdmin.createTopic(configuration, name: "t", partitions: partitions, replication: 1)
    try append(broker.bootstrapServers, partitions: partitions, records: 0..<records)
}

/// More of the same.
func append(_ bootstrapServers: String, partitions: Int32, records: Range<Int>) throws {
    let fixture = try ProducerFixture(bootstrapServers)
    defer { fixture.close() }
    for number in records {
        for partition in 0..<partitions {
            let token = UInt64(number) * UInt64(partitions) + UInt64(partition)
            #expect(fixture.produce(token, partition: partition, key: "key \(number)", value: "value \(number)") == .queued)
        }
    }
    #expect(fixture.run(seconds: 20, reports: records.count * Int(partitions)))
}

func seen(_ range: Range<Int>) -> [ConsumerFixture.Seen] {
    range.map { ConsumerFixture.Seen(offset: Int64($0), key: "key \($0)", value: "value \($0)") }
}

extension BrokerTests {
    @Suite struct ConsumerTests {
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
            try append(broker.bootstrapServers, partitions: 3, records: 100..<110)
            #expect(fixture.run(seconds: 5, records: 191))
            for (partition, first) in [(Int32(0), 0), (1, 40), (2, 99)] {
                #expect(fixture.records[partition] == seen(first..<110))
            }
            #expect(fixture.errors.isEmpty)
        }

        @Test func `a partition that was ended is silent until it is started anew, wherever that is`() throws {
            let broker = try Broker()
            try fill(broker, partitions: 2, records: 50)
            let fixture = try ConsumerFixture(broker.bootstrapServers)
            defer { fixture.close() }
            #expect(fixture.run(seconds: 10, records: 100))
            fixture.consumer.end(partition: 0)
            try append(broker.bootstrapServers, partitions: 2, records: 50..<60)
            #expect(fixture.run(seconds: 5, records: 110))
            #expect(!fixture.harness.run(seconds: 0.3) { fixture.recordCount > 110 })
            #expect(fixture.records[0] == seen(0..<50) && fixture.records[1] == seen(0..<60))
            fixture.consumer.start(partition: 0, offset: 45)
            #expect(fixture.run(seconds: 5, records: 125))
            #expect(fixture.records[0] == seen(0..<50) + seen(45..<60))
            #expect(fixture.records[1] == seen(0..<60))
            #expect(fixture.errors.isEmpty)
        }

        @Test func `a new record wakes the loop, it does not wait for a timer`() throws {
            let broker = try Broker()
            try fill(broker, partitions: 1, records: 1)
            let fixture = try ConsumerFixture(broker.bootstrapServers)
            defer { fixture.close() }
            let producer = try ProducerFixture(broker.bootstrapServers, harness: fixture.harness) { $0.lingerMilliseconds = 0 }
            defer { producer.close() }
            #expect(fixture.run(seconds: 10, records: 1))
            var milliseconds: [Double] = []
            var sentAt: UInt64 = 0
            func send() {
                sentAt = fixture.harness.loop.nowNanoseconds
                #expect(producer.produce(UInt64(milliseconds.count)) == .queued)
            }
            fixture.onBatch = { _ in
                milliseconds.append(Double(fixture.harness.loop.nowNanoseconds - sentAt) / 1e6)
                if milliseconds.count < 50 { send() }
            }
            send()
            #expect(fixture.harness.run(seconds: 20) { milliseconds.count == 50 })
            milliseconds.sort()
            #expect(milliseconds[25] < 60, "median of 50 records one by one: \(milliseconds[25]) ms")
        }

        @Test func `a paused partition gives nothing, the others go on, and a resume goes on where it was`() throws {
            let broker = try Broker()
            try fill(broker, partitions: 2, records: 500)
            let fixture = try ConsumerFixture(broker.bootstrapServers) { $0.recordsPerTurnMax = 20 }
            defer { fixture.close() }
            var afterPause = 0
            var isPaused = false
            fixture.onBatch = { batch in
                guard batch.partition == 0 else { return }
                if isPaused { afterPause += batch.count }
                if fixture.records[0]?.count ?? 0 >= 60, !isPaused {
                    isPaused = true
                    fixture.consumer.pause(partition: 0)
                }
            }
            #expect(fixture.harness.run(seconds: 10) { fixture.records[1]?.count == 500 })
            try append(broker.bootstrapServers, partitions: 2, records: 500..<600)
            #expect(fixture.harness.run(seconds: 10) { fixture.records[1]?.count == 600 })
            #expect(isPaused && afterPause == 0)
            let before = fixture.records[0]?.count ?? 0
            #expect(before >= 60 && before < 500)
            fixture.onBatch = { _ in }
            fixture.consumer.resume(partition: 0)
            #expect(fixture.run(seconds: 10, records: 1_200))
            #expect(fixture.records[0] == seen(0..<600))
            #expect(fixture.records[1] == seen(0..<600))
        }

        @Test func `no turn hands out more than its bounds, and every partition gets its share`() throws {
            let broker = try Broker()
            try fill(broker, partitions: 3, records: 300)
            let fixture = try ConsumerFixture(broker.bootstrapServers) { $0.recordsPerTurnMax = 30 }
            defer { fixture.close() }
            var inTurn = 0
            var most = 0
            fixture.onBatch = { batch in inTurn += batch.count }
            fixture.harness.loop.atTurnEnd {
                most = max(most, inTurn)
                inTurn = 0
            }
            #expect(fixture.run(seconds: 10, records: 900))
            #expect(most <= 30 && most > 0)
            for partition in Int32(0)..<3 { #expect(fixture.records[partition] == seen(0..<300)) }

            let small = try ConsumerFixture(broker.bootstrapServers, group: "bytes", harness: fixture.harness) { $0.bytesPerTurnMax = 1 }
            defer { small.close() }
            #expect(small.run(seconds: 20, records: 900))
            #expect(small.batchSizes.allSatisfy { $0 == 1 })
        }

        @Test func `an offset that the log does not have is told, and the other partitions flow`() throws {
            let broker = try Broker()
            try fill(broker, partitions: 2, records: 10)
            let fixture = try ConsumerFixture(broker.bootstrapServers)
            defer { fixture.close() }
            fixture.startAt = { $0 == 0 ? 5_000 : 0 }
            #expect(fixture.harness.run(seconds: 15) { fixture.recordCount == 10 && !fixture.errors.isEmpty })
            #expect(fixture.errors.allSatisfy { $0.partition == 0 && $0.error.isOffsetOutOfRange })
            #expect(fixture.records[0] == nil)
            #expect(fixture.records[1] == seen(0..<10))
            // It stands still: no jump to either end.
            try append(broker.bootstrapServers, partitions: 2, records: 10..<20)
            #expect(fixture.harness.run(seconds: 5) { fixture.records[1]?.count == 20 })
            #expect(fixture.records[0] == nil)
        }

        @Test func `a second member takes its share only when the first has given it back`() throws {
            let broker = try Broker()
            try fill(broker, partitions: 4, records: 50)
            let harness = Harness()
            let first = try ConsumerFixture(broker.bootstrapServers, instanceID: "one", harness: harness)
            defer { first.close() }
            #expect(first.run(seconds: 15, records: 200))
            #expect(first.owned == [0, 1, 2, 3])
            first.finishesRevocation = false
            // Both go on where the first one stopped.
            first.startAt = { _ in 50 }

            let second = try ConsumerFixture(broker.bootstrapServers, instanceID: "two", harness: harness)
            defer { second.close() }
            second.startAt = { _ in 50 }
            #expect(harness.run(seconds: 15) { first.revoked.count == 1 })
            #expect(first.revoked.first?.partitions.sorted() == [0, 1, 2, 3])
            #expect(first.revoked.first?.lost == false)
            // The first has not finished its work.
            try append(broker.bootstrapServers, partitions: 4, records: 50..<60)
            #expect(!harness.run(seconds: 0.5) { !second.owned.isEmpty || first.recordCount > 200 })

            first.finishesRevocation = true
            first.consumer.finishRevocation()
            #expect(harness.run(seconds: 15) { first.owned.count == 2 && second.owned.count == 2 })
            #expect(first.owned.isDisjoint(with: second.owned))
            #expect(harness.run(seconds: 10) { first.recordCount + second.recordCount == 240 })
            for partition in Int32(0)..<4 {
                #expect((first.records[partition] ?? []) + (second.records[partition] ?? []) == seen(0..<60))
            }
        }

        @Test func `a static member that comes back gets its partitions without a rebalance of the others`() throws {
            let broker = try Broker()
            try fill(broker, partitions: 2, records: 1)
            let harness = Harness()
            let first = try ConsumerFixture(broker.bootstrapServers, instanceID: "one", harness: harness)
            defer { first.close() }
            let second = try ConsumerFixture(broker.bootstrapServers, instanceID: "two", harness: harness)
            #expect(harness.run(seconds: 20) { first.owned.count == 1 && second.owned.count == 1 })
            let owned = second.owned
            let revocations = first.revoked.count
            second.close(keepsPlace: true)
            let again = try ConsumerFixture(broker.bootstrapServers, instanceID: "two", harness: harness)
            defer { again.close() }
            #expect(harness.run(seconds: 10) { again.owned == owned })
            #expect(first.revoked.count == revocations)
        }

        @Test func `a static member that leaves gives its partitions to the others at once`() throws {
            let broker = try Broker()
            try fill(broker, partitions: 4, records: 1)
            let harness = Harness()
            let first = try ConsumerFixture(broker.bootstrapServers, instanceID: "one", harness: harness)
            defer { first.close() }
            let second = try ConsumerFixture(broker.bootstrapServers, instanceID: "two", harness: harness)
            #expect(harness.run(seconds: 20) { first.owned.count == 2 && second.owned.count == 2 })
            second.close()
            #expect(second.revoked.last?.partitions.count == 2)
            // Far below the session time-out.
            #expect(harness.run(seconds: 3) { first.owned.count == 4 })
            // It may come back under its name.
            let again = try ConsumerFixture(broker.bootstrapServers, instanceID: "two", harness: harness)
            defer { again.close() }
            #expect(harness.run(seconds: 20) { first.owned.count == 2 && again.owned.count == 2 })
        }

        @Test func `a dynamic member that closes leaves its partitions to the others at once`() throws {
            let cluster = try MockCluster()
            cluster.createTopic("t", partitions: 2)
            // The mock lets members gather for 3 s, in which they are silent: no session may be shorter.
            let harness = Harness()
            let first = try ConsumerFixture(cluster.bootstrapServers, harness: harness) { $0.sessionTimeoutMilliseconds = 5_000 }
            defer { first.close() }
            let second = try ConsumerFixture(cluster.bootstrapServers, harness: harness) { $0.sessionTimeoutMilliseconds = 5_000 }
            #expect(harness.run(seconds: 30) { first.owned.count == 1 && second.owned.count == 1 })
            second.close()
            #expect(second.revoked.last?.partitions.count == 1, "a close gives back what was assigned")
            #expect(harness.run(seconds: 30) { first.owned.count == 2 })
        }

        @Test func `records flow again after the broker was away`() throws {
            let broker = try Broker()
            try fill(broker, partitions: 1, records: 10)
            let fixture = try ConsumerFixture(broker.bootstrapServers, instanceID: "one")
            defer { fixture.close() }
            #expect(fixture.run(seconds: 10, records: 10))
            try broker.restart()
            // Whatever the group does meanwhile, the owner starts where it was.
            fixture.startAt = { _ in Int64(fixture.records[0]?.count ?? 0) }
            try append(broker.bootstrapServers, partitions: 1, records: 10..<20)
            #expect(fixture.run(seconds: 20, records: 20))
            #expect(fixture.records[0] == seen(0..<20))
        }

        @Test func `watermarks, the cluster's identity and offsets for lag tools`() throws {
            let broker = try Broker()
            try fill(broker, partitions: 1, records: 25)
            let fixture = try ConsumerFixture(broker.bootstrapServers)
            defer { fixture.close() }
            #expect(fixture.run(seconds: 10, records: 25))
            #expect(fixture.harness.run(seconds: 2) { fixture.consumer.watermarks(partition: 0)?.high == 25 })
            #expect(fixture.consumer.watermarks(partition: 77) == nil)
            let configuration = KafkaConfiguration(bootstrapServers: broker.bootstrapServers)
            let identity = try KafkaAdmin.clusterID(configuration)
            #expect(identity?.isEmpty == false)
            #expect(fixture.consumer.clusterID == identity)

            #expect(try KafkaAdmin.committedOffset(configuration, group: "g", topic: "t", partition: 0) == nil)
            fixture.consumer.commit([(partition: 0, offset: 25)])
            #expect(
                fixture.harness.run(seconds: 5) {
                    (try? KafkaAdmin.committedOffset(configuration, group: "g", topic: "t", partition: 0)) == 25
                })
        }

        @Test func `a consumer that is closed while it is given records stops at once and is let go`() throws {
            let broker = try Broker()
            try fill(broker, partitions: 2, records: 50)
            let harness = Harness()
            var configuration = ConsumerConfiguration(
                base: KafkaConfiguration(bootstrapServers: broker.bootstrapServers), group: "g", topic: "t")
            configuration.recordsPerTurnMax = 5
            var consumer: Consumer?
            var batches = 0
            var revocations = 0
            var closed = false
            consumer = try Consumer(
                loop: harness.loop, configuration: configuration,
                onAssigned: { for partition in $0 { consumer?.start(partition: partition, offset: 0) } },
                onRevoked: { _, _ in
                    revocations += 1
                    consumer?.finishRevocation()
                },
                onRecords: { _ in
                    batches += 1
                    consumer?.close { closed = true }
                }, onError: { _, _ in })
            weak let observed = consumer
            #expect(harness.run(seconds: 15) { closed })
            consumer = nil
            #expect(batches == 1 && revocations == 1)
            #expect(observed == nil)
        }
    }
}
