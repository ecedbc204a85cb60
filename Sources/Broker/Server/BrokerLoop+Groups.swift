internal import Telemetry

extension BrokerLoop {
    private var now: UInt64 { Clock.monotonicMilliseconds }

    /// Answers what a group had kept back.
    private func perform(_ actions: [GroupAction]) {
        for action in actions {
            switch action {
            case .join(let number, let answer):
                guard let exchange = groupExchanges.removeValue(forKey: number)?.exchange else { continue }
                self.answer(exchange, answer)
            case .sync(let number, let answer):
                guard let exchange = groupExchanges.removeValue(forKey: number)?.exchange else { continue }
                self.answer(exchange, answer)
            }
        }
    }

    func tickGroups(now: UInt64) {
        for name in Array(groups.keys) {
            guard let actions = groups[name]?.tick(now: now) else { continue }
            perform(actions)
        }
    }

    /// A group that has no members and no offsets is nothing; one without members loses its offsets after a week.
    func forgetUnusedGroups(now: UInt64) {
        let wall = Clock.wallMicroseconds / 1_000
        for (name, group) in groups where group.isUnused && journal.state.offsets[name] == nil && now - group.emptySince > 60_000 {
            groups[name] = nil
        }
        let expired = journal.state.offsets.filter { name, offsets in
            guard groups[name]?.isUnused ?? true else { return false }
            return offsets.values.allSatisfy { $0.committedMilliseconds < wall - Limits.offsetRetentionMilliseconds }
        }
        guard !expired.isEmpty else { return }
        journal.write(expired.keys.map { .groupDeleted($0) }) { _ in }
    }

    // MARK: Members

    func serveJoin(_ request: JoinRequest, _ exchange: Exchange) {
        guard !request.group.isEmpty, request.group.utf8.count <= Limits.groupIdBytesMax else {
            return answer(exchange, JoinAnswer(error: .invalidGroupId, member: request.member))
        }
        // One that has committed is counted already.
        let isKnown = groups[request.group] != nil || journal.state.offsets[request.group] != nil
        guard isKnown || groupCount < Limits.groupsMax else {
            return answer(exchange, JoinAnswer(error: .coordinatorNotAvailable, member: request.member))
        }
        guard groupByteCount <= Limits.groupBytesMax else {
            return answer(exchange, JoinAnswer(error: .coordinatorNotAvailable, member: request.member))
        }
        groupExchanges[exchange.number] = (exchange, request.group)
        let prefix = request.instance ?? request.client
        // Bytes are counted, not characters: one character may be thousands of bytes.
        let id = String(decoding: prefix.utf8.prefix(100), as: UTF8.self) + "-" + UUID128.random().hexadecimal
        perform(groups[request.group, default: GroupMachine(now: now)].join(request, request: exchange.number, newId: id, now: now))
    }

    private var groupCount: Int { Set(groups.keys).union(journal.state.offsets.keys).count }

    /// What all members' subscriptions and assignments take; counted anew at each join, which is rare.
    private var groupByteCount: Int {
        groups.values.reduce(0) { total, group in
            group.members.reduce(total) {
                $0 + $1.assignment.count + $1.protocols.reduce(0) { $0 + $1.name.utf8.count + $1.metadata.count }
            }
        }
    }

    private func answer(_ exchange: Exchange, _ answer: JoinAnswer) {
        let version = exchange.version
        var writer = exchange.writer(reserve: 512)
        if version >= 2 { writer.int32(0) }
        writer.error(answer.error)
        writer.int32(answer.generation)
        writer.string(answer.protocolName)
        writer.string(answer.leader)
        writer.string(answer.member)
        writer.array(answer.members) { writer, member in
            writer.string(member.id)
            if version >= 5 { writer.nullableString(member.instance) }
            writer.byteArray(member.metadata)
        }
        exchange.finish(writer)
    }

    func serveSync(_ request: SyncRequest, _ exchange: Exchange) {
        guard groups[request.group] != nil else { return answer(exchange, SyncAnswer(error: .unknownMemberId)) }
        groupExchanges[exchange.number] = (exchange, request.group)
        perform(groups[request.group]!.sync(request, request: exchange.number, now: now))
    }

