public import Telemetry

/// What one server has seen; read by any thread.
public final class ServerCounters: Sendable {
    public let accepted = Counter()
    public let closed = Counter()
    public let requests = Counter()
    /// Requests that the parser refused.
    public let refused = Counter()
    public let open = Gauge()

    public init() {}
}
