internal import Kafka
internal import Store

/// Makes the topics, or finds that they are as they must be.
struct TopicSetup {
    /// Copies of each partition where the cluster has the brokers for it: one may be lost and one be restarted.
    static let replicationWanted = 3
    /// A topic that has just been made can be refused by the next request for a moment.
    private static let timeoutMilliseconds: Int32 = 10_000

    let kafka: KafkaConfiguration
    /// Of `payments.commands` and `payments.events`; nil takes what is there, else the default.
    let partitions: Int32?
    /// Copies of each partition of a topic that is made; nil for `replicationWanted`, or fewer where brokers are fewer.
    let replication: Int16?
    let say: (String) -> Void

    /// - Returns: how many partitions `payments.commands` has.
    func run() throws(OperateError) -> Int32 {
        let commands = try prepare(Topic.commands, wanted: partitions, absent: Topic.partitionsDefault)
        // An event stands in the partition of its command.
        _ = try prepare(Topic.events, wanted: commands, absent: commands)
        _ = try prepare(Topic.dead, wanted: nil, absent: 1)
        return commands
    }

    /// - Parameters:
    ///   - wanted: fewer are an error, more are used; nil takes any number.
    ///   - absent: how many a new topic gets when none is wanted.
    private func prepare(_ name: String, wanted: Int32?, absent: Int32) throws(OperateError) -> Int32 {
        if let found = try count(name) { return try checked(name, found, wanted) }
        let replication = try replicas()
        let settings = Topic.settings(replication: replication).map { ($0.name, $0.value) }
        let made = try withKafka { () throws(KafkaError) in
            try KafkaAdmin.createTopic(
                kafka, name: name, partitions: wanted ?? absent, replication: Int16(clamping: replication), settings: settings,
                timeoutMilliseconds: Self.timeoutMilliseconds)
        }
        if made { say("topic \(name): created, \(wanted ?? absent) partitions, \(replication) copies") }
        // Another migration may have made it in the meantime, with another number.
        guard let found = try count(name) else { throw .refused("topic \(name) was created and is not there: look at the brokers' logs") }
        return try checked(name, found, wanted)
    }

    private func checked(_ name: String, _ found: Int32, _ wanted: Int32?) throws(OperateError) -> Int32 {
        guard found < wanted ?? 0 else { return found }
        throw .refused(
            "topic \(name) has \(found) partitions where \(wanted ?? 0) are wanted: ask for \(found), or add partitions to the topic first")
    }

    private func count(_ name: String) throws(OperateError) -> Int32? {
        try withKafka { () throws(KafkaError) in
            try KafkaAdmin.topic(kafka, name: name, timeoutMilliseconds: Self.timeoutMilliseconds)
        }.map { Int32($0.partitions.count) }
    }

    private func replicas() throws(OperateError) -> Int {
        if let replication { return Int(replication) }
        let brokers = try withKafka { () throws(KafkaError) in
            try KafkaAdmin.brokerCount(kafka, timeoutMilliseconds: Self.timeoutMilliseconds)
        }
        return max(1, min(Self.replicationWanted, brokers))
    }
}
