internal import Telemetry

extension BrokerLoop {
    func serve(_ request: Request, _ exchange: Exchange, _ buffer: inout [UInt8], body: Range<Int>) {
        switch request {
        case .produce(let request): serveProduce(request, exchange, &buffer, body: body)
        case .fetch(let request): serveFetch(request, exchange)
        case .listOffsets(let request): serveListOffsets(request, exchange)
        case .metadata(let request): serveMetadata(request, exchange)
        case .offsetCommit(let request): serveOffsetCommit(request, exchange)
        case .offsetFetch(let request): serveOffsetFetch(request, exchange)
        case .findCoordinator(_, let type): serveFindCoordinator(type: type, exchange)
        case .joinGroup(let request): serveJoin(request, exchange)
        case .heartbeat(let request): serveHeartbeat(request, exchange)
        case .leaveGroup(let request): serveLeave(request, exchange)
        case .syncGroup(let request): serveSync(request, exchange)
        case .describeGroups(let names): serveDescribeGroups(names, exchange)
        case .listGroups: serveListGroups(exchange)
        case .apiVersions: answerApiVersions(exchange, error: .none)
        case .createTopics(let request): serveCreateTopics(request, exchange)
        case .deleteTopics(let names): serveDeleteTopics(names, exchange)
        case .initProducerId(let transactional): serveInitProducerId(transactional: transactional, exchange)
        case .describeConfigs(let request): serveDescribeConfigs(request, exchange)
        case .alterConfigs(let request): serveAlterConfigs(request, exchange)
        case .createPartitions(let request): serveCreatePartitions(request, exchange)
        case .deleteGroups(let names): serveDeleteGroups(names, exchange)
        case .accessLists(let resultCount): refuseAccessLists(resultCount: resultCount, exchange)
        case .saslHandshake: refuseAuthentication(exchange)
        }
    }

    // MARK: Security, which is not there

    private func refuseAuthentication(_ exchange: Exchange) {
        var writer = exchange.writer()
        writer.error(.illegalSaslState)
        writer.arrayCount(0)
        exchange.finish(writer)
    }

    private func refuseAccessLists(resultCount: Int, _ exchange: Exchange) {
        var writer = exchange.writer()
        let message = "this broker has no access lists: whoever can connect may do anything"
        writer.int32(0)
        if exchange.key != .describeAcls { writer.arrayCount(resultCount) }
        for _ in 0..<resultCount {
            writer.error(.securityDisabled)
            writer.nullableString(message)
            // Describing lists resources, deleting what matched: none.
            if exchange.key != .createAcls { writer.arrayCount(0) }
        }
        exchange.finish(writer)
    }

    func answerApiVersions(_ exchange: Exchange, error: ErrorCode) {
        var writer = exchange.writer(reserve: 256)
        writer.error(error)
        writer.array(ApiKey.allCases) { writer, key in
            writer.int16(key.rawValue)
            writer.int16(key.versions.lowerBound)
            writer.int16(key.versions.upperBound)
            writer.endStructure()
        }
        if exchange.version >= 1 { writer.int32(0) }
        writer.endStructure()
        exchange.finish(writer)
    }

    func serveFindCoordinator(type: Int8, _ exchange: Exchange) {
        var writer = exchange.writer()
        let isGroup = type == 0
        if exchange.version >= 1 { writer.int32(0) }
        writer.error(isGroup ? .none : .transactionalIdAuthorizationFailed)
        if exchange.version >= 1 { writer.nullableString(isGroup ? nil : "this broker has no transactions") }
        writer.int32(isGroup ? Self.nodeId : -1)
        writer.string(isGroup ? advertised.host : "")
        writer.int32(isGroup ? Int32(advertised.port) : -1)
        exchange.finish(writer)
    }

    static var nodeId: Int32 { 1 }

    // MARK: Metadata

