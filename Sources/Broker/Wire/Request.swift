/// A request frame, read. Pure: what does not parse is an error, never a trap.
enum Request {
    case produce(ProduceRequest)
    case fetch(FetchRequest)
    case listOffsets(ListOffsetsRequest)
    case metadata(MetadataRequest)
    case offsetCommit(OffsetCommitRequest)
    case offsetFetch(OffsetFetchRequest)
    case findCoordinator(key: String, type: Int8)
    case joinGroup(JoinRequest)
    case heartbeat(HeartbeatRequest)
    case leaveGroup(LeaveRequest)
    case syncGroup(SyncRequest)
    case describeGroups([String])
    case listGroups
    case apiVersions
    case createTopics(CreateTopicsRequest)
    case deleteTopics([String])
    case initProducerId(transactional: Bool)
    case describeConfigs(DescribeConfigsRequest)
    case alterConfigs(AlterConfigsRequest)
    case createPartitions(CreatePartitionsRequest)
    case deleteGroups([String])
    /// About access lists, which are not there; the number of results that an answer has.
    case accessLists(resultCount: Int)
    case saslHandshake

    /// Reads the body behind a header whose key and version are served.
    static func parse(_ key: ApiKey, header: RequestHeader, body: Span<UInt8>) throws(WireError) -> Request {
        let version = header.version
        var reader = RequestReader(body, isFlexible: key.isFlexible(version))
        // A flexible request's header ends with tagged fields.
        try reader.endStructure()
        let request: Request
        switch key {
        case .produce: request = .produce(try ProduceRequest(&reader, version))
        case .fetch: request = .fetch(try FetchRequest(&reader, version))
        case .listOffsets: request = .listOffsets(try ListOffsetsRequest(&reader, version))
        case .metadata: request = .metadata(try MetadataRequest(&reader, version))
        case .offsetCommit: request = .offsetCommit(try OffsetCommitRequest(&reader, version))
        case .offsetFetch: request = .offsetFetch(try OffsetFetchRequest(&reader, version))
        case .findCoordinator: request = .findCoordinator(key: try reader.string(), type: version >= 1 ? try reader.int8() : 0)
        case .joinGroup: request = .joinGroup(try JoinRequest(&reader, version, client: header.client ?? ""))
        case .heartbeat: request = .heartbeat(try HeartbeatRequest(&reader, version))
        case .leaveGroup: request = .leaveGroup(try LeaveRequest(&reader, version))
        case .syncGroup: request = .syncGroup(try SyncRequest(&reader, version))
        case .describeGroups: request = .describeGroups(try reader.array { reader throws(WireError) in try reader.string() })
        case .listGroups: request = .listGroups
        case .apiVersions: request = .apiVersions
        case .createTopics: request = .createTopics(try CreateTopicsRequest(&reader, version))
        case .deleteTopics: request = .deleteTopics(try reader.array { reader throws(WireError) in try reader.string() })
        case .initProducerId: request = .initProducerId(transactional: try reader.nullableString() != nil)
        case .describeConfigs: request = .describeConfigs(try DescribeConfigsRequest(&reader, version))
        case .alterConfigs: request = .alterConfigs(try AlterConfigsRequest(&reader, incremental: false))
        case .incrementalAlterConfigs: request = .alterConfigs(try AlterConfigsRequest(&reader, incremental: true))
        case .createPartitions: request = .createPartitions(try CreatePartitionsRequest(&reader))
        case .deleteGroups: request = .deleteGroups(try reader.array { reader throws(WireError) in try reader.string() })
        case .saslHandshake:
            _ = try reader.string()
            request = .saslHandshake
        case .describeAcls: request = .accessLists(resultCount: 1)
        case .createAcls, .deleteAcls: request = .accessLists(resultCount: try reader.arrayCount())
        }
        return request
    }
}
