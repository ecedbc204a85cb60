internal import Bytes

/// One change of what the broker knows besides records. Applied in order, they make a `BrokerState`.
enum JournalEntry: Equatable, Sendable {
    /// The first entry of every generation.
    case cluster(UUID128)
    case topic(id: UUID128, name: String, partitions: Int32)
    /// nil takes a setting back to its default.
    case setting(topic: UUID128, name: String, value: String?)
    case partitions(topic: UUID128, count: Int32)
    case topicDeleted(UUID128)
    /// Producer ids below this one may be in use.
    case producerIds(below: Int64)
    case offset(group: String, topic: UUID128, partition: Int32, CommittedOffset)
    case groupDeleted(String)

    private enum Kind: Int8 {
        case cluster = 1
        case topic
        case setting
        case partitions
        case topicDeleted
        case producerIds
        case offset
        case groupDeleted
    }

    /// Appends the entry's frame: length, CRC-32C of the body, body.
    func append(to bytes: inout [UInt8]) {
        var body = ResponseWriter(correlation: 0, isFlexible: false, flexibleHeader: false)
        write(&body)
        let content = body.bytes.span.extracting(8..<body.bytes.count)
        bytes.append(bigEndian: UInt32(content.count))
        bytes.append(bigEndian: BatchHeader.checksum(content))
        bytes.append(content)
    }

    private func write(_ writer: inout ResponseWriter) {
        switch self {
        case .cluster(let id):
            writer.int8(Kind.cluster.rawValue)
            writer.uuid(id)
        case .topic(let id, let name, let partitions):
            writer.int8(Kind.topic.rawValue)
            writer.uuid(id)
            writer.string(name)
            writer.int32(partitions)
        case .setting(let topic, let name, let value):
            writer.int8(Kind.setting.rawValue)
            writer.uuid(topic)
            writer.string(name)
            writer.nullableString(value)
        case .partitions(let topic, let count):
            writer.int8(Kind.partitions.rawValue)
            writer.uuid(topic)
            writer.int32(count)
        case .topicDeleted(let id):
            writer.int8(Kind.topicDeleted.rawValue)
            writer.uuid(id)
        case .producerIds(let below):
            writer.int8(Kind.producerIds.rawValue)
            writer.int64(below)
        case .offset(let group, let topic, let partition, let committed):
            writer.int8(Kind.offset.rawValue)
            writer.string(group)
            writer.uuid(topic)
            writer.int32(partition)
            writer.int64(committed.offset)
            writer.int32(committed.leaderEpoch)
            writer.string(committed.metadata)
            writer.int64(committed.committedMilliseconds)
        case .groupDeleted(let group):
            writer.int8(Kind.groupDeleted.rawValue)
            writer.string(group)
        }
    }

    init(_ reader: inout RequestReader) throws(WireError) {
        guard let kind = Kind(rawValue: try reader.int8()) else { throw .invalid }
        switch kind {
        case .cluster: self = .cluster(try reader.uuid())
        case .topic: self = .topic(id: try reader.uuid(), name: try reader.string(), partitions: try reader.int32())
        case .setting: self = .setting(topic: try reader.uuid(), name: try reader.string(), value: try reader.nullableString())
        case .partitions: self = .partitions(topic: try reader.uuid(), count: try reader.int32())
        case .topicDeleted: self = .topicDeleted(try reader.uuid())
        case .producerIds: self = .producerIds(below: try reader.int64())
        case .offset:
            let group = try reader.string()
            let topic = try reader.uuid()
            let partition = try reader.int32()
            let committed = CommittedOffset(
                offset: try reader.int64(), leaderEpoch: try reader.int32(), metadata: try reader.string(),
                committedMilliseconds: try reader.int64())
            self = .offset(group: group, topic: topic, partition: partition, committed)
        case .groupDeleted: self = .groupDeleted(try reader.string())
        }
    }
}

/// What a group has committed for one partition.
struct CommittedOffset: Equatable, Sendable {
    var offset: Int64
    /// -1 when the client gave none.
    var leaderEpoch: Int32
    var metadata: String
    /// When, milliseconds since 1970.
    var committedMilliseconds: Int64
}