    func serveMetadata(_ request: MetadataRequest, _ exchange: Exchange) {
        let missing = (request.topics ?? []).compactMap(\.name).filter { topics[$0] == nil && !topicsBeingMade.contains($0) }
        guard options.autoCreatePartitions > 0, request.allowsAutoCreation, !missing.isEmpty else {
            return answerMetadata(request, exchange)
        }
        let entries = Set(missing).filter(Self.isTopicName).map { name in
            CreateTopicsRequest.Topic(name: name, partitions: options.autoCreatePartitions, replication: 1, assignments: [], settings: [])
        }
        var accepted: [CreateTopicsRequest.Topic] = []
        for topic in entries where refusal(of: topic, besides: accepted) == nil { accepted.append(topic) }
        create(accepted) { [self] _ in answerMetadata(request, exchange) }
    }

    private func answerMetadata(_ request: MetadataRequest, _ exchange: Exchange) {
        let version = exchange.version
        var writer = exchange.writer(reserve: 1_024)
        if version >= 3 { writer.int32(0) }
        writer.arrayCount(1)
        writer.int32(Self.nodeId)
        writer.string(advertised.host)
        writer.int32(Int32(advertised.port))
        if version >= 1 { writer.nullableString(nil) }
        writer.endStructure()
        if version >= 2 { writer.nullableString(journal.state.cluster.base64) }
        if version >= 1 { writer.int32(Self.nodeId) }
        if let asked = request.topics {
            writer.array(asked) { writer, asked in
                let topic = asked.name.flatMap { topics[$0] } ?? (asked.name == nil ? topicsById[asked.id] : nil)
                let error: ErrorCode =
                    asked.name == nil ? .unknownTopicId : Self.isTopicName(asked.name!) ? .unknownTopicOrPartition : .invalidTopic
                write(topic, error: topic == nil ? error : .none, name: asked.name, id: asked.id, version, &writer)
            }
        } else {
            writer.array(topics.values.sorted { $0.name < $1.name }) { writer, topic in
                write(topic, error: .none, name: topic.name, id: topic.id, version, &writer)
            }
        }
        if version >= 8, version <= 10 { writer.int32(.min) }
        writer.endStructure()
        exchange.finish(writer)
    }

    private func write(_ topic: Topic?, error: ErrorCode, name: String?, id: UUID128, _ version: Int16, _ writer: inout ResponseWriter) {
        writer.error(error)
        if let name = topic?.name ?? name {
            writer.string(name)
        } else if version >= 12 {
            writer.nullableString(nil)
        } else {
            writer.string("")
        }
        if version >= 10 { writer.uuid(topic?.id ?? id) }
        if version >= 1 { writer.bool(false) }
        writer.array(topic?.partitions ?? []) { writer, partition in
            writer.error(.none)
            writer.int32(partition.index)
            writer.int32(Self.nodeId)
            if version >= 7 { writer.int32(0) }
            for _ in 0..<2 {
                writer.arrayCount(1)
                writer.int32(Self.nodeId)
            }
            if version >= 5 { writer.arrayCount(0) }
            writer.endStructure()
        }
        if version >= 8 { writer.int32(.min) }
        writer.endStructure()
    }

    // MARK: Producer ids

    func serveInitProducerId(transactional: Bool, _ exchange: Exchange) {
        guard !transactional else { return answerProducerId(exchange, error: .transactionalIdAuthorizationFailed, id: -1) }
        // The next block is taken before this one is used up, so that nobody waits for the disk here.
        if producerIdsBelow - nextProducerId < Limits.producerIdBlock / 2 { reserveProducerIds() }
        guard nextProducerId < producerIdsBelow else { return answerProducerId(exchange, error: .coordinatorLoadInProgress, id: -1) }
        let id = nextProducerId
        nextProducerId += 1
        answerProducerId(exchange, error: .none, id: id)
    }

    func reserveProducerIds() {
        guard !isReservingProducerIds else { return }
        isReservingProducerIds = true
        let below = producerIdsBelow + Limits.producerIdBlock
        journal.write([.producerIds(below: below)]) { [self] isDurable in
            isReservingProducerIds = false
            if isDurable { producerIdsBelow = below } else { diskIsFull() }
        }
    }

    private func answerProducerId(_ exchange: Exchange, error: ErrorCode, id: Int64) {
        var writer = exchange.writer()
        writer.int32(0)
        writer.error(error)
        writer.int64(id)
        writer.int16(error == .none ? 0 : -1)
        writer.endStructure()
        exchange.finish(writer)
    }
}
