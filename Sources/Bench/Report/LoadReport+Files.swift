internal import Foundation
internal import Histogram

/// Why a report cannot be read.
public struct ReportError: Error, CustomStringConvertible {
    public let description: String
}

extension LoadReport {
    /// One JSON object, its members sorted.
    public var json: String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .prettyPrinted, .withoutEscapingSlashes]
        encoder.keyEncodingStrategy = .convertToSnakeCase
        // Only numbers, texts and maps: encoding cannot fail.
        guard let data = try? encoder.encode(self) else { preconditionFailure("a report that is no JSON") }
        return String(decoding: data, as: UTF8.self)
    }

    /// Reads what `json` gave.
    public static func read(path: String) throws(ReportError) -> LoadReport {
        guard let data = FileManager.default.contents(atPath: path) else { throw ReportError(description: "\(path): cannot be read") }
        let decoder = JSONDecoder()
        decoder.keyDecodingStrategy = .custom { path in JSONName(path.last?.stringValue ?? "") }
        // Another version may have the same members and mean something else by them.
        guard let report = try? decoder.decode(LoadReport.self, from: data), report.format == formatOfThisBuild else {
            throw ReportError(description: "\(path): is no report of `sluice bench --json`, or of another version")
        }
        return report
    }

    /// A distribution in HdrHistogram's text format, milliseconds: what `HistogramLogAnalyzer` and the plotter on
    /// hdrhistogram.github.io read.
    ///
    /// - Parameter group: `all`, `reads`, `writes`, a kind's name ...; nil when the run has none of it.
    public func hgrm(_ group: String) -> String? {
        guard let histogram = histograms.first(where: { $0.name == group })?.histogram else { return nil }
        var text = ""
        histogram.outputPercentileDistribution(to: &text, outputValueUnitScalingRatio: 1e6)
        return text
    }

    /// The names that `hgrm` knows.
    public var hgrmGroups: [String] { histograms.map(\.name) }
}

/// A member's name as Swift has it. Foundation's own conversion would take the figures of `p99_9` together.
private struct JSONName: CodingKey {
    let stringValue: String
    var intValue: Int? { nil }

    init(_ name: String) {
        if name == "p99_9" || name == "p99_99" || name == "generator_cpu_seconds" {
            stringValue = name
        } else {
            let words = name.split(separator: "_")
            stringValue = (words.first.map(String.init) ?? name) + words.dropFirst().map(\.capitalized).joined()
        }
    }
    init?(stringValue: String) { self.init(stringValue) }
    init?(intValue: Int) { nil }
}
