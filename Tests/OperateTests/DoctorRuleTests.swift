import Testing

@testable import Kafka
@testable import Operate

/// What `sluice doctor` says of settings, without a server: a good system, and one thing wrong with it at a time.
@Suite struct DoctorRuleTests {
    /// The names of what is not well, with `!` behind failures.
    private func found(_ judge: (inout DoctorReport) -> Void) -> [String] {
        var report = DoctorReport()
        judge(&report)
        for finding in report.findings where finding.level != .ok {
            #expect(finding.risk?.isEmpty == false && finding.mend?.isEmpty == false)
        }
        return report.findings.filter { $0.level != .ok }.map { $0.level == .failure ? $0.check + "!" : $0.check }
    }

    // MARK: The log

    static let goodTopic = [
        "min.insync.replicas": "2", "unclean.leader.election.enable": "false", "cleanup.policy": "delete", "retention.ms": "-1",
        "retention.bytes": "-1", "max.message.bytes": "1048588",
    ]

    private func topic(_ name: String, copies: Int = 3, inSync: Int? = nil, partitions: Int32 = 4, leader: Int32? = 1) -> KafkaAdmin.Topic {
        let replicas = (1...Int32(copies)).map { $0 }
        return KafkaAdmin.Topic(
            name: name,
            partitions: (0..<partitions).map {
                .init(number: $0, leader: leader, replicas: replicas, inSyncReplicas: Array(replicas.prefix(inSync ?? copies)))
            })
    }

    private func cluster(
        commands: KafkaAdmin.Topic? = nil, events: KafkaAdmin.Topic? = nil, settings: [String: String] = goodTopic, told: Bool = true,
        brokers: [Int32] = [1, 2, 3], broker: [String: String] = ["auto.create.topics.enable": "false"], without missing: String? = nil
    ) -> ClusterView {
        var topics = [
            "payments.commands": commands ?? topic("payments.commands"), "payments.events": events ?? topic("payments.events"),
            "payments.dead": topic("payments.dead"),
        ]
        if let missing { topics[missing] = nil }
        let answer: ClusterView.Settings = told ? .told(settings) : .refused(KafkaError(code: 29))
        return ClusterView(
            identity: "log", brokers: brokers, topics: topics, topicSettings: ["payments.commands": answer, "payments.events": answer],
            brokerSettings: [1: .told(broker)])
    }

    private func found(_ cluster: ClusterView) -> [String] {
        var seen: [String] = []
        for check in found({ LogRules(cluster: cluster).judge(into: &$0) }) where !seen.contains(check) { seen.append(check) }
        return seen
    }

