import Bench
import Glibc
import Loop
import Synchronization
import Testing

extension Measurements {
    /// What a load does as a client, against a server of our own.
    @Suite(.serialized) struct BehaviourTests {
        private func options(_ stub: StubServer, rate: Double, seconds: Double = 1) throws -> LoadOptions {
            var options = LoadOptions(
                target: LoadTarget(addresses: [stub.address], host: "stub"), pace: .open(perSecond: rate, .constant),
                accounts: try #require(AccountSet("acct-1..20")))
            options.connections = 16
            options.seconds = seconds
            return options
        }

        private func stub(_ behaviour: StubBehaviour) -> StubServer { StubServer(.tcp(address: "127.0.0.1", port: 0), behaviour) }

        @Test func `what is refused for the moment is sent again under its key and counted apart`() throws {
            let stub = stub(StubBehaviour(refusesEvery: 4, settlesAfterMilliseconds: 0))
            defer { stub.stop() }
            var options = try options(stub, rate: 300)
            options.mix = LoadOptions.Mix(reads: 0, writes: 1)
            options.retriesMax = 8
            let report = Load.run(options)
            let seen = stub.log.seen.withLock { $0 }
            #expect(report.sent == 300 && report.answered == 300 && report.isClean)
            #expect(report.retries == report.statuses["503"] && report.retries >= 75)
            #expect(seen.requests.count == 300 + report.retries)
            #expect(seen.keys.count == 300)
            #expect(Set(seen.bodies).count <= 300)
            #expect(report.acceptedLater > 0 && report.acceptedLater <= report.retries)
            #expect(report.gaveUp == 0 && report.refused == nil)
            // None of it was a read.
            #expect(report.readTriesFailed == 0)
            #expect(report.acknowledged.count == 300 && Set(report.acknowledged).count == 300)
        }

        @Test func `Retry-After is heeded and the wait is in the latency`() throws {
            let stub = stub(StubBehaviour(refusesEvery: 50, retryAfterSeconds: 1))
            defer { stub.stop() }
            var options = try options(stub, rate: 97)
            options.retriesMax = 1
            let report = Load.run(options)
            #expect(report.retries == 1 && report.statuses == ["200": 97, "503": 1])
            let all = try #require(report.all)
            #expect(all.max >= 1_000 && all.max < 1_600 && all.p90 < 500)
            // The try alone was quick.
            #expect(try #require(report.kinds.first).service.max < 900)
        }

        @Test func `who was refused as often as is allowed is refused`() throws {
            let stub = stub(StubBehaviour(refusesEvery: 1))
            defer { stub.stop() }
            var options = try options(stub, rate: 50)
            options.retriesMax = 2
            let report = Load.run(options)
            #expect(report.sent == 50 && report.retries == 100 && report.gaveUp == 50)
            #expect(report.refused?.count == 50 && report.statuses == ["503": 150])
        }

        @Test(arguments: [("payment_not_visible_yet", true), ("payment_not_found", false)])
        func `a payment that may only not be visible yet is asked for again, one that is not there is not`(
            code: String, isAskedAgain: Bool
        ) throws {
            let stub = stub(StubBehaviour(misses: (3, code), settlesAfterMilliseconds: 0))
            defer { stub.stop() }
            var options = try options(stub, rate: 200)
            options.mix = LoadOptions.Mix(reads: 1, writes: 1)
            (options.mix.balances, options.mix.statuses, options.mix.transactions) = (0, 1, 0)
            options.retriesMax = 8
            let report = Load.run(options)
            let missed = try #require(report.statuses["404"])
            #expect(missed > 20 && report.answered == 200 && report.readTriesFailed == missed)
            #expect(report.retries == (isAskedAgain ? missed : 0))
            #expect(report.refused?.count == (isAskedAgain ? nil : missed))
        }

        @Test func `duplicates repeat a key and its body, and another payment for a key is noticed`() throws {
            for forgets in [false, true] {
                let stub = stub(StubBehaviour(settlesAfterMilliseconds: 0, forgetsKeys: forgets))
                defer { stub.stop() }
                var options = try options(stub, rate: 400)
                options.mix = LoadOptions.Mix(reads: 0, writes: 1)
                options.duplicateShare = 0.5
                let report = Load.run(options)
                let duplicates = try #require(report.kinds.first { $0.name == "duplicate" }).latency.count
                #expect((120...280).contains(duplicates))
                let seen = stub.log.seen.withLock { $0 }
                #expect(seen.keys.count == 400 - duplicates)
                #expect(report.acknowledged.count == 400 - duplicates)
                #expect(report.duplicatesWrong == (forgets ? duplicates : 0))
                #expect(report.isClean == !forgets)
            }
        }

        @Test func `statuses are those of payments of this run and the reads come in their shares`() throws {
            let stub = stub(StubBehaviour(settlesAfterMilliseconds: 0))
            defer { stub.stop() }
            var options = try options(stub, rate: 1_000)
            options.mix = LoadOptions.Mix(reads: 5, writes: 1)
            let report = Load.run(options)
            let counts = Dictionary(uniqueKeysWithValues: report.kinds.map { ($0.name, $0.latency.count) })
            let reads = Double((counts["balance"] ?? 0) + (counts["payment_status"] ?? 0) + (counts["transactions"] ?? 0))
            #expect(abs(reads / 1_000 - 5.0 / 6) < 0.05)
            #expect(abs(Double(counts["balance"] ?? 0) / reads - 0.6) < 0.06)
            #expect(abs(Double(counts["payment_status"] ?? 0) / reads - 0.2) < 0.05)
            #expect(abs(Double(counts["transactions"] ?? 0) / reads - 0.2) < 0.05)
            let requests = stub.log.seen.withLock { $0.requests }
            #expect(requests.filter { $0.hasPrefix("/v1/payments/") }.count == counts["payment_status"])
            #expect(requests.filter { $0.hasSuffix("/transactions") }.count == counts["transactions"])
        }

        @Test func `accepted payments are followed until they are final`() throws {
            let stub = stub(StubBehaviour(settlesAfterMilliseconds: 300))
            defer { stub.stop() }
            var options = try options(stub, rate: 50)
            options.mix = LoadOptions.Mix(reads: 0, writes: 1)
            options.followShare = 1
            let report = Load.run(options)
            let final = try #require(report.timeToFinal)
            #expect(final.count == 50 && report.neverFinal == 0 && report.notFollowed == 0)
            // Asked for again every 50 ms or a little later.
            #expect(final.p50 >= 300 && final.p50 < 600)
            // On connections of their own, and not among the requests.
            #expect(report.sent == 50 && report.all?.count == 50)
        }

        @Test func `phases are as long and as full as they say, and warming up is left out of the latencies`() throws {
            let stub = stub(StubBehaviour())
            defer { stub.stop() }
            var options = try options(stub, rate: 200)
            options.mix = LoadOptions.Mix(reads: 5, writes: 1)
            options.phases = [
                LoadPhase("warm", seconds: 0.5, isWarmUp: true), LoadPhase("ramp", seconds: 1, from: 0, to: 2),
                LoadPhase("spike", seconds: 0.5, from: 4), LoadPhase("rest", seconds: 0.5, from: 0), LoadPhase("after", seconds: 0.5),
            ]
            let report = Load.run(options)
            #expect(report.sent == 100 + 200 + 400 + 100 && report.warmUps == 100 && report.answered == 800)
            #expect(report.phases.map { $0.latency?.count ?? 0 } == [0, 200, 400, 0, 100])
            let (reads, writes) = (report.phases.map { $0.reads?.count ?? 0 }, report.phases.map { $0.writes?.count ?? 0 })
            #expect(zip(reads, writes).map { $0 + $1 } == [0, 200, 400, 0, 100])
            #expect(reads.reduce(0, +) == report.reads?.count && writes.reduce(0, +) == report.writes?.count, "\(reads) \(writes)")
            #expect(report.all?.count == 700)
            #expect(report.phases.map(\.startSecond) == [0, 0.5, 1.5, 2, 2.5])
            let points = report.series.map(\.succeeded)
            #expect(points.count == 3 && points.reduce(0, +) == 800)
        }

        @Test func `a run that is over in time although a server keeps it waiting`() throws {
            let stub = stub(StubBehaviour(isSilent: true))
            defer { stub.stop() }
            var options = try options(stub, rate: 20, seconds: 0.5)
            options.timeoutSeconds = 0.3
            options.retriesMax = 1
            let report = Load.run(options)
            #expect(report.answered == 0 && report.retries + report.dropped > 0)
            #expect(report.errors["timed out"] == report.sent + report.retries)
        }

        @Test func `capacity is found below the rate that a server cannot hold`() throws {
            // 8 connections that wait 20 ms each: 400 a second and no more.
            let stub = stub(StubBehaviour(delayMicroseconds: { _ in 20_000 }))
            defer { stub.stop() }
            var options = try options(stub, rate: 1)
            options.connections = 8
            var search = Scenario.Search()
            (search.startPerSecond, search.growth, search.stepSeconds, search.pauseSeconds) = (100, 2, 1, 0)
            (search.p99Milliseconds, search.precision, search.achievedShareMin) = (250, 0.2, 0.9)
            let rates = Mutex<[Double]>([])
            let report = CapacityRun.run(options, search, onStep: { step in rates.withLock { $0.append(step.asked) } })
            let capacity = try #require(report.capacityPerSecond)
            #expect((180...400).contains(capacity), "\(report.text)")
            #expect(rates.withLock { Array($0.prefix(2)) } == [100, 200])
            #expect(report.search?.contains { !$0.holds } == true)
            #expect(report.text.contains("capacity"))
        }
    }
}
