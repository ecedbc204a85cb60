import Ledger
import Testing
import Wire

/// One refused body: what is answered, with the code and pointer of each error.
struct Refused: CustomTestStringConvertible, Sendable {
    let body: String
    let status: Int
    let code: ProblemCode
    let errors: [String]
    var testDescription: String { body }

    /// Malformed: 400 without errors.
    init(malformed body: String) {
        self.body = body
        status = 400
        code = .malformedJSON
        errors = []
    }

    /// Well-formed and not valid: 422, each error as `CODE POINTER`.
    init(_ body: String, _ errors: String...) {
        self.body = body
        status = 422
        code = .validationFailed
        self.errors = errors
    }

    func check(_ problem: Problem?, sourceLocation: SourceLocation = #_sourceLocation) {
        #expect(problem?.code == code, sourceLocation: sourceLocation)
        #expect(problem?.code.status == status, sourceLocation: sourceLocation)
        #expect(problem?.errors.map { "\($0.code.text) \($0.pointer)" } == errors, sourceLocation: sourceLocation)
    }
}

private func pay(_ members: String) -> String {
    "{\"debit\":\"a\",\"credit\":\"b\",\"currency\":\"USD\"" + (members.isEmpty ? "" : ",") + members + "}"
}
private func paying(_ members: String) -> String { pay("\"amount\":1" + (members.isEmpty ? "" : ",") + members) }

@Suite struct MalformedBodyTests {
    static let malformed: [Refused] = [
        "", " ", "\n\t\r ", "{", "}", "[", "]", "{]", "[}", "[1}", "{\"a\":1]", "{\"a\"", "{\"a\":", "{\"a\":1", "{\"a\":1,", "{\"a\":1,}",
        "{,}",
        "{\"a\" 1}", "{\"a\":1 \"b\":2}", "{\"a\":1,,\"b\":2}", "{a:1}", "{'a':1}", "{1:1}", "{\"a\":}", "{:1}", "{null:1}", "[1,]", "[,1]",
        "[1 2]",
        "nul", "nulll", "NULL", "tru", "truee", "True", "fals", "falsey", "undefined", "NaN", "Infinity", "-Infinity", "-", "+1", "01",
        "-01", "00", "1.",
        ".1", "-.1", "1e", "1e+", "1E-", "1.e1", "0x10", "1a", "1_000", "--1", "1.2.3", "1e1.5", "\"", "\"a", "a\"", "'a'", "\"\\\"",
        "\"\\x\"", "\"\\u\"",
        "\"\\u12\"", "\"\\u123g\"", "\"\\uD800\"", "\"\\uDC00\"", "\"\\uD800x\"", "\"\\uD800\\u0041\"", "\"\\uD800\\uD800\"",
        "\"\\uDFFF\\uD800\"",
        "\"\\uD83D\\uDE\"", "\"a\tb\"", "\"a\nb\"", "\"\u{0}\"", "\u{0}", "{}\u{0}", "{} {}", "{}{}", "{},", "{}]", "{}}", "[]]", "1 2",
        "1,2", "{} x", "\"a\" \"b\"",
        "null null", "// c\n{}", "{/* c */}", "{}\u{A0}", "\u{FEFF}{}", "[[[[[[[[[1]]]]]]]]]",
        "{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{}}}}}}}}}",
        "{\"debit\":\"a\"]}", "]{\"a\":1}[", "{}],[{}", "1],[1", "\u{B}{}", "{\"a\":\"b\\", "{\"a\u{7}\":1}", "{\"\\uD800\":1}",
    ].map { Refused(malformed: $0) }

    @Test(arguments: malformed)
    func `a malformed body is 400`(_ refused: Refused) {
        let reader = RequestReader()
        refused.check(reader.payment(text: refused.body).problem)
        refused.check(reader.account(text: refused.body).problem)
    }

