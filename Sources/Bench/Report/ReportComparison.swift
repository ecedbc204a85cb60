internal import Foundation

/// The difference between two runs, or two sets of runs of the same load.
///
/// A figure has got worse only when it is both beyond the threshold and outside of what the base shows by itself: its
/// spread over several runs, or over the seconds of one.
public struct ReportComparison: Sendable {
    public enum Change: String, Sendable { case same, better, worse }

    public struct Row: Sendable {
        public let name: String
        public let unit: String
        /// Medians over the runs of a side.
        public let before: Double
        public let after: Double
        /// Least and greatest of the base; of one run the quartiles over its seconds, where there are any.
        public let spread: ClosedRange<Double>?
        public let change: Change
        /// By how much it rose, in parts of before.
        public var rise: Double { before == 0 ? (after == 0 ? 0 : .infinity) : after / before - 1 }
    }

    private struct Figure {
        let name: String
        let unit: String
        let isBetterHigh: Bool
        /// Differences below it mean nothing, whatever their share: timers and schedulers are no better.
        let least: Double
        let value: (LoadReport) -> Double?
        let perSecond: ((LoadReport.Point) -> Double?)?
    }

    public let rows: [Row]
    /// What makes a comparison doubtful: settings that differ, another machine, warnings.
    public let doubts: [String]
    public let threshold: Double

    /// - Parameters:
    ///   - threshold: the share by which a figure may get worse, as 0.1.
    public init(_ base: [LoadReport], _ candidate: [LoadReport], threshold: Double) {
        precondition(!base.isEmpty && !candidate.isEmpty)
        self.threshold = threshold
        rows = Self.figures(base + candidate).compactMap { Self.row($0, base, candidate, threshold) }
        doubts = Self.doubts(base, candidate)
    }

    public var isRegression: Bool { rows.contains { $0.change == .worse } }

    private static func figures(_ reports: [LoadReport]) -> [Figure] {
        var figures = [
            Figure(
                name: "answers", unit: "1/s", isBetterHigh: true, least: 1, value: { $0.achievedPerSecond },
                perSecond: { Double($0.succeeded) }),
            Figure(name: "failed", unit: "%", isBetterHigh: false, least: 0.01, value: { $0.failedShare * 100 }, perSecond: nil),
            Figure(name: "capacity", unit: "1/s", isBetterHigh: true, least: 1, value: { $0.capacityPerSecond }, perSecond: nil),
        ]
        let groups: [(String, (LoadReport) -> LoadReport.Latency?)] = [
            ("all", { $0.all }), ("reads", { $0.reads }), ("writes", { $0.writes }), ("time to final", { $0.timeToFinal }),
        ]
        let percentiles: [(String, KeyPath<LoadReport.Latency, Double>)] = [("p50", \.p50), ("p99", \.p99), ("p99.9", \.p999)]
        for (group, latency) in groups {
            for (percentile, path) in percentiles {
                // 1,000 values have one above p99.9: a figure of single requests is no figure.
                let countMin = percentile == "p99.9" ? 10_000 : 100
                guard reports.allSatisfy({ (latency($0)?.count ?? 0) >= countMin }) else { continue }
                let perSecond: ((LoadReport.Point) -> Double?)? =
                    group != "all" ? nil : percentile == "p50" ? { $0.p50 } : percentile == "p99" ? { $0.p99 } : nil
                figures.append(
                    Figure(
                        name: "\(group) \(percentile)", unit: "ms", isBetterHigh: false, least: 0.2,
                        value: { latency($0).map { $0[keyPath: path] } }, perSecond: perSecond))
            }
        }
        return figures
    }

    private static func row(_ figure: Figure, _ base: [LoadReport], _ candidate: [LoadReport], _ threshold: Double) -> Row? {
        let (old, new) = (base.compactMap(figure.value), candidate.compactMap(figure.value))
        guard old.count == base.count, new.count == candidate.count else { return nil }
        let (before, after) = (median(old), median(new))
        let spread = spread(figure, base, old)
        let loss = figure.isBetterHigh ? before - after : after - before
        let allowed = Swift.max(before * threshold, figure.least)
        var change = Change.same
        if abs(loss) > allowed, !(spread?.contains(after) ?? false) { change = loss > 0 ? .worse : .better }
        return Row(name: figure.name, unit: figure.unit, before: before, after: after, spread: spread, change: change)
    }

