import Ledger
import Testing
import Wire

@Suite struct SubmissionTests {
    let reader = RequestReader()

    private func read(_ line: String) -> Result<Submission, Problem> { withBytes(line) { reader.submission($0) } }

    @Test(arguments: [
        #"{"key":"order-0001","debit":"a","credit":"b","amount":1,"currency":"USD"}"#,
        #"{"type":"payment","key":"order-0001","debit":"a","credit":"b","amount":1,"currency":"USD"}"#,
    ])
    func `a line is a payment with its key`(line: String) {
        let pay = Pay(debit: AccountID("a")!, credit: AccountID("b")!, amount: 1, currency: Currency("USD")!)
        #expect(read(line).value == Submission(key: "order-0001", command: .pay(pay)))
    }

    @Test func `a line may be an account`() {
        let open = OpenAccount(account: AccountID("a")!, currency: Currency("USD")!, kind: .external, overdraftLimit: 0)
        #expect(
            read(#"{"key":"open-alice","id":"a","currency":"USD","kind":"external","type":"acc\u006funt"}"#).value
                == Submission(key: "open-alice", command: .openAccount(open)))
    }

    @Test func `a line may leave its key to whoever submits it`() {
        let pay = Pay(debit: AccountID("a")!, credit: AccountID("b")!, amount: 1, currency: Currency("USD")!)
        #expect(
            read(#"{"debit":"a","credit":"b","amount":1,"currency":"USD"}"#).value == Submission(key: nil, command: .pay(pay)))
    }

    @Test(arguments: [
        #"{"type":"payment","debit":"a","credit":"b","amount":1,"currency":"USD"}"#,
        ##"{"debit":"a","credit":"b","amount":7,"currency":"CZK","reference":"a\"b","metadata":{"b":"2","a":"1"},"expires_at":"2026-11-27T00:00:00Z"}"##,
        #"{"type":"account","id":"a","currency":"USD"}"#,
        #"{"type":"account","id":"a","currency":"CZK","kind":"normal","overdraft_limit":500}"#,
        #"{"type":"account","id":"a","currency":"CZK","kind":"external"}"#,
    ])
    func `the request body of a command asks for that command`(line: String) throws {
        let command = try #require(read(line).value).command
        var body: [UInt8] = []
        body.append(requestBody: command)
        switch command {
        case .pay(let pay): #expect(try reader.payment(body.span).get() == pay)
        case .openAccount(let open): #expect(try reader.account(body.span).get() == open)
        case .changeAccount, .changePayment: Issue.record("no line asks for a change")
        }
    }

    static let refused: [Refused] = [
        Refused(malformed: ""), Refused(malformed: "{"), Refused(malformed: "{} {}"), Refused("[]", "wrong_type "),
        Refused(#"{"key":"short","debit":"a","credit":"b","amount":1,"currency":"USD"}"#, "invalid_value /key"),
        Refused(#"{"key":12345678,"debit":"a","credit":"b","amount":1,"currency":"USD"}"#, "wrong_type /key"),
        Refused(#"{"key":"order-0001","key":"order-0002","debit":"a","credit":"b","amount":1,"currency":"USD"}"#, "duplicate_member /key"),
        Refused(
            #"{"key":"order-0001","debit":"a","credit":"b","amount":1.0,"currency":"USD","x":1}"#, "unknown_member /x",
            "not_an_integer /amount"),
        Refused(
            #"{"key":"order-0001","id":"a","currency":"USD"}"#, "unknown_member /id", "required /debit", "required /credit",
            "required /amount"),
        Refused(#"{"key":"order-0001","type":"account","id":"a","currency":"USD","amount":1}"#, "unknown_member /amount"),
        Refused(#"{"key":"order-0001","type":"refund"}"#, "invalid_value /type"),
        Refused(#"{"key":"order-0001","type":null}"#, "wrong_type /type"),
        Refused(
            #"{"key":"order-0001","type":"account","type":"payment","id":"a","currency":"USD"}"#, "duplicate_member /type",
            "required /debit", "required /credit", "required /amount"),
    ]

    @Test(arguments: refused)
    func `a line that is not valid says where`(_ refused: Refused) {
        refused.check(read(refused.body).problem)
    }
}
