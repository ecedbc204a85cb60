import Bytes
import HTTP1
import Ledger
import Store
import Testing
import Wire

@testable import Gateway

@Suite struct CommandAnswerTests {
    /// The whole answer as it goes over the wire, without a date.
    private static func rendered(
        _ verdict: CommandFlow.Verdict, wait: Int? = nil, joined: Bool = false, _ pending: PendingCommand
    ) -> String {
        let answer = CommandAnswer(verdict, waitSeconds: wait, hasJoined: joined, of: pending)
        var output: [UInt8] = []
        let rendering = ConnectionMachine.Rendering(omitsBody: false, persistence: .implied)
        let noDate: [UInt8] = []
        answer.answer.write(body: answer.body.span, rendering, to: &output, date: noDate.span)
        return text(output)
    }

    @Test("an accepted payment is 202 with its place and its body in processing")
    func accepted() {
        let pending = Sample.pending()
        let body =
            "{\"id\":\"\(pending.id)\",\"status\":\"processing\",\"debit\":\"alice\",\"credit\":\"bob\",\"amount\":15075,\"currency\":\"CZK\","
            + "\"reference\":\"order 1\",\"metadata\":{\"decline_reason\":\"account_closed\"},\"accepted_at\":\"1970-01-01T00:00:01.000000Z\",\"revision\":0}"
        #expect(
            Self.rendered(.accepted, pending)
                == "HTTP/1.1 202 Accepted\r\nContent-Type: application/json\r\nLocation: /v1/payments/\(pending.id)\r\n"
                + "Content-Length: \(body.utf8.count)\r\n\r\n\(body)")
    }

    @Test("a wait that ran out is 202 and says that it was honoured")
    func expired() {
        let answer = Self.rendered(.accepted, wait: 3, Sample.pending())
        #expect(answer.hasPrefix("HTTP/1.1 202 ") && answer.contains("Preference-Applied: wait=3\r\n"))
    }

    @Test("a settled payment is 201 for who waited, and 202 for who did not")
    func settled() {
        let pending = Sample.pending()
        pending.outcome = CommandOutcome(Sample.payment(pending))
        let waited = Self.rendered(.outcome, wait: 2, pending)
        #expect(
            waited.hasPrefix("HTTP/1.1 201 ") && waited.contains("Preference-Applied: wait=2\r\n") && waited.contains("\"debit_result\""))
        #expect(!waited.contains("Replayed"))
        let joined = Self.rendered(.outcome, joined: true, pending)
        #expect(joined.hasPrefix("HTTP/1.1 202 ") && joined.contains("Idempotency-Replayed: true\r\n") && joined.contains("\"settled\""))
        #expect(!joined.contains("Preference-Applied"))
    }

    @Test("a declined payment is 402 with the reason as code and the payment inside", arguments: DeclineReason.allCases)
    func declined(_ reason: DeclineReason) {
        guard reason.rawValue < 8 else { return }
        let pending = Sample.pending()
        pending.outcome = CommandOutcome(Sample.payment(pending, declined: reason))
        let answer = Self.rendered(.outcome, wait: 2, pending)
        #expect(answer.hasPrefix("HTTP/1.1 402 Payment Required\r\nContent-Type: application/problem+json\r\n"))
        #expect(
            answer.contains("\"code\":\"\(reason.code)\"")
                && answer.contains("\"payment\":{\"id\":\"\(pending.id)\",\"status\":\"declined\""))
        #expect(Self.rendered(.outcome, pending).hasPrefix("HTTP/1.1 202 "), "who did not wait is answered as the first time")
    }

    @Test("an opened account is 201, one that exists 409, one that is to be opened 202")
    func accounts() {
        let pending = Sample.pending(.openAccount(Sample.open))
        #expect(
            Self.rendered(.accepted, pending).hasSuffix(
                "\r\n\r\n{\"id\":\"alice\",\"currency\":\"CZK\",\"kind\":\"normal\",\"overdraft_limit\":5,\"status\":\"opening\"}"))
        pending.outcome = .opened(Array("{\"id\":\"alice\"}".utf8))
        let opened = Self.rendered(.outcome, wait: 1, pending)
        #expect(opened.hasPrefix("HTTP/1.1 201 Created\r\n") && opened.contains("Location: /v1/accounts/alice\r\n"))
        pending.outcome = .accountDeclined(.accountExists)
        let exists = Self.rendered(.outcome, wait: 1, pending)
        #expect(exists.hasPrefix("HTTP/1.1 409 Conflict\r\n") && exists.contains("\"code\":\"account_exists\""))
    }

    @Test("what an operator has to decide is 202")
    func quarantined() {
        let pending = Sample.pending()
        pending.outcome = .quarantined
        #expect(Self.rendered(.outcome, wait: 1, pending).hasPrefix("HTTP/1.1 202 "))
    }

    @Test("refusals say what to do next")
    func refusals() {
        let pending = Sample.pending()
        let notAccepted = Self.rendered(.notAccepted, wait: 1, joined: true, pending)
        #expect(
            notAccepted.hasPrefix("HTTP/1.1 503 ") && notAccepted.contains("Retry-After: 1\r\n") && notAccepted.contains("\"not_accepted\"")
        )
        #expect(!notAccepted.contains("Replayed") && !notAccepted.contains("Preference-Applied"))
        let unknown = Self.rendered(.outcomeUnknown, pending)
        #expect(unknown.hasPrefix("HTTP/1.1 504 ") && unknown.contains("\"payment_id\":\"\(pending.id)\""))
        let reused = Self.rendered(.keyReused, pending)
        #expect(
            reused.hasPrefix("HTTP/1.1 422 ") && reused.contains("\"idempotency_key_reused\"") && !reused.contains(pending.id.description))
    }

    // MARK: Words

    private static func outcome(_ kind: ReplyMessage.Kind, _ body: [UInt8], _ pending: PendingCommand) -> CommandOutcome? {
        var message: [UInt8] = []
        ReplyMessage.append(id: pending.id, kind: kind, body: body.span, to: &message)
        guard let read = ReplyMessage(message.span) else { return nil }
        return CommandOutcome(read, for: pending)
    }

    private static func body(_ payment: Payment) -> [UInt8] {
        var body: [UInt8] = []
        body.append(payment)
        return body
    }

    @Test("a worker's word about this request is its outcome")
    func words() {
        let pending = Sample.pending()
        let settled = Self.body(Sample.payment(pending))
        #expect(Self.outcome(.settled, settled, pending) == .settled(settled))
        // The reason comes from what the ledger wrote, not from what the client put into its metadata.
        let declined = Self.body(Sample.payment(pending, declined: .insufficientFunds))
        #expect(Self.outcome(.declined(.insufficientFunds), declined, pending) == .declined(.insufficientFunds, payment: declined))
        #expect(Self.outcome(.quarantined, [], pending) == .quarantined)
    }

    @Test("a word about another request under the same key is not taken for this one's outcome")
    func otherWords() {
        let pending = Sample.pending()
        let other = Pay(debit: Sample.pay.debit, credit: Sample.pay.credit, amount: 1, currency: Sample.pay.currency)
        #expect(Self.outcome(.settled, Self.body(Sample.payment(pending, other)), pending) == nil)
        #expect(Self.outcome(.settled, pending.acceptedBody, pending) == nil, "one in processing is no outcome")
        #expect(Self.outcome(.settled, [], pending) == nil)
        #expect(Self.outcome(.account, Array("{\"id\":\"alice\"}".utf8), pending) == nil)
        #expect(Self.outcome(.accountDeclined(.accountExists), [], pending) == nil)
        #expect(Self.outcome(.keyReused, [], pending) == nil)
    }

    @Test("an account's word is taken when it shows the account that was asked for")
    func accountWords() {
        let pending = Sample.pending(.openAccount(Sample.open))
        func body(_ account: Account) -> [UInt8] {
            var body: [UInt8] = []
            body.append(account)
            return body
        }
        #expect(Self.outcome(.account, body(Sample.account()), pending) == .opened(body(Sample.account())))
        #expect(Self.outcome(.account, body(Sample.account("alicia")), pending) == nil)
        #expect(Self.outcome(.account, body(Sample.account(currency: "USD")), pending) == nil)
        let asked = Sample.open
        let open = OpenAccount(account: asked.account, currency: asked.currency, kind: asked.kind, overdraftLimit: 50)
        #expect(Self.outcome(.account, body(Sample.account()), Sample.pending(.openAccount(open))) == nil)
        #expect(Self.outcome(.accountDeclined(.accountExists), [], pending) == .accountDeclined(.accountExists))
    }

    @Test("a change's word is taken when it carries the fingerprint of the request, and is answered as its own resource")
    func changeWords() {
        let id = OperationID(high: 5, low: 6)
        let capture = Sample.pending(.changePayment(ChangePayment(payment: id, change: .capture(amount: 5, isFinal: false))))
        func word(_ fingerprint: Fingerprint, _ text: String = "") -> [UInt8] {
            var body: [UInt8] = []
            body.append(fingerprint)
            body.append(UInt8(ascii: "\n"))
            body.append(text: text)
            return body
        }
        let other = Fingerprint(high: 1, low: 2)
        #expect(Self.outcome(.changed, word(capture.fingerprint, "{}"), capture) == .changed(Array("{}".utf8)))
        #expect(Self.outcome(.changed, word(other, "{}"), capture) == nil)
        #expect(Self.outcome(.changed, [], capture) == nil)
        #expect(
            Self.outcome(.changeDeclined(.captureExceedsHold), word(capture.fingerprint), capture) == .changeDeclined(.captureExceedsHold))
        #expect(Self.outcome(.changeDeclined(.captureExceedsHold), word(other), capture) == nil)

        let accepted = Self.rendered(.accepted, capture)
        #expect(accepted.hasPrefix("HTTP/1.1 202 ") && accepted.contains("Location: /v1/payments/\(id)\r\n"))
        #expect(accepted.hasSuffix("\"type\":\"capture\",\"status\":\"processing\",\"payment\":\"\(id)\",\"amount\":5}"))
        capture.outcome = .changed(Array("{\"x\":1}".utf8))
        #expect(Self.rendered(.outcome, wait: 1, capture).hasPrefix("HTTP/1.1 201 "))
        #expect(Self.rendered(.outcome, capture).hasPrefix("HTTP/1.1 202 "), "who did not wait is answered as the first time")
        capture.outcome = .changeDeclined(.captureExceedsHold)
        let declined = Self.rendered(.outcome, wait: 1, capture)
        #expect(declined.hasPrefix("HTTP/1.1 409 ") && declined.contains("\"payment_id\":\"\(id)\""))
        let freeze = Sample.pending(.changeAccount(ChangeAccount(account: Sample.open.account, change: .freeze(.sides))))
        #expect(
            Self.rendered(.accepted, freeze).hasSuffix(
                "{\"type\":\"freeze\",\"account\":\"alice\",\"side\":\"both\",\"status\":\"processing\"}"))
        freeze.outcome = .changeDeclined(.accountNotFound)
        #expect(Self.rendered(.outcome, wait: 1, freeze).hasPrefix("HTTP/1.1 404 "))
    }

    @Test("a payment's word is taken whatever has become of the payment since")
    func laterWords() {
        let request = Pay(
            debit: Sample.pay.debit, credit: Sample.pay.credit, amount: 5, currency: Sample.pay.currency, capture: .manual)
        let pending = Sample.pending(.pay(request))
        for status in [PaymentStatus.authorized, .settled, .voided, .expired] {
            let payment = Payment(
                id: pending.id, tenant: Sample.caller.tenant, request: request, acceptedAt: pending.acceptedAt, status: status,
                decidedAt: Timestamp(microseconds: 2_000_000), revision: 2, holdUntil: Timestamp(microseconds: 3_000_000))
            #expect(Self.outcome(.settled, Self.body(payment), pending) == .settled(Self.body(payment)))
        }
    }

    // MARK: Markers

    @Test("a marker names the request and shows a payment in processing, and nothing of an account")
    func markers() {
        let pending = Sample.pending()
        var value: [UInt8] = []
        pending.appendMarker(to: &value)
        if let marker = Marker(value.span) {
            let (fingerprint, body) = (marker.fingerprint, marker.body.text)
            #expect(fingerprint == pending.fingerprint && body == text(pending.acceptedBody))
        } else {
            Issue.record("a marker of ours is not read")
        }
        let opening = Sample.pending(.openAccount(Sample.open))
        value = []
        opening.appendMarker(to: &value)
        #expect(value.count == 33)
        for wrong in ["", "x", String(repeating: "0", count: 32), String(repeating: "G", count: 32) + "\n"] {
            #expect(withBytes(wrong) { bytes in if Marker(bytes) != nil { false } else { true } })
        }
    }

    @Test("a repeat shows the body that the first request was shown")
    func repeated() {
        let first = Sample.pending()
        let second = Sample.pending()
        withBytes("{\"first\":true}") { second.takeAcceptedBody($0) }
        #expect(text(second.acceptedBody) == "{\"first\":true}" && first.acceptedBody != second.acceptedBody)
        withBytes("") { second.takeAcceptedBody($0) }
        #expect(text(second.acceptedBody) == "{\"first\":true}")
    }
}
