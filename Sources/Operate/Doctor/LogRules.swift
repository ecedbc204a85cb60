internal import Kafka
internal import Store

/// What the log's cluster must be so that an acknowledged command is never lost. Pure: judges what was told.
struct LogRules {
    /// Shorter limited retention is a failure: a worker may be away for a long weekend.
    static let retentionMillisecondsMin: Int64 = 7 * 24 * 3_600_000
    /// The longest command with its headers.
    static let recordBytesMin: Int64 = 131_072

    let cluster: ClusterView

    func judge(into report: inout DoctorReport) {
        let copiesWanted = min(TopicSetup.replicationWanted, cluster.brokers.count)
        report.judge(
            "log.brokers", cluster.brokers.count > 1, level: .warning, seen: "\(cluster.brokers.count) brokers",
            risk: "what was acknowledged stands on one disk: when that is lost, so are payments that clients were told of",
            mend: "run three brokers, and sluice migrate --replication 3 before the first payment")
        for name in Topic.all {
            guard let topic = cluster.topics[name] else {
                report.fail("log.topic", seen: "\(name) does not exist", risk: "no payment can be accepted", mend: "sluice migrate")
                continue
            }
            judge(topic, copiesWanted, &report)
            // Dead letters are in the database first: the topic is a copy for whoever listens.
            if name != Topic.dead { judge(topic, settings: cluster.topicSettings[name], &report) }
        }
        if let commands = cluster.topics[Topic.commands], let events = cluster.topics[Topic.events] {
            report.judge(
                "log.partitions", events.partitions.count >= commands.partitions.count,
                seen: "\(commands.partitions.count) of \(Topic.commands), \(events.partitions.count) of \(Topic.events)",
                risk: "an event stands in the partition of its command: without that partition its worker stops",
                mend: "add partitions to \(Topic.events): as many as \(Topic.commands) has")
        }
        judgeBrokers(&report)
    }

    private func judge(_ topic: KafkaAdmin.Topic, _ copiesWanted: Int, _ report: inout DoctorReport) {
        let leaderless = topic.partitions.filter { $0.leader == nil }.map(\.number)
        report.judge(
            "log.leaders", leaderless.isEmpty, seen: "\(topic.name): \(Self.list(leaderless, of: topic)) without a leader",
            risk: "payments of the tenants on these partitions are refused", mend: "bring their brokers back")
        let copies = topic.partitions.map(\.replicas.count).min() ?? 0
        report.judge(
            "log.copies", copies >= copiesWanted, level: copies < 2 ? .failure : .warning, seen: "\(topic.name): \(copies) copies",
            risk: copies < 2
                ? "the loss of one broker loses payments that clients were told of" : "with one broker away nothing is accepted",
            mend: "reassign its partitions to \(copiesWanted) brokers each (kafka-reassign-partitions)")
        let behind = topic.partitions.filter { $0.inSyncReplicas.count < $0.replicas.count }.map(\.number)
        report.judge(
            "log.in-sync", behind.isEmpty, level: .warning,
            seen: "\(topic.name): \(Self.list(behind, of: topic)) with copies that are behind",
            risk: "one more broker lost, and payments of these partitions are refused", mend: "look at the brokers that are away or slow")
    }

    private func judge(_ topic: KafkaAdmin.Topic, settings: ClusterView.Settings?, _ report: inout DoctorReport) {
        guard case .told(let values)? = settings else {
            let reason = if case .refused(let error)? = settings { error.name } else { "no answer" }
            return report.warn(
                "log.told", seen: "\(topic.name): the brokers do not tell its settings (\(reason))",
                risk: "nobody knows whether they keep acknowledged payments",
                mend: "allow this client DescribeConfigs on the topic, or compare with: "
                    + Topic.settings(replication: TopicSetup.replicationWanted).map { "\($0.name)=\($0.value)" }.joined(separator: " "))
        }
        func value(_ name: String) -> String { values[name] ?? "not told" }
        let copies = topic.partitions.map(\.replicas.count).min() ?? 0
        let inSync = Int(value("min.insync.replicas")) ?? 0
        let wanted = min(2, copies)
        report.judge(
            "log.min-in-sync", inSync >= wanted && inSync <= copies,
            seen: "\(topic.name): min.insync.replicas = \(value("min.insync.replicas"))",
            risk: inSync > copies
                ? "nothing is ever accepted: it wants more copies than there are"
                : "with one copy in sync a payment is acknowledged that the loss of one broker takes away",
            mend: "min.insync.replicas=\(wanted)")
        if copies > 1, inSync == copies {
            report.warn(
                "log.min-in-sync", seen: "\(topic.name): as many in-sync copies are wanted as there are",
                risk: "with one broker away nothing is accepted",
                mend: "more copies than min.insync.replicas: 3 and 2")
        }
        report.judge(
            "log.unclean-election", value("unclean.leader.election.enable") == "false" || copies < 2,
            seen: "\(topic.name): unclean.leader.election.enable = \(value("unclean.leader.election.enable"))",
            risk: "a copy that is behind may become the leader: acknowledged payments vanish", mend: "unclean.leader.election.enable=false")
        report.judge(
            "log.cleanup", value("cleanup.policy") == "delete", seen: "\(topic.name): cleanup.policy = \(value("cleanup.policy"))",
            risk: "compaction keeps one record of each key: all commands of a tenant but the last are gone", mend: "cleanup.policy=delete")
        judgeRetention(topic.name, time: value("retention.ms"), bytes: value("retention.bytes"), &report)
        let bytes = Int64(value("max.message.bytes")) ?? 0
        report.judge(
            "log.record-size", bytes >= Self.recordBytesMin, seen: "\(topic.name): max.message.bytes = \(value("max.message.bytes"))",
            risk: "a payment that the API allows is refused by the broker", mend: "max.message.bytes=1048588")
    }

