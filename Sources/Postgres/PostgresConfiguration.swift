/// How a session reaches its server and what it may cost.
public struct PostgresConfiguration: Sendable {
    /// As libpq reads it: `host=/run/postgresql dbname=sluice user=worker` or a `postgresql://` URI; several hosts and
    /// `target_session_attrs=read-write` follow a primary that moves. The password comes from PGPASSWORD or the
    /// password file. libpq resolves host names by a blocking call on the loop's thread, at each connect: give
    /// `hostaddr` (with `host` for the certificate's name) or a Unix socket's folder.
    public var connectionString: String
    /// Name in `pg_stat_activity`.
    public var applicationName = "sluice"
    /// For connecting and setting up, all hosts of one attempt together. The next attempt after a time-out begins with the next host.
    public var connectTimeoutMilliseconds = 3_000
    /// The server's own `statement_timeout`; 0: none. It never interrupts a commit that waits for a standby.
    public var statementTimeoutMilliseconds = 0
    /// From `execute` to the answer; past it the connection is dropped and everything in flight on it fails.
    public var queryDeadlineMilliseconds = 10_000
    /// After a deadline, also asks the server to stop what it is doing (from another thread, as libpq's call blocks).
    ///
    /// For sessions that only read. A cancel that meets a commit waiting for its synchronous standby ends the wait: the
    /// transaction becomes visible without being replicated. Writers use `statementTimeoutMilliseconds`.
    public var cancelsAtDeadline = false
    /// Executions sent and not answered, at most; past it `execute` refuses.
    public var inFlightMax = 256
    /// Commands run on each new connection before it counts as ready; one SQL command each.
    public var setUp: [String] = []
    /// Prepared on each new connection before it counts as ready. One that fails (no such table yet) keeps the session
    /// from getting ready. Others are prepared at their first use, in the same round trip.
    public var statements: [Statement] = []

    public init(connectionString: String) { self.connectionString = connectionString }

    /// Throws `.connectFailed` with libpq's words when the connection string cannot be read: for the start of a process.
    public func validate() throws(PostgresError) { _ = try ConnectionTarget(connectionString) }

    /// Whether the string itself has a password, rather than naming a file of them.
    public var hasPassword: Bool {
        guard let target = try? ConnectionTarget(connectionString) else { return false }
        return target.hasPassword
    }

    /// A connection string as it may be shown: `password=set` in place of the password.
    public static func withoutPassword(_ connectionString: String) -> String {
        guard let target = try? ConnectionTarget(connectionString) else { return "no connection string" }
        return target.shown
    }

    /// What the session runs first on a connection.
    var setUpCommands: [String] {
        (statementTimeoutMilliseconds > 0 ? ["SET statement_timeout = \(statementTimeoutMilliseconds)"] : []) + setUp
    }

    /// libpq's options where the connection string says nothing. A server that was cut off is noticed by the kernel
    /// within seconds while idle, and with unacknowledged data when the deadline passes.
    var connectDefaults: [(keyword: String, value: String)] {
        [
            ("application_name", applicationName), ("client_encoding", "UTF8"),
            // Asking for Kerberos encryption costs look-ups in files and the network.
            ("gssencmode", "disable"),
            ("keepalives_idle", "5"), ("keepalives_interval", "2"), ("keepalives_count", "3"),
            ("tcp_user_timeout", "\(queryDeadlineMilliseconds)"),
        ]
    }
}
