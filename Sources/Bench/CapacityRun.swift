internal import Glibc

/// Looks for the knee with real load: a run for each rate that the search asks for.
public enum CapacityRun {
    /// Blocks its thread. The report is that of the highest rate that held, or of the last one where none did, with the
    /// search's steps; what was accepted in all of them is in it.
    ///
    /// - Parameters:
    ///   - options: the rate is the search's, and phases are one step each.
    ///   - onStep: called after each rate.
    public static func run(
        _ options: LoadOptions, _ search: Scenario.Search, handlesSignals: Bool = false, everyMilliseconds: Int = 1_000,
        onProgress: @escaping (LoadProgress) -> Void = { _ in }, onStep: (KneeSearch.Step) -> Void = { _ in }
    ) -> LoadReport {
        var knee = KneeSearch(search)
        var best: LoadReport?
        var last: LoadReport?
        var acknowledged: [PaymentID] = []
        var duplicatesWrong = 0
        while let rate = knee.next {
            var step = options
            step.pace = .open(perSecond: rate, options.arrivals ?? .constant)
            step.phases = [LoadPhase("\(Int(rate.rounded()))/s", seconds: search.stepSeconds)]
            let report = Load.run(step, handlesSignals: handlesSignals, everyMilliseconds: everyMilliseconds, onProgress: onProgress)
            acknowledged += report.acknowledged
            duplicatesWrong += report.duplicatesWrong
            knee.note(
                asked: rate, achieved: report.achievedPerSecond, p99: report.all?.p99, failedShare: report.failedShare,
                isGeneratorLimited: report.generator.isLimit)
            if let step = knee.steps.last { onStep(step) }
            if knee.held == rate { best = report }
            last = report
            if report.stoppedEarly { break }
            usleep(UInt32(search.pauseSeconds * 1e6))
        }
        guard var report = best ?? last else { preconditionFailure("a search has a first step") }
        report.search = knee.steps
        report.capacityPerSecond = knee.held
        report.acknowledged = acknowledged
        report.duplicatesWrong = duplicatesWrong
        return report
    }
}

extension LoadOptions {
    fileprivate var arrivals: Arrivals? { if case .open(_, let arrivals) = pace { arrivals } else { nil } }
}
