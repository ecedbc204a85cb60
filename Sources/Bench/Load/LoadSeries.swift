internal import Histogram

/// How a run went over its time: requests by when they should have been sent, so that a pause shows where it was.
struct LoadSeries: Sendable {
    struct Interval: Sendable {
        var succeeded = 0
        /// Refused, dropped or without an answer.
        var failed = 0
        /// Microseconds. Two digits: a point of a chart.
        var latency: Histogram<UInt32>?
    }

    private static let microsecondsMax: UInt64 = 3_600_000_000
    let intervalSeconds: Double
    private(set) var intervals: [Interval]

    /// A second each, more where that would be too many.
    init(seconds: Double) {
        intervalSeconds = max(1, (seconds / Double(BenchLimits.intervalsMax)).rounded(.up))
        intervals = [Interval](repeating: Interval(), count: max(1, Int((seconds / intervalSeconds).rounded(.up))))
    }

    /// The interval of a time, nanoseconds after the start.
    func index(at nanoseconds: UInt64) -> Int { min(Int(Double(nanoseconds) / 1e9 / intervalSeconds), intervals.count - 1) }

    mutating func note(_ plan: RequestPlan, afterNanoseconds latency: UInt64, isSuccess: Bool) {
        let index = plan.interval
        if isSuccess { intervals[index].succeeded += 1 } else { intervals[index].failed += 1 }
        if intervals[index].latency == nil { intervals[index].latency = Self.histogram() }
        intervals[index].latency?.record(min(latency / 1_000, Self.microsecondsMax))
    }

    mutating func add(_ other: LoadSeries) {
        for index in intervals.indices {
            intervals[index].succeeded += other.intervals[index].succeeded
            intervals[index].failed += other.intervals[index].failed
            guard let latency = other.intervals[index].latency else { continue }
            if intervals[index].latency == nil { intervals[index].latency = Self.histogram() }
            intervals[index].latency?.add(latency)
        }
    }

    static func histogram() -> Histogram<UInt32> {
        Histogram(highestTrackableValue: microsecondsMax, numberOfSignificantValueDigits: .two)
    }
}
