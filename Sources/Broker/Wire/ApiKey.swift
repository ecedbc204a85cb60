/// The requests this broker serves and the versions of each.
///
/// Produce is offered from 0 although only 3 and above (record batches) are stored: librdkafka drops compression
/// without a word when a broker offers it from 3. Requests about security are offered to be refused in the protocol's own
/// words: a client that is set up for it learns why it cannot connect. Flexible versions are offered only where something in them is needed.
enum ApiKey: Int16, CaseIterable, Sendable {
    case produce = 0
    case fetch = 1
    case listOffsets = 2
    case metadata = 3
    case offsetCommit = 8
    case offsetFetch = 9
    case findCoordinator = 10
    case joinGroup = 11
    case heartbeat = 12
    case leaveGroup = 13
    case syncGroup = 14
    case describeGroups = 15
    case listGroups = 16
    case saslHandshake = 17
    case apiVersions = 18
    case createTopics = 19
    case deleteTopics = 20
    case initProducerId = 22
    case describeAcls = 29
    case createAcls = 30
    case deleteAcls = 31
    case describeConfigs = 32
    case alterConfigs = 33
    case createPartitions = 37
    case deleteGroups = 42
    case incrementalAlterConfigs = 44

    var versions: ClosedRange<Int16> {
        switch self {
        case .produce: 0...7
        case .fetch: 4...11
        case .listOffsets: 1...5
        case .metadata: 0...12
        case .offsetCommit: 2...7
        case .offsetFetch: 1...7
        case .findCoordinator: 0...2
        case .joinGroup: 0...5
        case .heartbeat: 0...3
        case .leaveGroup: 0...3
        case .syncGroup: 0...3
        case .describeGroups: 0...4
        case .listGroups: 0...2
        case .saslHandshake, .describeAcls, .createAcls, .deleteAcls: 0...1
        case .apiVersions: 0...3
        case .createTopics: 0...4
        case .deleteTopics: 0...3
        case .initProducerId: 0...4
        case .describeConfigs: 0...3
        case .alterConfigs: 0...1
        case .createPartitions: 0...1
        case .deleteGroups: 0...1
        case .incrementalAlterConfigs: 0...0
        }
    }

    /// The first version in the flexible form; nil when none that is offered is.
    private var flexibleFrom: Int16? {
        switch self {
        case .metadata: 9
        case .offsetFetch: 6
        case .apiVersions: 3
        case .initProducerId: 2
        default: nil
        }
    }

    func isFlexible(_ version: Int16) -> Bool { flexibleFrom.map { version >= $0 } ?? false }
}

/// What stands at the start of every request frame.
struct RequestHeader {
    /// Raw: it may be a key this broker does not serve.
    let key: Int16
    let version: Int16
    let correlation: Int32
    let client: String?

    static func parse(_ reader: inout RequestReader) throws(WireError) -> RequestHeader {
        let key = try reader.int16()
        let version = try reader.int16()
        let correlation = try reader.int32()
        // The client id keeps its classic form in header version 2 as well (KIP-482).
        let client = try reader.nullableString()
        return RequestHeader(key: key, version: version, correlation: correlation, client: client)
    }
}
