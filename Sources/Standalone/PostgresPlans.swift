import Glibc

/// The three PostgreSQL servers: how each is made, configured, started and found.
struct PostgresPlans: Sendable {
    let layout: Layout
    let ports: Ports
    let user: ServiceUser?
    let secrets: Secrets
    /// The folder with `postgres`, `initdb`, `pg_basebackup` and `psql`.
    let binaries: String

    /// Where Debian's package puts them; they are not in PATH.
    static let debianBinaries = "/usr/lib/postgresql/15/bin"

    private enum Server: String, CaseIterable {
        case primary, standby, replica
        var port: PortName { self == .primary ? .postgresPrimary : self == .standby ? .postgresStandby : .postgresReplica }
        /// Name of its replication slot and of its application in `pg_stat_replication`.
        var slot: String { self == .primary ? "" : "sluice_\(rawValue)" }
        var processName: String { "postgres-\(rawValue)" }
    }

    /// The connection string of the ledger's database on the primary (libpq, "Connection Strings").
    var primaryConninfo: String { conninfo(.primary, role: "sluice") }
    /// The same for the worker, whose role changes no entry.
    var workerConninfo: String { conninfo(.primary, role: "sluice_worker") }
    /// The same for gateways, whose role may only read.
    var gatewayConninfo: String { conninfo(.primary, role: "sluice_gateway") }
    /// Those of the servers that serve reads: the synchronous standby is left out, so that stopping a
    /// read replica stops no commit and reads do not slow commits down.
    var replicaConninfos: [String] { [conninfo(.replica, role: "sluice_gateway")] }

    private func conninfo(_ server: Server, role: String) -> String {
        "host=\(layout.postgresSockets) port=\(ports[server.port]) dbname=sluice user=\(role) passfile=\(layout.passwordFile)"
    }

    /// Writes the settings of the three servers; the folders exist.
    func writeFiles() throws(StandaloneError) {
        let template = try Template(file: layout.home + "/infra/standalone/postgres.conf.template")
        for server in Server.allCases {
            let text = try template.rendered([
                "PORT": "\(ports[server.port])",
                "SOCKET_FOLDER": layout.postgresSockets,
                "DATA_DIRECTORY": dataDirectory(server),
                "HBA_FILE": layout.postgres + "/hba.conf",
                "SYNCHRONOUS_STANDBYS": server == .primary ? Server.standby.slot : "",
                "PRIMARY_CONNINFO": server == .primary ? "" : replicationConninfo(server),
                "SLOT": server.slot,
                "FEEDBACK": server == .replica ? "on" : "off",
                "SHARED_BUFFERS": server == .primary ? "256MB" : "128MB",
            ])
            try SystemCall.writeFile(configuration(server), text, mode: 0o600, owner: user)
        }
        let hba = try Template(file: layout.home + "/infra/standalone/hba.conf").rendered([:])
        try SystemCall.writeFile(layout.postgres + "/hba.conf", hba, mode: 0o600, owner: user)
        try SystemCall.writeFile(layout.passwordFile, secrets.passwordFile, mode: 0o600, owner: user)
        try SystemCall.writeFile(layout.postgres + "/superuser", secrets.superuser + "\n", mode: 0o600, owner: user)
    }

    /// All processes, from stage `first` on.
    func plans(from first: Int) -> [ProcessPlan] {
        var plans = [initialise(stage: first), serve(.primary, stage: first + 1)]
        var roles = sql("postgres-roles", file: "roles.sql", stage: first + 2)
        roles.environment["SLUICE_PASSWORD"] = secrets.application
        roles.environment["SLUICE_REPLICATION_PASSWORD"] = secrets.replication
        plans.append(roles)
        plans += [copy(.standby, stage: first + 3), copy(.replica, stage: first + 3)]
        plans += [serve(.standby, stage: first + 4), serve(.replica, stage: first + 4)]
        plans.append(sql("postgres-await-standbys", file: "await-standbys.sql", stage: first + 5))
        return plans
    }

