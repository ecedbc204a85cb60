/// A stretch of a run: how long, and how its rate goes from one level to another.
public struct LoadPhase: Sendable, Equatable, Codable {
    public var name: String
    public var seconds: Double
    /// The rate at its start and its end, in multiples of the run's rate; between them it changes evenly.
    public var from: Double
    public var to: Double
    /// What is sent in it is answered and counted, and left out of the latencies.
    public var isWarmUp: Bool

    public init(_ name: String, seconds: Double, from: Double = 1, to: Double? = nil, isWarmUp: Bool = false) {
        self.name = name
        self.seconds = seconds
        self.from = from
        self.to = to ?? from
        self.isWarmUp = isWarmUp
    }

    var problem: String? {
        if !(seconds >= 0.1 && seconds <= 604_800) { return "phase `\(name)`: the duration must be 0.1 to 604800 seconds" }
        if !(from >= 0 && from <= 1_000 && to >= 0 && to <= 1_000) { return "phase `\(name)`: a level must be 0 to 1000" }
        return nil
    }
}

/// Where the phases of a run begin and end, nanoseconds from its start.
struct PhaseTable {
    private let ends: [UInt64]
    let isWarmUp: [Bool]
    var end: UInt64 { ends.last ?? 0 }

    init(_ phases: [LoadPhase]) {
        var seconds = 0.0
        ends = phases.map { phase in
            seconds += phase.seconds
            return UInt64(seconds * 1e9)
        }
        isWarmUp = phases.map(\.isWarmUp)
    }

    /// The phase that a time falls in; the last for all after it.
    func index(at nanoseconds: UInt64) -> Int {
        var index = 0
        while index < ends.count - 1, nanoseconds >= ends[index] { index += 1 }
        return index
    }
}
