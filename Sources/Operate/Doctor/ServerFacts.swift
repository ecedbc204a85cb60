internal import Postgres
internal import Telemetry

/// What one PostgreSQL server says of itself, and of the role that asks.
struct ServerFacts: Sendable {
    /// One line of `pg_stat_replication`.
    struct Standby: Sendable {
        var name: String
        /// Empty when this role is not told.
        var state: String
        var syncState: String
        /// How much of the log it has not flushed, bytes.
        var behindBytes: Int64
    }

    struct Slot: Sendable {
        var name: String
        var isActive: Bool
        /// Of the log that the server keeps for it.
        var keptBytes: Int64
    }

    /// Whoever the connection string connects as.
    struct Role: Sendable {
        var name = ""
        var isSuperuser = false
        /// -1: none.
        var connectionLimit: Int32 = -1
        /// Whether it may see what other roles' processes do.
        var seesAll = false
        /// Tables of the ledger that it may change.
        var changes: [String] = []
        /// Those of them that are history, in which it may update, delete or truncate.
        var rewrites: [String] = []
    }

    /// Whom this session is.
    var user = ""
    var version: Int32 = 0
    var isStandby = false
    /// Of this session: what the role, the database and the connection string say counts.
    var settings: [String: String] = [:]
    var standbys: [Standby] = []
    var slots: [Slot] = []
    var role = Role()
    var connections: Int64 = 0
    /// This machine's clock less the server's, microseconds, and how far off that may be.
    var clockDifference: Int64 = 0
    var clockUncertainty: Int64 = 0
    /// Of a standby: whether it receives, and how old the last commit is that it shows.
    var hasReceiver = false
    var lagMilliseconds: Int64 = 0

    static let names = [
        "fsync", "full_page_writes", "synchronous_commit", "synchronous_standby_names", "max_connections", "superuser_reserved_connections",
        "wal_level", "password_encryption", "data_checksums", "max_slot_wal_keep_size", "ignore_checksum_failure", "zero_damaged_pages",
        "default_transaction_read_only", "log_statement", "log_parameter_max_length", "log_min_duration_statement",
    ]

    /// Reads all of it; changes nothing.
    ///
    /// - Parameter role: whose rights are looked at where there is such a role; else those of this session.
    static func read(_ connection: PostgresConnection, role: String? = nil) throws(OperateError) -> ServerFacts {
        var facts = ServerFacts()
        try withPostgres { () throws(PostgresError) in
            // A doctor that waits holds up nobody: it takes no lock that anybody wants.
            try connection.run("SET statement_timeout = '5s'; SET lock_timeout = '1s'")
            let basics = try connection.query(
                """
                SELECT current_setting('server_version_num')::integer, pg_is_in_recovery(),
                       EXISTS (SELECT FROM pg_stat_wal_receiver),
                       CASE WHEN NOT pg_is_in_recovery() OR pg_last_wal_receive_lsn() = pg_last_wal_replay_lsn() THEN 0
                            ELSE coalesce(1000 * extract(epoch FROM clock_timestamp() - pg_last_xact_replay_timestamp()), 0) END::bigint,
                       (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend')
                """)
            facts.version = basics.int32(0, 0)
            facts.isStandby = basics.bool(0, 1)
            facts.hasReceiver = basics.bool(0, 2)
            facts.lagMilliseconds = basics.int64(0, 3)
            facts.connections = basics.int64(0, 4)
            let list = names.map { "'\($0)'" }.joined(separator: ", ")
            let settings = try connection.query("SELECT n, coalesce(current_setting(n, true), '') FROM unnest(ARRAY[\(list)]) AS n")
            for row in 0..<settings.count { facts.settings[settings.text(row, 0)] = settings.text(row, 1) }
            facts.user = try connection.query("SELECT current_user").text(0, 0)
            facts.role = try readRole(connection, role)
            if !facts.isStandby { try facts.readReplication(connection) }
            try facts.readClock(connection)
        }
        return facts
    }

    private static func readRole(_ connection: PostgresConnection, _ role: String?) throws(PostgresError) -> Role {
        var parameters = Parameters()
        if let role { parameters.append(text: role) } else { parameters.appendNull(.text) }
        let rows = try connection.query(
            """
            SELECT r.rolname, r.rolsuper, r.rolconnlimit, pg_has_role(r.oid, 'pg_read_all_stats', 'USAGE'),
                   coalesce((SELECT string_agg(c.relname, ',' ORDER BY c.relname) FROM pg_class c
                              WHERE c.relnamespace = to_regnamespace('sluice') AND c.relkind = 'r'
                                AND has_table_privilege(r.oid, c.oid, 'INSERT, UPDATE, DELETE, TRUNCATE')), ''),
                   coalesce((SELECT string_agg(c.relname, ',' ORDER BY c.relname) FROM pg_class c
                              WHERE c.relnamespace = to_regnamespace('sluice') AND c.relname IN ('movement', 'operation')
                                AND has_table_privilege(r.oid, c.oid, 'UPDATE, DELETE, TRUNCATE')), '')
              FROM pg_roles r
             WHERE r.rolname = coalesce((SELECT rolname FROM pg_roles WHERE rolname = $1), current_user)
            """, parameters)
        func list(_ column: Int) -> [String] { rows.text(0, column).split(separator: ",").map(String.init) }
        return Role(
            name: rows.text(0, 0), isSuperuser: rows.bool(0, 1), connectionLimit: rows.int32(0, 2), seesAll: rows.bool(0, 3),
            changes: list(4), rewrites: list(5))
    }

    private mutating func readReplication(_ connection: PostgresConnection) throws(PostgresError) {
        let senders = try connection.query(
            """
            SELECT coalesce(application_name, ''), coalesce(state, ''), coalesce(sync_state, ''),
                   coalesce(pg_wal_lsn_diff(pg_current_wal_flush_lsn(), flush_lsn), 0)::bigint FROM pg_stat_replication
            """)
        standbys = (0..<senders.count).map {
            Standby(
                name: senders.text($0, 0), state: senders.text($0, 1), syncState: senders.text($0, 2), behindBytes: senders.int64($0, 3))
        }
        let slots = try connection.query(
            """
            SELECT slot_name, active, coalesce(pg_wal_lsn_diff(pg_current_wal_flush_lsn(), restart_lsn), 0)::bigint
              FROM pg_replication_slots
            """)
        self.slots = (0..<slots.count).map {
            Slot(name: slots.text($0, 0), isActive: slots.bool($0, 1), keptBytes: slots.int64($0, 2))
        }
    }

    private mutating func readClock(_ connection: PostgresConnection) throws(PostgresError) {
        let before = Clock.wallMicroseconds
        let theirs = try connection.query("SELECT clock_timestamp()").timestamp(0, 0)
        let after = Clock.wallMicroseconds
        clockDifference = before + (after - before) / 2 - theirs
        clockUncertainty = (after - before) / 2
    }
}