    private func initialise(stage: Int) -> ProcessPlan {
        let unfinished = dataDirectory(.primary) + ".new"
        var plan = base("postgres-initdb", "initdb", stage: stage)
        plan.arguments = [
            "--pgdata=\(unfinished)", "--username=postgres", "--pwfile=\(layout.postgres)/superuser", "--auth=scram-sha-256",
            "--encoding=UTF8", "--locale=C.UTF-8", "--data-checksums",
        ]
        return made(plan, as: dataDirectory(.primary), from: unfinished)
    }

    private func copy(_ server: Server, stage: Int) -> ProcessPlan {
        let unfinished = dataDirectory(server) + ".new"
        var plan = base("\(server.processName)-copy", "pg_basebackup", stage: stage)
        plan.arguments = [
            "--pgdata=\(unfinished)", "--dbname=\(replicationConninfo(server))", "--wal-method=stream", "--slot=\(server.slot)",
            "--checkpoint=fast", "--no-password",
        ]
        plan.startDeadlineMilliseconds = 600_000
        var copied = made(plan, as: dataDirectory(server), from: unfinished)
        // Its presence makes a server a standby.
        copied.after.insert(.createEmptyFile(unfinished + "/standby.signal"), at: 0)
        return copied
    }

    /// A data directory is made under another name and renamed when complete, so that one cut short is
    /// made again and never started.
    private func made(_ plan: ProcessPlan, as directory: String, from unfinished: String) -> ProcessPlan {
        var plan = plan
        plan.kind = .task
        plan.doneWhenExists = directory
        plan.before = [.remove(unfinished)]
        plan.after = [.rename(from: unfinished, to: directory)]
        return plan
    }

    private func serve(_ server: Server, stage: Int) -> ProcessPlan {
        var plan = base(server.processName, "postgres", stage: stage)
        plan.arguments = ["-D", dataDirectory(server), "-c", "config_file=\(configuration(server))"]
        plan.address = ports.address(server.port)
        plan.before = [
            .clearStalePostgres(
                dataDirectory: dataDirectory(server), socketFolder: layout.postgresSockets, port: ports[server.port])
        ]
        plan.readiness = .postgres(.unix(path: "\(layout.postgresSockets)/.s.PGSQL.\(ports[server.port])"))
        // Crash recovery replays at most max_wal_size of log.
        plan.startDeadlineMilliseconds = 120_000
        // Fast shutdown, then immediate, which recovers at the next start (postgres(1)).
        plan.stop = [.init(signal: SIGINT, waitMilliseconds: 30_000), .init(signal: SIGQUIT, waitMilliseconds: 5_000)]
        plan.parentDeathSignal = SIGINT
        return plan
    }

    /// A script run by psql as the superuser. psql itself runs as the caller, who can read the scripts.
    private func sql(_ name: String, file: String, stage: Int) -> ProcessPlan {
        var plan = base(name, "psql", stage: stage)
        plan.kind = .task
        plan.user = nil
        plan.arguments = [
            "--no-psqlrc", "--quiet", "--no-password", "--output=/dev/null", "--file=\(layout.home)/infra/standalone/\(file)",
            "host=\(layout.postgresSockets) port=\(ports[.postgresPrimary]) dbname=postgres user=postgres passfile=\(layout.passwordFile)",
        ]
        return plan
    }

    private func base(_ name: String, _ program: String, stage: Int) -> ProcessPlan {
        ProcessPlan(
            name: name, stage: stage, executable: "\(binaries)/\(program)",
            environment: ["PATH": "\(binaries):/usr/bin:/bin", "LC_ALL": "C.UTF-8", "TZ": "UTC", "HOME": layout.postgres],
            // The caller's folder may be closed to the user postgres.
            directory: "/", user: user, log: layout.log(name))
    }

    private func replicationConninfo(_ server: Server) -> String {
        "host=\(layout.postgresSockets) port=\(ports[.postgresPrimary]) user=sluice_replication "
            + "passfile=\(layout.passwordFile) application_name=\(server.slot)"
    }

    private func dataDirectory(_ server: Server) -> String { "\(layout.postgres)/\(server.rawValue)" }
    private func configuration(_ server: Server) -> String { "\(layout.postgres)/\(server.rawValue).conf" }
}
