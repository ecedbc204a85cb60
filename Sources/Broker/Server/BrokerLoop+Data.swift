internal import Telemetry

/// A produce request whose answer waits until all its partitions are durable.
final class ProduceWait {
    struct Result {
        let topic: Int
        let partition: Int32
        var error: ErrorCode
        var firstOffset: Int64
        var logStartOffset: Int64
    }
    let exchange: Exchange
    let topicNames: [String]
    var results: [Result] = []
    var missing = 0
    let acks: Int16

    init(exchange: Exchange, topicNames: [String], acks: Int16) {
        self.exchange = exchange
        self.topicNames = topicNames
        self.acks = acks
    }

    func partitionIsDurable() {
        missing -= 1
        if missing == 0 { answer() }
    }

    func answer() {
        guard acks != 0 else {
            // Nobody reads an answer; closing is the only way to say that something was refused (as Kafka does).
            if results.contains(where: { $0.error != .none }) { exchange.connection?.close() } else { exchange.finish(bytes: []) }
            return
        }
        var writer = exchange.writer()
        let version = exchange.version
        writer.array(topicNames.indices) { writer, topic in
            writer.string(topicNames[topic])
            writer.array(results.filter { $0.topic == topic }) { writer, result in
                writer.int32(result.partition)
                writer.error(result.error)
                writer.int64(result.firstOffset)
                if version >= 2 { writer.int64(-1) }
                if version >= 5 { writer.int64(result.logStartOffset) }
            }
        }
        if version >= 1 { writer.int32(0) }
        exchange.finish(writer)
    }
}

extension BrokerLoop {
    /// Appends what is sound and answers when it is durable.
    func serveProduce(_ request: ProduceRequest, _ exchange: Exchange, _ buffer: inout [UInt8], body: Range<Int>) {
        let wait = ProduceWait(exchange: exchange, topicNames: request.topics.map(\.name), acks: request.acks)
        let now = Clock.wallMicroseconds / 1_000
        // Counted first, so that no partition's answer can end the wait while others are still being appended.
        wait.missing = 1
        for (index, topic) in request.topics.enumerated() {
            let known = topics[topic.name]
            for asked in topic.partitions {
                var result = ProduceWait.Result(topic: index, partition: asked.index, error: .none, firstOffset: -1, logStartOffset: -1)
                if let partition = known?.partition(asked.index) {
                    let records = asked.records.map { body.lowerBound + $0.lowerBound..<body.lowerBound + $0.upperBound }
                    append(records, request, to: partition, &buffer, wait, &result, now: now)
                } else {
                    result.error = .unknownTopicOrPartition
                }
                wait.results.append(result)
            }
        }
        wait.partitionIsDurable()
    }

    private func append(
        _ records: Range<Int>?, _ request: ProduceRequest, to partition: Partition, _ buffer: inout [UInt8], _ wait: ProduceWait,
        _ result: inout ProduceWait.Result, now: Int64
    ) {
        guard !request.transactional else {
            result.error = .transactionalIdAuthorizationFailed
            return
        }
        guard (-1...1).contains(request.acks) else {
            result.error = .invalidRequest
            return
        }
        guard let records, !records.isEmpty else {
            result.error = .corruptMessage
            return
        }
        let log = partition.log
        let header: BatchHeader
        do throws(BatchRefusal) {
            header = try BatchHeader.validate(buffer.span.extracting(records), batchBytesMax: Int(log.settings.batchBytesMax))
        } catch {
            result.error =
                switch error {
                case .oldFormat: .unsupportedForMessageFormat
                case .corrupt: .corruptMessage
                case .invalidRecord: .invalidRecord
                case .tooLarge: .messageTooLarge
                }
            return
        }
        switch log.append(header, in: &buffer, at: records, nowMilliseconds: now) {
        case .refused(let error):
            result.error = error
            if error == .notEnoughReplicas { diskIsFull() }
        case .stored(let first, let last):
            result.firstOffset = first
            result.logStartOffset = log.startOffset
            queueForFlush(partition)
            if !flushesAlways {
                partition.wakeFetches(newByteCount: records.count)
            } else if last >= log.durableOffset {
                // Also for a repeated batch: its first copy may not be on the disk yet.
                wait.missing += 1
                partition.wait(wait, untilDurable: last)
            }
        }
    }

    // MARK: ListOffsets

    func serveListOffsets(_ request: ListOffsetsRequest, _ exchange: Exchange) {
        var writer = exchange.writer()
        let version = exchange.version
        if version >= 2 { writer.int32(0) }
        writer.array(request.topics) { writer, topic in
            writer.string(topic.name)
            writer.array(topic.partitions) { writer, asked in
                var error = ErrorCode.none
                var found: (offset: Int64, timestamp: Int64) = (-1, -1)
                if let log = topics[topic.name]?.partition(asked.index)?.log {
                    switch asked.timestamp {
                    case -1: found.offset = visibleLimit(log)
                    case -2: found.offset = log.startOffset
                    default:
                        do { found = try log.lookup(timestamp: asked.timestamp, below: visibleLimit(log)) ?? (-1, -1) } catch {
                            found = (-1, -1)
                        }
                    }
                } else {
                    error = .unknownTopicOrPartition
                }
                writer.int32(asked.index)
                writer.error(error)
                writer.int64(found.timestamp)
                writer.int64(found.offset)
                if version >= 4 { writer.int32(found.offset >= 0 ? 0 : -1) }
            }
        }
        exchange.finish(writer)
    }
}
