internal import Redis
internal import Store
internal import Telemetry

/// What Redis says of itself.
struct RedisFacts: Sendable {
    /// What INFO told, by name.
    var information: [String: String] = [:]
    /// Whether the functions of this build are there; nil when this user is not told.
    var hasFunctions: Bool?
    /// Libraries of other builds, which are in nobody's way.
    var otherLibraries: [String] = []
    /// Whether a connection may have its reads tracked.
    var tracks = false
    var user = ""
    /// Of a PING, median of `pings`.
    var roundTripMicroseconds: UInt64 = 0
    var clockDifference: Int64 = 0
    var clockUncertainty: Int64 = 0

    private static let pings = 21

    static func read(_ configuration: RedisConfiguration) throws(OperateError) -> RedisFacts {
        var configuration = configuration
        configuration.commandTimeoutMilliseconds = 3_000
        configuration.setUp = []
        var facts = RedisFacts()
        try withRedis { () throws(RedisError) in
            let connection = try RedisConnection(configuration)
            for section in ["server", "memory", "replication", "persistence"] {
                facts.take(try connection.command(["INFO", section]).text ?? "")
            }
            if case .array(let pair) = try connection.command(["CONFIG", "GET", "save"]), pair.count == 2 {
                facts.information["save"] = pair[1].text
            }
            facts.user = try connection.command(["ACL", "WHOAMI"]).text ?? ""
            let functions = try connection.command(["FUNCTION", "LIST", "LIBRARYNAME", "sluice*", "WITHCODE"])
            facts.takeLibraries(functions)
            // Of this connection alone, and gone with it.
            if let number = try connection.command(["CLIENT", "ID"]).integer {
                let answer = try connection.command(["CLIENT", "TRACKING", "ON", "REDIRECT", "\(number)", "NOLOOP"])
                facts.tracks = answer == .status("OK")
                _ = try connection.command(["CLIENT", "TRACKING", "OFF"])
            }
            var times: [UInt64] = []
            for _ in 0..<pings {
                let start = Clock.monotonicNanoseconds
                _ = try connection.command(["PING"])
                times.append((Clock.monotonicNanoseconds - start) / 1_000)
            }
            facts.roundTripMicroseconds = times.sorted()[times.count / 2]
            let before = Clock.wallMicroseconds
            if case .array(let time) = try connection.command(["TIME"]), time.count == 2, let seconds = time[0].text.flatMap({ Int64($0) }),
                let micros = time[1].text.flatMap({ Int64($0) })
            {
                let after = Clock.wallMicroseconds
                facts.clockDifference = before + (after - before) / 2 - (seconds * 1_000_000 + micros)
                facts.clockUncertainty = (after - before) / 2
            }
        }
        return facts
    }

    private mutating func take(_ section: String) {
        for line in section.split(whereSeparator: \.isNewline) {
            guard let colon = line.firstIndex(of: ":") else { continue }
            information[String(line[..<colon])] = String(line[line.index(after: colon)...])
        }
    }

    /// Nothing is taken from an error: an unknown command in an old server, or one that is not allowed.
    private mutating func takeLibraries(_ reply: OwnedReply) {
        guard case .array(let libraries) = reply else { return }
        hasFunctions = false
        for case .array(let fields) in libraries {
            func value(of name: String) -> String? {
                fields.firstIndex { $0.text == name }.flatMap { $0 + 1 < fields.count ? fields[$0 + 1].text : nil }
            }
            if value(of: "library_code") == RedisFunctions.source {
                hasFunctions = true
            } else {
                otherLibraries.append(value(of: "library_name") ?? "")
            }
        }
    }
}

/// What Redis must be so that what it shows never goes back in time. Pure.
struct RedisRules {
    /// Functions came with 7.
    static let majorVersionMin = 7
    static let roundTripWarningMicroseconds: UInt64 = 5_000
    static let roundTripFailureMicroseconds: UInt64 = 100_000

    let facts: RedisFacts

