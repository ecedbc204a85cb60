internal import Telemetry

/// What every client of one cluster shares.
public struct KafkaConfiguration: Sendable {
    /// `host:port`, separated by commas.
    public var bootstrapServers: String
    /// What brokers show for this client in their logs and quotas.
    public var clientID: String
    /// Any other librdkafka setting by its name, security included; applied after the defaults of this module, so it
    /// wins over them. What the promises rest on (acks, idempotence, the group and its offsets) cannot be set: naming
    /// one of those, an unknown name or a wrong value fails the start with an error that names it.
    public var extra: [(String, String)]

    public init(bootstrapServers: String, clientID: String = "sluice", extra: [(String, String)] = []) {
        self.bootstrapServers = bootstrapServers
        self.clientID = clientID
        self.extra = extra
    }

    /// The settings of every kind of client.
    var settings: [(String, String)] {
        [
            ("bootstrap.servers", bootstrapServers),
            ("client.id", clientID),
            // The default of 10 s would leave a broker that came back unused for that long.
            ("reconnect.backoff.ms", "50"),
            ("reconnect.backoff.max.ms", "1000"),
            // A frozen broker is given up after this, so that another one can be asked (the default is a minute).
            ("socket.timeout.ms", "10000"),
            ("socket.keepalive.enable", "true"),
            ("socket.nagle.disable", "true"),
            // Logs come as events, so that they are written by the loop and bounded.
            ("log.queue", "true"),
            ("log_level", "5"),
            ("log.thread.name", "false"),
        ]
    }
}

/// A producer with `acks=all` and `enable.idempotence=true`.
public struct ProducerConfiguration: Sendable {
    public enum Compression: String, Sendable { case none, lz4, zstd, snappy, gzip }

    public var base: KafkaConfiguration
    /// How long a message waits for others to share its request, milliseconds.
    ///
    /// Better longer than the broker takes to answer: an idempotent producer sends a partition no further batch while more than five of its
    /// messages are in flight, and from the end of this time until the answer librdkafka's thread polls without a pause.
    public var lingerMilliseconds: Int
    public var compression: Compression
    /// From `produce` to the report, milliseconds. librdkafka looks for expired messages once a second, so a report may
    /// come up to a second later than this.
    public var deliveryTimeoutMilliseconds: Int
    /// Messages that may be unanswered at once; more is `queueFull`. Held over replacements of the client.
    public var queueMessagesMax: Int
    /// The same in kilobytes of values and keys.
    public var queueKilobytesMax: Int
    /// No record overtakes one before it, whatever fails: none expires, and none is taken by a client that replaces another before
    /// all of the other's are answered.
    public var isOrdered = false
    /// Reports handed out in one turn of the loop; the rest waits for the next turn.
    public var reportsPerTurnMax: Int

    public init(
        base: KafkaConfiguration, lingerMilliseconds: Int = 5, compression: Compression = .lz4,
        deliveryTimeoutMilliseconds: Int = 5_000, queueMessagesMax: Int = 50_000, queueKilobytesMax: Int = 65_536,
        reportsPerTurnMax: Int = 1_024
    ) {
        precondition(queueMessagesMax > 0 && queueKilobytesMax > 0 && reportsPerTurnMax > 0)
        self.base = base
        self.lingerMilliseconds = lingerMilliseconds
        self.compression = compression
        self.deliveryTimeoutMilliseconds = deliveryTimeoutMilliseconds
        self.queueMessagesMax = queueMessagesMax
        self.queueKilobytesMax = queueKilobytesMax
        self.reportsPerTurnMax = reportsPerTurnMax
    }

    var settings: [(String, String)] {
        let isAcknowledged = !SafetyCatch.acknowledgements.isOff
        return base.settings + [
            ("acks", isAcknowledged ? "all" : "0"),
            ("enable.idempotence", isAcknowledged ? "true" : "false"),
            ("linger.ms", String(lingerMilliseconds)),
            ("compression.type", compression.rawValue),
            ("message.timeout.ms", isOrdered ? "0" : String(deliveryTimeoutMilliseconds)),
            ("request.timeout.ms", isOrdered ? "30000" : String(min(max(deliveryTimeoutMilliseconds, 1), 30_000))),
            // One more than our own bound: an answered message still counts for librdkafka until its event is freed.
            ("queue.buffering.max.messages", String(queueMessagesMax + reportsPerTurnMax)),
            ("queue.buffering.max.kbytes", String(queueKilobytesMax)),
            // A record that is refused for good would leave a gap behind it: the client turns fatal instead.
        ] + (isOrdered && isAcknowledged ? [("enable.gapless.guarantee", "true")] : [])
    }

    /// Of what the operator sets, all that does not break the order that is asked for.
    var extra: [(String, String)] {
        let breaking = ["message.timeout.ms", "delivery.timeout.ms", "enable.gapless.guarantee"]
        return isOrdered ? base.extra.filter { !breaking.contains($0.0) } : base.extra
    }
}