    private static func spread(_ figure: Figure, _ base: [LoadReport], _ values: [Double]) -> ClosedRange<Double>? {
        if values.count > 1, let low = values.min(), let high = values.max() { return low...high }
        guard let perSecond = figure.perSecond, let report = base.first else { return nil }
        // Rates and latencies over the seconds of one level: phases of several would only show their own difference.
        let levels = Set(report.phases.filter { !$0.isWarmUp }.flatMap { [$0.from, $0.to] })
        guard levels.count == 1 else { return nil }
        let start = report.phases.first { !$0.isWarmUp }?.startSecond ?? 0
        let points = report.series.filter { $0.second >= start }.compactMap(perSecond).sorted()
        guard points.count >= 8 else { return nil }
        return points[points.count / 4]...points[points.count * 3 / 4]
    }

    private static func median(_ values: [Double]) -> Double {
        let sorted = values.sorted()
        let middle = sorted.count / 2
        return sorted.count.isMultiple(of: 2) ? (sorted[middle - 1] + sorted[middle]) / 2 : sorted[middle]
    }

    private static func doubts(_ base: [LoadReport], _ candidate: [LoadReport]) -> [String] {
        var doubts: [String] = []
        let all = base + candidate
        func differs<Value: Hashable>(_ name: String, _ value: (LoadReport) -> Value) {
            let values = Set(all.map(value))
            if values.count > 1 { doubts.append("\(name) differs: \(values.map { "\($0)" }.sorted().joined(separator: ", "))") }
        }
        differs("name") { $0.name }
        differs("mode") { $0.mode }
        differs("connections") { $0.connections }
        differs("rate asked") { $0.askedPerSecond.map { "\(Int($0.rounded()))" } ?? "none" }
        differs("seconds") { $0.seconds }
        for setting in Set(all.flatMap(\.settings.keys)).subtracting(["target"]).sorted() {
            differs(setting) { $0.settings[setting] ?? "none" }
        }
        differs("processor") { "\($0.environment.cores) x \($0.environment.processor)" }
        for (side, reports) in [("base", base), ("candidate", candidate)] {
            if reports.contains(where: { !$0.generator.warnings.isEmpty }) { doubts.append("the \(side) has warnings about its generator") }
            if reports.contains(where: { $0.verdict?.word == .wrong }) { doubts.append("the \(side)'s audit found wrong money") }
        }
        return doubts
    }

    /// A table and the verdict, for people.
    public var text: String {
        func right(_ text: String, _ width: Int) -> String { String(repeating: " ", count: max(0, width - text.count)) + text }
        func number(_ value: Double) -> String { String(format: abs(value) >= 1_000 ? "%.0f" : "%.2f", value) }
        let width = max(8, rows.map { $0.name.count + $0.unit.count + 3 }.max() ?? 0)
        func left(_ text: String) -> String { text + String(repeating: " ", count: max(0, width - text.count)) }
        var lines = [left("") + right("before", 11) + right("after", 11) + right("change", 10) + right("spread of before", 22)]
        for row in rows {
            let change = row.rise.isFinite ? String(format: "%+.1f %%", row.rise * 100) : "new"
            let spread = row.spread.map { "\(number($0.lowerBound)) to \(number($0.upperBound))" } ?? "-"
            let mark = row.change == .same ? "" : "  \(row.change == .worse ? "WORSE" : "better")"
            lines.append(
                left("\(row.name) (\(row.unit))") + right(number(row.before), 11) + right(number(row.after), 11) + right(change, 10)
                    + right(spread, 22) + mark)
        }
        lines += doubts.map { "note: \($0)" }
        let worse = rows.filter { $0.change == .worse }.map(\.name)
        lines.append(
            worse.isEmpty
                ? "no figure is worse by more than \(Int((threshold * 100).rounded())) % and outside of the spread"
                : "REGRESSION: \(worse.joined(separator: ", "))")
        return lines.joined(separator: "\n")
    }
}
