/// A member of a consumer group on one topic whose offsets are kept elsewhere.
///
/// Assignment is `range`, eager: a rebalance takes all partitions from all members and hands them out anew. With
/// offsets that are read from a database on every assignment, and few members, that is simpler than the cooperative
/// protocol, and librdkafka 2.0's cooperative assignor had bugs that later versions fixed.
public struct ConsumerConfiguration: Sendable {
    public var base: KafkaConfiguration
    public var group: String
    /// Static membership: a member that comes back under its name within the session time-out takes its partitions
    /// back without a rebalance. Unique in the group. Nil for a dynamic member.
    public var instanceID: String?
    public var topic: String
    /// How long the group waits for a member that is silent, milliseconds. Brokers bound it (usually 6 s to 30 min).
    public var sessionTimeoutMilliseconds: Int
    /// Records handed out in one turn of the loop, over all partitions; the rest waits for the next turn.
    public var recordsPerTurnMax: Int
    /// Bytes of keys and values in one turn; a single record may be larger.
    public var bytesPerTurnMax: Int
    /// Kilobytes that may wait per partition for its owner, paused partitions included.
    public var queuedKilobytesMax: Int
    /// Records that may wait per partition before fetching stops.
    public var queuedRecordsMax: Int
    /// Bytes asked for per partition in one fetch. A larger record is still fetched, alone.
    public var fetchBytesMax: Int

    public init(
        base: KafkaConfiguration, group: String, instanceID: String? = nil, topic: String,
        sessionTimeoutMilliseconds: Int = 10_000, recordsPerTurnMax: Int = 1_024, bytesPerTurnMax: Int = 1 << 20,
        queuedKilobytesMax: Int = 8_192, queuedRecordsMax: Int = 16_384, fetchBytesMax: Int = 1 << 20
    ) {
        precondition(recordsPerTurnMax > 0 && bytesPerTurnMax > 0 && sessionTimeoutMilliseconds > 0)
        self.base = base
        self.group = group
        self.instanceID = instanceID
        self.topic = topic
        self.sessionTimeoutMilliseconds = sessionTimeoutMilliseconds
        self.recordsPerTurnMax = recordsPerTurnMax
        self.bytesPerTurnMax = bytesPerTurnMax
        self.queuedKilobytesMax = queuedKilobytesMax
        self.queuedRecordsMax = queuedRecordsMax
        self.fetchBytesMax = fetchBytesMax
    }

    var settings: [(String, String)] {
        var settings =
            base.settings + [
                ("group.id", group),
                ("session.timeout.ms", String(sessionTimeoutMilliseconds)),
                // By it a member learns that partitions wait for an owner.
                ("heartbeat.interval.ms", String(max(1, min(1_000, sessionTimeoutMilliseconds / 4)))),
                ("max.poll.interval.ms", String(max(300_000, sessionTimeoutMilliseconds))),
                ("partition.assignment.strategy", "range"),
                ("enable.auto.commit", "false"),
                ("enable.auto.offset.store", "false"),
                ("auto.offset.reset", "error"),
                ("fetch.error.backoff.ms", "100"),
                ("fetch.message.max.bytes", String(fetchBytesMax)),
                ("queued.min.messages", String(queuedRecordsMax)),
                ("queued.max.messages.kbytes", String(queuedKilobytesMax)),
                ("check.crcs", "true"),
            ]
        if let instanceID { settings.append(("group.instance.id", instanceID)) }
        return settings
    }
}