    @Test(
        arguments: [
            [0x80], [0xC0, 0x80], [0xC3], [0xE0, 0x80, 0x80], [0xED, 0xA0, 0x80], [0xF0, 0x80, 0x80, 0x80], [0xF4, 0x90, 0x80, 0x80],
            [0xF8], [0xFF], [0xFE],
        ] as [[UInt8]])
    func `a body that is not UTF-8 is 400`(bytes: [UInt8]) {
        let body = Array(paying("\"reference\":\"").dropLast().utf8) + bytes + Array("\"}".utf8)
        let problem = RequestReader().payment(body.span).problem
        #expect(problem?.code == .malformedJSON)
        #expect(problem?.detail == "the body is not UTF-8")
    }

    @Test func `a body beyond the bound is 413`() {
        let body = [UInt8](repeating: UInt8(ascii: " "), count: Limits.bodyBytesMax + 1)
        #expect(RequestReader().payment(body.span).problem?.code == .contentTooLarge)
    }

    @Test func `a body of the bound is read`() {
        let reader = RequestReader()
        let text = paying("")
        let body = Array(text.utf8) + [UInt8](repeating: UInt8(ascii: " "), count: Limits.bodyBytesMax - text.utf8.count)
        #expect(reader.payment(body.span).problem == nil)
    }

