internal import Pool

/// What the pool asks its servers, a few times a second, to know how far the replicas are behind.
enum ReplicaProbe {
    /// Asked of a replica. `pg_stat_wal_receiver` has a row while a receiver runs; an unprivileged role sees no more of it
    /// than that, and no more is used.
    static let standby = Statement(
        "sluice_probe_standby",
        """
        SELECT pg_is_in_recovery(),
               coalesce(pg_wal_lsn_diff(pg_last_wal_replay_lsn(), '0/0'), 0)::bigint,
               CASE WHEN pg_last_wal_receive_lsn() = pg_last_wal_replay_lsn() THEN 0
                    ELSE coalesce(1000 * extract(epoch FROM clock_timestamp() - pg_last_xact_replay_timestamp()), 0) END::bigint,
               EXISTS (SELECT FROM pg_stat_wal_receiver)
        """)

    /// Asked of the primary: up to where its log could have been sent. No answer while it is itself recovering.
    static let primary = Statement(
        "sluice_probe_primary",
        """
        SELECT CASE WHEN NOT pg_is_in_recovery() THEN pg_wal_lsn_diff(pg_current_wal_flush_lsn(), '0/0') END::bigint
        """)

    static func standby(_ rows: Rows) -> LagTracker.Probe {
        LagTracker.Probe(
            isStandby: rows.bool(0, 0), replayedPosition: UInt64(rows.int64(0, 1)),
            ownLagMilliseconds: Int(max(0, min(rows.int64(0, 2), Int64(LagTracker.unknownMilliseconds)))), hasReceiver: rows.bool(0, 3))
    }

    static func primaryPosition(_ rows: Rows) -> UInt64? { rows.isNull(0, 0) ? nil : UInt64(rows.int64(0, 0)) }
}
