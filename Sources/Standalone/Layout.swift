import Glibc

/// Where everything of one system lies. Pure: paths only; `prepare` makes the folders.
struct Layout: Sendable, Equatable {
    /// The data folder, absolute.
    let data: String
    /// The folder of Unix sockets: inside the data folder where its path leaves room, else below /tmp.
    let run: String
    /// The folder that holds `nginx/` and `infra/`.
    let home: String
    /// The executable started as gateway, worker and migrate.
    let executable: String

    /// sun_path of sockaddr_un holds 108 bytes with the closing zero (unix(7)).
    static let socketPathBytesMax = 107
    /// What the longest socket adds to the run folder: PostgreSQL's `/pg/.s.PGSQL.65535`, and
    /// `/edge/gateway-a.63` of the gateways.
    static let socketNameBytesMax = 18

    init(data: String, home: String, executable: String, uid: uid_t) {
        self.data = data
        self.home = home
        self.executable = executable
        let inside = data + "/run"
        run =
            inside.utf8.count + Layout.socketNameBytesMax <= Layout.socketPathBytesMax
            ? inside : "/tmp/sluice-\(uid)-\(Layout.shortName(of: data))"
    }

    /// Whether the run folder lies outside of the data folder, and so must be removed at the end.
    var isRunOutside: Bool { run != data + "/run" }

    var secrets: String { data + "/secrets" }
    var logs: String { data + "/logs" }
    var postgres: String { data + "/postgres" }
    var redis: String { data + "/redis" }
    var broker: String { data + "/broker" }
    var nginx: String { data + "/nginx" }
    /// Written by `sluice audit`, shown by the gateways.
    var auditMetrics: String { data + "/audit.prom" }
    func redisPassword(_ user: RedisUser) -> String { "\(secrets)/redis-\(user.rawValue)" }
    /// Named so that it is found by whoever wants to send the first request.
    var demoKey: String { data + "/demo.key" }

    /// libpq connects through this folder: `host=` of the connection strings.
    var postgresSockets: String { run + "/pg" }
    var redisSocket: String { run + "/redis.sock" }
    var nginxSocket: String { run + "/edge/nginx.sock" }
    /// One socket per thread follows: `.0`, `.1` and so on.
    func gatewaySocketPrefix(_ name: String) -> String { run + "/edge/" + name }

    var passwordFile: String { postgres + "/pgpass" }
    func log(_ name: String) -> LogFile { LogFile(path: "\(logs)/\(name).log") }

    /// FNV-1a of the path, 8 hexadecimal digits: two data folders of one user get two run folders. A
    /// collision shows as sockets in use, not as mixed data.
    static func shortName(of path: String) -> String {
        let hash = path.utf8.reduce(UInt32(2_166_136_261)) { ($0 ^ UInt32($1)) &* 16_777_619 }
        let digits = String(hash, radix: 16)
        return String(repeating: "0", count: 8 - digits.count) + digits
    }

    /// Makes every folder with the narrowest mode that works. As root, PostgreSQL and the nginx workers
    /// are other users who must pass through, so the outer folders are 0711 and the inner ones closed.
    func prepare(_ users: ServiceUsers) throws(StandaloneError) {
        let outer: mode_t = users.others.isEmpty ? 0o700 : 0o711
        try Layout.makeParents(of: data)
        try SystemCall.makeFolder(data, mode: outer)
        try SystemCall.makeFolder(run, mode: outer)
        var status = stat()
        guard unsafe lstat(run, &status) == 0, status.st_uid == geteuid() else {
            throw .brokenSetup("\(run) belongs to another user: remove it or choose a data folder with a shorter path")
        }
        for user in users.others {
            guard let closed = user.firstClosedFolder(onTheWayTo: data + "/postgres") else { continue }
            throw .brokenSetup(
                "user \(user.name) cannot pass through \(closed.path) (mode 0\(String(closed.mode, radix: 8))), and the data folder "
                    + "\(data) lies below it: choose another one, such as --data /var/tmp/sluice")
        }
        try SystemCall.makeFolder(secrets, mode: 0o700)
        try SystemCall.makeFolder(logs, mode: 0o700)
        try SystemCall.makeFolder(redis, mode: 0o700)
        try SystemCall.makeFolder(broker, mode: 0o700)
        try SystemCall.makeFolder(nginx, mode: outer)
        try SystemCall.makeFolder(postgres, mode: 0o700, uid: users.postgres?.uid, gid: users.postgres?.gid)
        try SystemCall.makeFolder(postgresSockets, mode: 0o700, uid: users.postgres?.uid, gid: users.postgres?.gid)
        // Set-group-id: the gateways' sockets get the group of the nginx workers, and nobody else's.
        try SystemCall.makeFolder(run + "/edge", mode: users.nginx == nil ? 0o700 : 0o2710, gid: users.nginx?.gid)
    }

    /// Parents that are missing are made as the umask says, like `mkdir -p`.
    private static func makeParents(of path: String) throws(StandaloneError) {
        var folder = ""
        for part in path.split(separator: "/").dropLast() {
            folder += "/" + part
            if unsafe mkdir(folder, 0o755) != 0, errno != EEXIST { throw .system(call: "mkdir", subject: folder, code: errno) }
        }
    }
}

/// Whom the programs run as when that is not the caller: as root PostgreSQL refuses to run, and nginx
/// gives its workers, which parse what strangers send, to an unprivileged user. All nil otherwise.
struct ServiceUsers: Sendable, Equatable {
    var postgres: ServiceUser?
    var nginx: ServiceUser?

    var others: [ServiceUser] { [postgres, nginx].compactMap(\.self) }

    static func current() throws(StandaloneError) -> ServiceUsers {
        guard ServiceUser.isRoot else { return ServiceUsers() }
        guard let postgres = ServiceUser.named("postgres") else {
            throw .brokenSetup("there is no user postgres, and PostgreSQL refuses to run as root: install the package postgresql-15")
        }
        return ServiceUsers(postgres: postgres, nginx: ServiceUser.named("www-data") ?? ServiceUser.named("nobody"))
    }
}
