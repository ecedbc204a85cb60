/// The settings of a topic that this broker has, under Kafka's names.
enum TopicSetting: String, CaseIterable, Sendable {
    case retentionMilliseconds = "retention.ms"
    case retentionBytes = "retention.bytes"
    case segmentBytes = "segment.bytes"
    case segmentMilliseconds = "segment.ms"
    case batchBytesMax = "max.message.bytes"
    // With one node and no compaction these have one value each; naming that value is fine, another is refused.
    case cleanupPolicy = "cleanup.policy"
    case inSyncReplicasMin = "min.insync.replicas"
    case compression = "compression.type"
    case timestampType = "message.timestamp.type"
    case uncleanElection = "unclean.leader.election.enable"

    var defaultValue: String {
        let settings = LogSettings()
        return switch self {
        case .retentionMilliseconds: String(settings.retentionMilliseconds)
        case .retentionBytes: String(settings.retentionBytes)
        case .segmentBytes: String(settings.segmentBytes)
        case .segmentMilliseconds: String(settings.segmentMilliseconds)
        case .batchBytesMax: String(settings.batchBytesMax)
        case .cleanupPolicy: "delete"
        case .inSyncReplicasMin: "1"
        case .compression: "producer"
        case .timestampType: "CreateTime"
        case .uncleanElection: "false"
        }
    }

    /// The numbers a setting may have; nil: only its default.
    private var range: ClosedRange<Int64>? {
        switch self {
        case .retentionMilliseconds, .retentionBytes: -1...Int64.max / 2
        case .segmentBytes: Limits.segmentBytesMin...Limits.segmentBytesMax
        case .segmentMilliseconds: 1...Int64.max / 2
        case .batchBytesMax: Int64(BatchHeader.byteCount)...Int64(Limits.frameBytesMax / 2)
        default: nil
        }
    }

    func accepts(_ value: String) -> Bool {
        guard let range else { return value == defaultValue }
        return Int64(value).map(range.contains) ?? false
    }

    /// A sentence for the client when a name or value is refused; nil when it is accepted.
    static func refusal(name: String, value: String?) -> String? {
        guard let setting = TopicSetting(rawValue: name) else { return "\(name) is not a setting of this broker" }
        guard let value else { return nil }
        if setting.accepts(value) { return nil }
        if let range = setting.range { return "\(name) is a number from \(range.lowerBound) to \(range.upperBound)" }
        return "\(name) can only be \(setting.defaultValue) on a single node"
    }
}

extension BrokerState.Topic {
    func value(_ setting: TopicSetting) -> String { settings[setting.rawValue] ?? setting.defaultValue }

    private func number(_ setting: TopicSetting) -> Int64 { Int64(value(setting)) ?? 0 }

    var logSettings: LogSettings {
        LogSettings(
            retentionMilliseconds: number(.retentionMilliseconds), retentionBytes: number(.retentionBytes),
            segmentBytes: number(.segmentBytes), segmentMilliseconds: number(.segmentMilliseconds),
            batchBytesMax: Int32(clamping: number(.batchBytesMax)))
    }

    /// Its folder under `topics/`: readable, and never another topic's, not even a deleted one's of the same name.
    var folderName: String { name.prefix(200) + "." + id.hexadecimal }
}
