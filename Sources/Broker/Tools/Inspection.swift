internal import Bytes

/// Reads a data folder without changing it, also while a broker serves it: what is being written just then may be missing.
public struct Inspection {
    private let folder: String
    private let state: BrokerState

    /// Reads the journal.
    public init(folder: String) throws {
        self.folder = folder
        let directory = folder + "/state"
        guard let generation = try JournalFile.generations(directory).last else {
            throw BrokerStartError(description: "\(folder) is no data folder of a broker: it has no journal")
        }
        let bytes = try Files.contents(JournalFile.path(directory, generation))
        state = JournalFile.decode(bytes.span).state
    }

    private var topics: [BrokerState.Topic] { state.topics.values.sorted { $0.name < $1.name } }

    private func log(_ topic: BrokerState.Topic, _ index: Int32) throws -> PartitionLog {
        let path = "\(folder)/topics/\(topic.folderName)/\(index)"
        return PartitionLog(
            folder: path, settings: topic.logSettings, recovered: try PartitionLog.recover(folder: path, repairs: false) ?? .init())
    }

    /// Topics with their offsets and sizes, then groups with what they committed and how far behind they are; one line each.
    public func summary() throws -> [String] {
        var lines = ["cluster \(state.cluster.base64)"]
        var ends: [BrokerState.OffsetKey: Int64] = [:]
        for topic in topics {
            let settings = topic.settings.sorted { $0.key < $1.key }.map { " \($0.key)=\($0.value)" }.joined()
            lines.append("topic \(topic.name) id=\(topic.id.base64) partitions=\(topic.partitions)\(settings)")
            for index in 0..<topic.partitions {
                let log = try log(topic, index)
                defer { log.close() }
                ends[BrokerState.OffsetKey(topic: topic.id, partition: index)] = log.endOffset
                lines.append(
                    "  partition \(index) start=\(log.startOffset) end=\(log.endOffset) bytes=\(log.byteCount) segments=\(log.segments.count) "
                        + "producers=\(log.producers.producers.count)")
            }
        }
        for (group, offsets) in state.offsets.sorted(by: { $0.key < $1.key }) {
            lines.append("group \(group)")
            let named = offsets.compactMap { key, value in state.topics[key.topic].map { (name: $0.name, key: key, value: value) } }
            for entry in named.sorted(by: { ($0.name, $0.key.partition) < ($1.name, $1.key.partition) }) {
                let lag = (ends[entry.key] ?? 0) - entry.value.offset
                lines.append("  \(entry.name) \(entry.key.partition) committed=\(entry.value.offset) lag=\(lag)")
            }
        }
        return lines
    }

    /// Calls `line` with each record as a JSON object, from an offset on. Bytes that are no UTF-8 show as U+FFFD; a compressed batch is
    /// one line that says what it is.
    public func dump(topic name: String, partition: Int32, from offset: Int64, count: Int, line: (String) -> Void) throws {
        guard let topic = topics.first(where: { $0.name == name }), partition >= 0, partition < topic.partitions else {
            throw BrokerStartError(description: "there is no partition \(partition) of a topic \(name)")
        }
        let log = try log(topic, partition)
        defer { log.close() }
        var left = count
        for index in log.segments.indices where log.segments[index].nextOffset > offset {
            var scanner = SegmentScanner(
                descriptor: try log.segments[index].openForReading(), path: log.segments[index].path,
                byteCount: log.segments[index].byteCount, expecting: nil)
            scan: while left > 0 {
                switch try scanner.next() {
                case .end: break scan
                case .damage(let position, let reason): throw RecoveryError.damage(log.segments[index].path, at: position, "\(reason)")
                case .batch(let header, _):
                    guard header.nextOffset > offset else { continue }
                    dump(scanner.batch, header, from: offset, left: &left, line: line)
                }
            }
        }
    }

    private func dump(_ batch: Span<UInt8>, _ header: BatchHeader, from offset: Int64, left: inout Int, line: (String) -> Void) {
        if header.isCompressed {
            let codecs = ["none", "gzip", "snappy", "lz4", "zstd"]
            let codec = Int(header.attributes & 7)
            line(
                "{\"offset\":\(header.baseOffset),\"records\":\(header.recordCount),\"bytes\":\(header.byteCount),"
                    + "\"compression\":\"\(codec < codecs.count ? codecs[codec] : "unknown")\"}")
            left -= 1
            return
        }
        var records = RecordWalk(batch, header)
        while left > 0, let record = try? records.next(withHeaders: true) {
            guard record.offset >= offset else { continue }
            let headers = record.headers.map { Self.text(batch, $0.key) + ":" + ($0.value.map { Self.text(batch, $0) } ?? "null") }
            line(
                "{\"offset\":\(record.offset),\"timestamp\":\(record.timestamp),\"key\":\(record.key.map { Self.text(batch, $0) } ?? "null"),"
                    + "\"value\":\(record.value.map { Self.text(batch, $0) } ?? "null"),\"headers\":{\(headers.joined(separator: ","))}}")
            left -= 1
        }
    }

    /// A JSON string.
    private static func text(_ bytes: Span<UInt8>, _ range: Range<Int>) -> String {
        var content: [UInt8] = []
        content.append(bytes.extracting(range))
        var result = "\""
        for scalar in String(decoding: content, as: UTF8.self).unicodeScalars {
            switch scalar {
            case "\"": result += "\\\""
            case "\\": result += "\\\\"
            case _ where scalar.value < 0x20:
                let digits = String(scalar.value, radix: 16)
                result += "\\u" + String(repeating: "0", count: 4 - digits.utf8.count) + digits
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result + "\""
    }
}