    private func value(_ name: String) -> String { facts.information[name] ?? "not told" }

    func judge(into report: inout DoctorReport) {
        guard !facts.information.isEmpty else {
            return report.warn(
                "redis.told", seen: "\(facts.user) is told nothing about this server",
                risk: "nobody knows whether it may show old balances",
                mend: "allow INFO to this user, or look as another")
        }
        let major = Int(value("redis_version").prefix { $0 != "." }) ?? 0
        report.judge(
            "redis.version", major >= Self.majorVersionMin, seen: "Redis \(value("redis_version"))",
            risk: "it has no functions: nothing can be written by comparing, so nothing is cached", mend: "Redis 7 or later")
        report.judge(
            "redis.mode", value("redis_mode") == "standalone", seen: "redis_mode = \(value("redis_mode"))",
            risk: "a node that does not have a key refuses it, and reads fall through to the replicas",
            mend: "one Redis, without cluster-enabled")
        report.judge(
            "redis.role", value("role") == "master", seen: "its role is \(value("role"))",
            risk: "it takes no writes: the worker's values are missing and no reader believes it", mend: "name the master in SLUICE_REDIS")
        report.judge(
            "redis.memory", (Int64(value("maxmemory")) ?? 0) > 0, level: .warning, seen: "maxmemory = \(value("maxmemory"))",
            risk: "it grows until the kernel ends it, or something else", mend: "maxmemory below what the machine can spare")
        report.judge(
            "redis.eviction", value("maxmemory_policy") == "noeviction", seen: "maxmemory-policy = \(value("maxmemory_policy"))",
            risk: "a floor may be evicted, and a late reader then puts an old balance back", mend: "maxmemory-policy noeviction")
        let keeps = value("aof_enabled") == "1" || !(facts.information["save"] ?? "").isEmpty
        report.judge(
            "redis.persistence", !keeps, level: .warning,
            seen: keeps ? "it keeps its data over a restart" : "it keeps nothing over a restart",
            risk: "it comes back with old values; workers notice and empty it, which costs the reads of that time",
            mend: "save \"\" and appendonly no")
        judgeAccess(&report)
        report.judge(
            "redis.latency", facts.roundTripMicroseconds <= Self.roundTripWarningMicroseconds,
            level: facts.roundTripMicroseconds > Self.roundTripFailureMicroseconds ? .failure : .warning,
            seen: "a PING takes \(facts.roundTripMicroseconds) us", risk: "each cached read waits so long; past 250 ms a database is asked",
            mend: "put it nearer, look for slow commands (SLOWLOG) and for swapping")
    }

    private func judgeAccess(_ report: inout DoctorReport) {
        let others =
            facts.otherLibraries.isEmpty ? "" : "; of other builds there is \(facts.otherLibraries.sorted().joined(separator: ", "))"
        switch facts.hasFunctions {
        case true?:
            report.judge("redis.functions", true, seen: "the functions of this build are loaded\(others)", risk: "", mend: "")
        case false?:
            report.warn(
                "redis.functions", seen: "the functions of this build are not loaded\(others)",
                risk: "gateways and workers load theirs as they connect: none of this build has, or not as a user that may",
                mend: "start them, with a user that may FUNCTION LOAD")
        case nil:
            report.warn(
                "redis.functions", seen: "\(facts.user) is not told which functions are loaded",
                risk: "nobody knows whether writes compare",
                mend: "allow FUNCTION LIST to this user, or look as another")
        }
        report.judge(
            "redis.tracking", facts.tracks, seen: facts.tracks ? "reads can be tracked" : "reads cannot be tracked",
            risk: "gateways keep no copies of their own: each cached read costs a round trip", mend: "allow CLIENT TRACKING to this user")
        report.judge(
            "redis.user", facts.user != "default", level: .warning, seen: "connected as \(facts.user)",
            risk: "whoever reaches a gateway's settings may do anything in Redis", mend: "users of their own (docs/security.md)")
    }
}
