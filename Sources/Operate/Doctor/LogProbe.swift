internal import Bytes
internal import Histogram
internal import Kafka
internal import Loop
internal import Store
internal import Telemetry

/// Proves a cluster on a topic of its own: what is acknowledged can be read, once and in order.
///
/// The topic has the settings that `payments.commands` should have, and is deleted at the end.
struct LogProbe {
    static let perSecond = 500
    /// As long as an ordinary command.
    static let valueBytes = 300

    let kafka: KafkaConfiguration
    let brokers: Int
    let records: Int
    var valueBytes = LogProbe.valueBytes
    /// How long is waited for a record that does not come.
    var idleMilliseconds: Int32 = 10_000

    /// Blocks for as long as the records take, and some seconds for what does not come.
    func run(into report: inout DoctorReport) {
        let topic = "sluice.doctor.\(String(UInt64.random(in: 0...UInt64.max), radix: 16))"
        let copies = max(1, min(TopicSetup.replicationWanted, brokers))
        let partitions = max(1, min(6, brokers))
        do throws(KafkaError) {
            try KafkaAdmin.createTopic(
                kafka, name: topic, partitions: Int32(partitions), replication: Int16(copies),
                settings: Topic.settings(replication: copies).map { ($0.name, $0.value) })
        } catch {
            return report.fail(
                "probe.topic", seen: "\(topic) was not made: \(error)",
                risk: "nobody knows whether this cluster keeps what it acknowledges",
                mend: "allow this client to create and delete topics named sluice.doctor.*")
        }
        do throws(KafkaError) {
            judge(try measure(topic, partitions: partitions, copies: copies), &report)
        } catch {
            report.fail("probe.run", seen: "\(error)", risk: "what happened here happens to payments", mend: "look at the brokers' logs")
        }
        do throws(KafkaError) { try KafkaAdmin.deleteTopic(kafka, name: topic) } catch {
            report.warn("probe.topic", seen: "\(topic) was not deleted: \(error)", risk: "it stays", mend: "delete it by hand")
        }
    }

    private func judge(_ probe: DoctorReport.Probe, _ report: inout DoctorReport) {
        report.probe = probe
        report.judge(
            "probe.acknowledged", probe.records == records, seen: "\(probe.records) of \(records) records acknowledged",
            risk: "payments are refused", mend: "see the findings about the log above, and allow this client to write")
        report.judge(
            "probe.kept", probe.lost == 0, seen: "\(probe.records) records acknowledged, \(probe.lost) of them not found",
            risk: "this cluster loses what it has acknowledged", mend: "see the findings about the log above")
        report.judge(
            "probe.order", probe.doubled == 0 && probe.disordered == 0,
            seen: "\(probe.doubled) doubled, \(probe.disordered) out of order",
            risk: "payments of one tenant are decided in another order than they were accepted in",
            mend: "brokers that keep idempotent producers' state (Apache Kafka 1.1 or later)")
        if let latency = probe.produceToReport {
            report.judge(
                "probe.latency", latency.p99 <= 100, level: .warning, seen: "acknowledged in p50 \(latency.p50) ms, p99 \(latency.p99) ms",
                risk: "each payment waits so long", mend: "faster disks or a nearer cluster; past 500 ms payments are refused")
        }
    }

    // MARK: - Producing and reading

    private func measure(_ topic: String, partitions: Int, copies: Int) throws(KafkaError) -> DoctorReport.Probe {
        let readers = (0..<partitions).map { partition in
            ProbeReader(
                kafka: kafka, topic: topic, partition: Int32(partition), records: (records - partition + partitions - 1) / partitions,
                idleMilliseconds: idleMilliseconds)
        }
        defer { for reader in readers { reader.thread.join() } }
        let (acknowledged, reports) = try produce(topic, partitions: partitions)
        for reader in readers { reader.thread.join() }
        var consumed = Self.histogram()
        var (lost, doubled, disordered) = (0, 0, 0)
        for reader in readers {
            let seen = reader.board.seen.withLock { $0 }
            let wanted = acknowledged[reader.partition] ?? []
            let found = Set(seen.indices)
            lost += wanted.count { !found.contains($0) }
            doubled += seen.indices.count - found.count
            disordered += zip(seen.indices, seen.indices.dropFirst()).count { $0 > $1 }
            for nanoseconds in seen.nanoseconds { _ = consumed.record(nanoseconds) }
        }
        return DoctorReport.Probe(
            topic: topic, partitions: partitions, copies: copies, records: acknowledged.values.reduce(0) { $0 + $1.count }, lost: lost,
            doubled: doubled, disordered: disordered, produceToReport: Self.latency(reports), produceToConsume: Self.latency(consumed))
    }

