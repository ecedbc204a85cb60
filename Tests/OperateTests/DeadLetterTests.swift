import Kafka
import Ledger
import Postgres
import Store
import Testing
import Wire

@testable import Operate
@testable import TestSupport

/// Dead letters, with a real ledger and a real log.
@Suite(.serialized) struct DeadLetterTests {
    private typealias Place = DeadLetterBox.Place

    /// Keeps a command as a worker keeps one that the database refused.
    private func keep(_ envelope: Envelope, at offset: Int64, value: String? = nil, in world: AuditWorld) throws {
        let record = CommandRecord(envelope: envelope, replyTo: "w:gone:0")
        var text: [UInt8] = []
        record.appendValue(to: &text)
        var members: [String] = []
        var scratch: [UInt8] = []
        record.forEachHeader(scratch: &scratch) { name, value in
            members.append("\"\(name)\":\"\(String(decoding: (0..<value.count).map { value[$0] }, as: UTF8.self))\"")
        }
        var parameters = Parameters()
        parameters.append(int64: offset)
        parameters.append(int64: envelope.tenant.rawValue)
        parameters.append(uuid: envelope.id.high, low: envelope.id.low)
        parameters.append(bytea: value.map { Array($0.utf8) } ?? text)
        parameters.append(text: "{\(members.joined(separator: ","))}")
        _ = try world.connection.query(
            """
            INSERT INTO sluice.dead_letter (log_incarnation, log_partition, log_offset, tenant_id, operation_id, reason, record_key, record_value,
                record_headers, seen_at)
            SELECT log_incarnation, 0, $1::bigint, $2::bigint, $3::uuid, 'the ledger refused it', '1', $4::bytea, $5::text::json, now()
            FROM sluice.kafka_offset WHERE partition = 0
            """, parameters)
    }

    private func logEnd(_ world: AuditWorld) throws -> Int64 {
        try KafkaAdmin.watermarks(world.kafka, topic: Topic.commands, partition: AuditWorld.partition).high
    }

    @Test func `a letter is replayed as it was, once decided never again`() throws {
        let world = try AuditWorld(broker: Broker())
        try world.fill()
        let payment = world.pay("alice", "bob", 3)
        try keep(payment, at: 7_000, in: world)
        let box = DeadLetterBox(world.connection)
        let replay = DeadLetterReplay(world.connection, kafka: world.kafka)
        let place = Place(partition: 0, offset: 7_000)

        let letter = try #require(try box.list(tenant: "demo", open: true, limit: 10).first)
        let found = try box.find(place)
        #expect(letter == found)
        #expect(letter.place == place && letter.tenant == "demo" && letter.operation == "\(payment.id)" && !letter.isDecided)
        #expect(letter.replayedAtMicroseconds == nil && letter.headers["id"] == "\(payment.id)")

        let end = try logEnd(world)
        #expect(try replay.replay(place) == .replayed)
        #expect(try logEnd(world) == end + 1)
        var read: Envelope?
        _ = try KafkaAdmin.readAll(world.kafka, topic: Topic.commands, partition: 0, from: end, to: end + 1) { record in
            var headers = RecordHeaders()
            for header in record.headers {
                let name: [UInt8] = Array(header.name.utf8)
                headers.add(name: name.span, value: header.value.span)
            }
            guard case .success(let found) = RequestReader().record(value: record.value, headers: headers) else { return false }
            #expect(found.replyTo == nil)
            read = found.envelope
            return true
        }
        #expect(read == payment)
        #expect(try box.find(place).replayedAtMicroseconds != nil)

        // The worker decides it where it stands now, and from then on a replay does nothing.
        try world.apply([payment], isLogged: false)
        #expect(try box.list(tenant: nil, open: true, limit: 10).isEmpty)
        #expect(try box.list(tenant: nil, open: false, limit: 10).map(\.isDecided) == [true])
        #expect(try replay.replay(place) == .alreadyDecided)
        #expect(try logEnd(world) == end + 1)
    }

    @Test func `what cannot be read now either is refused with its reason, and nothing is produced`() throws {
        let world = try AuditWorld(broker: Broker())
        try world.fill()
        try keep(world.pay("alice", "bob", 3), at: 1, value: #"{"type":"from the future"}"#, in: world)
        try keep(world.pay("alice", "bob", 4), at: 2, value: "", in: world)
        let stranger = Envelope(
            id: OperationID(high: 9, low: 9), tenant: TenantID(77), fingerprint: Fingerprint(high: 1, low: 1),
            acceptedAt: Timestamp(microseconds: 1), command: world.pay("alice", "bob", 5).command)
        try keep(stranger, at: 3, in: world)
        let end = try logEnd(world)
        let replay = DeadLetterReplay(world.connection, kafka: world.kafka)
        for (offset, sentence) in [
            (1, "this build cannot read it either"), (2, "its value was not stored"), (3, "its tenant, number 77, does not exist"),
            (4, "there is no dead letter at 0/4"),
        ] as [(Int64, String)] {
            #expect { try replay.replay(Place(partition: 0, offset: offset)) } throws: { "\($0)".contains(sentence) }
        }
        #expect(try logEnd(world) == end)
    }

    @Test(arguments: ["", "1", "1/", "/1", "a/1", "1/2/3", "-1/2", "1/-2", "1 /2"])
    func `a place is two numbers`(text: String) { #expect(DeadLetterBox.Place(text) == nil) }

    @Test func `a place is read as it is written`() {
        #expect(DeadLetterBox.Place("3/17") == DeadLetterBox.Place(partition: 3, offset: 17))
        #expect("\(DeadLetterBox.Place(partition: 3, offset: 17))" == "3/17")
    }
}
