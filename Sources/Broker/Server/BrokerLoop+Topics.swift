internal import Telemetry

/// What became of one topic or resource of an admin request; the message is for a person.
struct AdminResult {
    let name: String
    var type: Int8 = 0
    var error: ErrorCode = .none
    var message: String?
}

extension BrokerLoop {
    static func isTopicName(_ name: String) -> Bool {
        guard !name.isEmpty, name.utf8.count <= Limits.topicNameBytesMax, name != ".", name != ".." else { return false }
        return name.utf8.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "0")...UInt8(ascii: "9"): true
            case UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "-"): true
            default: false
            }
        }
    }

    // MARK: Create

    /// Partitions a request asks for: by number, or by listing their replicas.
    private static func partitionCount(_ topic: CreateTopicsRequest.Topic) -> Int32 {
        if !topic.assignments.isEmpty { return Int32(topic.assignments.count) }
        return topic.partitions == -1 ? 1 : topic.partitions
    }

    /// Why a topic cannot be made besides those that the same request makes; nil when it can.
    func refusal(of topic: CreateTopicsRequest.Topic, besides others: [CreateTopicsRequest.Topic] = []) -> (ErrorCode, String)? {
        guard Self.isTopicName(topic.name) else { return (.invalidTopic, "a topic's name has 1 to 249 of a-z A-Z 0-9 . _ -") }
        if topics[topic.name] != nil || topicsBeingMade.contains(topic.name) { return (.topicAlreadyExists, "the topic exists") }
        let count = Self.partitionCount(topic)
        guard count > 0 else { return (.invalidPartitions, "a topic has at least one partition") }
        if topic.assignments.isEmpty, topic.replication != 1, topic.replication != -1 {
            return (.invalidReplicationFactor, "this is a single node: the replication factor is 1")
        }
        for assignment in topic.assignments
        where assignment.brokers != [Self.nodeId] || assignment.partition < 0 || assignment.partition >= count {
            return (.invalidReplicaAssignment, "this is a single node with id \(Self.nodeId)")
        }
        let partitions = partitionCount + partitionsBeingMade + others.reduce(0) { $0 + Int(Self.partitionCount($1)) }
        let names = topics.count + topicsBeingMade.count + others.count
        guard names < Limits.topicsMax, partitions + Int(count) <= Limits.partitionsMax else {
            return (.policyViolation, "at most \(Limits.topicsMax) topics and \(Limits.partitionsMax) partitions")
        }
        for setting in topic.settings {
            if let text = TopicSetting.refusal(name: setting.name, value: setting.value) { return (.invalidConfig, text) }
        }
        return nil
    }

    /// Makes topics that were checked; `done` tells whether they are durable.
    func create(_ wanted: [CreateTopicsRequest.Topic], done: @escaping (Bool) -> Void) {
        guard !wanted.isEmpty else { return done(true) }
        var entries: [JournalEntry] = []
        var ids: [UUID128] = []
        partitionsBeingMade += wanted.reduce(0) { $0 + Int(Self.partitionCount($1)) }
        for topic in wanted {
            let id = UUID128.random()
            ids.append(id)
            topicsBeingMade.insert(topic.name)
            entries.append(.topic(id: id, name: topic.name, partitions: Self.partitionCount(topic)))
            for setting in topic.settings where setting.value != nil {
                entries.append(.setting(topic: id, name: setting.name, value: setting.value))
            }
        }
        journal.write(entries) { [self] isDurable in
            for (topic, id) in zip(wanted, ids) {
                topicsBeingMade.remove(topic.name)
                partitionsBeingMade -= Int(Self.partitionCount(topic))
                if isDurable, let made = journal.state.topics[id] {
                    add(OpenFolder.runtime(made, topicsFolder: topicsFolder, recovered: [:]))
                    Log.info("a topic was made", .text("topic", made.name), .integer("partitions", made.partitions))
                }
            }
            if !isDurable { diskIsFull() }
            done(isDurable)
        }
    }

    func serveCreateTopics(_ request: CreateTopicsRequest, _ exchange: Exchange) {
        var results: [AdminResult] = []
        var accepted: [CreateTopicsRequest.Topic] = []
        for topic in request.topics {
            var result = AdminResult(name: topic.name)
            if accepted.contains(where: { $0.name == topic.name }) {
                (result.error, result.message) = (.invalidRequest, "the topic is named twice")
            } else if let (error, message) = refusal(of: topic, besides: accepted) {
                (result.error, result.message) = (error, message)
            } else {
                accepted.append(topic)
            }
            results.append(result)
        }
        create(request.validateOnly ? [] : accepted) { [self] isDurable in
            answer(exchange, isDurable ? results : Self.failed(results), throttleFrom: 2, messageFrom: 1)
        }
    }

    /// What was accepted could not be written.
    private static func failed(_ results: [AdminResult]) -> [AdminResult] {
        results.map { result in
            guard result.error == .none else { return result }
            return AdminResult(name: result.name, type: result.type, error: .storageError, message: "the disk is full")
        }
    }

    private func answer(_ exchange: Exchange, _ results: [AdminResult], throttleFrom: Int16, messageFrom: Int16?) {
        var writer = exchange.writer()
        if exchange.version >= throttleFrom { writer.int32(0) }
        writer.array(results) { writer, result in
            writer.string(result.name)
            writer.error(result.error)
            if let messageFrom, exchange.version >= messageFrom { writer.nullableString(result.message) }
        }
        exchange.finish(writer)
    }

    // MARK: Delete, and more partitions

    func serveDeleteTopics(_ names: [String], _ exchange: Exchange) {
        var results: [AdminResult] = []
        var gone: [Topic] = []
        for name in names {
            if let topic = topics[name] {
                gone.append(topic)
                results.append(AdminResult(name: name))
            } else {
                results.append(AdminResult(name: name, error: .unknownTopicOrPartition))
            }
        }
        guard !gone.isEmpty else { return answer(exchange, results, throttleFrom: 1, messageFrom: nil) }
        journal.write(gone.map { .topicDeleted($0.id) }) { [self] isDurable in
            if isDurable {
                for topic in gone where topicsById[topic.id] != nil {
                    remove(topic)
                    Log.info("a topic was deleted", .text("topic", topic.name))
                }
            } else {
                diskIsFull()
            }
            answer(exchange, isDurable ? results : Self.failed(results), throttleFrom: 1, messageFrom: nil)
        }
    }

    func serveCreatePartitions(_ request: CreatePartitionsRequest, _ exchange: Exchange) {
        var results: [AdminResult] = []
        var entries: [JournalEntry] = []
        for asked in request.topics {
            var result = AdminResult(name: asked.name)
            if let topic = topics[asked.name] {
                let more = Int(asked.count) - topic.partitions.count
                if more <= 0 {
                    (result.error, result.message) = (.invalidPartitions, "the topic has \(topic.partitions.count) partitions already")
                } else if partitionCount + more > Limits.partitionsMax {
                    (result.error, result.message) = (.policyViolation, "at most \(Limits.partitionsMax) partitions")
                } else {
                    entries.append(.partitions(topic: topic.id, count: asked.count))
                }
            } else {
                result.error = .unknownTopicOrPartition
            }
            results.append(result)
        }
        guard !entries.isEmpty, !request.validateOnly else { return answer(exchange, results, throttleFrom: 0, messageFrom: 0) }
        journal.write(entries) { [self] isDurable in
            if isDurable { grow(entries) } else { diskIsFull() }
            answer(exchange, isDurable ? results : Self.failed(results), throttleFrom: 0, messageFrom: 0)
        }
    }

    private func grow(_ entries: [JournalEntry]) {
        for case .partitions(let id, let count) in entries {
            guard let topic = topicsById[id] else { continue }
            while topic.partitions.count < count {
                let index = Int32(topic.partitions.count)
                topic.add(Partition(index: index, log: PartitionLog(folder: topic.folder + "/\(index)", settings: topic.settings)))
            }
        }
    }

    // MARK: Settings

    func serveDescribeConfigs(_ request: DescribeConfigsRequest, _ exchange: Exchange) {
        let version = exchange.version
        var writer = exchange.writer(reserve: 1_024)
        writer.int32(0)
        writer.array(request.resources) { writer, resource in
            let topic = resource.type == ResourceType.topic ? topics[resource.name].flatMap { journal.state.topics[$0.id] } : nil
            let isBroker = resource.type == ResourceType.broker
            writer.error(
                topic != nil || isBroker ? .none : resource.type == ResourceType.topic ? .unknownTopicOrPartition : .invalidRequest)
            writer.nullableString(nil)
            writer.int8(resource.type)
            writer.string(resource.name)
            var settings: [(name: String, value: String, isSet: Bool)] = []
            if let topic {
                settings = TopicSetting.allCases.map { ($0.rawValue, topic.value($0), topic.settings[$0.rawValue] != nil) }
            } else if isBroker {
                settings = brokerSettings.map { ($0.0, $0.1, false) }
            }
            if let named = resource.settings { settings = settings.filter { named.contains($0.name) } }
            writer.array(settings) { writer, setting in
                writer.string(setting.name)
                writer.nullableString(setting.value)
                writer.bool(isBroker)
                // Where a value comes from: 1 the topic, 4 the broker's own, 5 a default.
                if version == 0 { writer.bool(!setting.isSet) } else { writer.int8(isBroker ? 4 : setting.isSet ? 1 : 5) }
                writer.bool(false)
                if version >= 1 { writer.arrayCount(0) }
                if version >= 3 {
                    writer.int8(0)
                    writer.nullableString(nil)
                }
            }
        }
        exchange.finish(writer)
    }

    /// What describes the broker itself, read-only, under Kafka's names where they exist.
    private var brokerSettings: [(String, String)] {
        let flush: String =
            switch options.flush {
            case .always: "always"
            case .interval(let milliseconds): "interval \(milliseconds) ms"
            }
        return [
            ("sluice.flush", flush), ("auto.create.topics.enable", options.autoCreatePartitions > 0 ? "true" : "false"),
            ("message.max.bytes", String(Limits.batchBytesDefault)), ("min.insync.replicas", "1"), ("default.replication.factor", "1"),
            ("unclean.leader.election.enable", "false"), ("log.retention.ms", TopicSetting.retentionMilliseconds.defaultValue),
        ]
    }

    func serveAlterConfigs(_ request: AlterConfigsRequest, _ exchange: Exchange) {
        var results: [AdminResult] = []
        var entries: [JournalEntry] = []
        var changed: [UUID128] = []
        for resource in request.resources {
            var result = AdminResult(name: resource.name, type: resource.type)
            if resource.type != ResourceType.topic {
                (result.error, result.message) = (.invalidRequest, "only topics have settings that can be changed while the broker runs")
            } else if let topic = topics[resource.name], let state = journal.state.topics[topic.id] {
                switch Self.changes(of: state, resource, isIncremental: request.isIncremental) {
                case .success(let some):
                    entries += some
                    changed.append(topic.id)
                case .failure(let refusal): (result.error, result.message) = (.invalidConfig, refusal.text)
                }
            } else {
                result.error = .unknownTopicOrPartition
            }
            results.append(result)
        }
        guard !entries.isEmpty, !request.validateOnly else { return answerAlter(exchange, results) }
        journal.write(entries) { [self] isDurable in
            if !isDurable { diskIsFull() }
            for id in changed where isDurable {
                if let topic = topicsById[id], let state = journal.state.topics[id] { topic.settings = state.logSettings }
            }
            answerAlter(exchange, isDurable ? results : Self.failed(results))
        }
    }

    private struct SettingRefusal: Error { let text: String }

    private static func changes(
        of topic: BrokerState.Topic, _ resource: AlterConfigsRequest.Resource, isIncremental: Bool
    ) -> Result<[JournalEntry], SettingRefusal> {
        var entries: [JournalEntry] = []
        if !isIncremental {
            for name in topic.settings.keys where !resource.settings.contains(where: { $0.name == name }) {
                entries.append(.setting(topic: topic.id, name: name, value: nil))
            }
        }
        for setting in resource.settings {
            guard let operation = setting.operation, operation == .set || operation == .delete else {
                return .failure(SettingRefusal(text: "\(setting.name) is not a list"))
            }
            let value = operation == .delete ? nil : setting.value
            if let text = TopicSetting.refusal(name: setting.name, value: value) { return .failure(SettingRefusal(text: text)) }
            entries.append(.setting(topic: topic.id, name: setting.name, value: value))
        }
        return .success(entries)
    }

    private func answerAlter(_ exchange: Exchange, _ results: [AdminResult]) {
        var writer = exchange.writer()
        writer.int32(0)
        writer.array(results) { writer, result in
            writer.error(result.error)
            writer.nullableString(result.message)
            writer.int8(result.type)
            writer.string(result.name)
        }
        exchange.finish(writer)
    }
}
