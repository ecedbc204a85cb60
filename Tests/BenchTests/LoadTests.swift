import Bench
import Glibc
import Loop
import Synchronization
import Testing

extension Measurements {
    /// Against a server of our own, over real sockets. One at a time: these are measurements.
    @Suite(.serialized) struct LoadTests {
        private func options(_ stub: StubServer, _ pace: LoadOptions.Pace, seconds: Double = 1) throws -> LoadOptions {
            let accounts = try #require(AccountSet("acct-1..20"))
            var options = LoadOptions(target: LoadTarget(addresses: [stub.address], host: "stub"), pace: pace, accounts: accounts)
            options.connections = 8
            options.seconds = seconds
            return options
        }

        @Test func `a server that stands still for 400 ms is seen with all who waited for it`() throws {
            let stub = StubServer(
                .tcp(address: "127.0.0.1", port: 0), StubBehaviour(freeze: (afterMilliseconds: 500, forMilliseconds: 400)))
            defer { stub.stop() }
            let report = Load.run(try options(stub, .open(perSecond: 500, .constant), seconds: 2))
            let all = try #require(report.all)
            #expect(all.count == 1_000)
            #expect(report.errors == [:])
            // 200 of 1,000 fell into the pause and waited 0 to 400 ms: a tenth of all waited for more than 200 ms.
            #expect(all.p99 >= 360)
            #expect(all.max >= 390)
            #expect(all.p90 >= 180)
            #expect(report.late >= 150)
        }

        @Test func `a closed loop hides such a pause, which is why it is not the default`() throws {
            let stub = StubServer(
                .tcp(address: "127.0.0.1", port: 0), StubBehaviour(freeze: (afterMilliseconds: 300, forMilliseconds: 400)))
            defer { stub.stop() }
            let report = Load.run(try options(stub, .closed))
            let all = try #require(report.all)
            #expect(all.count > 1_000)
            #expect(all.max >= 390)
            #expect(all.p99 < 200)
            #expect(report.askedPerSecond == nil)
        }

        @Test(arguments: [LoadOptions.Arrivals.constant, .poisson], [1, 2])
        func `as many requests are sent as were asked for, by one thread or two`(arrivals: LoadOptions.Arrivals, threads: Int) throws {
            let stub = StubServer()
            defer { stub.stop() }
            var options = try options(stub, .open(perSecond: 400, arrivals))
            options.threads = threads
            let report = Load.run(options)
            // Poisson: the standard deviation of 400 is 20.
            let slack = arrivals == .poisson ? 100 : 0
            #expect((400 - slack...400 + slack).contains(report.sent))
            #expect(report.answered == report.sent)
            #expect(report.statuses == ["200": report.sent])
            #expect(stub.log.seen.withLock { $0.requests.count } == report.sent)
            #expect(report.isClean)
        }

        @Test func `reads and payments come in the mix that was asked for and no key twice`() throws {
            let stub = StubServer()
            defer { stub.stop() }
            var options = try options(stub, .open(perSecond: 600, .constant))
            options.mix = LoadOptions.Mix(reads: 2, writes: 1)
            (options.mix.statuses, options.mix.transactions) = (0, 0)
            let report = Load.run(options)
            let seen = stub.log.seen.withLock { $0 }
            #expect((150...250).contains(seen.keys.count))
            #expect(seen.bodies.count == seen.keys.count)
            #expect(report.writes?.count == seen.keys.count)
            #expect(report.reads?.count == 600 - seen.keys.count)
            #expect(seen.requests.filter { $0 == "/v1/payments" }.count == seen.keys.count)
            #expect(seen.requests.filter { $0.hasPrefix("/v1/accounts/acct-") && $0.hasSuffix("/balance") }.count == 600 - seen.keys.count)
            let second = Load.run(options)
            #expect(stub.log.seen.withLock { $0.keys.count } == seen.keys.count + (second.writes?.count ?? 0))
        }

