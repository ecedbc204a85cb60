import Glibc
import Loop
import Testing

@testable import Bench

@Suite struct PureTests {
    @Test func `percentiles of a known distribution are right within 5 %`() throws {
        // Exponential with a mean of 1 ms: the p-th percentile is -ln(1 - p) ms.
        var chance = Chance(seed: 42)
        var counts = LoadCounts(phases: 1, series: LoadSeries(seconds: 1))
        for _ in 0..<200_000 {
            let value = UInt64(-log(1 - Double.random(in: 0..<1, using: &chance)) * 1e6)
            counts.noteAnswer(RequestPlan(kind: .balance), LoadAnswer(status: 200), latency: value, service: value, isMeasured: true)
        }
        let latency = try #require(LoadReport.Latency(counts.latency(of: [.balance, .status])))
        for (measured, share) in [(latency.p50, 0.5), (latency.p90, 0.9), (latency.p99, 0.99), (latency.p999, 0.999)] {
            let expected = -log(1 - share)
            #expect(abs(measured - expected) < expected * 0.05, "p\(share * 100): \(measured) for \(expected)")
        }
        #expect(abs(latency.mean - 1) < 0.02)
        #expect(LoadReport.Latency(counts.latency(of: [.payment])) == nil)
    }

    @Test func `counts of threads add up`() {
        var first = LoadCounts(phases: 1, series: LoadSeries(seconds: 2))
        first.noteSent(afterNanoseconds: 2_000_000, byItself: 1_500_000)
        first.noteAnswer(RequestPlan(kind: .balance), LoadAnswer(status: 200), latency: 1_000, service: 900, isMeasured: true)
        first.acknowledged = [PaymentID(high: 1, low: 2)]
        var second = LoadCounts(phases: 1, series: LoadSeries(seconds: 2))
        second.noteSent(afterNanoseconds: 500, byItself: 0)
        second.noteSent(afterNanoseconds: 3_000_000, byItself: 500)
        second.noteAnswer(RequestPlan(kind: .payment, interval: 1), LoadAnswer(status: 402), latency: 3_000, service: 1, isMeasured: true)
        second.noteAnswer(RequestPlan(kind: .payment), LoadAnswer(status: 500), latency: 3_000, service: 1, isMeasured: true)
        second.noteUnanswered(RequestPlan(kind: .balance), afterNanoseconds: 9_000, isMeasured: true)
        second.noteUnanswered(RequestPlan(kind: .balance), afterNanoseconds: 9_000, isMeasured: false)
        second.retries = 3
        second.acknowledged = [PaymentID(high: 3, low: 4)]
        first.add(second)
        #expect(first.sent == 3 && first.late == 2 && first.lateByItself == 1 && first.answered == 3 && first.declined == 1)
        #expect(first.latestNanoseconds == 3_000_000 && first.latestByItselfNanoseconds == 1_500_000 && first.retries == 3)
        let histograms = [
            first.latency(of: [.balance]), first.latency(of: [.payment]), first.refused, first.unanswered, first.all, first.phases[0].all,
            first.phases[0].reads, first.phases[0].writes,
        ]
        #expect(histograms.map { LoadReport.Latency($0)?.count } == [1, 1, 1, 1, 4, 4, 2, 2])
        #expect(first.series.intervals.map(\.succeeded) == [1, 1] && first.series.intervals.map(\.failed) == [3, 0])
        #expect(first.acknowledged == [PaymentID(high: 1, low: 2), PaymentID(high: 3, low: 4)])
    }

    @Test func `a constant schedule does not drift`() {
        var chance = Chance(seed: 1)
        let phases = [LoadPhase("long", seconds: 2_000_000)]
        var schedule = ArrivalSchedule(perSecond: 3, phases: phases, arrivals: .constant, phase: 0.5, chance: &chance)
        #expect(schedule.next == 166_666_666)
        for _ in 0..<3_000_000 { schedule.advance(&chance) }
        #expect((1_000_000_166_666_600...1_000_000_166_666_700).contains(schedule.next))
    }

    @Test func `the gaps of a Poisson schedule have the mean and the spread of an exponential`() {
        var chance = Chance(seed: 7)
        let phases = [LoadPhase("long", seconds: 1_000)]
        var schedule = ArrivalSchedule(perSecond: 1_000, phases: phases, arrivals: .poisson, phase: 0, chance: &chance)
        var (last, sum, squares, long) = (UInt64(0), 0.0, 0.0, 0)
        let count = 100_000
        for _ in 0..<count {
            let gap = Double(schedule.next - last) / 1e6
            last = schedule.next
            sum += gap
            squares += gap * gap
            if gap > 3 { long += 1 }
            schedule.advance(&chance)
        }
        let mean = sum / Double(count)
        #expect(abs(mean - 1) < 0.02)
        #expect(abs(squares / Double(count) - mean * mean - 1) < 0.05)
        // e^-3 of them.
        #expect(abs(Double(long) / Double(count) - 0.0498) < 0.004)
    }