    @Test func `three brokers with the topics as migrate makes them are well`() { #expect(found(cluster()) == []) }

    @Test(arguments: [
        ("min.insync.replicas", "1", "log.min-in-sync!"), ("min.insync.replicas", "4", "log.min-in-sync!"),
        ("min.insync.replicas", "3", "log.min-in-sync"), ("unclean.leader.election.enable", "true", "log.unclean-election!"),
        ("cleanup.policy", "compact", "log.cleanup!"), ("cleanup.policy", "compact,delete", "log.cleanup!"),
        ("retention.ms", "604799999", "log.retention-time!"), ("retention.ms", "604800000", "log.retention-time"),
        ("retention.bytes", "1073741824", "log.retention-size!"), ("max.message.bytes", "65536", "log.record-size!"),
    ])
    func `a topic's setting that breaks a promise is named`(name: String, value: String, check: String) {
        var settings = Self.goodTopic
        settings[name] = value
        #expect(found(cluster(settings: settings)) == [check])
    }

    @Test func `what is wrong with the brokers and the copies is named`() {
        #expect(found(cluster(brokers: [1])) == ["log.brokers"])
        #expect(found(cluster(commands: topic("payments.commands", copies: 1))) == ["log.copies!", "log.min-in-sync!"])
        #expect(found(cluster(commands: topic("payments.commands", copies: 2))) == ["log.copies", "log.min-in-sync"])
        #expect(found(cluster(commands: topic("payments.commands", inSync: 2))) == ["log.in-sync"])
        #expect(found(cluster(commands: topic("payments.commands", leader: nil))) == ["log.leaders!"])
        #expect(found(cluster(events: topic("payments.events", partitions: 3))) == ["log.partitions!"])
        #expect(found(cluster(without: "payments.dead")) == ["log.topic!"])
        #expect(found(cluster(told: false)) == ["log.told"])
        #expect(found(cluster(broker: ["auto.create.topics.enable": "true"])) == ["log.auto-create"])
        #expect(found(cluster(broker: ["sluice.flush": "interval 1000 ms"])) == ["log.flush!"])
        #expect(found(cluster(broker: ["sluice.flush": "always"])) == [])
    }

    @Test func `our own producer is what the promises need, and what an operator adds is judged`() throws {
        func found(_ extra: [(String, String)], isLocal: Bool = true) throws -> [String] {
            let inForce = try KafkaAdmin.settingsInForce(
                of: ProducerConfiguration(base: KafkaConfiguration(bootstrapServers: "127.0.0.1:1", extra: extra)),
                names: ProducerRules.names)
            return self.found { ProducerRules(inForce: inForce, isLocal: isLocal).judge(into: &$0) }
        }
        #expect(try found([]) == [])
        #expect(try found([], isLocal: false) == ["client.encryption"])
        #expect(try found([("message.timeout.ms", "60000")]) == ["client.delivery-time"])
        #expect(try found([("enable.ssl.certificate.verification", "false")]) == ["client.certificates!"])
        #expect(throws: KafkaError.self) { try found([("acks", "1")]) }
    }

    @Test func `offsets are compared with the log that is there`() {
        func found(_ rows: [OffsetRow], identity: String? = "log", partitions: Int32 = 2) -> [String] {
            let marks = Dictionary(
                uniqueKeysWithValues: (0..<partitions).map { ($0, KafkaAdmin.Watermarks(low: 10, high: 20)) })
            return self.found { OffsetRules(rows: rows, identity: identity, marks: marks).judge(into: &$0) }
        }
        func row(_ partition: Int32, _ next: Int64, log: String? = "log") -> OffsetRow {
            OffsetRow(partition: partition, logIncarnation: log, nextOffset: next, publishedOffset: next, epoch: 1)
        }
        #expect(found([row(0, 10), row(1, 20)]) == [])
        #expect(found([row(0, 10), row(1, 15, log: nil)]) == [])
        #expect(found([row(0, 10)]) == ["ledger.partitions!"])
        #expect(found([row(0, 9), row(1, 20)]) == ["ledger.unread!"])
        #expect(found([row(0, 10), row(1, 21)]) == ["ledger.ahead!"])
        #expect(found([row(0, 10, log: "other"), row(1, 20)]) == ["ledger.log!"])
    }

    // MARK: PostgreSQL

    private func primary(_ change: (inout ServerFacts) -> Void = { _ in }) -> ServerFacts {
        var facts = ServerFacts()
        facts.version = 150_018
        facts.settings = [
            "fsync": "on", "full_page_writes": "on", "synchronous_commit": "on", "synchronous_standby_names": "ANY 1 (a, b)",
            "max_connections": "100", "superuser_reserved_connections": "3", "password_encryption": "scram-sha-256", "data_checksums": "on",
            "max_slot_wal_keep_size": "4GB", "ignore_checksum_failure": "off", "zero_damaged_pages": "off",
            "default_transaction_read_only": "off", "log_statement": "none",
        ]
        facts.standbys = ["a", "b"].map { .init(name: $0, state: "streaming", syncState: "quorum", behindBytes: 0) }
        facts.slots = [.init(name: "a", isActive: true, keptBytes: 0)]
        facts.role = .init(name: "worker", seesAll: true)
        change(&facts)
        return facts
    }

    private func foundInLedger(gateways: Int = 2, _ change: (inout ServerFacts) -> Void = { _ in }) -> [String] {
        found { LedgerRules(facts: primary(change), gateways: gateways, workers: 2, serverConnections: 24).judge(into: &$0) }
    }

    @Test func `a primary with two confirming standbys is well`() { #expect(foundInLedger() == []) }

    @Test(arguments: [
        ("fsync", "off", "ledger.fsync!"), ("full_page_writes", "off", "ledger.full_page_writes!"),
        ("synchronous_commit", "off", "ledger.synchronous-commit!"), ("synchronous_commit", "local", "ledger.synchronous-commit!"),
        ("synchronous_commit", "remote_write", "ledger.synchronous-commit"), ("synchronous_standby_names", "", "ledger.standby!"),
        ("data_checksums", "off", "ledger.checksums"), ("zero_damaged_pages", "on", "ledger.damage!"),
        ("password_encryption", "md5", "ledger.passwords"), ("log_statement", "all", "ledger.statements"),
        ("max_connections", "60", "ledger.connections!"), ("default_transaction_read_only", "on", "ledger.primary!"),
    ])
    func `a setting of the primary that breaks a promise is named`(name: String, value: String, check: String) {
        #expect(foundInLedger { $0.settings[name] = value } == [check])
    }

    @Test func `standbys, slots, roles and connections are judged`() {
        #expect(foundInLedger { $0.standbys = [] } == ["ledger.standby!"])
        #expect(
            foundInLedger {
                $0.standbys[0].syncState = "async"
                $0.standbys[1].state = "catchup"
            } == ["ledger.standby!"])
        #expect(foundInLedger { $0.standbys.removeLast() } == ["ledger.standbys"])
        #expect(foundInLedger { $0.standbys[0].state = "" } == ["ledger.standby"])
        #expect(foundInLedger { $0.slots[0].isActive = false } == ["ledger.slots"])
        #expect(foundInLedger { $0.role.isSuperuser = true } == ["ledger.role!"])
        #expect(foundInLedger { $0.role.rewrites = ["movement"] } == ["ledger.history"])
        #expect(foundInLedger { $0.version = 130_011 } == ["ledger.version!"])
        #expect(foundInLedger { $0.isStandby = true } == ["ledger.primary!"])
        #expect(foundInLedger(gateways: 4) == ["ledger.connections!"])
    }

    @Test func `a replica is judged as a gateway sees it`() {
        func found(_ change: (inout ServerFacts) -> Void = { _ in }) -> [String] {
            let facts = primary {
                $0.isStandby = true
                $0.hasReceiver = true
                $0.role = .init(name: "gateway", connectionLimit: 60)
                change(&$0)
            }
            return self.found {
                ReplicaRules(facts: facts, name: "replica 1", gateways: 2, serverConnections: 24, lagMillisecondsMax: 5_000).judge(
                    into: &$0)
            }
        }
        #expect(found() == [])
        #expect(found { $0.isStandby = false } == ["replica.standby"])
        #expect(found { $0.hasReceiver = false } == ["replica.receives!"])
        #expect(found { $0.lagMilliseconds = 5_001 } == ["replica.lag!"])
        #expect(found { $0.role.changes = ["account"] } == ["replica.rights"])
        #expect(found { $0.role.isSuperuser = true } == ["replica.rights!"])
        #expect(found { $0.role.connectionLimit = 47 } == ["replica.connections!"])
        #expect(found { $0.role.connectionLimit = -1 } == ["replica.limit"])
    }

    // MARK: Redis, clocks, the machine, the front door

    @Test func `Redis is judged by what it may forget and what it may show`() {
        func found(_ change: (inout RedisFacts) -> Void = { _ in }) -> [String] {
            var facts = RedisFacts()
            facts.information = [
                "redis_version": "7.0.15", "redis_mode": "standalone", "role": "master", "maxmemory": "268435456",
                "maxmemory_policy": "noeviction", "aof_enabled": "0", "save": "",
            ]
            (facts.hasFunctions, facts.tracks, facts.user, facts.roundTripMicroseconds) = (true, true, "gateway", 200)
            change(&facts)
            return self.found { RedisRules(facts: facts).judge(into: &$0) }
        }
        #expect(found() == [])
        #expect(found { $0.information["redis_version"] = "6.2.7" } == ["redis.version!"])
        #expect(found { $0.information["redis_mode"] = "cluster" } == ["redis.mode!"])
        #expect(found { $0.information["role"] = "slave" } == ["redis.role!"])
        #expect(found { $0.information["maxmemory"] = "0" } == ["redis.memory"])
        #expect(found { $0.information["maxmemory_policy"] = "allkeys-lru" } == ["redis.eviction!"])
        #expect(found { $0.information["save"] = "3600 1" } == ["redis.persistence"])
        #expect(found { $0.information["aof_enabled"] = "1" } == ["redis.persistence"])
        #expect(found { $0.hasFunctions = false } == ["redis.functions"])
        #expect(found { $0.hasFunctions = nil } == ["redis.functions"])
        #expect(found { $0.tracks = false } == ["redis.tracking!"])
        #expect(found { $0.user = "default" } == ["redis.user"])
        #expect(found { $0.roundTripMicroseconds = 6_000 } == ["redis.latency"])
        #expect(found { $0.roundTripMicroseconds = 150_000 } == ["redis.latency!"])
        #expect(found { $0.information = [:] } == ["redis.told"])
    }

    @Test(
        arguments: [
            (0, 100, []), (250_000, 0, []), (250_001, 0, ["x.clock"]), (-300_000, 60_000, []), (-400_000, 60_000, ["x.clock"]),
            (5_000_001, 0, ["x.clock!"]), (-3_600_000_000, 1_000, ["x.clock!"]),
        ] as [(Int64, Int64, [String])])
    func `clocks may differ by what cannot be told and a little`(difference: Int64, uncertainty: Int64, checks: [String]) {
        #expect(found { ClockRules.judge("x.clock", of: "it", difference: difference, uncertainty: uncertainty, into: &$0) } == checks)
    }

    @Test func `the machine is judged`() {
        func found(_ change: (inout SystemFacts) -> Void = { _ in }) -> [String] {
            var facts = SystemFacts(
                descriptors: 65_536, backlog: 4_096, hugePages: "madvise", overcommit: 1, isClockSynchronised: true,
                clockErrorMicroseconds: 1_000)
            change(&facts)
            return self.found { SystemRules(facts: facts).judge(into: &$0) }
        }
        #expect(found() == [])
        #expect(found { $0.descriptors = 20_000 } == ["system.descriptors"])
        #expect(found { $0.descriptors = 1_000 } == ["system.descriptors!"])
        #expect(found { $0.backlog = 128 } == ["system.backlog"])
        #expect(found { $0.overcommit = 2 } == ["system.memory"])
        #expect(found { $0.hugePages = "always" } == ["system.huge-pages"])
        #expect(found { $0.hugePages = nil } == [])
        #expect(found { $0.isClockSynchronised = false } == ["system.clock"])
        #expect(found { $0.isClockSynchronised = nil } == ["system.clock"])
        #expect(found { $0.clockErrorMicroseconds = 600_000 } == ["system.clock"])
    }

    @Test func `the front door is judged by what a stranger is answered`() {
        func found(_ change: (inout EdgeFacts) -> Void = { _ in }) -> [String] {
            var facts = EdgeFacts()
            facts.withoutKey = EdgeFacts.parse(
                Array("HTTP/1.1 401 Unauthorized\r\nContent-Type: application/problem+json\r\n\r\n{}".utf8))
            (facts.metrics.status, facts.withoutHost.status) = (404, 400)
            change(&facts)
            return self.found { EdgeRules(facts: facts).judge(into: &$0) }
        }
        #expect(found() == [])
        #expect(found { $0.withoutKey.status = 502 } == ["edge.gateways!"])
        #expect(found { $0.withoutKey.status = 200 } == ["edge.gateways!"])
        #expect(found { $0.withoutKey.contentType = "text/html" } == ["edge.problems"])
        #expect(found { $0.metrics.status = 200 } == ["edge.operators!"])
        #expect(found { $0.withoutHost.status = 401 } == ["edge.strictness!"])
        #expect(found { $0.withoutHost = EdgeFacts.parse([]) } == [])
    }
}
