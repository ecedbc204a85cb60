import Foundation
import Synchronization
import Testing

@testable import Operate

/// `sluice submit` over real connections to an API that does as the test says.
@Suite struct SubmitterTests {
    private func submit(
        _ text: String, _ name: String = "orders.ndjson", follows: Bool = false, waitSeconds: Int = 20, connections: Int = 8,
        batch: String? = nil, _ answer: @escaping @Sendable (FakeAPI.Request) -> FakeAPI.Reply
    ) throws -> (report: SubmitReport, requests: [FakeAPI.Request]) {
        let api = try FakeAPI(answer)
        defer { api.stop() }
        let folder = FileManager.default.temporaryDirectory.appending(path: "sluice-submit-\(UUID())")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let path = folder.path + "/" + name
        try text.write(toFile: path, atomically: true, encoding: .utf8)
        var options = SubmitOptions(path: path, target: try api.target(), key: "sk_test")
        options.follows = follows
        options.waitSeconds = waitSeconds
        options.connections = connections
        options.batch = batch
        let report = try Submitter(options).run(handlesSignals: false)
        return (report, api.requests)
    }

    private func pay(_ debit: String, _ credit: String, _ amount: Int = 1, key: String? = nil) -> String {
        let key = key.map { #","key":"\#($0)""# } ?? ""
        return #"{"debit":"\#(debit)","credit":"\#(credit)","amount":\#(amount),"currency":"CZK"\#(key)}"# + "\n"
    }

    private func account(_ id: String, _ kind: String = "normal") -> String {
        #"{"type":"account","id":"\#(id)","currency":"CZK","kind":"\#(kind)"}"# + "\n"
    }

    @Test func `accounts go before payments and every request names its key`() throws {
        let text = pay("a", "b", 5, key: "order-0001") + account("a") + pay("a", "b", 6) + account("b")
        let (report, requests) = try submit(text) { _ in .accepted("1") }
        #expect(requests.map(\.path) == ["/v1/accounts", "/v1/accounts", "/v1/payments", "/v1/payments"])
        #expect(requests.allSatisfy { $0.method == "POST" && $0.fields["authorization"] == "Bearer sk_test" && $0.fields["prefer"] == nil })
        #expect(requests[2].key == "order-0001" && requests[2].body == #"{"debit":"a","credit":"b","amount":5,"currency":"CZK"}"#)
        #expect(Set(requests.map(\.key)).count == 4)
        #expect(report.accounts.accepted == 2 && report.payments.accepted == 2 && report.isComplete)
        #expect(report.acceptMilliseconds?.count == 4 && report.finalMilliseconds == nil && report.outcomes == nil)
    }

    @Test func `a file that is submitted again has the same keys and equal lines have different ones`() throws {
        let text = account("a") + pay("a", "b") + pay("a", "b")
        func keys(_ name: String, batch: String? = nil) throws -> [String] {
            try submit(text, name, batch: batch) { _ in .accepted("1") }.requests.map(\.key).sorted()
        }
        let keys1 = try keys("one.ndjson")
        #expect(Set(keys1).count == 3)
        #expect(try keys("one.ndjson") == keys1)
        #expect(try Set(keys("two.ndjson")).isDisjoint(with: keys1))
        #expect(try keys("two.ndjson", batch: "one.ndjson") == keys1)
    }

    @Test func `a malformed line is named with its number and the rest goes on`() throws {
        let text =
            pay("a", "b") + "{\n\n" + pay("a", "a") + #"{"debit":"a","credit":"b","amount":1.5,"currency":"XXX"}"# + "\n" + pay("b", "a")
        let (report, requests) = try submit(text) { _ in .accepted("1") }
        #expect(requests.count == 2 && report.payments.accepted == 2)
        #expect(report.malformed == 3 && !report.isComplete)
        #expect(report.problems.map(\.line) == [2, 4, 5])
        #expect(report.problems[1].problem == "credit: debit and credit are the same account")
        #expect(
            report.problems[2].problem.contains("amount: an integer") && report.problems[2].problem.contains("currency: not a currency"))
    }

    @Test func `CSV says the same as NDJSON`() throws {
        let text = """
            type,account,debit,credit,amount,currency,reference,metadata.shop
            account,a,,,,CZK,,
            payment,,a,b,15075,CZK,"say ""hi"", twice",7
            ,,a,b,1,CZK,,
            payment,,a,b,12.50,CZK,,
            payment,,a,b
            """
        let (report, requests) = try submit(text, "orders.csv") { _ in .accepted("1") }
        #expect(requests.count == 3)
        #expect(requests[0].body == #"{"id":"a","currency":"CZK","kind":"normal","overdraft_limit":0}"#)
        #expect(
            requests[1].body
                == #"{"debit":"a","credit":"b","amount":15075,"currency":"CZK","reference":"say \"hi\", twice","metadata":{"shop":"7"}}"#)
        #expect(report.problems.map(\.line) == [5, 6])
        #expect(report.problems[1].problem == "4 fields where the header has 8")
    }

    @Test func `what may be answered otherwise later is repeated under its key`() throws {
        let (report, requests) = try submit(pay("a", "b") + pay("c", "d") + pay("e", "f") + pay("g", "h")) { request in
            guard request.attempt == 1 else { return .accepted("1") }
            switch request.member("debit") {
            case "a": return .problem(503, "not_accepted")
            case "c": return .problem(429, "too_many_requests")
            case "e": return .problem(504, "outcome_unknown")
            default: return .close
            }
        }
        #expect(requests.count == 8 && Set(requests.map(\.key)).count == 4)
        #expect(report.payments.accepted == 4 && report.retries == 4 && report.isComplete)
        #expect(report.statuses == ["202": 4, "429": 1, "503": 1, "504": 1])
    }

