/// What the primary must be so that a decided payment stays decided. Pure.
struct LedgerRules {
    /// The oldest that the issue of the packages' versions and the SQL allow.
    static let versionMin: Int32 = 140_000
    /// A worker's session, and one more while it finds out about a lost one.
    static let connectionsOfAWorker = 2
    /// Operators, `migrate`, `audit` and what watches the server.
    static let connectionsOfOthers = 10

    let facts: ServerFacts
    /// How many of each there will be, and what one gateway takes of one server.
    let gateways: Int
    let workers: Int
    let serverConnections: Int

    private func value(_ name: String) -> String { facts.settings[name] ?? "not told" }

    func judge(into report: inout DoctorReport) {
        report.judge(
            "ledger.version", facts.version >= Self.versionMin, seen: "PostgreSQL \(facts.version / 10_000).\(facts.version % 10_000)",
            risk: "the ledger's statements are not tested on it", mend: "PostgreSQL 14 or later")
        guard !facts.isStandby else {
            return report.fail(
                "ledger.primary", seen: "this server is a standby", risk: "no payment is settled",
                mend: "SLUICE_DATABASE with all servers and target_session_attrs=read-write")
        }
        report.judge(
            "ledger.primary", value("default_transaction_read_only") != "on", seen: "this server takes writes",
            risk: "no payment is settled", mend: "default_transaction_read_only = off")
        judgeDisk(&report)
        judgeCommit(&report)
        judgeSlots(&report)
        judgeConnections(&report)
        judgeRole(&report)
        report.judge(
            "ledger.passwords", value("password_encryption") == "scram-sha-256", level: .warning,
            seen: "password_encryption = \(value("password_encryption"))", risk: "passwords are kept in a form that is broken by trying",
            mend: "password_encryption = scram-sha-256, then set each password again")
        report.judge(
            "ledger.statements", value("log_statement") != "all" && value("log_statement") != "mod", level: .warning,
            seen: "log_statement = \(value("log_statement"))", risk: "the server's log has every payment in it",
            mend: "log_statement = none")
    }

    private func judgeDisk(_ report: inout DoctorReport) {
        for (name, risk) in [
            ("fsync", "a power loss takes settled payments, or the whole database"),
            ("full_page_writes", "a power loss in the middle of a write leaves pages that are half old"),
        ] {
            report.judge("ledger.\(name)", value(name) == "on", seen: "\(name) = \(value(name))", risk: risk, mend: "\(name) = on")
        }
        report.judge(
            "ledger.checksums", value("data_checksums") == "on", level: .warning, seen: "data_checksums = \(value("data_checksums"))",
            risk: "a disk that changes bytes is not noticed", mend: "pg_checksums --enable, with the server stopped")
        let ignored = ["ignore_checksum_failure", "zero_damaged_pages"].filter { value($0) == "on" }
        report.judge(
            "ledger.damage", ignored.isEmpty, seen: ignored.isEmpty ? "damage stops a query" : "\(ignored.joined(separator: ", ")) = on",
            risk: "damaged pages are read as if they were right", mend: ignored.map { "\($0) = off" }.joined(separator: ", "))
    }

    private func judgeCommit(_ report: inout DoctorReport) {
        let commit = value("synchronous_commit")
        let names = value("synchronous_standby_names")
        report.judge(
            "ledger.synchronous-commit", ["on", "remote_apply"].contains(commit), level: commit == "remote_write" ? .warning : .failure,
            seen: "synchronous_commit = \(commit) for \(facts.user)",
            risk: commit == "remote_write"
                ? "a power loss of both servers takes settled payments"
                : "a crash, or a failover to the standby, takes payments that clients were told are settled",
            mend: "synchronous_commit = on, also for the role and the database (ALTER ROLE, ALTER DATABASE)")
        guard !names.isEmpty else {
            return report.fail(
                "ledger.standby", seen: "synchronous_standby_names is empty",
                risk: "a failover takes payments that clients were told are settled", mend: "synchronous_standby_names = 'ANY 1 (a, b)'")
        }
        if facts.standbys.contains(where: { $0.state.isEmpty }) {
            return report.warn(
                "ledger.standby", seen: "\(facts.user) is not told which standby confirms",
                risk: "nobody knows whether commits can return",
                mend: "GRANT pg_monitor TO \(facts.user)")
        }
        let confirming = facts.standbys.filter { $0.state == "streaming" && ["sync", "quorum"].contains($0.syncState) }
        report.judge(
            "ledger.standby", !confirming.isEmpty,
            seen: confirming.isEmpty
                ? "no standby of synchronous_standby_names = '\(names)' streams"
                : "\(confirming.map(\.name).joined(separator: ", ")) confirms commits",
            risk: "payments are accepted and not settled: every commit waits for a standby",
            mend: "start the standby; its application_name must be among synchronous_standby_names")
        let possible = facts.standbys.filter { $0.state == "streaming" && ["sync", "quorum", "potential"].contains($0.syncState) }
        if possible.count == 1 {
            report.warn(
                "ledger.standbys", seen: "one standby can confirm commits", risk: "while it is away nothing is settled",
                mend: "a second one: synchronous_standby_names = 'ANY 1 (a, b)'")
        }
    }

    private func judgeSlots(_ report: inout DoctorReport) {
        let idle = facts.slots.filter { !$0.isActive }
        guard !idle.isEmpty else { return }
        let isBounded = value("max_slot_wal_keep_size") != "-1"
        report.warn(
            "ledger.slots",
            seen: idle.map { "slot \($0.name) is not used and keeps \($0.keptBytes / 1_048_576) MiB of log" }.joined(separator: "; "),
            risk: isBounded ? "its standby is rebuilt when it comes back late" : "the primary's disk fills, and nothing is settled",
            mend: isBounded ? "start its standby, or drop the slot" : "max_slot_wal_keep_size = 4GB; start its standby, or drop the slot")
    }

