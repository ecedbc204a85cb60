/// Topics, their settings, producer ids and committed offsets: the sum of the journal's entries. Pure.
struct BrokerState: Equatable, Sendable {
    struct Topic: Equatable, Sendable {
        let id: UUID128
        let name: String
        var partitions: Int32
        /// Only what was set; see `TopicSetting` for the rest.
        var settings: [String: String] = [:]
    }

    struct OffsetKey: Hashable, Sendable {
        let topic: UUID128
        let partition: Int32
    }

    private(set) var cluster = UUID128.zero
    private(set) var topics: [UUID128: Topic] = [:]
    private(set) var producerIdsBelow: Int64 = 0
    private(set) var offsets: [String: [OffsetKey: CommittedOffset]] = [:]

    mutating func apply(_ entry: JournalEntry) {
        switch entry {
        case .cluster(let id): cluster = id
        case .topic(let id, let name, let partitions): topics[id] = Topic(id: id, name: name, partitions: partitions)
        case .setting(let topic, let name, let value): topics[topic]?.settings[name] = value
        case .partitions(let id, let count):
            let present = topics[id]?.partitions ?? 0
            topics[id]?.partitions = max(present, count)
        case .topicDeleted(let id):
            topics[id] = nil
            for (group, committed) in offsets where committed.contains(where: { $0.key.topic == id }) {
                offsets[group] = committed.filter { $0.key.topic != id }
            }
        case .producerIds(let below): producerIdsBelow = max(producerIdsBelow, below)
        case .offset(let group, let topic, let partition, let committed):
            guard topics[topic] != nil else { return }
            offsets[group, default: [:]][OffsetKey(topic: topic, partition: partition)] = committed
        case .groupDeleted(let group): offsets[group] = nil
        }
    }

    /// The entries that make this state from nothing: a new generation of the journal.
    func entries() -> [JournalEntry] {
        var result: [JournalEntry] = [.cluster(cluster), .producerIds(below: producerIdsBelow)]
        for topic in topics.values {
            result.append(.topic(id: topic.id, name: topic.name, partitions: topic.partitions))
            for (name, value) in topic.settings { result.append(.setting(topic: topic.id, name: name, value: value)) }
        }
        for (group, committed) in offsets {
            for (key, offset) in committed { result.append(.offset(group: group, topic: key.topic, partition: key.partition, offset)) }
        }
        return result
    }
}
