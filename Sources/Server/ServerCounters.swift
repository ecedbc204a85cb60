public import Telemetry

/// What one server has seen; read by any thread.
public final class ServerCounters: Sendable {
    public let accepted = Counter()
    public let closed = Counter()
    public let requests = Counter()
    /// Times that what a connection had sent was left for a later turn.
    public let putOff = Counter()
    /// Requests that the parser refused.
    public let refused = Counter()
    /// Connections closed at once, because their address has all that one may have.
    public let refusedAddresses = Counter()
    /// Times that accepting was paused at the limit of connections, and times that the system had no descriptor for one.
    public let acceptPauses = Counter()
    public let exhaustions = Counter()
    /// Connections closed because unfinished requests and unread answers together took too much memory.
    public let shed = Counter()
    /// Requests that did not arrive in time, and connections whose client did not read its answer in time.
    public let requestTimeouts = Counter()
    public let writeTimeouts = Counter()
    public let open = Gauge()
    /// Bytes of unfinished requests and unread answers.
    public let buffered = Gauge()

    public init() {}
}
