/// Counts durations in buckets that are at most 1/64 wide of their value, from 1 µs to an hour.
struct LatencyHistogram {
    private static let subBuckets = 64
    private var buckets = [Int](repeating: 0, count: 28 * subBuckets)
    private(set) var count = 0
    private(set) var maxNanoseconds: UInt64 = 0

    mutating func record(nanoseconds: UInt64) {
        count += 1
        maxNanoseconds = max(maxNanoseconds, nanoseconds)
        buckets[min(Self.index(nanoseconds / 1_000), buckets.count - 1)] += 1
    }

    /// The value that a share of all values does not pass, milliseconds; nil when there are none.
    ///
    /// - Parameter share: 0 to 1.
    func milliseconds(at share: Double) -> Double? {
        guard count > 0 else { return nil }
        var left = max(1, Int((share * Double(count)).rounded(.up)))
        for (index, bucket) in buckets.enumerated() {
            left -= bucket
            if left <= 0 { return min(Double(Self.highest(index)) / 1e3, Double(maxNanoseconds) / 1e6) }
        }
        return Double(maxNanoseconds) / 1e6
    }

    var maxMilliseconds: Double? { count > 0 ? Double(maxNanoseconds) / 1e6 : nil }

    /// Values below 64 have a bucket each; above, each power of two is cut into 64.
    private static func index(_ value: UInt64) -> Int {
        guard value >= UInt64(subBuckets) else { return Int(value) }
        let power = 63 - value.leadingZeroBitCount
        return (power - 5) * subBuckets + Int(value >> UInt64(power - 6)) - subBuckets
    }

    /// The highest value of a bucket.
    private static func highest(_ index: Int) -> UInt64 {
        guard index >= subBuckets else { return UInt64(index) }
        let power = index / subBuckets + 5
        return (UInt64(index % subBuckets + subBuckets + 1) << UInt64(power - 6)) - 1
    }
}
