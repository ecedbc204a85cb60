internal import Foundation

/// A load as a file describes it: docs/bench.md, "Scenarios". What it leaves out is the command line's, or a default.
public struct Scenario: Sendable {
    /// How `capacity` looks for the knee.
    public struct Search: Sendable, Equatable, Decodable {
        /// The first rate, and by how much it grows until one fails.
        public var startPerSecond = 1_000.0
        public var growth = 1.5
        /// How long each rate is held, and the pause before the next.
        public var stepSeconds = 10.0
        public var pauseSeconds = 2.0
        /// What a rate must keep: the 99th percentile of all requests, the share that failed, the share of what was asked.
        public var p99Milliseconds = 100.0
        public var failedShareMax = 0.001
        public var achievedShareMin = 0.98
        /// The search ends when the highest rate that held and the lowest that did not are so near.
        public var precision = 0.05
        public var stepsMax = 20

        public init() {}
    }

    public var name = "bench"
    public var summary: String?
    public var rate: Double?
    public var isClosed: Bool?
    public var arrivals: LoadOptions.Arrivals?
    public var connections: Int?
    public var threads: Int?
    public var mix: String?
    public var reads: String?
    public var accounts: String?
    public var zipf: Double?
    public var hot: Double?
    public var duplicates: Double?
    public var wait: Double?
    public var follow: Double?
    public var retries: Int?
    public var timeoutSeconds: Double?
    public var phases: [LoadPhase]?
    /// A scenario with one searches, and has no phases.
    public var search: Search?

    public init() {}

    /// A preset's name, or a file's path. Nil when there is no such preset, and the text is no path.
    public static func named(_ text: String) throws(ScenarioError) -> Scenario {
        if let preset = presets.first(where: { $0.name == text }) { return try Scenario(json: Data(preset.bytes), place: text) }
        guard text.contains("/") || text.hasSuffix(".json") else {
            throw ScenarioError("\(text): no such preset: use one of \(presets.map(\.name).joined(separator: ", ")), or a file's path")
        }
        guard let data = FileManager.default.contents(atPath: text) else { throw ScenarioError("\(text): cannot be read") }
        return try Scenario(json: data, place: text)
    }

    public static var presetNames: [String] { presets.map(\.name) }

    private static var presets: [(name: String, bytes: [UInt8])] {
        [
            ("steady", PackageResources.steady_json), ("settle", PackageResources.settle_json),
            ("black-friday", PackageResources.black_friday_json),
            ("hot-merchant", PackageResources.hot_merchant_json),
            ("flash-crash-recovery", PackageResources.flash_crash_recovery_json), ("capacity", PackageResources.capacity_json),
        ]
    }

    /// - Parameter place: what errors name.
    init(json: Data, place: String) throws(ScenarioError) {
        do {
            self = try JSONDecoder().decode(Scenario.self, from: json)
        } catch let error as DecodingError {
            throw ScenarioError("\(place): \(Self.sentence(error))")
        } catch {
            throw ScenarioError("\(place): \(error)")
        }
        if search != nil, phases != nil { throw ScenarioError("\(place): a search finds its own rates: leave `phases` out") }
        if let problem = search?.problem { throw ScenarioError("\(place): \(problem)") }
    }

    private static func sentence(_ error: DecodingError) -> String {
        func path(_ context: DecodingError.Context) -> String {
            let path = context.codingPath.map { $0.intValue.map { "[\($0)]" } ?? $0.stringValue }.joined(separator: ".")
            return path.isEmpty ? "" : "`\(path)`: "
        }
        switch error {
        case .typeMismatch(_, let context), .valueNotFound(_, let context): return path(context) + context.debugDescription
        case .keyNotFound(let key, let context): return path(context) + "`\(key.stringValue)` is missing"
        case .dataCorrupted(let context): return path(context) + context.debugDescription
        @unknown default: return "\(error)"
        }
    }
}

/// Why a scenario cannot be used.
public struct ScenarioError: Error, CustomStringConvertible {
    public let description: String
    init(_ description: String) { self.description = description }
}

extension Scenario.Search {
    var problem: String? {
        if !(startPerSecond >= 1 && startPerSecond <= 1_000_000) { return "`search.start`: use 1 to 1000000 requests a second" }
        if !(growth >= 1.05 && growth <= 10) { return "`search.growth`: use 1.05 to 10" }
        if !(stepSeconds >= 1 && stepSeconds <= 3_600) { return "`search.step_seconds`: use 1 to 3600" }
        if !(pauseSeconds >= 0 && pauseSeconds <= 600) { return "`search.pause_seconds`: use 0 to 600" }
        if !(p99Milliseconds > 0) { return "`search.p99_ms`: use a time above 0" }
        if !(failedShareMax >= 0 && failedShareMax <= 1) { return "`search.failed_share`: use 0 to 1" }
        if !(achievedShareMin > 0 && achievedShareMin <= 1) { return "`search.achieved_share`: use above 0, and 1 at most" }
        if !(precision >= 0.01 && precision <= 1) { return "`search.precision`: use 0.01 to 1" }
        if !(1...100).contains(stepsMax) { return "`search.steps`: use 1 to 100" }
        return nil
    }
}
