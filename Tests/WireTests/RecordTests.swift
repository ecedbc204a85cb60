import Ledger
import Testing
import Wire

private let pay = Command.pay(
    Pay(
        debit: AccountID("alice")!, credit: AccountID("bob")!, amount: 15_075, currency: Currency("USD")!, reference: "order-1",
        metadata: #"{"shop":"7"}"#, expiresAt: time("2026-11-27T00:00:00Z")))
private let payText =
    #"{"type":"pay","debit":"alice","credit":"bob","amount":15075,"currency":"USD","reference":"order-1","metadata":{"shop":"7"},"expires_at":"2026-11-27T00:00:00.000000Z"}"#
private let open = Command.openAccount(
    OpenAccount(account: AccountID("alice")!, currency: Currency("CZK")!, kind: .normal, overdraftLimit: 0))
private let openText = #"{"type":"open_account","account":"alice","currency":"CZK","kind":"normal","overdraft_limit":0}"#
private let traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

private func record(_ command: Command) -> CommandRecord {
    CommandRecord(
        envelope: Envelope(
            id: OperationID(high: 1, low: 0xffff_ffff_ffff_fffe), tenant: TenantID(42), fingerprint: Fingerprint(high: 3, low: 4),
            acceptedAt: Timestamp(microseconds: 1_795_737_600_000_001), command: command, traceparent: traceparent),
        replyTo: "w:gateway-1:3")
}

private typealias Header = (name: String, value: String)

private func headers(of record: CommandRecord) -> [Header] {
    var result: [Header] = []
    var scratch: [UInt8] = []
    record.forEachHeader(scratch: &scratch) { name, value in
        result.append(("\(name)", String(decoding: (0..<value.count).map { value[$0] }, as: UTF8.self)))
    }
    return result
}

private func parsed(_ list: [Header]) -> RecordHeaders {
    var headers = RecordHeaders()
    for header in list { withBytes(header.name) { name in withBytes(header.value) { headers.add(name: name, value: $0) } } }
    return headers
}

@Suite struct RecordTests {
    let reader = RequestReader()

    private func read(_ text: String, _ list: [Header] = headers(of: record(pay))) -> Result<CommandRecord, RecordProblem> {
        withBytes(text) { reader.record(value: $0, headers: parsed(list)) }
    }

    @Test func `a command's canonical JSON is as the contract has it`() {
        #expect(written { $0.append(canonical: pay) } == payText)
        #expect(written { $0.append(canonical: open) } == openText)
    }

    @Test func `a record's headers are as the contract has them`() {
        let expected: [Header] = [
            ("v", "1"), ("tenant", "42"), ("id", "0000000000000001fffffffffffffffe"), ("fingerprint", "00000000000000030000000000000004"),
            ("accepted-at", "1795737600000001"), ("reply-to", "w:gateway-1:3"), ("traceparent", traceparent),
        ]
        #expect(headers(of: record(pay)).map { "\($0.name)=\($0.value)" } == expected.map { "\($0.name)=\($0.value)" })
        var envelope = record(pay).envelope
        envelope.traceparent = nil
        let bare = CommandRecord(envelope: envelope)
        #expect(headers(of: bare).map(\.name) == ["v", "tenant", "id", "fingerprint", "accepted-at"])
    }

    @Test(arguments: [1, 2, 3] as [UInt64])
    func `what is written is read back`(seed: UInt64) {
        var values = RandomValues(seed: seed)
        for _ in 0..<400 {
            let envelope = Envelope(
                id: OperationID(high: values.generator.next(), low: values.generator.next()),
                tenant: TenantID(Int64.random(in: 1...999_999_999, using: &values.generator)),
                fingerprint: Fingerprint(high: values.generator.next(), low: values.generator.next()), acceptedAt: values.time(),
                command: values.command(), traceparent: values.chance(2) ? traceparent : nil)
            let record = CommandRecord(envelope: envelope, replyTo: values.chance(2) ? "w:g:1" : nil)
            #expect(read(written { record.appendValue(to: &$0) }, headers(of: record)).value == record, "seed \(seed)")
        }
    }

    @Test func `metadata from a request is read back from the record`() {
        var values = RandomValues(seed: 5)
        for _ in 0..<200 {
            let members = values.metadata()
            let fields = members.shuffled(using: &values.generator).map { "\"\($0.key)\":" + Self.escaped($0.value) }
            let body = #"{"debit":"a","credit":"b","amount":1,"currency":"USD","metadata":{\#(fields.joined(separator: ","))}}"#
            guard let pay = reader.payment(text: body).value else {
                #expect(reader.payment(text: body).problem?.errors.map(\.code) == [.tooLong], "\(body)")
                continue
            }
            #expect(read(written { $0.append(canonical: .pay(pay)) }).value?.envelope.command == .pay(pay))
        }
    }

    /// Every character as `\uXXXX`, which is valid and not canonical.
    private static func escaped(_ text: String) -> String {
        "\""
            + text.utf16.map { unit in "\\u" + String(repeating: "0", count: 4 - String(unit, radix: 16).count) + String(unit, radix: 16) }
            .joined() + "\""
    }

    @Test(arguments: [payText, openText])
    func `a record cut at any byte is refused`(text: String) {
        let bytes = Array(text.utf8)
        for count in 0..<bytes.count {
            #expect(reader.command(canonical: bytes.span.extracting(0..<count)).problem == .malformedJSON, "cut at \(count)")
        }
    }

    @Test(arguments: [
        payText + " ", " " + payText, payText.replacing("\"amount\":15075", with: "\"amount\": 15075"),
        payText.replacing("alice", with: "\\u0061lice"),
        payText.replacing(".000000Z", with: "Z"), payText.replacing("Z\"", with: "+00:00\""),
        payText.replacing("{\"shop\":\"7\"}", with: "{}"),
        payText.replacing("{\"shop\":\"7\"}", with: "{\"shop\":\"7\",\"a\":\"b\"}"), payText.replacing("order-1", with: "order\\/1"),
        #"{"type":"pay","credit":"bob","debit":"alice","amount":15075,"currency":"USD"}"#,
        #"{"debit":"alice","credit":"bob","amount":15075,"currency":"USD","type":"pay"}"#,
        #"{"type":"pay","debit":"alice","credit":"bob","amount":15075,"currency":"USD","kind":"normal"}"#,
        #"{"type":"open_account","account":"alice","currency":"CZK","kind":"normal","overdraft_limit":0,"amount":1}"#,
    ])
    func `a second spelling of a command is refused`(text: String) {
        #expect(withBytes(text) { reader.command(canonical: $0) }.problem == .notCanonical)
    }

    @Test(arguments: [
        ("{}", "required /type"), ("[]", "wrong_type "), (#"{"type":1}"#, "wrong_type /type"),
        (#"{"type":"reverse"}"#, "invalid_value /type"), (#"{"type":"refund"}"#, "required /payment"),
        (payText.replacing("15075", with: "0"), "out_of_range /amount"),
        (payText.replacing("15075", with: "1.5"), "not_an_integer /amount"),
        (payText.replacing("bob", with: "alice"), "same_account /credit"),
        (payText.replacing("USD", with: "USX"), "invalid_value /currency"),
        (payText.replacing("\"amount\"", with: "\"sum\""), "unknown_member /sum"), (payText + ",", "malformed"), ("", "malformed"),
        (payText.replacing("\"amount\":15075", with: "\"amount\":15075,\"amount\":15075"), "duplicate_member /amount"),
        (openText.replacing(",\"kind\":\"normal\"", with: ""), "required /kind"),
        (openText.replacing(",\"overdraft_limit\":0", with: ""), "required /overdraft_limit"),
        (openText.replacing("\"account\"", with: "\"id\""), "unknown_member /id"),
    ])
    func `a value that is no command says why`(text: String, expected: String) {
        switch withBytes(text, { reader.command(canonical: $0) }) {
        case .failure(.invalidCommand(let problem)): #expect("\(problem.code.text) \(problem.pointer)" == expected)
        case .failure(.malformedJSON): #expect(expected == "malformed")
        case let other: Issue.record("\(other)")
        }
    }

    @Test func `an unknown version is told before anything else`() {
        #expect(read("?", [("v", "2"), ("tenant", "x")]).problem == .unknownVersion("2"))
        #expect(read(payText, headers(of: record(pay)).map { $0.name == "v" ? ("v", "10") : $0 }).problem == .unknownVersion("10"))
    }

    @Test func `a header that is missing is told`() {
        let all = headers(of: record(pay))
        for name in [RecordProblem.HeaderName.version, .tenant, .id, .fingerprint, .acceptedAt] {
            #expect(read(payText, all.filter { $0.name != name.rawValue }).problem == .missingHeader(name))
        }
    }

    @Test func `a header that appears twice is told`() {
        let all = headers(of: record(pay))
        for (index, name) in RecordProblem.HeaderName.allCases.enumerated() {
            #expect(read(payText, all + [all[index]]).problem == .duplicateHeader(name))
        }
    }

    @Test(arguments: [
        ("v", ""), ("v", "01"), ("v", "one"), ("v", "-1"), ("tenant", ""), ("tenant", "0"), ("tenant", "-1"), ("tenant", "01"),
        ("tenant", "1 "),
        ("tenant", "1234567890123456789"), ("id", ""), ("id", "0000000000000001FFFFFFFFFFFFFFFE"),
        ("id", "0000000000000001fffffffffffffff"),
        ("id", "0000000000000001fffffffffffffffe0"), ("fingerprint", "x"), ("accepted-at", "-1"), ("accepted-at", "1.5"),
        ("accepted-at", "253402300800000000"), ("reply-to", ""), ("reply-to", "a b"), ("reply-to", "a\n"),
        ("reply-to", String(repeating: "w", count: 81)),
        ("traceparent", ""), ("traceparent", "00-0-0-01"),
    ])
    func `a header that is not valid is told`(name: String, value: String) {
        let list = headers(of: record(pay)).map { $0.name == name ? (name, value) : $0 }
        #expect(read(payText, list).problem == .invalidHeader(RecordProblem.HeaderName(rawValue: name)!))
    }

    @Test func `a trace that is not valid is never written`() {
        var envelope = record(pay).envelope
        envelope.traceparent = "00-0-0-01"
        let written = CommandRecord(envelope: envelope, replyTo: String(repeating: "w", count: 80))
        #expect(written.envelope.traceparent == nil)
        #expect(read(payText, headers(of: written)).value == written)
    }

    @Test func `a channel that no reader would take is never written`() async {
        await #expect(processExitsWith: .failure) {
            _ = CommandRecord(envelope: record(pay).envelope, replyTo: String(repeating: "w", count: 81))
        }
    }

    @Test func `headers of other names are passed over`() {
        #expect(read(payText, [("trace-id", "x"), ("V", "2")] + headers(of: record(pay))).value == record(pay))
    }

    @Test func `a record that is not readable still tells whose payment it is`() {
        let list = headers(of: record(pay))
        #expect(read("{", list).problem == .malformedJSON)
        #expect(parsed(list).operation?.id == record(pay).envelope.id)
        #expect(parsed(list).operation?.tenant == TenantID(42))
        #expect(parsed(list.filter { $0.name != "id" }).operation == nil)
    }

    @Test func `headers are reused after they were emptied`() {
        var headers = parsed([("v", "2"), ("tenant", "x")])
        headers.removeAll()
        #expect(headers.problem == .missingHeader(.version))
    }
}