    @Test func `a refusal is final and told with its code`() throws {
        let (report, requests) = try submit(pay("a", "b") + pay("c", "d")) { request in
            request.member("debit") == "a" ? .problem(422, "idempotency_key_reused") : .accepted("1")
        }
        #expect(requests.count == 2 && report.payments.accepted == 1 && !report.isComplete)
        #expect(report.payments.refused == ["idempotency_key_reused": 1])
        #expect(report.problems == [.init(line: 1, problem: "422 idempotency_key_reused: T")])
    }

    @Test func `a server that is away is given up in time and what comes after a lost line is held back`() throws {
        let text = account("x", "external") + pay("a", "b") + pay("a", "c") + pay("x", "b") + pay("b", "d") + pay("y", "z")
        let (report, requests) = try submit(text, waitSeconds: 1) { request in
            request.member("debit") == "a" ? .problem(503, "not_accepted") : .accepted("1")
        }
        // Lines 3 and 5 debit accounts whose history is not known any more; line 4 only pays in.
        #expect(report.payments.accepted == 2 && report.payments.failed == 1 && report.payments.notSent == 2)
        #expect(Set(requests.compactMap { $0.member("debit") }) == ["a", "x", "y"])
        #expect(report.problems.map(\.line) == [2] && report.problems[0].problem.hasPrefix("given up after 1 s: 503"))
    }

    @Test func `payments of one account are sent one by one in the order of the file`() throws {
        let names = ["a", "b", "c"]
        let text = (1...90).map { pay(names[$0 % 3], "shop", $0) }.joined()
        let open = Mutex<[String: Int]>([:])
        let most = Mutex(0)
        let (report, requests) = try submit(text) { request in
            let debit = request.member("debit") ?? ""
            let count = open.withLock { open in
                open[debit, default: 0] += 1
                return open[debit] ?? 0
            }
            most.withLock { $0 = max($0, count) }
            usleep(UInt32.random(in: 0...4_000))
            open.withLock { $0[debit]? -= 1 }
            return .accepted("1")
        }
        #expect(report.payments.accepted == 90)
        #expect(most.withLock { $0 } == 1)
        for name in names {
            let amounts = requests.filter { $0.member("debit") == name }.compactMap { request in
                (try? JSONSerialization.jsonObject(with: Data(request.body.utf8)) as? [String: Any])?["amount"] as? Int
            }
            #expect(amounts == amounts.sorted() && amounts.count == 30)
        }
    }

    @Test func `payments are followed to their final state`() throws {
        let text = account("a") + (1...6).map { pay("d\($0)", "b", $0) }.joined()
        let (report, requests) = try submit(text, follows: true) { request in
            let name = request.member("debit") ?? ""
            if request.method == "GET" {
                if request.path == "/v1/payments/d2?wait=10", request.attempt == 1 { return .accepted("d2") }
                return request.path.contains("/d4?")
                    ? .answer(200, body: #"{"id":"d4","status":"declined","decline_reason":"account_frozen"}"#)
                    : .answer(200, body: #"{"id":"x","status":"settled"}"#)
            }
            switch name {
            case "d1": return .answer(201, body: #"{"id":"d1","status":"settled"}"#)
            case "d3": return .answer(402, body: #"{"status":402,"code":"insufficient_funds","payment":{"id":"d3"}}"#)
            default: return .accepted(name)
            }
        }
        // Every second payment asks for its outcome, beginning with the first; so do accounts.
        let waiting = requests.filter { $0.fields["prefer"] == "wait=10" }.map { $0.member("debit") ?? "account" }
        #expect(Set(waiting) == ["account", "d1", "d3", "d5"])
        #expect(report.payments.accepted == 6 && report.isComplete)
        #expect(report.outcomes?.settled == 4 && report.outcomes?.undecided == 0)
        #expect(report.outcomes?.declined == ["insufficient_funds": 1, "account_frozen": 1])
        #expect(report.acceptMilliseconds?.count == 3 && report.finalMilliseconds?.count == 3)
    }

    @Test func `a payment that is never decided is told to be undecided`() throws {
        let (report, _) = try submit(pay("a", "b"), follows: true, waitSeconds: 1) { _ in .accepted("p") }
        #expect(report.payments.accepted == 1 && report.outcomes?.undecided == 1 && !report.isComplete)
    }

    @Test func `nothing listens`() throws {
        let api = try FakeAPI { _ in .close }
        let target = try api.target()
        api.stop()
        usleep(50_000)
        let path = FileManager.default.temporaryDirectory.path + "/sluice-submit-\(UUID()).ndjson"
        try pay("a", "b").write(toFile: path, atomically: true, encoding: .utf8)
        defer { try? FileManager.default.removeItem(atPath: path) }
        var options = SubmitOptions(path: path, target: target, key: "sk_test")
        options.waitSeconds = 1
        let report = try Submitter(options).run(handlesSignals: false)
        #expect(report.payments.failed == 1 && report.statuses.isEmpty)
        #expect(report.problems.first?.problem.contains("Connection refused") == true)
    }
}
