public import Kafka
public import Loop
public import Postgres
public import Redis

/// What a worker is told at its start.
public struct WorkerOptions: Sendable {
    /// The instance's name: unique among the workers, the same after a restart, so that it gets its partitions back.
    public var name: String
    public var kafka: KafkaConfiguration
    /// The primary; several hosts and `target_session_attrs=read-write` follow one that moves.
    public var database: PostgresConfiguration
    public var redis: RedisConfiguration
    /// Where health, readiness and metrics are served.
    public var admin: SocketAddress
    /// How long the group waits for a worker that is silent before its partitions go to another, milliseconds.
    public var sessionTimeoutMilliseconds = 10_000
    public var limits = WorkerLimits()
    /// How long a partition that another worker has taken over, and that the group still gives to this one, is left alone: the other
    /// has lost its membership by then, milliseconds.
    var reclaimMilliseconds: Int { sessionTimeoutMilliseconds * 3 / 2 }

    public init(name: String, kafka: KafkaConfiguration, database: PostgresConfiguration, redis: RedisConfiguration, admin: SocketAddress) {
        self.name = name
        self.kafka = kafka
        self.database = database
        self.redis = redis
        self.admin = admin
    }
}
