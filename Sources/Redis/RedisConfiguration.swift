public import Loop

/// Where a Redis server is and how patient its clients are.
public struct RedisConfiguration: Sendable {
    public var endpoint: SocketAddress
    /// An ACL user; nil with a password means Redis's `default` user.
    public var username: String?
    /// Nil: the server asks for none.
    public var password: String?
    /// How long a command may take from the turn it was sent in. Its outcome is unknown after that.
    public var commandTimeoutMilliseconds = 250
    /// How long a new connection may take until it has answered AUTH, the set-up commands and a PING.
    public var connectTimeoutMilliseconds = 1_000
    /// How long a session that had a time-out waits for the answer to its probe before it drops the connection.
    public var probeTimeoutMilliseconds = 1_000
    /// How often a subscriber asks for a sign of life. A silent connection is noticed within twice this time.
    public var subscriberProbeMilliseconds = 1_000
    /// The first wait before a reconnect; it doubles with each failure up to the longest. Each wait is drawn
    /// between half of it and all of it, so that clients do not come back in step.
    public var reconnectMinMilliseconds = 50
    public var reconnectMaxMilliseconds = 1_000
    /// Commands without an answer at most; those that have timed out count until their late answer is in.
    public var inFlightMax = 10_000
    /// Commands run after AUTH on each new connection, before it counts as ready. One that the server answers
    /// with an error fails the connection, which is tried again after the wait.
    public var setUp: [[String]] = []

    public init(endpoint: SocketAddress, username: String? = nil, password: String? = nil) {
        self.endpoint = endpoint
        self.username = username
        self.password = password
    }

    /// AUTH where there is a password, the set-up commands, and a PING whose answer ends them.
    var greeting: [[String]] {
        var commands: [[String]] = []
        if let password { commands.append(username.map { ["AUTH", $0, password] } ?? ["AUTH", password]) }
        return commands + setUp + [["PING"]]
    }

    /// A bound of zero or a longest wait below the first is a mistake of whoever configured it.
    func validate() {
        precondition(commandTimeoutMilliseconds > 0 && connectTimeoutMilliseconds > 0 && probeTimeoutMilliseconds > 0)
        precondition(subscriberProbeMilliseconds > 0 && inFlightMax > 0)
        precondition(reconnectMinMilliseconds > 0 && reconnectMaxMilliseconds >= reconnectMinMilliseconds)
    }
}
