/// Looks for the highest rate that a system holds: grows until one fails, then halves the distance. Pure; told what came of
/// each rate, it says which one is next.
public struct KneeSearch: Sendable {
    /// What a rate came to.
    public struct Step: Sendable, Equatable, Codable {
        public var asked: Double
        public var achieved: Double
        public var p99: Double
        public var failedShare: Double
        public var holds: Bool
        /// Why it does not hold.
        public var reason: String?
        /// Whether the generator, not the system, may have been what failed.
        public var isGeneratorLimited: Bool
    }

    private let search: Scenario.Search
    public private(set) var steps: [Step] = []
    /// The highest rate that held and the lowest that did not.
    public private(set) var held: Double?
    public private(set) var failed: Double?

    public init(_ search: Scenario.Search) { self.search = search }

    /// The rate to try, requests a second; nil when the search is over.
    public var next: Double? {
        guard steps.count < search.stepsMax else { return nil }
        switch (held, failed) {
        case (nil, nil): return search.startPerSecond
        case (let held?, nil): return min(held * search.growth, 1_000_000) > held ? min(held * search.growth, 1_000_000) : nil
        case (nil, let failed?):
            let lower = failed / search.growth
            return lower >= 1 ? lower : nil
        case (let held?, let failed?):
            // Halfway by ratio: rates are compared by ratio.
            return failed / held > 1 + search.precision ? (held * failed).squareRoot() : nil
        }
    }

    /// - Parameters:
    ///   - asked: what `next` said.
    ///   - achieved: answers a second.
    ///   - p99: of all requests, milliseconds; nil when there were none.
    public mutating func note(asked: Double, achieved: Double, p99: Double?, failedShare: Double, isGeneratorLimited: Bool) {
        var reason: String?
        if achieved < asked * search.achievedShareMin {
            reason = "achieved \(Self.percent(achieved / asked)) of it"
        } else if failedShare > search.failedShareMax {
            reason = "\(Self.percent(failedShare)) failed"
        } else if let p99, p99 > search.p99Milliseconds {
            reason = "p99 above \(Int(search.p99Milliseconds)) ms"
        } else if p99 == nil {
            reason = "no answer"
        }
        steps.append(
            Step(
                asked: asked, achieved: achieved, p99: p99 ?? 0, failedShare: failedShare, holds: reason == nil, reason: reason,
                isGeneratorLimited: isGeneratorLimited))
        if reason == nil { held = max(held ?? 0, asked) } else { failed = min(failed ?? asked, asked) }
    }

    private static func percent(_ share: Double) -> String { "\((share * 1_000).rounded() / 10) %" }
}
