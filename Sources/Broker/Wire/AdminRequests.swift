struct CreateTopicsRequest {
    struct Topic {
        let name: String
        let partitions: Int32
        let replication: Int16
        /// Replicas named by hand, as partition and brokers.
        let assignments: [(partition: Int32, brokers: [Int32])]
        let settings: [(name: String, value: String?)]
    }
    let topics: [Topic]
    let validateOnly: Bool

    init(_ reader: inout RequestReader, _ version: Int16) throws(WireError) {
        topics = try reader.array { reader throws(WireError) in
            let name = try reader.string()
            let partitions = try reader.int32()
            let replication = try reader.int16()
            let assignments = try reader.array { reader throws(WireError) in
                (partition: try reader.int32(), brokers: try reader.array { reader throws(WireError) in try reader.int32() })
            }
            let settings = try reader.array { reader throws(WireError) in
                (name: try reader.string(), value: try reader.nullableString())
            }
            return Topic(name: name, partitions: partitions, replication: replication, assignments: assignments, settings: settings)
        }
        _ = try reader.int32()
        validateOnly = version >= 1 ? try reader.bool() : false
    }
}

struct CreatePartitionsRequest {
    struct Topic {
        let name: String
        let count: Int32
    }
    let topics: [Topic]
    let validateOnly: Bool

    init(_ reader: inout RequestReader) throws(WireError) {
        topics = try reader.array { reader throws(WireError) in
            let name = try reader.string()
            let count = try reader.int32()
            _ = try reader.nullableArray { reader throws(WireError) in try reader.array { reader throws(WireError) in try reader.int32() } }
            return Topic(name: name, count: count)
        }
        _ = try reader.int32()
        validateOnly = try reader.bool()
    }
}

/// What settings belong to.
enum ResourceType {
    static let topic: Int8 = 2
    static let broker: Int8 = 4
}

struct DescribeConfigsRequest {
    struct Resource {
        let type: Int8
        let name: String
        /// nil: all of them.
        let settings: [String]?
    }
    let resources: [Resource]

    init(_ reader: inout RequestReader, _ version: Int16) throws(WireError) {
        resources = try reader.array { reader throws(WireError) in
            let type = try reader.int8()
            let name = try reader.string()
            let settings = try reader.nullableArray { reader throws(WireError) in try reader.string() }
            return Resource(type: type, name: name, settings: settings)
        }
        if version >= 1 { _ = try reader.bool() }
        if version >= 3 { _ = try reader.bool() }
    }
}

struct AlterConfigsRequest {
    enum Operation: Int8 {
        case set = 0
        case delete, append, subtract
    }
    struct Resource {
        let type: Int8
        let name: String
        /// nil operation: a number that the protocol does not have.
        let settings: [(name: String, operation: Operation?, value: String?)]
    }
    let resources: [Resource]
    let validateOnly: Bool
    /// False: what is not named goes back to its default.
    let isIncremental: Bool

    init(_ reader: inout RequestReader, incremental: Bool) throws(WireError) {
        isIncremental = incremental
        resources = try reader.array { reader throws(WireError) in
            let type = try reader.int8()
            let name = try reader.string()
            let settings = try reader.array { reader throws(WireError) in
                let name = try reader.string()
                let operation = incremental ? Operation(rawValue: try reader.int8()) : .set
                return (name: name, operation: operation, value: try reader.nullableString())
            }
            return Resource(type: type, name: name, settings: settings)
        }
        validateOnly = try reader.bool()
    }
}
