import ArgumentParser
import Bench

/// `sluice bench compare`: whether a change made it worse.
struct BenchCompareCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "compare", abstract: "Compare two results of sluice bench --json.",
        discussion: """
            Several runs of a side are separated by commas, and give the spread that a difference must leave behind:
              sluice bench compare before-1.json,before-2.json,before-3.json after.json
            With one run the spread is the quartiles over its seconds.

            Exits with 0 when nothing got worse, 3 when a figure did by more than the threshold and outside of the spread, 64 when a \
            file cannot be read.
            """)

    @Argument(help: "The base: a file, or several.") var base: String
    @Argument(help: "The candidate: a file, or several.") var candidate: String
    @Option(help: ArgumentHelp("By how much a figure may get worse, percent.", valueName: "percent")) var threshold = 10.0

    func run() throws {
        guard threshold >= 0, threshold <= 1_000 else {
            complain("--threshold: use 0 to 1000")
            throw BenchExit.wrongSetting
        }
        let comparison = ReportComparison(try read(base), try read(candidate), threshold: threshold / 100)
        say(comparison.text)
        if comparison.isRegression { throw BenchExit.regression }
    }

    private func read(_ list: String) throws -> [LoadReport] {
        let paths = list.split(separator: ",").map(String.init)
        guard !paths.isEmpty else {
            complain("give two files")
            throw BenchExit.wrongSetting
        }
        do {
            return try paths.map { path throws(ReportError) in try LoadReport.read(path: path) }
        } catch {
            complain("\(error)")
            throw BenchExit.wrongSetting
        }
    }
}
