extension JoinRequest {
    init(_ reader: inout RequestReader, _ version: Int16, client: String) throws(WireError) {
        let group = try reader.string()
        let session = try reader.int32()
        let rebalance = version >= 1 ? try reader.int32() : -1
        let member = try reader.string()
        let instance = version >= 5 ? try reader.nullableString() : nil
        let type = try reader.string()
        let protocols = try reader.array { reader throws(WireError) in
            (name: try reader.string(), metadata: try reader.byteArray())
        }
        self.init(
            group: group, sessionTimeoutMilliseconds: session, rebalanceTimeoutMilliseconds: rebalance, member: member, instance: instance,
            protocolType: type, protocols: protocols, requiresKnownId: version >= 4, client: client, host: "")
    }
}

extension SyncRequest {
    init(_ reader: inout RequestReader, _ version: Int16) throws(WireError) {
        let group = try reader.string()
        let generation = try reader.int32()
        let member = try reader.string()
        let instance = version >= 3 ? try reader.nullableString() : nil
        let assignments = try reader.array { reader throws(WireError) in
            Assignment(member: try reader.string(), bytes: try reader.byteArray())
        }
        self.init(group: group, generation: generation, member: member, instance: instance, assignments: assignments)
    }
}

struct HeartbeatRequest {
    let group: String
    let generation: Int32
    let member: String
    let instance: String?

    init(_ reader: inout RequestReader, _ version: Int16) throws(WireError) {
        group = try reader.string()
        generation = try reader.int32()
        member = try reader.string()
        instance = version >= 3 ? try reader.nullableString() : nil
    }
}

struct LeaveRequest {
    struct Member {
        let id: String
        let instance: String?
    }
    let group: String
    let members: [Member]

    init(_ reader: inout RequestReader, _ version: Int16) throws(WireError) {
        group = try reader.string()
        if version < 3 {
            members = [Member(id: try reader.string(), instance: nil)]
        } else {
            members = try reader.array { reader throws(WireError) in
                Member(id: try reader.string(), instance: try reader.nullableString())
            }
        }
    }
}

struct OffsetCommitRequest {
    struct Partition {
        let index: Int32
        let offset: Int64
        let leaderEpoch: Int32
        let metadata: String
    }
    struct Topic {
        let name: String
        let partitions: [Partition]
    }
    let group: String
    let generation: Int32
    let member: String
    let instance: String?
    let topics: [Topic]

    init(_ reader: inout RequestReader, _ version: Int16) throws(WireError) {
        group = try reader.string()
        generation = try reader.int32()
        member = try reader.string()
        instance = version >= 7 ? try reader.nullableString() : nil
        if version <= 4 { _ = try reader.int64() }
        topics = try reader.array { reader throws(WireError) in
            let name = try reader.string()
            let partitions = try reader.array { reader throws(WireError) in
                let index = try reader.int32()
                let offset = try reader.int64()
                let epoch = version >= 6 ? try reader.int32() : -1
                return Partition(index: index, offset: offset, leaderEpoch: epoch, metadata: try reader.nullableString() ?? "")
            }
            return Topic(name: name, partitions: partitions)
        }
    }
}

struct OffsetFetchRequest {
    struct Topic {
        let name: String
        let partitions: [Int32]
    }
    let group: String
    /// nil: everything the group has committed.
    let topics: [Topic]?

    init(_ reader: inout RequestReader, _ version: Int16) throws(WireError) {
        group = try reader.string()
        topics = try reader.nullableArray { reader throws(WireError) in
            let name = try reader.string()
            let partitions = try reader.array { reader throws(WireError) in try reader.int32() }
            try reader.endStructure()
            return Topic(name: name, partitions: partitions)
        }
        if version >= 7 { _ = try reader.bool() }
        try reader.endStructure()
    }
}
