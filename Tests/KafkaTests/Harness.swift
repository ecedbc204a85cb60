import Kafka
import Loop
import Testing

@testable import TestSupport

/// A loop driven by a test: runs until something holds, never longer than a limit.
final class Harness {
    let loop = EventLoop()
    private var ticker: LoopTimer?
    private var condition: () -> Bool = { true }
    private var deadline: UInt64 = 0

    init() {
        ticker = LoopTimer(loop: loop) { [unowned self] in
            if condition() || loop.nowNanoseconds >= deadline { loop.stop() } else { ticker?.arm(afterMilliseconds: 5) }
        }
    }

    /// Whether the condition came to hold within the limit. It is looked at every 5 ms.
    func run(seconds: Double, until condition: @escaping () -> Bool) -> Bool {
        self.condition = condition
        deadline = loop.nowNanoseconds + UInt64(seconds * 1e9)
        ticker?.arm(afterMilliseconds: 0)
        loop.run()
        self.condition = { true }
        return condition()
    }
}

/// A producer with a log of its reports.
final class ProducerFixture {
    let harness: Harness
    private(set) var reports: [UInt64: [DeliveryReport]] = [:]
    private(set) var replaced: [KafkaError] = []
    private var made: Producer?
    /// Called besides the log.
    var onReport: (UInt64, DeliveryReport) -> Void = { _, _ in }
    private var isClosed = false

    /// Made last in `init`, because its handlers need the rest.
    var producer: Producer {
        guard let made else { preconditionFailure("used before it was made") }
        return made
    }
    var reportCount: Int { reports.values.reduce(0) { $0 + $1.count } }
    var everyTokenOnce: Bool { reports.values.allSatisfy { $0.count == 1 } }

    init(
        _ bootstrapServers: String, harness: Harness = Harness(), extra: [(String, String)] = [],
        change: (inout ProducerConfiguration) -> Void = { _ in }
    ) throws {
        self.harness = harness
        var configuration = ProducerConfiguration(base: KafkaConfiguration(bootstrapServers: bootstrapServers, extra: extra))
        change(&configuration)
        made = try Producer(loop: harness.loop, configuration: configuration) { [unowned self] token, report in
            reports[token, default: []].append(report)
            onReport(token, report)
        } onReplaced: { [unowned self] error in
            replaced.append(error)
        }
    }

    func produce(
        _ token: UInt64, topic: String = "t", partition: Int32 = 0, key: String = "", value: String = "v",
        headers: HeaderList = HeaderList(),
        timestampMilliseconds: Int64 = 0
    ) -> ProduceResult {
        producer.produce(
            topic: topic, partition: partition, key: Array(key.utf8).span, value: Array(value.utf8).span, headers: headers,
            timestampMilliseconds: timestampMilliseconds, token: token)
    }

    /// Runs the loop until so many reports have come.
    func run(seconds: Double, reports count: Int) -> Bool { harness.run(seconds: seconds) { [self] in reportCount >= count } }

    func close() {
        guard !isClosed else { return }
        isClosed = true
        var closed = false
        producer.close { closed = true }
        #expect(harness.run(seconds: 10) { closed })
        // Handlers of tests hold this fixture.
        onReport = { _, _ in }
    }

    deinit { close() }
}

/// A consumer with a log of what it was told; starts what it is assigned at the offsets that `startAt` names.
final class ConsumerFixture {
    struct Seen: Equatable {
        let offset: Int64
        let key: String
        let value: String
    }

    let harness: Harness
    private(set) var assigned: [[Int32]] = []
    private(set) var revoked: [(partitions: [Int32], lost: Bool)] = []
    private(set) var records: [Int32: [Seen]] = [:]
    private(set) var batchSizes: [Int] = []
    private(set) var errors: [(partition: Int32?, error: KafkaError)] = []
    /// Nil: the test calls `start` itself.
    var startAt: ((Int32) -> Int64?) = { _ in 0 }
    /// False: the test calls `finishRevocation` itself.
    var finishesRevocation = true
    var onBatch: (borrowing RecordBatch) -> Void = { _ in }
    private var made: Consumer?
    private var isClosed = false

    var consumer: Consumer {
        guard let made else { preconditionFailure("used before it was made") }
        return made
    }
    var recordCount: Int { records.values.reduce(0) { $0 + $1.count } }
    /// What it owns now.
    private(set) var owned: Set<Int32> = []

    init(
        _ bootstrapServers: String, topic: String = "t", group: String = "g", instanceID: String? = nil, harness: Harness = Harness(),
        change: (inout ConsumerConfiguration) -> Void = { _ in }
    ) throws {
        self.harness = harness
        var configuration = ConsumerConfiguration(
            base: KafkaConfiguration(bootstrapServers: bootstrapServers),
            group: group, instanceID: instanceID, topic: topic)
        change(&configuration)
        made = try Consumer(loop: harness.loop, configuration: configuration) { [unowned self] partitions in
            assigned.append(partitions)
            owned.formUnion(partitions)
            for partition in partitions {
                if let offset = startAt(partition) { consumer.start(partition: partition, offset: offset) }
            }
        } onRevoked: { [unowned self] partitions, lost in
            revoked.append((partitions, lost))
            owned.subtract(partitions)
            if finishesRevocation { consumer.finishRevocation() }
        } onRecords: { [unowned self] batch in
            batchSizes.append(batch.count)
            for index in 0..<batch.count {
                let record = batch[index]
                let seen = Seen(offset: record.offset, key: text(record.key), value: text(record.value))
                records[batch.partition, default: []].append(seen)
            }
            onBatch(batch)
        } onError: { [unowned self] partition, error in
            errors.append((partition, error))
        }
    }

    func run(seconds: Double, records count: Int) -> Bool { harness.run(seconds: seconds) { [self] in recordCount >= count } }

    func close(keepsPlace: Bool = false) {
        guard !isClosed else { return }
        isClosed = true
        finishesRevocation = true
        var closed = false
        consumer.close(keepsPlace: keepsPlace) { closed = true }
        #expect(harness.run(seconds: 15) { closed })
        // Handlers of tests hold this fixture.
        onBatch = { _ in }
        startAt = { _ in nil }
    }

    deinit { close() }
}

func text(_ bytes: Span<UInt8>) -> String {
    var array: [UInt8] = []
    for index in bytes.indices { array.append(bytes[index]) }
    return String(decoding: array, as: UTF8.self)
}

func headerText(_ record: borrowing Record, _ name: StaticString) -> String? {
    guard let value = record.header(name) else { return nil }
    return text(value)
}