    /// Produces all of them at a steady pace on a loop of its own.
    ///
    /// - Returns: the numbers that were acknowledged, by partition, and how long each took.
    private func produce(_ topic: String, partitions: Int) throws(KafkaError) -> ([Int32: [Int]], Histogram<UInt64>) {
        let loop = EventLoop()
        var acknowledged: [Int32: [Int]] = [:]
        var times = Self.histogram()
        var sentAt: [UInt64] = []
        var answered = 0
        let total = records
        let producer = try Producer(loop: loop, configuration: ProducerConfiguration(base: kafka)) { token, result in
            answered += 1
            let number = Int(token)
            if case .delivered = result {
                acknowledged[Int32(number % partitions), default: []].append(number / partitions)
                _ = times.record(Clock.monotonicNanoseconds - sentAt[number])
            }
            if answered == total { loop.stop() }
        }
        let pace = ProbePace(loop: loop) {
            while sentAt.count < min(total, $0) {
                let number = sentAt.count
                sentAt.append(Clock.monotonicNanoseconds)
                var text = "\(number / partitions) \(sentAt[number]) "
                text += String(repeating: ".", count: max(0, valueBytes - text.utf8.count))
                let value: [UInt8] = Array(text.utf8)
                let result = producer.produce(
                    topic: topic, partition: Int32(number % partitions), key: value.span.extracting(first: 1), value: value.span,
                    headers: HeaderList(), timestampMilliseconds: 0, token: UInt64(number))
                // What is not taken was not acknowledged either.
                if result != .queued {
                    answered += 1
                    if answered == total { loop.stop() }
                }
            }
        }
        pace.begin()
        loop.run()
        pace.end()
        producer.close { loop.stop() }
        loop.run()
        return (acknowledged, times)
    }

    private static func histogram() -> Histogram<UInt64> {
        Histogram(highestTrackableValue: 120_000_000_000, numberOfSignificantValueDigits: .two)
    }

    private static func latency(_ histogram: Histogram<UInt64>) -> DoctorReport.Latency? {
        guard histogram.totalCount > 0 else { return nil }
        func milliseconds(_ nanoseconds: UInt64) -> Double { (Double(nanoseconds) / 1e4).rounded() / 100 }
        return DoctorReport.Latency(
            p50: milliseconds(histogram.valueAtPercentile(50)), p99: milliseconds(histogram.valueAtPercentile(99)),
            max: milliseconds(histogram.max))
    }
}

/// Says every 10 ms how many records are due.
private final class ProbePace {
    private static let intervalMilliseconds = 10
    private var timer: LoopTimer?
    private let start = Clock.monotonicMilliseconds
    private let due: (Int) -> Void

    init(loop: EventLoop, due: @escaping (Int) -> Void) {
        self.due = due
        timer = LoopTimer(loop: loop) { [unowned self] in tick() }
    }

    func begin() { timer?.arm(afterMilliseconds: 0) }
    func end() { timer = nil }

    private func tick() {
        due(1 + Int(Clock.monotonicMilliseconds - start) * LogProbe.perSecond / 1_000)
        timer?.arm(afterMilliseconds: Self.intervalMilliseconds)
    }
}

/// Reads one partition of the probe's topic while it is written.
private final class ProbeReader {
    struct Seen {
        var indices: [Int] = []
        /// From handing each over to having it.
        var nanoseconds: [UInt64] = []
    }

    final class Board: Sendable {
        let seen = Locked(Seen())
    }

    let partition: Int32
    let thread: LoopThread
    let board: Board

    init(kafka: KafkaConfiguration, topic: String, partition: Int32, records: Int, idleMilliseconds: Int32) {
        self.partition = partition
        let board = Board()
        self.board = board
        thread = LoopThread(name: "probe") { _ in
            // An error shows as records that are missing.
            _ = try? KafkaAdmin.readAll(
                kafka, topic: topic, partition: partition, from: 0, to: Int64(records), idleMilliseconds: idleMilliseconds
            ) { record in
                var value: [UInt8] = []
                value.append(record.value)
                let parts = String(decoding: value, as: UTF8.self).split(separator: " ")
                guard parts.count == 3, let index = Int(parts[0]), let sent = UInt64(parts[1]) else { return true }
                let now = Clock.monotonicNanoseconds
                board.seen.withLock {
                    $0.indices.append(index)
                    $0.nanoseconds.append(now - min(now, sent))
                }
                return true
            }
        }
    }
}