    private func answer(_ exchange: Exchange, _ answer: SyncAnswer) {
        var writer = exchange.writer(reserve: answer.assignment.count + 64)
        if exchange.version >= 1 { writer.int32(0) }
        writer.error(answer.error)
        writer.byteArray(answer.assignment)
        exchange.finish(writer)
    }

    func serveHeartbeat(_ request: HeartbeatRequest, _ exchange: Exchange) {
        let error =
            groups[request.group]?.heartbeat(member: request.member, instance: request.instance, generation: request.generation, now: now)
            ?? .unknownMemberId
        var writer = exchange.writer()
        if exchange.version >= 1 { writer.int32(0) }
        writer.error(error)
        exchange.finish(writer)
    }

    func serveLeave(_ request: LeaveRequest, _ exchange: Exchange) {
        var results: [(member: LeaveRequest.Member, error: ErrorCode)] = []
        var actions: [GroupAction] = []
        for member in request.members {
            let result = groups[request.group]?.leave(member: member.id, instance: member.instance, now: now) ?? (.unknownMemberId, [])
            results.append((member, result.error))
            actions += result.actions
        }
        perform(actions)
        var writer = exchange.writer()
        if exchange.version >= 1 { writer.int32(0) }
        writer.error(exchange.version >= 3 ? .none : results.first?.error ?? .none)
        if exchange.version >= 3 {
            writer.array(results) { writer, result in
                writer.string(result.member.id)
                writer.nullableString(result.member.instance)
                writer.error(result.error)
            }
        }
        exchange.finish(writer)
    }

    // MARK: Offsets

    func serveOffsetCommit(_ request: OffsetCommitRequest, _ exchange: Exchange) {
        guard let error = commitRefusal(request) else { return commit(request, exchange) }
        answerCommit(request, exchange) { _, _ in error }
    }

    private func commitRefusal(_ request: OffsetCommitRequest) -> ErrorCode? {
        guard !request.group.isEmpty, request.group.utf8.count <= Limits.groupIdBytesMax else { return .invalidGroupId }
        if groups[request.group] != nil {
            return groups[request.group]!.commitRefusal(
                member: request.member, instance: request.instance, generation: request.generation, now: now)
        }
        if request.generation >= 0 { return .unknownMemberId }
        return journal.state.offsets[request.group] != nil || groupCount < Limits.groupsMax ? nil : .coordinatorNotAvailable
    }

    private func commit(_ request: OffsetCommitRequest, _ exchange: Exchange) {
        let wall = Clock.wallMicroseconds / 1_000
        func refusal(_ topic: Topic?, _ partition: OffsetCommitRequest.Partition) -> ErrorCode {
            if topic?.partition(partition.index) == nil { return .unknownTopicOrPartition }
            return partition.metadata.utf8.count > Limits.offsetMetadataBytesMax ? .offsetMetadataTooLarge : .none
        }
        var entries: [JournalEntry] = []
        for asked in request.topics {
            let topic = topics[asked.name]
            for partition in asked.partitions where refusal(topic, partition) == .none {
                let committed = CommittedOffset(
                    offset: partition.offset, leaderEpoch: partition.leaderEpoch, metadata: partition.metadata, committedMilliseconds: wall)
                entries.append(.offset(group: request.group, topic: topic!.id, partition: partition.index, committed))
            }
        }
        guard !entries.isEmpty else { return answerCommit(request, exchange) { [self] in refusal(topics[$0], $1) } }
        journal.write(entries) { [self] isDurable in
            if !isDurable { diskIsFull() }
            answerCommit(request, exchange) { [self] name, partition in
                let error = refusal(topics[name], partition)
                return error == .none && !isDurable ? .coordinatorNotAvailable : error
            }
        }
    }

    private func answerCommit(
        _ request: OffsetCommitRequest, _ exchange: Exchange, _ error: (String, OffsetCommitRequest.Partition) -> ErrorCode
    ) {
        var writer = exchange.writer()
        if exchange.version >= 3 { writer.int32(0) }
        writer.array(request.topics) { writer, topic in
            writer.string(topic.name)
            writer.array(topic.partitions) { writer, partition in
                writer.int32(partition.index)
                writer.error(error(topic.name, partition))
            }
        }
        exchange.finish(writer)
    }

