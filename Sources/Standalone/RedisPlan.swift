import Glibc

/// Whom our processes connect to Redis as, each with a password of its own (infra/standalone/users.acl).
enum RedisUser: String, CaseIterable, Sendable {
    case gateway, worker

    var name: String { "sluice_\(rawValue)" }
}

/// The Redis server of one system.
struct RedisPlan: Sendable {
    let layout: Layout
    let executable: String
    let secrets: Secrets

    /// For 500,000 cached bodies of about 300 bytes with Redis's own overhead.
    static let memoryMegabytes = 256

    var address: String { "unix:\(layout.redisSocket)" }

    func writeFiles() throws(StandaloneError) {
        let text = try Template(file: layout.home + "/infra/standalone/redis.conf.template").rendered([
            "SOCKET": layout.redisSocket,
            "DIRECTORY": layout.redis,
            "MEMORY_MEGABYTES": "\(RedisPlan.memoryMegabytes)",
        ])
        // The default user is whoever may open the socket: the user that all of this system's files belong to.
        var passwords = ["OPERATOR": "nopass"]
        for user in RedisUser.allCases { passwords[user.rawValue.uppercased()] = "#" + Secrets.digest(secrets.redis(user)) }
        let users = try Template(file: layout.home + "/infra/standalone/users.acl").rendered(passwords)
        try SystemCall.writeFile(layout.redis + "/users.acl", users, mode: 0o600)
        for user in RedisUser.allCases {
            try SystemCall.writeFile(layout.redisPassword(user), secrets.redis(user) + "\n", mode: 0o600)
        }
        try SystemCall.writeFile(layout.redis + "/redis.conf", text, mode: 0o600)
    }

    func plan(stage: Int) -> ProcessPlan {
        ProcessPlan(
            name: "redis", stage: stage, executable: executable, arguments: [layout.redis + "/redis.conf"],
            environment: ["PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "TZ": "UTC"], directory: layout.redis,
            log: layout.log("redis"), address: address, before: [.remove(layout.redisSocket)],
            readiness: .redis(.unix(path: layout.redisSocket)), stop: [.init(signal: SIGTERM, waitMilliseconds: 5_000)])
    }
}
