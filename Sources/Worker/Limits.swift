/// Every bound of the worker, in one place.
public struct WorkerLimits: Sendable {
    /// Commands in one transaction, at most. Each costs about 1 KiB of parameters.
    public var batchRecordsMax = 512
    /// A batch follows the one before at once when so many records wait for it, else no sooner than so many milliseconds after that one
    /// was begun: a transaction costs as much as 25 payments in it, whatever its size. A payment that comes alone does not wait.
    public var batchGatheredRecords = 64
    public var batchGatherMilliseconds = 10
    /// Records read ahead of their decision, all partitions together; past it partitions are paused.
    public var queuedRecordsMax = 8_192
    /// Paused partitions go on once no more than this many records wait.
    public var queuedRecordsResume = 2_048
    /// Accounts kept in memory between batches, about 300 bytes each.
    public var accountsKnownMax = 500_000
    /// Ids decided before that are kept in memory, about 64 bytes each, so that a repeat is known without asking.
    public var recentIDsMax = 262_144
    /// Batches whose payments' ids are looked up after one that met an id decided before which was not in memory, and first of all:
    /// such repeats come in numbers.
    public var lookedUpBatches = 16
    /// Accounts whose values Redis has not taken yet; past it Redis is emptied when it is back, instead of mended.
    public var unpublishedAccountsMax = 100_000
    /// Records told again at most when a partition is taken over; a longer debt empties Redis instead.
    public var republishedRecordsMax: Int64 = 10_000
    /// Events that are not known to be in their topic, and their bytes; past either no further batch is decided until the topic
    /// takes them.
    public var unrelayedEventsMax = 16_384
    public var unrelayedBytesMax = 32 << 20
    /// Wait before events that the log refused are written again, milliseconds.
    public var relayRetryMilliseconds = 200
    /// How long a worker that stops waits for events that are under way, milliseconds.
    public var relayFlushMilliseconds = 1_000
    /// How often it is noted how far outcomes are published and relayed while no batch carries it, milliseconds.
    public var noteMilliseconds = 1_000
    /// How often holds that ran out are looked for, milliseconds.
    public var holdSweepMilliseconds = 1_000
    /// How many of them are put into the log at a time.
    public var holdsPerSweepMax = 500
    /// Of so many records the last of a partition...
    public var poisonWindow = 100
    /// ...more than this many unreadable ones stop it: that is a bad deploy, not bad data.
    public var poisonMax = 20
    /// Wait after a failure of the database, milliseconds; doubles from the first to the last.
    public var backoffFirstMilliseconds = 50
    public var backoffLastMilliseconds = 2_000

    public init() {}

    /// What makes the limits impossible, as a sentence; nil when they can be kept.
    public var problem: String? {
        if batchRecordsMax < 1 || batchRecordsMax > 10_000 { return "the batch limit must be 1 to 10000 records" }
        if batchGatherMilliseconds < 0 || batchGatherMilliseconds > 1_000 { return "batches must gather for 0 to 1000 milliseconds" }
        if queuedRecordsMax < batchRecordsMax { return "the queue limit must not be below the batch limit" }
        if queuedRecordsResume >= queuedRecordsMax { return "the queue's resume mark must be below its limit" }
        if accountsKnownMax < 2 * batchRecordsMax { return "the account limit must be at least twice the batch limit" }
        if poisonMax >= poisonWindow { return "the poison limit must be below its window" }
        return nil
    }
}
