internal import Synchronization

/// A number that only rises. Any thread may add; a relaxed atomic addition costs a few nanoseconds.
public final class Counter: Sendable {
    private let count = Atomic<UInt64>(0)

    public init() {}

    public func add(_ amount: UInt64 = 1) { count.wrappingAdd(amount, ordering: .relaxed) }
    public var value: UInt64 { count.load(ordering: .relaxed) }
}

/// A number that rises and falls.
public final class Gauge: Sendable {
    private let current = Atomic<Int64>(0)

    public init() {}

    public func set(_ value: Int64) { current.store(value, ordering: .relaxed) }
    public func add(_ amount: Int64) { current.wrappingAdd(amount, ordering: .relaxed) }
    /// Raises the gauge to `value` when that is more: for the longest or largest since the last reading.
    public func raise(to value: Int64) {
        var seen = current.load(ordering: .relaxed)
        while value > seen {
            let (exchanged, original) = current.weakCompareExchange(expected: seen, desired: value, ordering: .relaxed)
            if exchanged { return }
            seen = original
        }
    }
    public var value: Int64 { current.load(ordering: .relaxed) }
}

/// Durations counted into fixed buckets from 50 microseconds to 10 seconds, as Prometheus wants them.
public final class DurationHistogram: Sendable {
    /// Upper bounds, microseconds; a last bucket takes the rest.
    public static let boundsMicroseconds: [UInt64] = [
        50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 15_000, 25_000, 50_000, 100_000, 250_000, 500_000,
        1_000_000, 2_500_000, 5_000_000, 10_000_000,
    ]

    private let buckets: [Counter]
    private let sum = Counter()

    public init() { buckets = (0...Self.boundsMicroseconds.count).map { _ in Counter() } }

    public func record(microseconds: UInt64) {
        var index = 0
        while index < Self.boundsMicroseconds.count, microseconds > Self.boundsMicroseconds[index] { index += 1 }
        buckets[index].add()
        sum.add(microseconds)
    }

    public var totalMicroseconds: UInt64 { sum.value }
    /// How many were recorded at or below each bound; the last is all of them.
    public var cumulativeCounts: [UInt64] {
        var total: UInt64 = 0
        return buckets.map { bucket in
            total += bucket.value
            return total
        }
    }
}

/// What a process exports, rendered in Prometheus's text format (version 0.0.4).
///
/// Built once at start, on one thread; read by the admin listener. A series' name carries its unit, a counter's
/// ends in `_total`.
public struct MetricsPage: Sendable {
    private enum Source: Sendable {
        case counter(@Sendable () -> UInt64)
        case gauge(@Sendable () -> Int64)
        /// A count of parts of a second, and how many of them a second has.
        case seconds(@Sendable () -> Int64, partsPerSecond: Double)
        case histogram(DurationHistogram)
    }
    private struct Series: Sendable {
        let labels: String
        let source: Source
    }
    private struct Family: Sendable {
        let name: String
        let help: String
        let type: String
        var series: [Series]
    }
    private var families: [Family] = []

    public init() {}

    /// `labels` as they stand between the braces: `role="payments"`. No ids: a label's values are few and known.
    public mutating func counter(_ name: String, help: String, labels: String = "", _ value: @escaping @Sendable () -> UInt64) {
        insert(name, help, "counter", Series(labels: labels, source: .counter(value)))
    }

    public mutating func gauge(_ name: String, help: String, labels: String = "", _ value: @escaping @Sendable () -> Int64) {
        insert(name, help, "gauge", Series(labels: labels, source: .gauge(value)))
    }

    /// A time that is counted in parts of a second, as 1,000 for milliseconds; exported in seconds, Prometheus's base unit.
    public mutating func seconds(
        _ name: String, help: String, labels: String = "", partsPerSecond: Int, _ value: @escaping @Sendable () -> Int64
    ) {
        insert(name, help, "gauge", Series(labels: labels, source: .seconds(value, partsPerSecond: Double(partsPerSecond))))
    }

    /// Exported in seconds, Prometheus's base unit.
    public mutating func histogram(_ name: String, help: String, labels: String = "", _ histogram: DurationHistogram) {
        insert(name, help, "histogram", Series(labels: labels, source: .histogram(histogram)))
    }

    private mutating func insert(_ name: String, _ help: String, _ type: String, _ series: Series) {
        if let index = families.firstIndex(where: { $0.name == name }) {
            precondition(families[index].type == type, "\(name) is declared with two types")
            families[index].series.append(series)
        } else {
            families.append(Family(name: name, help: help, type: type, series: [series]))
        }
    }

    public func render() -> String {
        var page = ""
        for family in families {
            page += "# HELP \(family.name) \(family.help)\n# TYPE \(family.name) \(family.type)\n"
            for series in family.series { render(series, named: family.name, into: &page) }
        }
        return page
    }

    private func render(_ series: Series, named name: String, into page: inout String) {
        let braces = series.labels.isEmpty ? "" : "{\(series.labels)}"
        switch series.source {
        case .counter(let value): page += "\(name)\(braces) \(value())\n"
        case .gauge(let value): page += "\(name)\(braces) \(value())\n"
        case .seconds(let value, let parts): page += "\(name)\(braces) \(Double(value()) / parts)\n"
        case .histogram(let histogram):
            let separator = series.labels.isEmpty ? "" : ","
            let counts = histogram.cumulativeCounts
            for (bound, count) in zip(DurationHistogram.boundsMicroseconds, counts) {
                page += "\(name)_bucket{\(series.labels)\(separator)le=\"\(Double(bound) / 1_000_000)\"} \(count)\n"
            }
            page += "\(name)_bucket{\(series.labels)\(separator)le=\"+Inf\"} \(counts[counts.count - 1])\n"
            page += "\(name)_sum\(braces) \(Double(histogram.totalMicroseconds) / 1_000_000)\n"
            page += "\(name)_count\(braces) \(counts[counts.count - 1])\n"
        }
    }
}
