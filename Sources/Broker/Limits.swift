/// Every bound of the broker, with its unit.
enum Limits {
    /// Connections open at once; one more is closed as it is accepted.
    static let connectionsMax = 1_000
    /// A request frame, bytes.
    static let frameBytesMax = 16 << 20
    /// Bytes of partly received large frames over all connections; a connection that would go beyond waits.
    static let receiveBytesMax = 48 << 20
    /// A frame above this size needs a share of `receiveBytesMax`.
    static let frameBytesUnreserved = 64 << 10
    /// Requests of one connection whose answer is not sent yet; it is not read from beyond that.
    static let requestsInFlightMax = 64
    /// Elements of one array in a request.
    static let arrayElementsMax = 20_000
    /// Records in one fetch response, bytes; a single larger batch still goes out alone.
    static let fetchResponseBytesMax = 1 << 20
    /// Bytes of responses that wait to be taken by clients, over all connections; fetches wait beyond that.
    static let sendBytesMax = 32 << 20
    /// The longest wait a fetch may ask for, milliseconds.
    static let fetchWaitMillisecondsMax: Int32 = 60_000
    /// A connection that neither sends the rest of a frame nor takes its answers for this long is closed, milliseconds.
    static let stalledMillisecondsMax: UInt64 = 30_000
    /// A connection without a request for this long is closed, milliseconds (Kafka's connections.max.idle.ms).
    static let idleMillisecondsMax: UInt64 = 600_000

    static let topicsMax = 1_000
    /// Over all topics; each takes two descriptors once it holds records.
    static let partitionsMax = 4_096
    static let topicNameBytesMax = 249

    static let groupsMax = 1_000
    static let groupMembersMax = 250
    static let groupIdBytesMax = 255
    /// Subscription and assignment bytes of one member.
    static let memberBytesMax = 64 << 10
    /// Subscriptions and assignments over all groups; no more members are let in beyond that.
    static let groupBytesMax = 16 << 20
    static let offsetMetadataBytesMax = 4_096
    static let sessionMillisecondsMin: Int32 = 1_000
    static let sessionMillisecondsMax: Int32 = 1_800_000
    /// How long a group that was empty waits for more members before its first generation, milliseconds.
    static let firstRebalanceDelayMilliseconds: UInt64 = 50
    /// A group without members loses its offsets this long after its last commit, milliseconds.
    static let offsetRetentionMilliseconds: Int64 = 7 * 86_400_000

    /// A record batch by default, bytes (Kafka's max.message.bytes).
    static let batchBytesDefault = 1_048_588
    /// Records that one batch may claim to hold.
    static let batchRecordsMax = 1_000_000
    static let segmentBytesDefault: Int64 = 64 << 20
    static let segmentBytesMin: Int64 = 16 << 10
    /// Positions in a segment's index are 32 bits.
    static let segmentBytesMax: Int64 = 1 << 30
    /// Zeros prepared ahead of a segment's end at a time, bytes.
    static let preparationBytesMin: Int64 = 64 << 10
    static let preparationBytesMax: Int64 = 4 << 20
    /// Flush rounds whose upkeep waits; flushing waits beyond that.
    static let upkeepRoundsMax = 256
    /// Log bytes between two entries of a segment's index.
    static let indexIntervalBytes: Int64 = 32 << 10
    /// Idempotent producers remembered for a partition; beyond that the one unused for longest is forgotten.
    static let producersPerPartitionMax = 2_000
    /// Batches remembered for a producer: what a client may have in flight (max.in.flight.requests.per.connection).
    static let producerBatchesRemembered = 5
    /// Producer ids taken at once from the journal.
    static let producerIdBlock: Int64 = 1_000
    /// The journal is rewritten when it is this large and four times what its state needs, bytes.
    static let journalRewriteBytes: Int64 = 4 << 20
    /// Threads that wait for the disk at the same time.
    static let syncThreads = 12
    /// A durable mark that was only written, not synced, is synced after this long, milliseconds.
    static let markSyncMilliseconds: UInt64 = 10_000

    /// Checked at start.
    static func check() {
        precondition(fetchResponseBytesMax <= sendBytesMax && frameBytesMax <= receiveBytesMax)
        precondition(batchBytesDefault < frameBytesMax && segmentBytesMax <= Int64(UInt32.max))
        precondition(sessionMillisecondsMin < sessionMillisecondsMax && partitionsMax >= topicsMax)
    }
}
