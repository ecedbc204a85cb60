import Bench
import Glibc
import Loop
import Synchronization
import Testing

extension Measurements {
    /// Whether the figures are true: against servers whose behaviour is known. One at a time: these are measurements.
    @Suite(.serialized) struct HonestyTests {
        private func options(_ address: SocketAddress, rate: Double, seconds: Double, connections: Int) throws -> LoadOptions {
            var options = LoadOptions(
                target: LoadTarget(addresses: [address], host: "stub"), pace: .open(perSecond: rate, .constant),
                accounts: try #require(AccountSet("acct-1..20")))
            options.connections = connections
            options.seconds = seconds
            return options
        }

        @Test func `a server frozen for 2 s in a run of 20 s has a p99 of 1,8 s`() throws {
            let stub = StubServer(
                .tcp(address: "127.0.0.1", port: 0), StubBehaviour(freeze: (afterMilliseconds: 8_000, forMilliseconds: 2_000)))
            defer { stub.stop() }
            let report = Load.run(try options(stub.address, rate: 200, seconds: 20, connections: 16))
            let all = try #require(report.all)
            #expect(all.count == 4_000 && report.errors == [:])
            // A tenth of all fell into the freeze, and waited evenly for 0 to 2 s.
            #expect(all.p99 >= 1_780 && all.p99 < 2_200)
            #expect(all.p999 >= 1_960)
            #expect(all.p50 < 100)
            // The service time of the few that were under way hides it: that is what a closed loop would have reported.
            let service = try #require(report.kinds.first { $0.name == "balance" }?.service)
            #expect(service.p99 < all.p99 / 2)
            // In the series it stands where it was.
            #expect(report.series.contains { (7...9).contains($0.second) && ($0.max ?? 0) >= 1_900 })
        }

        @Test func `p50, p99 and p99,9 of a known distribution are within 5 %`() throws {
            // 20 ms and an exponential of mean 40 ms. Its quantiles are walked through in a scattered order, so that the
            // distribution is exact: 6,007 has no factor in common with 4,000.
            let total = 4_000
            let stub = StubServer(
                .tcp(address: "127.0.0.1", port: 0),
                StubBehaviour(delayMicroseconds: { number in
                    let share = (Double(number * 6_007 % total) + 0.5) / Double(total)
                    return UInt64(20_000 - 40_000 * log(1 - share))
                }))
            defer { stub.stop() }
            let report = Load.run(try options(stub.address, rate: 500, seconds: 8, connections: 300))
            let all = try #require(report.all)
            #expect(all.count == total && report.errors == [:] && report.dropped == 0, "\(report.text)")
            // Against what the stub did by its own clock: on a busy machine its timers are late.
            let delays = stub.log.seen.withLock { $0.delays }.sorted()
            try #require(delays.count == total)
            for (measured, share) in [(all.p50, 0.5), (all.p99, 0.99), (all.p999, 0.999)] {
                let truth = Double(delays[Int((share * Double(total)).rounded(.up)) - 1]) / 1e6
                #expect(abs(measured - truth) < truth * 0.05, "p\(share * 100): \(measured) ms for \(truth) ms")
                let asked = 20 - 40 * log(1 - share)
                #expect(abs(truth - asked) < asked * 0.2, "the stub itself: \(truth) ms for \(asked) ms")
            }
        }

        @Test func `drops, resets, garbage, half answers and refusals are counted right`() throws {
            let server = BrokenServer { number in
                switch number % 10 {
                case 0: .answerAndClose("")
                case 1: .reset
                case 2: .answer("SSH-2.0-OpenSSH_9.2\r\n\r\n")
                case 3: .answer("HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n")
                case 4: .answerAndClose("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{}")
                case 5: .answer("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}HTTP/1.1 200 OK\r\n")
                case 6: .answer("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
                default: BrokenServer.good
                }
            }
            defer { server.stop() }
            // One connection at a time, so that the n-th request is the n-th of the script.
            var options = try options(server.address, rate: 100, seconds: 2, connections: 100)
            options.timeoutSeconds = 2
            let report = Load.run(options)
            let sent = report.sent
            #expect(sent == 200 && report.dropped == 0)
            #expect(report.statuses == ["200": 80, "500": 20, "404": 20])
            #expect(report.errors["closed before the answer"] == 40)
            #expect(report.errors["connection lost: Connection reset by peer"] == 20)
            #expect(report.errors["answer malformed"] == 20)
            #expect(report.refused?.count == 40 && report.reads?.count == 80 && report.all?.count == 200)
            #expect(report.unanswered == 80 && report.readTriesFailed == 120 && !report.isClean)
            #expect(abs(report.failedShare - 0.6) < 1e-9)
        }

        @Test func `a generator that cannot keep up says so, and one that can does not`() throws {
            let stub = StubServer()
            defer { stub.stop() }
            // No machine sends a million a second from one thread.
            var options = try options(stub.address, rate: 1_000_000, seconds: 0.5, connections: 64)
            options.timeoutSeconds = 0.2
            let report = Load.run(options)
            #expect(report.generator.isLimit || report.generator.warnings.contains { $0.contains("connections were busy") })
            #expect(!report.generator.warnings.isEmpty)
            #expect(report.text.contains("WARNING"))
            #expect(report.html.contains("Read this first"))
            let slow = Load.run(try self.options(stub.address, rate: 50, seconds: 1, connections: 8))
            #expect(!slow.generator.warnings.contains { $0.contains("connections were busy") })
            #expect(slow.generator.busiestThreadShare < 0.5)
        }
    }
}
