internal import Bytes
internal import HTTP1
internal import Ledger
internal import Server
internal import Telemetry
internal import Wire

/// One command in flight on this loop, with those who wait for it.
final class PendingCommand {
    /// Where an answer goes.
    enum Destination {
        case request(RequestTicket)
        /// One place of a batch.
        case item(BatchRequest, Int)
    }

    /// A client that waits.
    struct Waiter {
        let destination: Destination
        /// The seconds it would wait for the outcome; nil for one that waits for the acknowledgement only.
        let waitSeconds: Int?
        /// When its time is up, monotonic milliseconds.
        var deadline: UInt64
        /// Whether it came while the command was under way for another.
        let hasJoined: Bool
        let arrivedNanoseconds: UInt64
    }

    let id: OperationID
    let tenant: TenantID
    let partition: Int32
    let fingerprint: Fingerprint
    let acceptedAt: Timestamp
    let command: Command
    /// The command's canonical JSON: the record's value.
    let canonical: [UInt8]
    let trace: RequestTrace
    /// The body of a 202.
    private(set) var acceptedBody: [UInt8] = []
    var flow: CommandFlow
    var waiters: [Waiter] = []
    var outcome: CommandOutcome?
    /// When it was handed to the log's client, monotonic.
    var producedMilliseconds: UInt64 = 0
    /// Whether its record asked the worker for word.
    var asksForWord = false
    /// When it is to be looked up in case no word of it comes, monotonic milliseconds; 0 for never.
    var lookMilliseconds: UInt64 = 0
    /// How often it was put off.
    var looks = 0

    init(
        id: OperationID, caller: CredentialTable.Caller, fingerprint: Fingerprint, acceptedAt: Timestamp, command: Command,
        canonical: [UInt8], trace: RequestTrace, mayProduce: Bool
    ) {
        self.id = id
        tenant = caller.tenant
        partition = caller.partition
        self.fingerprint = fingerprint
        self.acceptedAt = acceptedAt
        self.command = command
        self.canonical = canonical
        self.trace = trace
        flow = CommandFlow(mayProduce: mayProduce)
        switch command {
        case .pay(let pay):
            acceptedBody.append(
                Payment(
                    id: id, tenant: tenant, request: pay, acceptedAt: acceptedAt, status: .processing, traceparent: trace.traceparent))
        case .openAccount(let open): Self.append(opening: open, to: &acceptedBody)
        case .changePayment(let change): acceptedBody.append(processing: change, id: id)
        case .changeAccount:
            // What was asked for.
            acceptedBody.append(contentsOf: canonical.dropLast())
            acceptedBody.append(",\"status\":\"processing\"}")
        }
    }

    var envelope: Envelope {
        Envelope(
            id: id, tenant: tenant, fingerprint: fingerprint, acceptedAt: acceptedAt, command: command, traceparent: trace.traceparent)
    }

    /// For a line of the log that speaks of it: its id, and what its first request is known by elsewhere.
    func logFields(_ error: String) -> [Log.Field] { [.text("id", id.description), .text("error", error)] + trace.fields }

    var isPayment: Bool { if case .pay = command { true } else { false } }

    var location: Answer.Location {
        switch command {
        case .pay: .payment(id)
        case .openAccount(let open): .account(open.account)
        case .changePayment(let change): .payment(change.payment)
        case .changeAccount(let change): .account(change.account)
        }
    }

    /// The payment that it is or changes.
    var paymentID: OperationID? {
        switch command {
        case .pay: id
        case .changePayment(let change): change.payment
        case .openAccount, .changeAccount: nil
        }
    }

    /// Whether somebody waits for the outcome whose time is not up.
    func hasPatientWaiters(now: UInt64) -> Bool { waiters.contains { $0.waitSeconds != nil && $0.deadline > now } }

    /// The marker of this request: the fingerprint, and the body that a reader is shown meanwhile; none for an account.
    func appendMarker(to value: inout [UInt8]) {
        value.append(fingerprint)
        value.append(UInt8(ascii: "\n"))
        if isPayment { value.append(contentsOf: acceptedBody) }
    }

    /// A repeat is answered as the first time: with the body of its marker.
    func takeAcceptedBody(_ body: Span<UInt8>) {
        guard isPayment, body.count > 0 else { return }
        acceptedBody.removeAll(keepingCapacity: true)
        acceptedBody.append(body)
    }

    /// Whether an account's body shows the account that this command opens.
    func shows(account body: Span<UInt8>) -> Bool {
        guard case .openAccount(let open) = command else { return false }
        var prefix: [UInt8] = []
        prefix.append("{\"id\":\"")
        prefix.append(text: open.account.text)
        prefix.append("\",\"currency\":\"")
        prefix.append(text: open.currency.description)
        prefix.append("\",\"kind\":\"")
        prefix.append(text: open.kind.name)
        prefix.append("\",\"overdraft_limit\":")
        prefix.append(decimal: open.overdraftLimit)
        prefix.append(UInt8(ascii: ","))
        return body.count > prefix.count && body.extracting(0..<prefix.count).equals(prefix.span)
    }

    /// An account that is to be opened, as a 202 shows it: what was asked for, and no balance.
    private static func append(opening open: OpenAccount, to body: inout [UInt8]) {
        body.append("{\"id\":\"")
        body.append(text: open.account.text)
        body.append("\",\"currency\":\"")
        body.append(text: open.currency.description)
        body.append("\",\"kind\":\"")
        body.append(text: open.kind.name)
        body.append("\",\"overdraft_limit\":")
        body.append(decimal: open.overdraftLimit)
        body.append(",\"status\":\"opening\"}")
    }
}

/// What a marker says: the fingerprint of the request that set it, and the body of a payment in processing.
///
/// Lives as long as the bytes it was read from.
struct Marker: ~Escapable {
    let fingerprint: Fingerprint
    /// Empty when the marked command is no payment.
    let body: Span<UInt8>

    /// Nil when the bytes are no marker of ours: as good as none.
    @_lifetime(copy bytes)
    init?(_ bytes: Span<UInt8>) {
        guard bytes.count >= 33, bytes[32] == UInt8(ascii: "\n"), let fingerprint = Fingerprint(hex: bytes.extracting(0..<32)) else {
            return nil
        }
        self.fingerprint = fingerprint
        body = bytes.extracting(33...)
    }
}