        @Test func `refusals are counted apart and the run is not clean`() throws {
            let stub = StubServer(.tcp(address: "127.0.0.1", port: 0), StubBehaviour(refusesEvery: 4))
            defer { stub.stop() }
            let report = Load.run(try options(stub, .open(perSecond: 400, .constant)))
            #expect(report.statuses == ["200": 300, "503": 100])
            #expect(report.refused?.count == 100)
            #expect(report.reads?.count == 300)
            #expect(!report.isClean)
        }

        @Test func `a connection that the server closes is opened again`() throws {
            let stub = StubServer(.tcp(address: "127.0.0.1", port: 0), StubBehaviour(closesEvery: 3))
            defer { stub.stop() }
            let report = Load.run(try options(stub, .open(perSecond: 400, .constant)))
            #expect(report.statuses == ["200": 400])
            #expect(report.isClean)
        }

        @Test func `requests without an answer are given up, those without a connection dropped, and both are in the latencies`() throws {
            let stub = StubServer(.tcp(address: "127.0.0.1", port: 0), StubBehaviour(isSilent: true))
            defer { stub.stop() }
            var options = try options(stub, .open(perSecond: 100, .constant))
            options.timeoutSeconds = 0.3
            let report = Load.run(options)
            #expect(report.answered == 0)
            #expect(report.dropped > 0)
            #expect(report.errors["timed out"] == report.sent)
            #expect(report.sent + report.dropped == 100)
            let all = try #require(report.all)
            #expect(all.count == 100)
            #expect(all.p50 >= 299)
            #expect(!report.isClean)
        }

        @Test func `a server that is not there is an error by its name and the run ends in time`() throws {
            let stub = StubServer()
            let address = stub.address
            stub.stop()
            var options = LoadOptions(
                target: LoadTarget(addresses: [address], host: "stub"), pace: .open(perSecond: 100, .constant),
                accounts: try #require(AccountSet("a")))
            options.connections = 2
            options.seconds = 0.5
            options.timeoutSeconds = 0.3
            let report = Load.run(options)
            #expect(report.answered == 0)
            #expect(report.errors.keys.sorted() == ["not connected: Connection refused"])
            #expect(!report.isClean)
        }

        @Test func `connections are spread over several Unix sockets`() throws {
            let folder = "/tmp/sluice-bench-\(getpid())"
            _ = unsafe mkdir(folder, 0o700)
            let stubs = (0..<2).map { StubServer(.unix(path: "\(folder)/\($0)")) }
            defer {
                for stub in stubs { stub.stop() }
                for index in 0..<2 { _ = unsafe unlink("\(folder)/\(index)") }
                _ = unsafe rmdir(folder)
            }
            var options = LoadOptions(
                target: LoadTarget(unixPaths: (0..<2).map { "\(folder)/\($0)" }), pace: .open(perSecond: 200, .constant),
                accounts: try #require(AccountSet("a")))
            options.connections = 4
            options.seconds = 0.5
            let report = Load.run(options)
            #expect(report.statuses == ["200": 100])
            // A connection that is late at its first turn gives it to the next.
            let counts = stubs.map { stub in stub.log.seen.withLock { $0.requests.count } }
            #expect(counts.reduce(0, +) == 100 && counts.allSatisfy { (35...65).contains($0) }, "\(counts)")
        }

        @Test func `a report as JSON has the figures under their names`() throws {
            let stub = StubServer()
            defer { stub.stop() }
            let report = Load.run(try options(stub, .open(perSecond: 100, .poisson), seconds: 0.5))
            for name in ["asked_per_second", "achieved_per_second", "p99_9", "p99_99", "late", "dropped", "errors", "statuses", "reads"] {
                #expect(report.json.contains("\"\(name)\" : "), "\(name)")
            }
            #expect(report.text.contains("p99.99"))
        }
    }
}
