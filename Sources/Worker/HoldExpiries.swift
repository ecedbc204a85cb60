internal import Bytes
internal import Kafka
internal import Ledger
internal import Loop
internal import Store
internal import Telemetry
internal import Wire

/// Puts the end of holds that ran out into the log.
///
/// The log decides: a capture that stands before the expiry is made, one that stands after it finds nothing held. The command's id
/// is derived from the payment's, so that two owners that both put it there, or one that did not hear whether it was taken, do no
/// harm.
final class HoldExpiries {
    private let loop: EventLoop
    private var producer: Producer?
    private let identity = Identity()
    /// What was put into the log and is not decided as far as is known here, with when it is put there again, monotonic milliseconds.
    private var sent: [OperationID: UInt64] = [:]
    private var forgottenMilliseconds: UInt64 = 0
    private var nextToken: UInt64 = 0
    private var value: [UInt8] = []
    private var key: [UInt8] = []
    private var scratch: [UInt8] = []
    private var headers = HeaderList()

    private static let againMilliseconds: UInt64 = 30_000
    /// After a peak of holds tens of thousands are remembered, and all of them are looked at.
    private static let forgettingMilliseconds: UInt64 = 1_000
    /// Produced and not acknowledged; past it no more holds are asked for.
    private static let inFlightMax = 1_000

    /// - Throws: a Kafka setting that cannot be used.
    init(loop: EventLoop, kafka: KafkaConfiguration) throws(KafkaError) {
        self.loop = loop
        producer = try Producer(loop: loop, configuration: ProducerConfiguration(base: kafka)) { _, report in
            if case .delivered = report { return }
            Log.warning("the end of a hold did not reach the log; it is tried again")
        }
    }

    var mayAsk: Bool { (producer?.inFlight ?? Self.inFlightMax) < Self.inFlightMax }

    func end(_ hold: LearnQueries.DueHold, at now: Timestamp) {
        let milliseconds = loop.nowNanoseconds / 1_000_000
        if let again = sent[hold.payment], again > milliseconds { return }
        // What was decided meanwhile is not asked about again: only what is due is kept.
        if sent.count >= 4 * Self.inFlightMax, milliseconds >= forgottenMilliseconds + Self.forgettingMilliseconds {
            forgottenMilliseconds = milliseconds
            sent = sent.filter { $0.value > milliseconds }
        }
        let command = Command.changePayment(ChangePayment(payment: hold.payment, change: .expire))
        value.removeAll(keepingCapacity: true)
        value.append(canonical: command)
        let envelope = Envelope(
            id: identity.expiry(of: hold.payment, tenant: hold.tenant), tenant: hold.tenant,
            fingerprint: identity.fingerprint(method: "POST", path: command.path, canonical: value.span), acceptedAt: now, command: command)
        headers.removeAll()
        CommandRecord(envelope: envelope).forEachHeader(scratch: &scratch) { name, value in headers.append(name, value) }
        key.removeAll(keepingCapacity: true)
        key.append(decimal: hold.tenant.rawValue)
        let result = producer?.produce(
            topic: Topic.commands, partition: hold.partition, key: key.span, value: value.span, headers: headers,
            timestampMilliseconds: now.microseconds / 1_000, token: nextToken)
        nextToken += 1
        if result == .queued { sent[hold.payment] = milliseconds + Self.againMilliseconds }
    }

    func close(completion: @escaping () -> Void) {
        guard let producer else { return completion() }
        producer.close(completion: completion)
    }
}