    func serveOffsetFetch(_ request: OffsetFetchRequest, _ exchange: Exchange) {
        let committed = journal.state.offsets[request.group] ?? [:]
        var asked = request.topics ?? []
        if request.topics == nil {
            let byTopic = Dictionary(grouping: committed.keys) { $0.topic }
            asked = byTopic.compactMap { id, keys in
                topicsById[id].map { OffsetFetchRequest.Topic(name: $0.name, partitions: keys.map(\.partition).sorted()) }
            }
        }
        let version = exchange.version
        var writer = exchange.writer(reserve: 256)
        if version >= 3 { writer.int32(0) }
        writer.array(asked) { writer, topic in
            writer.string(topic.name)
            let id = topics[topic.name]?.id ?? .zero
            writer.array(topic.partitions) { writer, partition in
                let found = committed[BrokerState.OffsetKey(topic: id, partition: partition)]
                writer.int32(partition)
                writer.int64(found?.offset ?? -1)
                if version >= 5 { writer.int32(found?.leaderEpoch ?? -1) }
                writer.nullableString(found?.metadata ?? "")
                writer.error(.none)
                writer.endStructure()
            }
            writer.endStructure()
        }
        if version >= 2 { writer.error(.none) }
        writer.endStructure()
        exchange.finish(writer)
    }

    // MARK: Administration

    func serveListGroups(_ exchange: Exchange) {
        var writer = exchange.writer(reserve: 512)
        if exchange.version >= 1 { writer.int32(0) }
        writer.error(.none)
        writer.array(Set(groups.keys).union(journal.state.offsets.keys).sorted()) { writer, name in
            writer.string(name)
            writer.string(groups[name]?.protocolType ?? "consumer")
        }
        exchange.finish(writer)
    }

    func serveDescribeGroups(_ names: [String], _ exchange: Exchange) {
        let version = exchange.version
        var writer = exchange.writer(reserve: 512)
        if version >= 1 { writer.int32(0) }
        writer.array(names) { writer, name in
            let group = groups[name]
            let exists = group != nil || journal.state.offsets[name] != nil
            writer.error(.none)
            writer.string(name)
            writer.string(exists ? (group?.state ?? .empty).rawValue : "Dead")
            writer.string(group?.protocolType ?? (exists ? "consumer" : ""))
            writer.string(group?.state == .stable ? group?.protocolName ?? "" : "")
            writer.array(group?.members ?? []) { writer, member in
                writer.string(member.id)
                if version >= 4 { writer.nullableString(member.instance) }
                writer.string(member.client)
                writer.string(member.host)
                writer.byteArray(member.protocols.first { $0.name == group?.protocolName }?.metadata ?? [])
                writer.byteArray(member.assignment)
            }
            if version >= 3 { writer.int32(.min) }
        }
        exchange.finish(writer)
    }

    func serveDeleteGroups(_ names: [String], _ exchange: Exchange) {
        var errors: [String: ErrorCode] = [:]
        for name in names {
            if groups[name].map({ !$0.members.isEmpty }) ?? false {
                errors[name] = .nonEmptyGroup
            } else if groups[name] == nil, journal.state.offsets[name] == nil {
                errors[name] = .groupIdNotFound
            }
        }
        let gone = names.filter { errors[$0] == nil }
        let finish = { [self] (isDurable: Bool) in
            for name in gone {
                if isDurable {
                    if groups[name]?.members.isEmpty ?? false { groups[name] = nil }
                } else {
                    errors[name] = .coordinatorNotAvailable
                }
            }
            var writer = exchange.writer()
            writer.int32(0)
            writer.array(names) { writer, name in
                writer.string(name)
                writer.error(errors[name] ?? .none)
            }
            exchange.finish(writer)
        }
        if gone.isEmpty { finish(true) } else { journal.write(gone.map { .groupDeleted($0) }, completion: finish) }
    }
}