    private func judgeRetention(_ topic: String, time: String, bytes: String, _ report: inout DoctorReport) {
        let milliseconds = Int64(time) ?? 0
        report.judge(
            "log.retention-time", milliseconds < 0, level: milliseconds < Self.retentionMillisecondsMin ? .failure : .warning,
            seen: "\(topic): retention.ms = \(time)",
            risk: "what no worker has applied by then is deleted, and an audit can no longer compare the ledger with the log",
            mend: "retention.ms=-1")
        report.judge(
            "log.retention-size", (Int64(bytes) ?? 0) < 0, seen: "\(topic): retention.bytes = \(bytes)",
            risk: "in a peak commands are deleted before they are applied", mend: "retention.bytes=-1")
    }

    private func judgeBrokers(_ report: inout DoctorReport) {
        var creating: [Int32] = []
        var deferring: [Int32] = []
        for (broker, settings) in cluster.brokerSettings.sorted(by: { $0.key < $1.key }) {
            if settings["auto.create.topics.enable"] == "true" { creating.append(broker) }
            // Of our own broker: it has no other copy, so its disk is all there is.
            if let flush = settings["sluice.flush"], flush != "always" { deferring.append(broker) }
        }
        report.judge(
            "log.auto-create", creating.isEmpty, level: .warning,
            seen: Self.brokers(creating, "topics make themselves when they are named"),
            risk: "a topic that was deleted comes back with other settings, as a log that nobody notices is empty",
            mend: "auto.create.topics.enable=false")
        report.judge(
            "log.flush", deferring.isEmpty, seen: Self.brokers(deferring, "records are acknowledged before the disk has them"),
            risk: "a power loss takes payments that clients were told of", mend: "sluice broker --flush always")
    }

    private static func brokers(_ some: [Int32], _ what: String) -> String {
        (some.isEmpty ? "on no broker " : "on brokers \(some.map(String.init).joined(separator: ", ")) ") + what
    }

    private static func list(_ some: [Int32], of topic: KafkaAdmin.Topic) -> String {
        "\(some.count) of \(topic.partitions.count) partitions"
            + (some.isEmpty ? "" : " (\(some.prefix(20).map(String.init).joined(separator: ", ")))")
    }
}

/// What our own producer must be, once the operator's settings are applied. Pure.
struct ProducerRules {
    /// A repeat of a payment whose first attempt is still under way is joined for 10 s.
    static let deliveryMillisecondsMax: Int64 = 9_000

    static let names = [
        "acks", "enable.idempotence", "message.timeout.ms", "security.protocol", "enable.ssl.certificate.verification",
    ]

    let inForce: [String: String]
    /// Whether all brokers are on this machine.
    let isLocal: Bool

    func judge(into report: inout DoctorReport) {
        func value(_ name: String) -> String { inForce[name] ?? "not told" }
        // Fixed by us: this holds a later change of ours to it.
        report.judge(
            "client.acks", ["-1", "all"].contains(value("acks")) && value("enable.idempotence") == "true",
            seen: "acks = \(value("acks") == "-1" ? "all" : value("acks")), enable.idempotence = \(value("enable.idempotence"))",
            risk: "a payment is acknowledged that one broker alone has, or stands in the log twice",
            mend: "a defect of this build: report it")
        let delivery = Int64(value("message.timeout.ms")) ?? 0
        report.judge(
            "client.delivery-time", (1...Self.deliveryMillisecondsMax).contains(delivery), level: .warning,
            seen: "message.timeout.ms = \(delivery)",
            risk: "clients hear 504 late or never, and a repeat does not find its first attempt",
            mend: "leave message.timeout.ms out of SLUICE_KAFKA_SETTINGS, or use 1 to \(Self.deliveryMillisecondsMax)")
        report.judge(
            "client.encryption", isLocal || value("security.protocol").contains("ssl"), level: .warning,
            seen: "security.protocol = \(value("security.protocol"))",
            risk: "whoever is on the network between reads and writes payments",
            mend: "security.protocol=SASL_SSL or SSL, with ssl.ca.location, in SLUICE_KAFKA_SETTINGS")
        report.judge(
            "client.certificates", value("enable.ssl.certificate.verification") == "true",
            seen: "enable.ssl.certificate.verification = \(value("enable.ssl.certificate.verification"))",
            risk: "anybody may pose as a broker and acknowledge payments that no log has", mend: "enable.ssl.certificate.verification=true")
    }
}
