import Bytes
import Loop
import Testing

@testable import Bench

/// What is sent, what an answer is taken for, and when it is sent again. Nothing here has a socket.
@Suite struct RequestTests {
    private func options() throws -> LoadOptions {
        var options = LoadOptions(
            target: try #require(LoadTarget(url: "http://127.0.0.1:8080/api")), pace: .closed, accounts: try #require(AccountSet("a:1..9")))
        options.key = "sk_1"
        return options
    }

    private func text(_ plan: RequestPlan, _ maker: inout RequestMaker) -> String {
        var bytes: [UInt8] = []
        maker.write(plan, to: &bytes)
        return String(decoding: bytes, as: UTF8.self)
    }

    @Test func `requests are written byte by byte as they should be`() throws {
        var maker = RequestMaker(try options(), keyPrefix: "bench-x-0-")
        let fields = "Host: 127.0.0.1:8080\r\nAuthorization: Bearer sk_1\r\nUser-Agent: sluice-bench\r\n"
        let id = PaymentID(high: 0x0123_4567_89ab_cdef, low: 0xff)
        #expect(text(RequestPlan(kind: .balance, account: 2), &maker) == "GET /api/v1/accounts/a:3/balance HTTP/1.1\r\n\(fields)\r\n")
        #expect(
            text(RequestPlan(kind: .transactions, account: 0), &maker)
                == "GET /api/v1/accounts/a:1/transactions?limit=20 HTTP/1.1\r\n\(fields)\r\n")
        #expect(
            text(RequestPlan(kind: .status, payment: id), &maker)
                == "GET /api/v1/payments/0123456789abcdef00000000000000ff HTTP/1.1\r\n\(fields)\r\n")
        let body = "{\"debit\":\"a:1\",\"credit\":\"a:9\",\"amount\":42,\"currency\":\"CZK\"}"
        let rest = "Content-Type: application/json\r\nIdempotency-Key: bench-x-0-7\r\nContent-Length: \(body.utf8.count)\r\n\r\n\(body)"
        let plan = RequestPlan(kind: .payment, account: 0, credit: 8, amount: 42, key: 7)
        #expect(text(plan, &maker) == "POST /api/v1/payments HTTP/1.1\r\n\(fields)\(rest)")
        var waiting = plan
        waiting.kind = .waitingPayment
        #expect(text(waiting, &maker) == "POST /api/v1/payments HTTP/1.1\r\n\(fields)Prefer: wait=10\r\n\(rest)")
        var again = plan
        (again.kind, again.attempt) = (.duplicate, 3)
        #expect(text(again, &maker) == text(plan, &maker))
        var output: [UInt8] = []
        maker.writeStatus(of: id, waitSeconds: 10, to: &output)
        #expect(
            String(decoding: output, as: UTF8.self).hasPrefix("GET /api/v1/payments/0123456789abcdef00000000000000ff?wait=10 HTTP/1.1\r\n"))
    }

    @Test func `a hot merchant is paid and read as often as was asked for, and never pays`() throws {
        var options = try options()
        options.popularity = .hot(share: 0.9)
        options.mix = LoadOptions.Mix(reads: 1, writes: 1)
        var maker = RequestMaker(options, keyPrefix: "k")
        var chance = Chance(seed: 9)
        var (reads, hotReads, writes, hotWrites) = (0, 0, 0, 0)
        for _ in 0..<20_000 {
            let plan = maker.draw(&chance)
            if plan.kind.isWrite {
                writes += 1
                if plan.credit == 0 { hotWrites += 1 }
                #expect(plan.account != 0 && plan.account != plan.credit)
            } else {
                reads += 1
                if plan.account == 0 { hotReads += 1 }
            }
        }
        #expect(abs(Double(hotReads) / Double(reads) - 0.9) < 0.02 && abs(Double(hotWrites) / Double(writes) - 0.9) < 0.02)
    }

    @Test(arguments: [
        ("{\"id\":\"000000000000000100000000000000ff\",\"status\":\"processing\",\"debit\":\"a\"}", true, false),
        ("{\"id\":\"000000000000000100000000000000ff\",\"status\":\"settled\"}", true, true),
        ("{\"id\":\"000000000000000100000000000000ff\",\"status\":\"declined\"}", true, true),
        ("{\"id\":\"000000000000000100000000000000ff\"", true, false),
        ("{\"id\":\"00000000000000010000000000000FFF\",\"status\":\"settled\"}", false, true),
        ("{\"id\":\"alice\",\"currency\":\"CZK\"}", false, false), ("{}", false, false), ("", false, false),
    ])
    func `a payment is read from the start of its body`(body: String, hasPayment: Bool, isFinal: Bool) {
        var answer = LoadAnswer(status: 200)
        let bytes: [UInt8] = Array(body.utf8)
        answer.readPayment(bytes.span)
        #expect(answer.payment == (hasPayment ? PaymentID(high: 1, low: 255) : nil))
        #expect(answer.isFinal == isFinal)
    }

    @Test func `answers are told apart`() {
        #expect([200, 201, 202, 402].allSatisfy { LoadAnswer(status: $0).isSuccess })
        #expect(![301, 400, 404, 422, 429, 500, 503, 504].contains { LoadAnswer(status: $0).isSuccess })
        #expect([429, 503, 504].allSatisfy { LoadAnswer(status: $0).isForTheMoment })
        #expect(![200, 400, 402, 404, 422, 500, 502].contains { LoadAnswer(status: $0).isForTheMoment })
    }

    @Test func `what is sent again comes in the order of its time`() {
        var chance = Chance(seed: 4)
        var queue = RetryQueue()
        var times: [UInt64] = []
        for number in 0..<1_000 {
            let due = UInt64.random(in: 0..<500, using: &chance)
            times.append(due)
            queue.add(RequestPlan(kind: .balance, key: due, attempt: number), due: due)
            if number.isMultiple(of: 3), let next = queue.next {
                #expect(queue.take()?.key == next)
                times.remove(at: times.firstIndex(of: next) ?? 0)
            }
        }
        var taken: [UInt64] = []
        while let plan = queue.take() { taken.append(plan.key) }
        #expect(taken == times.sorted() && queue.count == 0 && queue.next == nil)
    }

    @Test func `a wait doubles, is never the same for all, and heeds the server up to a bound`() {
        var chance = Chance(seed: 6)
        for attempt in 0..<10 {
            let middle = min(0.05 * Double(1 << attempt), 10)
            for _ in 0..<100 {
                let seconds = Double(RetryDelay.nanoseconds(attempt: attempt, retryAfterSeconds: nil, &chance)) / 1e9
                #expect(seconds >= middle * 0.49 && seconds <= min(middle * 1.51, 10))
            }
        }
        let asked = Double(RetryDelay.nanoseconds(attempt: 0, retryAfterSeconds: 2, &chance)) / 1e9
        #expect(asked >= 2 && asked < 2.26)
        #expect(RetryDelay.nanoseconds(attempt: 0, retryAfterSeconds: 86_400, &chance) == 10_000_000_000)
    }
}