    @Test func `Zipf draws the first account as often as its law says and uniform draws all alike`() {
        var chance = Chance(seed: 3)
        var zipf = [Int](repeating: 0, count: 100)
        let picker = AccountPicker(count: 100, .zipf(exponent: 1))
        for _ in 0..<100_000 { zipf[picker.pick(&chance)] += 1 }
        // The harmonic number of 100 is 5.187.
        #expect(abs(Double(zipf[0]) / 100_000 - 0.1928) < 0.01)
        #expect(abs(Double(zipf[9]) / 100_000 - 0.0193) < 0.003)
        #expect(zipf[99] > 0)
        var uniform = [Int](repeating: 0, count: 100)
        let even = AccountPicker(count: 100, .uniform)
        for _ in 0..<100_000 { uniform[even.pick(&chance)] += 1 }
        #expect(uniform.allSatisfy { (800...1_200).contains($0) })
    }

    @Test func `a payment never has one account on both sides`() {
        var chance = Chance(seed: 5)
        let picker = AccountPicker(count: 2, .zipf(exponent: 5))
        for _ in 0..<1_000 {
            let (debit, credit) = picker.pickPair(&chance)
            #expect(debit != credit && (0...1).contains(debit) && (0...1).contains(credit))
        }
    }

    @Test func `ranges of accounts are read and named`() throws {
        let set = try #require(AccountSet("payer:7..11"))
        #expect(set.count == 5)
        #expect(set.name(0) == "payer:7" && set.name(4) == "payer:11")
        let one = try #require(AccountSet("world:cash"))
        #expect(one.count == 1 && one.name(0) == "world:cash")
        let list = try #require(AccountSet(["a", "b"]))
        #expect(list.count == 2 && list.name(1) == "b")
    }

    @Test(arguments: ["", "a..b", "a1..", "a5..4", "a/1..2", "a b", "a\"", "a1..999999999", "..5"])
    func `what is no set of accounts is refused`(text: String) {
        #expect(AccountSet(text) == nil)
    }

    @Test func `lists of accounts that are empty or hold no id are refused`() {
        #expect(AccountSet([]) == nil)
        #expect(AccountSet(["a", "b c"]) == nil)
    }

    @Test(arguments: [
        ("http://127.0.0.1:8080", "127.0.0.1:8080", "127.0.0.1:8080", ""), ("http://localhost", "127.0.0.1:80", "localhost", ""),
        ("http://[::1]:81/api/", "[::1]:81", "[::1]:81", "/api"),
    ])
    func `addresses are read`(url: String, address: String, host: String, prefix: String) throws {
        let target = try #require(LoadTarget(url: url))
        #expect(target.addresses.map(\.description) == [address])
        #expect(target.host == host)
        #expect(target.pathPrefix == prefix)
    }

    @Test(arguments: [
        "ftp://127.0.0.1", "127.0.0.1:80", "http://", "http://a:b", "", "http://127.0.0.1,https://127.0.0.2",
        "http://127.0.0.1/a,http://127.0.0.1/b", "http://127.0.0.1:99999", "http://127.0.0.1/?a", "http://u@127.0.0.1",
    ])
    func `what is no address is refused`(url: String) {
        #expect(LoadTarget(url: url) == nil)
    }

    @Test func `settings that cannot work are told`() throws {
        let target = LoadTarget(unixPaths: ["/x"])
        func problem(_ change: (inout LoadOptions) -> Void) throws -> String? {
            var options = LoadOptions(target: target, pace: .open(perSecond: 100, .constant), accounts: try #require(AccountSet("a1..2")))
            change(&options)
            return options.problem
        }
        #expect(try problem { _ in } == nil)
        #expect(try problem { $0.pace = .open(perSecond: 0, .constant) } != nil)
        #expect(try problem { $0.pace = .open(perSecond: .nan, .constant) } != nil)
        #expect(try problem { $0.connections = 0 } != nil)
        #expect(try problem { $0.threads = 65 } != nil)
        #expect(try problem { $0.mix.reads = 0 } != nil)
        #expect(try problem { ($0.mix.balances, $0.mix.statuses, $0.mix.transactions) = (0, 0, 0) } != nil)
        #expect(try problem { $0.phases = [] } != nil)
        #expect(try problem { $0.phases = [LoadPhase("a", seconds: 1, isWarmUp: true)] } != nil)
        #expect(try problem { $0.phases = [LoadPhase("a", seconds: 1, from: 0)] } != nil)
        #expect(try problem { $0.phases = [LoadPhase("a", seconds: 1, from: -1, to: 1)] } != nil)
        #expect(try problem { $0.phases = Array(repeating: LoadPhase("a", seconds: 1), count: 65) } != nil)
        #expect(try problem { $0.duplicateShare = 1.1 } != nil)
        #expect(try problem { ($0.duplicateShare, $0.waitShare) = (0.6, 0.6) } != nil)
        #expect(try problem { $0.followShare = .nan } != nil)
        #expect(try problem { $0.retriesMax = 101 } != nil)
        #expect(try problem { $0.popularity = .hot(share: 0.5) } != nil)
        #expect(try problem { $0.seconds = 0 } != nil)
        #expect(try problem { $0.timeoutSeconds = 0 } != nil)
        #expect(try problem { $0.popularity = .zipf(exponent: 0) } != nil)
        #expect(try problem { ($0.mix.writes, $0.accounts) = (1, AccountSet(["a"]) ?? $0.accounts) } != nil)
    }
}
