import Foundation
import Testing

@testable import Bench

/// Scenario files, the shape of schedules, and the search for the knee. Nothing here sends a request.
@Suite struct ScenarioTests {
    private func read(_ json: String) throws(ScenarioError) -> Scenario { try Scenario(json: Data(json.utf8), place: "a.json") }

    @Test(arguments: Scenario.presetNames) func `every preset can be read and run`(name: String) throws {
        let scenario = try Scenario.named(name)
        #expect(scenario.name == name && scenario.summary?.isEmpty == false && scenario.connections == 3_000)
        #expect(scenario.mix == (name == "settle" ? "0:1" : "5:1"))
        #expect((scenario.search == nil) == (scenario.phases != nil))
        var options = LoadOptions(
            target: LoadTarget(unixPaths: ["/x"]), pace: .open(perSecond: scenario.rate ?? 1, .poisson),
            accounts: try #require(AccountSet("a:1..10")))
        options.phases = scenario.phases ?? options.phases
        if let hot = scenario.hot { options.popularity = .hot(share: hot) }
        if let zipf = scenario.zipf { options.popularity = .zipf(exponent: zipf) }
        #expect(options.problem == nil)
    }

    @Test func `a file says everything that the command line can`() throws {
        let scenario = try read(
            """
            {"name": "x", "summary": "s", "rate": 10, "closed": false, "arrivals": "poisson", "connections": 5, "threads": 2, "mix": "1:2",
             "reads": "1:0:0", "accounts": "a:1..9", "zipf": 1.5, "duplicates": 0.1, "wait": 0.2, "follow": 0.3, "retries": 4,
             "timeout_seconds": 7, "phases": [{"seconds": 1}, {"name": "up", "seconds": 2.5, "from": 0, "to": 3, "warm_up": true}]}
            """)
        #expect(scenario.rate == 10 && scenario.arrivals == .poisson && scenario.zipf == 1.5 && scenario.timeoutSeconds == 7)
        #expect(scenario.phases == [LoadPhase("phase 1", seconds: 1), LoadPhase("up", seconds: 2.5, from: 0, to: 3, isWarmUp: true)])
    }

    @Test(arguments: [
        ("{\"nmae\": \"x\"}", "`nmae` is no member of it"), ("{\"arrivals\": \"uniform\"}", "`arrivals`: use constant or poisson"),
        ("{\"rate\": \"fast\"}", "`rate`"), ("[]", "a.json: "), ("{", "a.json: "),
        ("{\"phases\": [{\"seconds\": 1}, {\"level\": 1}]}", "`phases.[1]`: `seconds` is missing"),
        ("{\"phases\": [{\"seconds\": 1, \"level\": 1, \"to\": 2}]}", "use `level`, or `from` and `to`"),
        ("{\"phases\": [{\"seconds\": 1, \"to\": 2}]}", "use `level`, or `from` and `to`"),
        ("{\"phases\": [{\"seconds\": 1, \"rate\": 2}]}", "`rate` is no member of it"),
        ("{\"phases\": [{\"seconds\": 1}], \"search\": {}}", "leave `phases` out"), ("{\"search\": {\"growth\": 1}}", "`search.growth`"),
        ("{\"search\": {\"strat\": 1}}", "`strat` is no member of it"),
    ])
    func `a file that is wrong is told where`(json: String, sentence: String) {
        let error = #expect(throws: ScenarioError.self) { try read(json) }
        #expect(error?.description.contains(sentence) == true, "\(error?.description ?? "")")
        #expect(error?.description.hasPrefix("a.json: ") == true)
    }

    @Test func `a preset that there is not, and a file that there is not, are told apart`() {
        #expect(throws: ScenarioError.self) { try Scenario.named("stead") }
        #expect(throws: ScenarioError.self) { try Scenario.named("/nowhere/a.json") }
    }

    @Test func `a ramp has as many requests as its area, ever denser`() {
        var chance = Chance(seed: 1)
        let phases = [
            LoadPhase("up", seconds: 10, from: 0, to: 2), LoadPhase("pause", seconds: 5, from: 0),
            LoadPhase("down", seconds: 10, from: 2, to: 0),
        ]
        var schedule = ArrivalSchedule(perSecond: 100, phases: phases, arrivals: .constant, phase: 0, chance: &chance)
        var times: [Double] = []
        while schedule.next != .max {
            times.append(Double(schedule.next) / 1e9)
            schedule.advance(&chance)
        }
        #expect(times.count == 2_000)
        #expect(times == times.sorted())
        // A quarter of the area is in the first half of the ramp.
        #expect(times.filter { $0 < 5 }.count == 250)
        #expect(times.filter { $0 < 10 }.count == 1_000)
        #expect(!times.contains { $0 > 10.01 && $0 < 14.99 })
        #expect(times.filter { $0 >= 20 }.count == 250)
        #expect((times.last ?? 99) < 25)
    }

    @Test func `Poisson arrivals keep the rate of each phase`() {
        var chance = Chance(seed: 11)
        let phases = [LoadPhase("low", seconds: 100), LoadPhase("high", seconds: 100, from: 5)]
        var schedule = ArrivalSchedule(perSecond: 100, phases: phases, arrivals: .poisson, phase: 0, chance: &chance)
        var counts = [0, 0]
        while schedule.next != .max {
            counts[schedule.next < 100_000_000_000 ? 0 : 1] += 1
            schedule.advance(&chance)
        }
        // Five standard deviations.
        #expect(abs(counts[0] - 10_000) < 500 && abs(counts[1] - 50_000) < 1_120)
    }

    @Test func `the knee is found by growing and then by halving`() {
        var search = Scenario.Search()
        (search.startPerSecond, search.growth, search.precision) = (1_000, 2, 0.05)
        var knee = KneeSearch(search)
        var tried: [Double] = []
        while let rate = knee.next {
            tried.append(rate)
            let holds = rate <= 5_700
            knee.note(asked: rate, achieved: holds ? rate : 5_700, p99: holds ? 10 : 900, failedShare: 0, isGeneratorLimited: false)
        }
        #expect(tried.prefix(4) == [1_000, 2_000, 4_000, 8_000])
        let held = knee.held ?? 0
        #expect(held <= 5_700 && held * 1.05 >= 5_700 * 0.99)
        #expect(knee.steps.count <= 9)
    }

    @Test func `a search goes down when its first rate fails, says why, and ends`() {
        var search = Scenario.Search()
        (search.startPerSecond, search.growth, search.stepsMax) = (1_000, 2, 6)
        var knee = KneeSearch(search)
        for (achieved, p99, failed) in [(900.0, 1.0, 0.0), (500, 200, 0), (250, 1, 0.01)] {
            knee.note(asked: knee.next ?? 0, achieved: achieved, p99: p99, failedShare: failed, isGeneratorLimited: false)
        }
        #expect(knee.steps.map(\.asked) == [1_000, 500, 250])
        #expect(knee.steps.map { $0.reason ?? "" } == ["achieved 90.0 % of it", "p99 above 100 ms", "1.0 % failed"])
        knee.note(asked: 125, achieved: 0, p99: nil, failedShare: 0, isGeneratorLimited: true)
        #expect(knee.steps.last?.holds == false && knee.held == nil)
        while let rate = knee.next { knee.note(asked: rate, achieved: 0, p99: nil, failedShare: 0, isGeneratorLimited: false) }
        #expect(knee.steps.count == 6)
    }
}