    private func judgeConnections(_ report: inout DoctorReport) {
        let all = (Int(value("max_connections")) ?? 0) - (Int(value("superuser_reserved_connections")) ?? 0)
        let needed = gateways * serverConnections + workers * Self.connectionsOfAWorker + Self.connectionsOfOthers
        report.judge(
            "ledger.connections", all >= needed,
            seen: "\(all) connections; \(gateways) gateways, \(workers) workers and others need \(needed); \(facts.connections) are open",
            risk: "gateways or workers find no connection at the worst moment",
            mend:
                "max_connections = \(needed + (Int(value("superuser_reserved_connections")) ?? 3)), fewer gateways, or SLUICE_SERVER_CONNECTIONS"
        )
    }

    private func judgeRole(_ report: inout DoctorReport) {
        report.judge(
            "ledger.role", !facts.role.isSuperuser,
            seen: "the worker connects as \(facts.role.name)"
                + (facts.role.isSuperuser ? ", a superuser" : ""),
            risk: "whoever takes over a worker owns the server", mend: "a role of its own (docs/security.md)")
        report.judge(
            "ledger.history", facts.role.rewrites.isEmpty, level: .warning,
            seen: facts.role.rewrites.isEmpty
                ? "\(facts.role.name) adds entries and changes none"
                : "\(facts.role.name) may change \(facts.role.rewrites.joined(separator: ", "))",
            risk: "whoever takes over a worker can rewrite the past",
            mend:
                "REVOKE UPDATE, DELETE, TRUNCATE ON \(facts.role.rewrites.map { "sluice.\($0)" }.joined(separator: ", ")) FROM \(facts.role.name)"
        )
    }
}

/// What a read replica must be. Pure.
struct ReplicaRules {
    let facts: ServerFacts
    /// How it is called in the report: `replica 1`.
    let name: String
    let gateways: Int
    let serverConnections: Int
    /// Beyond it a gateway leaves a replica out.
    let lagMillisecondsMax: Int64

    func judge(into report: inout DoctorReport) {
        report.judge(
            "replica.standby", facts.isStandby, level: .warning, seen: "\(name) is a \(facts.isStandby ? "standby" : "primary")",
            risk: "reads take the time of the server that settles payments", mend: "name read replicas in SLUICE_REPLICAS")
        if facts.isStandby {
            report.judge(
                "replica.receives", facts.hasReceiver,
                seen: "\(name) \(facts.hasReceiver ? "receives" : "receives nothing from") the primary's log",
                risk: "it is left out of the reads, or shows old balances to whoever asks it past a gateway",
                mend: "primary_conninfo and the replication slot of that server; its log says why")
            report.judge(
                "replica.lag", facts.lagMilliseconds <= lagMillisecondsMax, seen: "\(name) is \(facts.lagMilliseconds) ms behind",
                risk: "it is left out of the reads; the others and the primary carry them",
                mend: "look at its disk and at long queries; hot_standby_feedback = on")
        }
        report.judge(
            "replica.rights", facts.role.changes.isEmpty && !facts.role.isSuperuser, level: facts.role.isSuperuser ? .failure : .warning,
            seen: "\(facts.role.name) on \(name)"
                + (facts.role.isSuperuser ? " is a superuser" : facts.role.changes.isEmpty ? " only reads" : " may change the ledger"),
            risk: "whoever takes over a gateway, which strangers talk to, can write into the ledger",
            mend: "a role of its own that only reads: GRANT pg_read_all_data (docs/operations.md)")
        let needed = gateways * serverConnections
        let limit = facts.role.connectionLimit
        let all = (Int(facts.settings["max_connections"] ?? "") ?? 0) - (Int(facts.settings["superuser_reserved_connections"] ?? "") ?? 0)
        report.judge(
            "replica.connections", needed <= all && (limit < 0 || needed <= Int(limit)),
            seen: "\(name) allows \(limit < 0 ? all : min(all, Int(limit))) connections; \(gateways) gateways take \(needed)",
            risk: "a gateway beyond it is not ready", mend: "ALTER ROLE \(facts.role.name) CONNECTION LIMIT, or max_connections")
        report.judge(
            "replica.limit", limit >= 0, level: .warning,
            seen: "\(facts.role.name) has \(limit < 0 ? "no connection limit" : "a connection limit of \(limit)")",
            risk: "gateways that are started in a hurry take the connections of the workers",
            mend: "ALTER ROLE \(facts.role.name) CONNECTION LIMIT \(max(needed, 1))")
    }
}

/// A server's clock against ours. Pure.
enum ClockRules {
    static let warningMicroseconds: Int64 = 250_000
    static let failureMicroseconds: Int64 = 5_000_000

    static func judge(_ check: String, of server: String, difference: Int64, uncertainty: Int64, into report: inout DoctorReport) {
        let surely = max(0, abs(difference) - uncertainty)
        report.judge(
            check, surely <= warningMicroseconds, level: surely > failureMicroseconds ? .failure : .warning,
            seen:
                "this machine's clock is \(abs(difference) / 1_000) ms \(difference < 0 ? "behind" : "ahead of") \(server)'s (± \(uncertainty / 1_000 + 1) ms)",
            risk: "payments expire early or late, and times of acceptance and decision do not fit",
            mend: "synchronise both clocks: chrony or systemd-timesyncd")
    }
}
