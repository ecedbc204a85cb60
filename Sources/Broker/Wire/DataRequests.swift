/// Records to append; `records` are positions in the request's body.
struct ProduceRequest {
    struct Partition {
        let index: Int32
        let records: Range<Int>?
    }
    struct Topic {
        let name: String
        let partitions: [Partition]
    }
    let transactional: Bool
    /// 0: no answer is wanted; 1 and -1: when it is durable.
    let acks: Int16
    let topics: [Topic]

    init(_ reader: inout RequestReader, _ version: Int16) throws(WireError) {
        transactional = version >= 3 ? try reader.nullableString() != nil : false
        acks = try reader.int16()
        _ = try reader.int32()
        topics = try reader.array { reader throws(WireError) in
            let name = try reader.string()
            let partitions = try reader.array { reader throws(WireError) in
                Partition(index: try reader.int32(), records: try reader.nullableBytesRange())
            }
            return Topic(name: name, partitions: partitions)
        }
    }
}

struct FetchRequest {
    struct Partition {
        let index: Int32
        let leaderEpoch: Int32
        let offset: Int64
        let maxBytes: Int32
    }
    struct Topic {
        let name: String
        let partitions: [Partition]
    }
    let maxWaitMilliseconds: Int32
    let minBytes: Int32
    let maxBytes: Int32
    let sessionId: Int32
    let sessionEpoch: Int32
    let topics: [Topic]

    init(_ reader: inout RequestReader, _ version: Int16) throws(WireError) {
        _ = try reader.int32()
        maxWaitMilliseconds = try reader.int32()
        minBytes = try reader.int32()
        maxBytes = try reader.int32()
        _ = try reader.int8()
        sessionId = version >= 7 ? try reader.int32() : 0
        sessionEpoch = version >= 7 ? try reader.int32() : -1
        topics = try reader.array { reader throws(WireError) in
            let name = try reader.string()
            let partitions = try reader.array { reader throws(WireError) in
                let index = try reader.int32()
                let epoch = version >= 9 ? try reader.int32() : -1
                let offset = try reader.int64()
                if version >= 5 { _ = try reader.int64() }
                return Partition(index: index, leaderEpoch: epoch, offset: offset, maxBytes: try reader.int32())
            }
            return Topic(name: name, partitions: partitions)
        }
        // What a session forgets, and the client's rack: this broker keeps no sessions and has one rack.
        if version >= 7 {
            for _ in 0..<(try reader.arrayCount()) {
                _ = try reader.string()
                _ = try reader.array { reader throws(WireError) in try reader.int32() }
            }
        }
        if version >= 11 { _ = try reader.nullableString() }
    }
}

struct ListOffsetsRequest {
    struct Partition {
        let index: Int32
        /// Milliseconds; -1 the end, -2 the start.
        let timestamp: Int64
    }
    struct Topic {
        let name: String
        let partitions: [Partition]
    }
    let topics: [Topic]

    init(_ reader: inout RequestReader, _ version: Int16) throws(WireError) {
        _ = try reader.int32()
        if version >= 2 { _ = try reader.int8() }
        topics = try reader.array { reader throws(WireError) in
            let name = try reader.string()
            let partitions = try reader.array { reader throws(WireError) in
                let index = try reader.int32()
                if version >= 4 { _ = try reader.int32() }
                return Partition(index: index, timestamp: try reader.int64())
            }
            return Topic(name: name, partitions: partitions)
        }
    }
}

struct MetadataRequest {
    struct Topic {
        let id: UUID128
        let name: String?
    }
    /// nil: all topics.
    let topics: [Topic]?
    let allowsAutoCreation: Bool

    init(_ reader: inout RequestReader, _ version: Int16) throws(WireError) {
        let asked = try reader.nullableArray { reader throws(WireError) in
            let id = version >= 10 ? try reader.uuid() : .zero
            let name = version >= 10 ? try reader.nullableString() : try reader.string()
            try reader.endStructure()
            return Topic(id: id, name: name)
        }
        // Version 0 has no null: there an empty list means all.
        topics = version == 0 && asked?.isEmpty == true ? nil : asked
        allowsAutoCreation = version >= 4 ? try reader.bool() : true
        if version >= 8, version <= 10 { _ = try reader.bool() }
        if version >= 8 { _ = try reader.bool() }
        try reader.endStructure()
    }
}
