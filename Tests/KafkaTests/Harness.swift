import Kafka
import Loop
import Testing

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
    let harness = Harness()
    private(set) var reports: [UInt64: [DeliveryReport]] = [:]
    private(set) var replaced: [KafkaError] = []
    private(set) var producer: Producer!
    /// Called besides the log.
    var onReport: (UInt64, DeliveryReport) -> Void = { _, _ in }
    private var isClosed = false

    var reportCount: Int { reports.values.reduce(0) { $0 + $1.count } }
    var everyTokenOnce: Bool { reports.values.allSatisfy { $0.count == 1 } }

    init(_ bootstrapServers: String, extra: [(String, String)] = [], change: (inout ProducerConfiguration) -> Void = { _ in }) throws {
        var configuration = ProducerConfiguration(base: KafkaConfiguration(bootstrapServers: bootstrapServers, extra: extra))
        change(&configuration)
        producer = try Producer(loop: harness.loop, configuration: configuration) { [unowned self] token, report in
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
    }

    deinit { close() }
}
