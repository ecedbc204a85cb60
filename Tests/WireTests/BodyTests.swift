import Ledger
import Testing
import Wire

@Suite struct BodyTests {
    private let request = Pay(debit: AccountID("alice")!, credit: AccountID("bob")!, amount: 15_075, currency: Currency("USD")!)
    private let full = Pay(
        debit: AccountID("alice")!, credit: AccountID("bob")!, amount: 15_075, currency: Currency("USD")!, reference: "a\"b\\c/é",
        metadata: #"{"shop":"7"}"#, expiresAt: time("2026-11-27T00:00:00Z"))
    private let id = OperationID(high: 0x0123_4567_89ab_cdef, low: 1)
    private let acceptedAt = time("2026-11-26T23:59:59.999999Z")
    private let decidedAt = time("2026-11-27T00:00:00.000001Z")

    @Test func `a payment in processing`() {
        let payment = Payment(id: id, tenant: TenantID(1), request: request, acceptedAt: acceptedAt, status: .processing)
        #expect(
            written { $0.append(payment) }
                == #"{"id":"0123456789abcdef0000000000000001","status":"processing","debit":"alice","credit":"bob","amount":15075,"currency":"USD","#
                + #""accepted_at":"2026-11-26T23:59:59.999999Z","revision":0}"#)
    }

    @Test func `a payment that came with a trace shows it, and nothing of it can end the text`() {
        func body(_ traceparent: String?) -> String {
            let payment = Payment(
                id: id, tenant: TenantID(1), request: request, acceptedAt: acceptedAt, status: .settled, decidedAt: decidedAt, revision: 1,
                traceparent: traceparent)
            return written { $0.append(payment) }
        }
        let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
        #expect(body(trace).hasSuffix(#""revision":1,"traceparent":"\#(trace)"}"#))
        // A later version may go on with any visible character.
        #expect(body("cc" + trace.dropFirst(2) + #"-"\"#).hasSuffix(#"-01-\"\\"}"#))
        #expect(body(nil).hasSuffix(#""revision":1}"#))
    }

    @Test func `a settled payment with everything`() {
        let payment = Payment(
            id: id, tenant: TenantID(1), request: full, acceptedAt: acceptedAt, status: .settled, decidedAt: decidedAt, revision: 1,
            debitResult: LegResult(sequence: 4, postedAfter: -15_075, revision: 5),
            creditResult: LegResult(sequence: 1, postedAfter: 15_075, revision: 2))
        #expect(
            written { $0.append(payment) }
                == #"{"id":"0123456789abcdef0000000000000001","status":"settled","debit":"alice","credit":"bob","amount":15075,"currency":"USD","#
                + #""reference":"a\"b\\c/é","metadata":{"shop":"7"},"expires_at":"2026-11-27T00:00:00.000000Z","#
                + #""accepted_at":"2026-11-26T23:59:59.999999Z","decided_at":"2026-11-27T00:00:00.000001Z","revision":1,"#
                + #""debit_result":{"sequence":4,"posted_after":-15075,"revision":5},"credit_result":{"sequence":1,"posted_after":15075,"revision":2}}"#
        )
    }

