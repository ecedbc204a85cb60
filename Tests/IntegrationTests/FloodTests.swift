import Foundation
import Glibc
import Synchronization
import Testing

extension WholeSystem {
    /// Short forms of what `make test-hard` does for longer and measures: many at once, beside clients as they should be.
    @Suite struct Floods {
        @Test func `with hundreds of slow readers and a churn of connects every good request is answered`() throws {
            let scene = try Scene()
            let (world, shop) = (try scene.world(), try scene.open("shop"))
            // A page that is long: what nobody reads of it stays with the gateway.
            #expect(try scene.client.send("POST", "/v1/batches", ["Prefer": "wait=10"], body: batch(200, world, shop)).status == 200)
            let gateway = try SpareGateway("write_milliseconds=1500")
            let (endpoint, key) = (gateway.endpoint, gateway.key)
            let page = "GET /v1/accounts/\(shop)/transactions?limit=200 HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer \(gateway.key)\r\n\r\n"
            let (slowCount, churnCount) = (300, 3_000)
            let start = Moment.now
            let slow = try (0..<slowCount).map { _ in
                let connection = try HTTPConnection(gateway.endpoint, receiveBytes: 2_048)
                try connection.send(String(repeating: page, count: 16))
                return connection
            }
            let isOver = Mutex(false)
            let good = try concurrently(
                4,
                { number in
                    let client = APIClient(endpoint, key: key)
                    var answered = 0
                    while !isOver.withLock(\.self) {
                        let answer = try number == 0 ? client.pay(1, from: world, to: shop) : client.get("/v1/accounts/\(shop)/balance")
                        guard answer.status == (number == 0 ? 201 : 200) else { throw SystemUnderTest.Failure(description: "\(answer)") }
                        answered += 1
                    }
                    return answered
                },
                meanwhile: {
                    defer { isOver.withLock { $0 = true } }
                    for number in 0..<churnCount {
                        _ = try HTTPConnection(gateway.endpoint)
                        if number % 20 == 0 { usleep(10_000) }
                    }
                    let isClosed = try eventually(seconds: 8) {
                        try gateway.metric("sluice_http_write_timeouts_total") == Double(slowCount)
                            && gateway.metric("sluice_http_connections") <= 5
                    }
                    let closed = try gateway.metric("sluice_http_write_timeouts_total")
                    #expect(isClosed, "\(closed) of \(slowCount) closed")
                })
            print("\(good) good requests in \(start.secondsAgo) s")
            #expect(start.secondsAgo < 12)
            #expect(good.allSatisfy { $0 > 20 }, "\(good)")
            #expect(try gateway.metric("sluice_http_connections_total") >= Double(slowCount + churnCount + good.count))
            #expect(try gateway.metric("sluice_http_shed_connections_total") == 0)
            withExtendedLifetime(slow) {}
        }

        private func batch(_ count: Int, _ debit: String, _ credit: String) -> String {
            let items = (0..<count).map { _ in
                "{\"key\":\"\(newKey())\",\"debit\":\"\(debit)\",\"credit\":\"\(credit)\",\"amount\":1,\"currency\":\"CZK\"}"
            }
            return "{\"items\":[\(items.joined(separator: ","))]}"
        }

        /// Every batch waits for a disk that is not there, as in `loadtest/test-hard`: the ledger is then slower than what is in front of
        /// it, whatever shares the processors.
        private func whileLedgerIsSlow(_ tables: LedgerTables, seconds: Double, _ body: () throws -> Void) throws {
            _ = try tables.rows(
                """
                CREATE FUNCTION sluice.slow_disk() RETURNS trigger LANGUAGE plpgsql AS
                    'BEGIN PERFORM pg_sleep(\(seconds)); RETURN NEW; END';
                CREATE TRIGGER slow_disk BEFORE UPDATE ON sluice.kafka_offset FOR EACH ROW WHEN (OLD.next_offset < NEW.next_offset)
                    EXECUTE FUNCTION sluice.slow_disk();
                """)
            defer {
                _ = try? tables.rows("DROP TRIGGER slow_disk ON sluice.kafka_offset; DROP FUNCTION sluice.slow_disk()")
            }
            try body()
        }

