import Foundation
import Testing

@testable import Bench

/// What is made of a run's counts. Nothing here sends a request.
@Suite struct ReportTests {
    /// A run of 10 s at 1,000/s whose latencies are about `milliseconds`.
    private func report(_ milliseconds: Double = 2, failing: Int = 0, seed: UInt64 = 1) throws -> LoadReport {
        var options = LoadOptions(
            target: LoadTarget(unixPaths: ["/x"]), pace: .open(perSecond: 1_000, .constant), accounts: try #require(AccountSet("a:1..9")))
        options.name = "a <b> & \"c\""
        var chance = Chance(seed: seed)
        var counts = LoadCounts(phases: 1, series: LoadSeries(seconds: 10))
        for number in 0..<10_000 {
            var plan = RequestPlan(kind: number.isMultiple(of: 5) ? .payment : .balance)
            plan.interval = number / 1_000
            let latency = UInt64(milliseconds * 1e6 * Double.random(in: 0.8..<1.2, using: &chance))
            counts.noteSent(afterNanoseconds: 0, byItself: 0)
            let answer = LoadAnswer(status: number < failing ? 500 : 200)
            counts.noteAnswer(plan, answer, latency: latency, service: latency / 2, isMeasured: true)
            counts.statuses[answer.status, default: 0] += 1
        }
        counts.failures = [.timedOut: 2]
        counts.elapsedNanoseconds = 10_000_000_000
        return LoadReport(options, counts, cpuSeconds: 0.1, startedMicroseconds: 1_800_000_000_000_000)
    }

    @Test func `a report is read back as it was written`() throws {
        var report = try report()
        report.verdict = BenchVerdict(
            word: .wrong, sentence: "s", drainSeconds: 1.5,
            checks: [.init(name: "n", claim: "c", looked: 1, findings: 2, shown: ["x"])])
        report.environment.notes = ["some_name": "v"]
        report.capacityPerSecond = 5
        report.search = [.init(asked: 1, achieved: 2, p99: 3, failedShare: 4, holds: false, reason: "r", isGeneratorLimited: true)]
        let path = NSTemporaryDirectory() + "sluice-report-\(getpid()).json"
        try Data(report.json.utf8).write(to: URL(fileURLWithPath: path))
        defer { try? FileManager.default.removeItem(atPath: path) }
        let again = try LoadReport.read(path: path)
        #expect(again.json == report.json)
        #expect(again.all == report.all && again.all?.p9999 != nil && again.statuses == ["200": 10_000])
        #expect(again.environment.notes == ["some_name": "v"] && again.errors == ["timed out": 2])
        #expect(again.verdict == report.verdict && again.startedAt == "2027-01-15T08:00:00Z")
        #expect(report.json.contains("\"p99_9\" : ") && report.json.contains("\"generator_cpu_seconds\" : "))
    }

    @Test func `what is no report is refused with its name`() {
        #expect(throws: ReportError.self) { try LoadReport.read(path: "/nowhere.json") }
        #expect(throws: ReportError.self) { try LoadReport.read(path: "/proc/self/status") }
    }

    @Test func `the percentile file is one that HdrHistogram's plotter reads`() throws {
        let report = try report()
        #expect(report.hgrmGroups.contains("all") && report.hgrmGroups.contains("payment"))
        #expect(report.hgrm("nothing") == nil)
        let lines = try #require(report.hgrm("reads")).split(separator: "\n").map(String.init)
        #expect(lines[0].split(separator: " ") == ["Value", "Percentile", "TotalCount", "1/(1-Percentile)"])
        var last = (value: 0.0, percentile: -1.0)
        for line in lines.dropFirst() where !line.hasPrefix("#") {
            let cells = line.split(separator: " ").compactMap { Double($0) }
            #expect(cells.count == 4 || (cells.count == 3 && cells[1] == 1))
            #expect(cells[0] >= last.value && cells[1] >= last.percentile)
            last = (cells[0], cells[1])
        }
        #expect(last.percentile == 1 && abs(last.value - 2.4) < 0.1)
        #expect(lines.suffix(3).allSatisfy { $0.hasPrefix("#[") } && lines.contains { $0.contains("Total count    =         8000]") })
    }

    @Test func `the page needs nothing else, escapes what it shows, and has all parts`() throws {
        var report = try report(failing: 3)
        report.verdict = BenchVerdict(word: .clean, sentence: "all there", drainSeconds: 0.2)
        let html = report.html
        for part in [
            "<!doctype html>", "prefers-color-scheme: dark", "a &lt;b&gt; &amp; &quot;c&quot;", "Audit: clean.", "answer 500", "timed out",
        ] {
            #expect(html.contains(part), "\(part)")
        }
        #expect(!html.contains("http://") && !html.contains("https://") && !html.contains("<script") && !html.contains("a <b>"))
        // Three charts, each for a wide page and a narrow one.
        #expect(html.components(separatedBy: "<svg ").count == 7)
        #expect(!html.contains("nan") && !html.contains("inf,"))
        for tag in ["section", "table", "svg", "figure", "div", "ul", "p", "h2"] {
            let opened = html.components(separatedBy: "<\(tag)>").count + html.components(separatedBy: "<\(tag) ").count - 2
            #expect(opened == html.components(separatedBy: "</\(tag)>").count - 1, "\(tag)")
        }
        report.verdict = nil
        #expect(report.html.contains("not audited"))
    }

    @Test func `a page of a run without an answer can still be read`() throws {
        var options = LoadOptions(target: LoadTarget(unixPaths: ["/x"]), pace: .closed, accounts: try #require(AccountSet("a")))
        options.phases = [LoadPhase("a", seconds: 0.5), LoadPhase("b", seconds: 1)]
        let counts = LoadCounts(phases: 2, series: LoadSeries(seconds: 1.5))
        let report = LoadReport(options, counts, cpuSeconds: 0, startedMicroseconds: 0)
        #expect(report.html.contains("No answers.") && report.text.contains("closed loop") && !report.isClean)
    }

    @Test func `two runs that are alike are no regression, and one that got slower is`() throws {
        let base = try report()
        let alike = ReportComparison([base], [try report(2.02, seed: 2)], threshold: 0.1)
        #expect(!alike.isRegression && alike.doubts == [], "\(alike.text)")
        let slower = ReportComparison([base], [try report(3, seed: 2)], threshold: 0.1)
        #expect(slower.isRegression && slower.rows.filter { $0.change == .worse }.map(\.name).contains("reads p99"))
        #expect(slower.text.contains("REGRESSION") && slower.text.contains("+50."))
        let faster = ReportComparison([try report(3)], [base], threshold: 0.1)
        #expect(!faster.isRegression && faster.rows.contains { $0.change == .better })
        #expect(!ReportComparison([base], [try report(3)], threshold: 0.6).isRegression)
        let failing = ReportComparison([base], [try report(failing: 100)], threshold: 0.1)
        #expect(failing.rows.first { $0.name == "failed" }?.change == .worse)
    }

    @Test func `a difference within the spread of several runs is none`() throws {
        let base = [try report(2), try report(3.2), try report(2.4)]
        let within = ReportComparison(base, [try report(3)], threshold: 0.1)
        #expect(!within.isRegression)
        let row = try #require(within.rows.first { $0.name == "reads p50" })
        #expect(row.spread?.lowerBound ?? 0 < 2.1 && row.spread?.upperBound ?? 0 > 3.1 && abs(row.before - 2.4) < 0.1)
        #expect(ReportComparison(base, [try report(4)], threshold: 0.1).isRegression)
    }

    @Test func `what makes a comparison doubtful is told`() throws {
        let base = try report()
        var other = base
        other.connections = 1
        other.settings["mix"] = "9:9"
        other.environment.processor = "another"
        other.generator.warnings = ["late"]
        let doubts = ReportComparison([base], [other], threshold: 0.1).doubts.joined(separator: "\n")
        for word in ["connections differs", "mix differs", "processor differs", "warnings"] { #expect(doubts.contains(word)) }
    }

    @Test func `progress is a line in a log, and a block that is redrawn on a terminal`() {
        var progress = LoadProgress()
        (progress.elapsedSeconds, progress.totalSeconds, progress.phase, progress.askedPerSecond) = (30, 90, "spike", 5_000)
        (progress.answersPerSecond, progress.p50, progress.p99, progress.max, progress.failed) = (4_900, 1.25, 20, 100, 7)
        final class Sink { var text = "" }
        let sink = Sink()
        let lines = LiveView(.lines) { sink.text += $0 }
        for second in [30.0, 31, 34.9, 35, 36] {
            progress.elapsedSeconds = second
            lines.show(progress)
        }
        lines.end()
        #expect(sink.text.split(separator: "\n").count == 2 && !sink.text.contains("\u{1B}"))
        #expect(sink.text.hasPrefix("0:30/1:30 spike: 4900 of 5000 answers/s, p50 1.25 ms, p99 20 ms, max 100 ms, 7 failed, 0 dropped\n"))
        for hasColour in [true, false] {
            sink.text = ""
            let view = LiveView(.terminal(hasColour: hasColour, columns: 60)) { sink.text += $0 }
            view.show(progress)
            let count = sink.text.split(separator: "\n").count
            #expect(sink.text.contains("40 %") && sink.text.contains("ETA 0:54"))
            // Colours are "m" sequences; moving the cursor is not.
            #expect(sink.text.contains("\u{1B}[31m") == hasColour && sink.text.contains("\u{1B}[1m") == hasColour)
            sink.text = ""
            view.show(progress)
            #expect(sink.text.hasPrefix("\u{1B}[\(count)A"))
            sink.text = ""
            view.end()
            #expect(sink.text == "\u{1B}[\(count)A\u{1B}[J")
        }
        progress.generatorShare = 0.9
        #expect(LiveView.line(progress).contains("BOTTLENECK"))
        let narrow = LiveView.block(progress, hasColour: false, columns: 30)
        #expect(narrow.allSatisfy { $0.count < 30 })
    }
}