    @Test func `a declined payment`() {
        let payment = Payment(
            id: id, tenant: TenantID(1), request: request, acceptedAt: acceptedAt, status: .declined, declineReason: .insufficientFunds,
            decidedAt: decidedAt, revision: 1)
        #expect(
            written { $0.append(payment) }
                == #"{"id":"0123456789abcdef0000000000000001","status":"declined","debit":"alice","credit":"bob","amount":15075,"currency":"USD","#
                + #""accepted_at":"2026-11-26T23:59:59.999999Z","decided_at":"2026-11-27T00:00:00.000001Z","decline_reason":"insufficient_funds","revision":1}"#
        )
    }

    private func account(_ kind: AccountKind = .normal, _ flags: AccountFlags = []) -> Account {
        Account(
            key: AccountKey(tenant: TenantID(1), account: AccountID("alice")!), number: 9, currency: Currency("CZK")!, kind: kind,
            overdraftLimit: kind == .normal ? 100 : 0, flags: flags, posted: -50, held: 20, sequence: 3, revision: 7, openedAt: acceptedAt,
            changedAt: decidedAt)
    }

    @Test func `a normal account`() {
        #expect(
            written { $0.append(account()) }
                == #"{"id":"alice","currency":"CZK","kind":"normal","overdraft_limit":100,"status":"open","posted":-50,"held":20,"available":30,"#
                + #""sequence":3,"revision":7,"opened_at":"2026-11-26T23:59:59.999999Z","as_of":"2026-11-27T00:00:00.000001Z"}"#)
    }

    @Test func `an external account`() {
        #expect(
            written { $0.append(account(.external)) }
                == #"{"id":"alice","currency":"CZK","kind":"external","overdraft_limit":0,"status":"open","posted":-50,"held":20,"available":9007199254740921,"#
                + #""sequence":3,"revision":7,"opened_at":"2026-11-26T23:59:59.999999Z","as_of":"2026-11-27T00:00:00.000001Z"}"#)
    }

    @Test(
        arguments: [
            ([], #""status":"open","posted""#), ([.debitFrozen], #""status":"frozen","frozen":["debit"],"posted""#),
            ([.creditFrozen], #""status":"frozen","frozen":["credit"],"posted""#),
            ([.debitFrozen, .creditFrozen], #""status":"frozen","frozen":["debit","credit"],"posted""#),
            ([.closed], #""status":"closed","posted""#),
            ([.closed, .debitFrozen], #""status":"closed","frozen":["debit"],"posted""#),
        ] as [(AccountFlags, String)])
    func `an account's flags are told as its status`(flags: AccountFlags, expected: String) {
        #expect(written { $0.append(account(.normal, flags)) }.contains(expected))
    }

    @Test func `a page of transactions`() {
        let entries = [
            HistoryEntry(
                sequence: 2, payment: id, direction: .debit, amount: 5, counterparty: AccountID("bob")!, postedAfter: -5, reference: "r",
                at: decidedAt),
            HistoryEntry(
                sequence: 1, payment: id, direction: .credit, amount: 7, counterparty: AccountID("c")!, postedAfter: 7, reference: nil,
                at: acceptedAt),
        ]
        #expect(
            written { $0.append(history: entries, of: AccountID("alice")!, revision: 3, next: "abc") }
                == #"{"account":"alice","revision":3,"data":[{"sequence":2,"payment":"0123456789abcdef0000000000000001","direction":"debit","amount":5,"#
                + #""counterparty":"bob","posted_after":-5,"reference":"r","at":"2026-11-27T00:00:00.000001Z"},{"sequence":1,"#
                + #""payment":"0123456789abcdef0000000000000001","direction":"credit","amount":7,"counterparty":"c","posted_after":7,"#
                + #""at":"2026-11-26T23:59:59.999999Z"}],"next":"abc"}"#)
        #expect(
            written { $0.append(history: [], of: AccountID("alice")!, revision: 1, next: nil) }
                == #"{"account":"alice","revision":1,"data":[],"next":null}"#)
    }

    @Test func `lists show each as it is shown alone`() {
        let payment = Payment(id: id, tenant: TenantID(1), request: request, acceptedAt: acceptedAt, status: .processing)
        let onePayment = written { $0.append(payment) }
        let oneAccount = written { $0.append(account()) }
        #expect(written { $0.append(payments: [payment, payment], next: nil) } == #"{"data":[\#(onePayment),\#(onePayment)],"next":null}"#)
        #expect(written { $0.append(accounts: [account()], next: "x") } == #"{"data":[\#(oneAccount)],"next":"x"}"#)
        #expect(written { $0.append(accounts: [], next: nil) } == #"{"data":[],"next":null}"#)
    }

    @Test func `a problem without particulars`() {
        #expect(
            written { $0.append(Problem(.tooManyRequests)) }
                == #"{"type":"/problems/too_many_requests","title":"Too many requests","status":429,"code":"too_many_requests","retryable":true}"#
        )
    }

    @Test func `a problem with everything`() {
        let problem = Problem(
            .insufficientFunds, detail: "line\nend", instance: "/v1/payments/1", errors: [ValidationProblem(.outOfRange, at: "/a\"b", "d")],
            paymentID: id,
            payment: Array("{}".utf8))
        #expect(
            written { $0.append(problem) }
                == #"{"type":"/problems/insufficient_funds","title":"The account to debit has too little available","status":402,"code":"insufficient_funds","#
                + #""retryable":false,"detail":"line\nend","instance":"/v1/payments/1","errors":[{"pointer":"/a\"b","code":"out_of_range","detail":"d"}],"#
                + #""payment_id":"0123456789abcdef0000000000000001","payment":{}}"#)
    }

    @Test func `control characters are escaped, the short way where there is one`() {
        let problem = Problem(.internal, detail: "\u{0}\u{8}\t\n\u{B}\u{C}\r\u{1F} \u{7F}")
        #expect(written { $0.append(problem) }.hasSuffix(#""detail":"\u0000\b\t\n\u000b\f\r\u001f \#u{7F}"}"#))
    }
}
