public import Kafka
internal import Ledger
internal import Loop
public import Postgres
internal import Store
internal import Wire

/// Puts dead letters into the log again, once what made them unreadable or unacceptable is mended.
///
/// A letter keeps its operation's id and fingerprint, so it is decided at most once however often it is replayed, and not at all if
/// another record of the same command was. It is decided as of now: behind everything that was accepted since.
public struct DeadLetterReplay {
    public enum Result: Equatable, Sendable {
        /// It stands in the log again.
        case replayed
        /// Its command has an outcome already: nothing was done.
        case alreadyDecided
    }

    let box: DeadLetterBox
    let connection: PostgresConnection
    let kafka: KafkaConfiguration

    /// - Parameter connection: to the primary.
    public init(_ connection: PostgresConnection, kafka: KafkaConfiguration) {
        box = DeadLetterBox(connection)
        self.connection = connection
        self.kafka = kafka
    }

    /// Refuses what this build cannot read either: it would only become a dead letter again.
    public func replay(_ place: DeadLetterBox.Place) throws(OperateError) -> Result {
        let letter = try box.find(place)
        if letter.isDecided { return .alreadyDecided }
        let record = try readable(letter)
        let partition = try partition(of: record.envelope.tenant)
        try produce(record, to: partition)
        try box.noteReplayed(letter)
        return .replayed
    }

    /// The letter's command. Nobody waits for its outcome any longer.
    private func readable(_ letter: DeadLetterBox.Letter) throws(OperateError) -> CommandRecord {
        guard !letter.value.isEmpty else {
            throw .refused("its value was not stored: read it from the log at that offset")
        }
        var headers = RecordHeaders()
        for (name, value) in letter.headers where name != "reply-to" {
            let (name, value): ([UInt8], [UInt8]) = (Array(name.utf8), Array(value.utf8))
            headers.add(name: name.span, value: value.span)
        }
        switch RequestReader().record(value: letter.value.span, headers: headers) {
        case .success(let record): return record
        case .failure(let problem): throw .refused("this build cannot read it either: \(problem)")
        }
    }

    private func partition(of tenant: TenantID) throws(OperateError) -> Int32 {
        guard let found = try Tenants(connection).all().first(where: { $0.number == tenant.rawValue }) else {
            throw .refused("its tenant, number \(tenant.rawValue), does not exist")
        }
        return found.partition
    }

    private func produce(_ record: CommandRecord, to partition: Int32) throws(OperateError) {
        let loop = EventLoop()
        var outcome: DeliveryReport?
        let kafka = kafka
        let producer = try withKafka { () throws(KafkaError) in
            try Producer(loop: loop, configuration: ProducerConfiguration(base: kafka)) { _, report in
                outcome = report
                loop.stop()
            }
        }
        var value: [UInt8] = []
        record.appendValue(to: &value)
        var headers = HeaderList()
        var scratch: [UInt8] = []
        record.forEachHeader(scratch: &scratch) { headers.append($0, $1) }
        let key: [UInt8] = Array("\(record.envelope.tenant.rawValue)".utf8)
        let result = producer.produce(
            topic: Topic.commands, partition: partition, key: key.span, value: value.span, headers: headers, timestampMilliseconds: 0,
            token: 1)
        if result == .queued { loop.run() }
        producer.close { loop.stop() }
        loop.run()
        switch (result, outcome) {
        case (.queued, .delivered?): return
        case (.queued, .possiblyPersisted?):
            throw .refused("whether the log has taken it is not known: replaying it again does no harm")
        default: throw .refused("the log did not take it: are the brokers there?")
        }
    }
}
