/// The topics, and what a cluster must give them.
public enum Topic {
    /// Commands, one partition for each tenant's ledger.
    public static let commands = "payments.commands"
    /// What happened, for whoever listens.
    public static let events = "payments.events"
    /// Records that could not be applied.
    public static let dead = "payments.dead"

    public static let all = [commands, events, dead]

    /// Partitions of `commands` unless migrate is told otherwise.
    public static let partitionsDefault: Int32 = 12
    /// The consumer group of the workers.
    public static let workerGroup = "sluice-worker"

    /// Settings that keep the promises: nothing is compacted away, and nothing is deleted by age before it is applied.
    public static func settings(replication: Int) -> [(name: String, value: String)] {
        [
            ("cleanup.policy", "delete"), ("retention.ms", "-1"), ("retention.bytes", "-1"), ("unclean.leader.election.enable", "false"),
            ("min.insync.replicas", replication >= 3 ? "2" : "1"),
        ]
    }
}