    static let payments: [Refused] = [
        Refused("null", "wrong_type "), Refused("true", "wrong_type "), Refused("1", "wrong_type "), Refused("-1.5e3", "wrong_type "),
        Refused("\"a\"", "wrong_type "), Refused("[]", "wrong_type "), Refused("[{}]", "wrong_type "), Refused("1e400", "wrong_type "),
        Refused("{}", "required /debit", "required /credit", "required /amount", "required /currency"),
        Refused(pay(""), "required /amount"), Refused(pay("\"amount\":0"), "out_of_range /amount"),
        Refused(pay("\"amount\":-1"), "out_of_range /amount"), Refused(pay("\"amount\":-0"), "not_an_integer /amount"),
        Refused(pay("\"amount\":9007199254740992"), "out_of_range /amount"),
        Refused(pay("\"amount\":9223372036854775807"), "out_of_range /amount"),
        Refused(pay("\"amount\":9223372036854775808"), "out_of_range /amount"),
        Refused(pay("\"amount\":-9223372036854775808"), "out_of_range /amount"),
        Refused(pay("\"amount\":-9223372036854775809"), "out_of_range /amount"),
        Refused(pay("\"amount\":18446744073709551617"), "out_of_range /amount"),
        Refused(pay("\"amount\":100000000000000000000000000000000000001"), "out_of_range /amount"),
        Refused(pay("\"amount\":1.0"), "not_an_integer /amount"), Refused(pay("\"amount\":1e3"), "not_an_integer /amount"),
        Refused(pay("\"amount\":1E0"), "not_an_integer /amount"), Refused(pay("\"amount\":150.75"), "not_an_integer /amount"),
        Refused(pay("\"amount\":1e400"), "not_an_integer /amount"), Refused(pay("\"amount\":\"1\""), "wrong_type /amount"),
        Refused(pay("\"amount\":null"), "wrong_type /amount"), Refused(pay("\"amount\":true"), "wrong_type /amount"),
        Refused(pay("\"amount\":[1]"), "wrong_type /amount"), Refused(pay("\"amount\":{}"), "wrong_type /amount"),
        Refused(pay("\"amount\":1,\"amount\":1"), "duplicate_member /amount"),
        Refused(pay("\"amount\":1,\"am\\u006funt\":2"), "duplicate_member /amount"),
        Refused(paying("\"debit\":\"c\""), "duplicate_member /debit"),
        Refused(paying("\"x\":1"), "unknown_member /x"), Refused(paying("\"Amount\":1"), "unknown_member /Amount"),
        Refused(paying("\"\":1"), "unknown_member /"), Refused(paying("\"a/b~c\":1"), "unknown_member /a~1b~0c"),
        Refused(paying("\"type\":\"pay\""), "unknown_member /type"), Refused(paying("\"key\":\"12345678\""), "unknown_member /key"),
        Refused(paying("\"amount \":1"), "unknown_member /amount "), Refused(paying("\"amount\\u0000\":1"), "unknown_member /amount\u{0}"),
        Refused(paying("\"\(String(repeating: "x", count: 65))\":1"), "unknown_member "),
        Refused(paying("\"x\":{\"debit\":[1,{\"y\":2}]},\"z\":[]"), "unknown_member /x", "unknown_member /z"),
        Refused("{\"debit\":\"a\",\"credit\":\"a\",\"amount\":1,\"currency\":\"USD\"}", "same_account /credit"),
        Refused("{\"debit\":\"a\",\"credit\":\"\\u0061\",\"amount\":1,\"currency\":\"USD\"}", "same_account /credit"),
        Refused("{\"debit\":\"\",\"credit\":\"a b\",\"amount\":1,\"currency\":\"USD\"}", "invalid_value /debit", "invalid_value /credit"),
        Refused(
            "{\"debit\":1,\"credit\":null,\"amount\":1,\"currency\":[]}", "wrong_type /debit", "wrong_type /credit", "wrong_type /currency"),
        Refused(
            "{\"debit\":\"\(String(repeating: "a", count: 65))\",\"credit\":\"é\",\"amount\":1,\"currency\":\"usd\"}", "too_long /debit",
            "invalid_value /credit", "invalid_value /currency"),
        Refused("{\"debit\":\"a\",\"credit\":\"b\",\"amount\":1,\"currency\":\"XTS\"}", "invalid_value /currency"),
        Refused("{\"debit\":\"a\",\"credit\":\"b\",\"amount\":1,\"currency\":\"US\"}", "invalid_value /currency"),
        Refused(paying("\"reference\":\"\""), "invalid_value /reference"), Refused(paying("\"reference\":null"), "wrong_type /reference"),
        Refused(paying("\"reference\":1"), "wrong_type /reference"), Refused(paying("\"reference\":\"a\\nb\""), "invalid_value /reference"),
        Refused(paying("\"reference\":\"\u{7F}\""), "invalid_value /reference"),
        Refused(paying("\"reference\":\"\u{85}\""), "invalid_value /reference"),
        Refused(paying("\"reference\":\"\\u0000\""), "invalid_value /reference"),
        Refused(paying("\"reference\":\"\(String(repeating: "r", count: 129))\""), "too_long /reference"),
        Refused(paying("\"reference\":\"\(String(repeating: "é", count: 65))\""), "too_long /reference"),
        Refused(paying("\"expires_at\":1796000000"), "wrong_type /expires_at"),
        Refused(paying("\"expires_at\":\"\""), "invalid_value /expires_at"),
        Refused(paying("\"expires_at\":\"2026-02-29T00:00:00Z\""), "invalid_value /expires_at"),
        Refused(paying("\"expires_at\":\"2026-11-27\""), "invalid_value /expires_at"),
        Refused(paying("\"expires_at\":\"1969-12-31T23:59:59Z\""), "invalid_value /expires_at"),
        Refused(paying("\"metadata\":null"), "wrong_type /metadata"), Refused(paying("\"metadata\":[]"), "wrong_type /metadata"),
        Refused(paying("\"metadata\":\"{}\""), "wrong_type /metadata"), Refused(paying("\"metadata\":{\"a\":1}"), "wrong_type /metadata/a"),
        Refused(paying("\"metadata\":{\"a\":{\"b\":\"c\"}}"), "wrong_type /metadata/a"),
        Refused(paying("\"metadata\":{\"a\":null,\"b\":\"\",\"c\":true}"), "wrong_type /metadata/a", "wrong_type /metadata/c"),
        Refused(paying("\"metadata\":{\"\":\"v\"}"), "invalid_value /metadata/"),
        Refused(paying("\"metadata\":{\"a b\":\"v\"}"), "invalid_value /metadata/a b"),
        Refused(paying("\"metadata\":{\"a/b\":\"v\"}"), "invalid_value /metadata/a~1b"),
        Refused(paying("\"metadata\":{\"é\":\"v\"}"), "invalid_value /metadata/é"),
        Refused(
            paying("\"metadata\":{\"\(String(repeating: "n", count: 41))\":\"v\"}"),
            "invalid_value /metadata/\(String(repeating: "n", count: 41))"),
        Refused(paying("\"metadata\":{\"a\":\"\(String(repeating: "v", count: 257))\"}"), "too_long /metadata/a"),
        Refused(paying("\"metadata\":{\"a\":\"\\u0000\"}"), "invalid_value /metadata/a"),
        Refused(paying("\"metadata\":{\"a\":\"1\",\"b\":\"2\",\"\\u0061\":\"1\"}"), "duplicate_member /metadata/a"),
        Refused(paying("\"metadata\":{\((0..<17).map { "\"m\($0)\":\"\"" }.joined(separator: ","))}"), "too_many_members /metadata"),
        Refused(
            paying("\"metadata\":{\((10..<26).map { "\"m\($0)\":\"\(String(repeating: "v", count: 256))\"" }.joined(separator: ","))}"),
            "too_long /metadata"),
        Refused(paying("\"x\":[\(Array(repeating: "1", count: 64).joined(separator: ","))]"), "too_many_members "),
        Refused(
            "{\((0..<10).map { "\"x\($0)\":1" }.joined(separator: ","))}", "unknown_member /x0", "unknown_member /x1", "unknown_member /x2",
            "unknown_member /x3", "unknown_member /x4", "unknown_member /x5", "unknown_member /x6", "unknown_member /x7"),
    ]

    @Test(arguments: payments)
    func `a payment that is not valid is 422 and says where`(_ refused: Refused) {
        refused.check(RequestReader().payment(text: refused.body).problem)
    }

    static let accounts: [Refused] = [
        Refused("{}", "required /id", "required /currency"), Refused("[]", "wrong_type "),
        Refused("{\"id\":\"a\",\"currency\":\"USD\",\"kind\":\"odd\"}", "invalid_value /kind"),
        Refused("{\"id\":\"a\",\"currency\":\"USD\",\"kind\":0}", "wrong_type /kind"),
        Refused("{\"id\":\"a\",\"currency\":\"USD\",\"kind\":null}", "wrong_type /kind"),
        Refused("{\"id\":\".\",\"currency\":\"USD\"}", "invalid_value /id"),
        Refused("{\"id\":\"..\",\"currency\":\"USD\"}", "invalid_value /id"),
        Refused("{\"id\":\"a\",\"currency\":\"USD\",\"overdraft_limit\":-1}", "out_of_range /overdraft_limit"),
        Refused("{\"id\":\"a\",\"currency\":\"USD\",\"overdraft_limit\":-0}", "not_an_integer /overdraft_limit"),
        Refused("{\"id\":\"a\",\"currency\":\"USD\",\"overdraft_limit\":0.0}", "not_an_integer /overdraft_limit"),
        Refused("{\"id\":\"a\",\"currency\":\"USD\",\"overdraft_limit\":9007199254740992}", "out_of_range /overdraft_limit"),
        Refused("{\"id\":\"a\",\"currency\":\"USD\",\"kind\":\"external\",\"overdraft_limit\":1}", "invalid_value /overdraft_limit"),
        Refused("{\"account\":\"a\",\"currency\":\"USD\"}", "unknown_member /account", "required /id"),
        Refused("{\"id\":\"a\",\"id\":\"a\",\"currency\":\"USD\"}", "duplicate_member /id"),
    ]

    @Test(arguments: accounts)
    func `an account that is not valid is 422 and says where`(_ refused: Refused) {
        refused.check(RequestReader().account(text: refused.body).problem)
    }

    @Test func `the errors beyond the bound are counted`() {
        let body = "{\((0..<10).map { "\"x\($0)\":1" }.joined(separator: ","))}"
        #expect(RequestReader().payment(text: body).problem?.detail == "14 errors, of which the first 8 are listed")
    }

    @Test func `a payment cut at any byte is malformed`() {
        let reader = RequestReader()
        let body: [UInt8] = Array(
            paying("\"reference\":\"é\\u00e9\",\"metadata\":{\"a\":\"b\"},\"expires_at\":\"2026-11-27T00:00:00Z\"").utf8)
        #expect(reader.payment(body.span).problem == nil)
        for count in 0..<body.count {
            #expect(reader.payment(body.span.extracting(0..<count)).problem?.code == .malformedJSON, "cut at \(count)")
        }
    }
}

extension Result {
    var problem: Failure? {
        if case .failure(let problem) = self { return problem }
        return nil
    }

    var value: Success? {
        if case .success(let value) = self { return value }
        return nil
    }
}