        /// What a flood, and a client of its own beside it, were told.
        private struct Answers: Sendable {
            var accepted = 0
            var refused = 0
            /// The client's own, in order: whether its payment was accepted.
            var sequence: [Bool] = []
            var others: [String] = []

            /// The answer to one payment.
            mutating func note(_ answer: HTTPResponse) {
                let retryAfter = answer["retry-after"].flatMap { Int($0) } ?? 0
                switch answer.status {
                case 202: accepted += 1
                case 503 where answer.problemCode == "not_accepted" && retryAfter > 0: refused += 1
                default: others.append("\(answer.fields) \(answer)")
                }
                sequence.append(answer.status == 202)
            }

            /// The answer to a batch of payments, each of which is answered as if it had come alone.
            mutating func note(batch answer: HTTPResponse) {
                let results = answer.json.results.list
                accepted += results.count { $0.status.int == 202 }
                refused += results.count { $0.status.int == 503 && $0.body.code.string == "not_accepted" }
                let isOther = results.contains { ![202, 503].contains($0.status.int ?? 0) }
                if answer.status != 200 || isOther { others.append("\(answer)") }
            }
        }

        @Test func `more than a slow ledger can take is refused while what fits goes on, and what was accepted is settled`() throws {
            let scene = try Scene()
            let (world, shop) = (try scene.world(), try scene.open("shop"))
            let gateway = try SpareGateway("unsettled_milliseconds=1200")
            let (endpoint, key) = (gateway.endpoint, gateway.key)
            let tables = LedgerTables(system: scene.system)
            let answers = Mutex(Answers())
            var settled: [Int] = []
            // 512 payments in a batch at most: below 1,300 a second, of which nearly twice as many are asked for. At more than that the door
            // would be shut for longer than the test: what is let in until the oldest is too old must be settled first.
            try whileLedgerIsSlow(tables, seconds: 0.4) {
                let end = Moment.now.advanced(bySeconds: 9)
                _ = try concurrently(
                    3,
                    { number in
                        let client = APIClient(endpoint, key: key)
                        while Moment.now < end {
                            if number == 0 {
                                let answer = try client.pay(1, from: world, to: shop, wait: nil)
                                answers.withLock { $0.note(answer) }
                            } else {
                                let answer = try client.send("POST", "/v1/batches", body: batch(250, world, shop))
                                answers.withLock { $0.note(batch: answer) }
                            }
                            usleep(number == 0 ? 20_000 : 180_000)
                        }
                    },
                    meanwhile: {
                        while Moment.now < end {
                            settled.append(try tables.movements(to: shop).count)
                            usleep(1_000_000)
                        }
                    })
            }
            let seen = answers.withLock(\.self)
            #expect(seen.others.isEmpty, "\(seen.others.prefix(3))")
            let firstRefusal = try #require(seen.sequence.firstIndex(of: false), "nothing was refused: \(seen.accepted) accepted")
            let (own, after) = (seen.sequence, seen.sequence[firstRefusal...])
            #expect(after.contains(true), "after the first refusal nothing was accepted")
            #expect(own.count { !$0 } >= 10 && seen.refused > seen.accepted / 10, "\(seen.refused) refused")
            // Goodput goes on, second by second, once the first batches are through.
            #expect(zip(settled.dropFirst(1), settled.dropFirst(2)).allSatisfy { $1 > $0 }, "\(settled)")
            let isSettled = try eventually(seconds: 15) { try tables.movements(to: shop).count == seen.accepted }
            print(
                "\(seen.accepted) accepted, \(seen.refused) refused; another client: \(own.count { !$0 }) of \(own.count) refused; "
                    + "settled by the second: \(settled)")
            let inLedger = try tables.movements(to: shop).count
            #expect(isSettled, "\(seen.accepted) were accepted, and \(inLedger) are in the ledger")
            let isOpen = try eventually(seconds: 10) { try scene.client.pay(1, from: world, to: shop).status == 201 }
            #expect(isOpen)
            try scene.system.waitUntilHealthy()
        }
    }
}
