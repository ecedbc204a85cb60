internal import Foundation

/// Draws a chart as SVG. Colours are the page's classes; no script.
struct ChartSVG {
    struct Line {
        var name: String
        /// A class of the page's style: `c0` to `c5`.
        var style: String
        var points: [(x: Double, y: Double)]
    }

    struct Axis {
        var title: String
        var isLogarithmic: Bool
        /// Where ticks stand, and what they are called; in the chart's range.
        var ticks: [(value: Double, label: String)]
        var range: ClosedRange<Double>
    }

    var width: Double
    var height: Double
    var x: Axis
    var y: Axis
    var lines: [Line]
    /// Stretches that are shaded and named, as a run's phases.
    var bands: [(name: String, range: ClosedRange<Double>)] = []
    var label: String

    private var left: Double { 58 }
    private var bottom: Double { 44 }
    private var top: Double { bands.isEmpty ? 10 : 24 }
    private var right: Double { 22 }

    func render() -> String {
        var svg =
            "<svg viewBox=\"0 0 \(Self.number(width)) \(Self.number(height))\" role=\"img\" aria-label=\"\(HTMLText.escaped(label))\">\n"
        for (index, band) in bands.enumerated() { svg += render(band, isShaded: index.isMultiple(of: 2)) }
        for tick in y.ticks {
            let place = Self.number(placeY(tick.value))
            svg += "<line class=\"grid\" x1=\"\(Self.number(left))\" x2=\"\(Self.number(width - right))\" y1=\"\(place)\" y2=\"\(place)\"/>"
            svg += "<text class=\"tick\" x=\"\(Self.number(left - 7))\" y=\"\(place)\" dy=\"4\" text-anchor=\"end\">\(tick.label)</text>\n"
        }
        for tick in x.ticks {
            let place = Self.number(placeX(tick.value))
            svg +=
                "<line class=\"grid\" x1=\"\(place)\" x2=\"\(place)\" y1=\"\(Self.number(top))\" y2=\"\(Self.number(height - bottom))\"/>"
            svg +=
                "<text class=\"tick\" x=\"\(place)\" y=\"\(Self.number(height - bottom + 16))\" text-anchor=\"middle\">\(tick.label)</text>\n"
        }
        svg +=
            "<text class=\"axis\" x=\"\(Self.number((left + width - right) / 2))\" y=\"\(Self.number(height - 6))\" text-anchor=\"middle\">"
        svg += "\(HTMLText.escaped(x.title))</text>\n"
        let middle = Self.number((top + height - bottom) / 2)
        svg +=
            "<text class=\"axis\" transform=\"translate(13 \(middle)) rotate(-90)\" text-anchor=\"middle\">\(HTMLText.escaped(y.title))</text>\n"
        for line in lines { svg += render(line) }
        return svg + "</svg>\n"
    }

    private func render(_ band: (name: String, range: ClosedRange<Double>), isShaded: Bool) -> String {
        let (start, end) = (placeX(band.range.lowerBound), placeX(band.range.upperBound))
        var svg = ""
        if isShaded {
            svg +=
                "<rect class=\"band\" x=\"\(Self.number(start))\" y=\"\(Self.number(top))\" width=\"\(Self.number(max(0, end - start)))\" "
            svg += "height=\"\(Self.number(height - bottom - top))\"/>"
        }
        // A name that does not fit its stretch would run into the next one's.
        guard end - start > Double(band.name.count) * 6.2 + 4 else { return svg }
        return svg + "<text class=\"tick\" x=\"\(Self.number((start + end) / 2))\" y=\"15\" text-anchor=\"middle\">"
            + "\(HTMLText.escaped(band.name))</text>\n"
    }

    private func render(_ line: Line) -> String {
        guard !line.points.isEmpty else { return "" }
        let places = line.points.map { "\(Self.number(placeX($0.x))),\(Self.number(placeY($0.y)))" }
        if places.count == 1 {
            let parts = places[0].split(separator: ",")
            return "<circle class=\"dot \(line.style)\" cx=\"\(parts[0])\" cy=\"\(parts[1])\" r=\"3\"/>\n"
        }
        return "<polyline class=\"line \(line.style)\" points=\"\(places.joined(separator: " "))\"><title>\(HTMLText.escaped(line.name))"
            + "</title></polyline>\n"
    }

    private func placeX(_ value: Double) -> Double { left + Self.share(value, x) * (width - left - right) }
    private func placeY(_ value: Double) -> Double { height - bottom - Self.share(value, y) * (height - bottom - top) }

    private static func share(_ value: Double, _ axis: Axis) -> Double {
        let clamped = min(max(value, axis.range.lowerBound), axis.range.upperBound)
        guard axis.isLogarithmic else {
            return (clamped - axis.range.lowerBound) / max(axis.range.upperBound - axis.range.lowerBound, .leastNonzeroMagnitude)
        }
        let (low, high) = (log10(axis.range.lowerBound), log10(axis.range.upperBound))
        return (log10(clamped) - low) / max(high - low, .leastNonzeroMagnitude)
    }

    static func number(_ value: Double) -> String { String(format: "%.1f", value) }
}

extension ChartSVG.Axis {
    /// From the power of ten at or below the least value to the one at or above the greatest.
    static func logarithmic(_ title: String, _ values: [Double]) -> Self {
        let positive = values.filter { $0 > 0 }
        let low = floor(log10(max(positive.min() ?? 0.1, 0.001)))
        let high = max(ceil(log10(positive.max() ?? 1)), low + 1)
        let ticks = stride(from: low, through: high, by: 1).map { power -> (Double, String) in
            let value = pow(10, power)
            return (value, value >= 1 ? String(format: "%.0f", value) : String(format: "%g", value))
        }
        return Self(title: title, isLogarithmic: true, ticks: ticks, range: pow(10, low)...pow(10, high))
    }

    /// From 0 to a round number at or above the greatest value.
    static func linear(_ title: String, upTo greatest: Double, ticks count: Int = 5) -> Self {
        let raw = max(greatest, 1e-9) / Double(count)
        let power = pow(10, floor(log10(raw)))
        let step = [1, 2, 2.5, 5, 10].map { $0 * power }.first { $0 >= raw - power * 1e-9 } ?? raw
        let end = ceil(greatest / step - 1e-9) * step
        let ticks = stride(from: 0, through: end + step / 2, by: step).map { ($0, String(format: step < 1 ? "%.1f" : "%.0f", $0)) }
        return Self(title: title, isLogarithmic: false, ticks: ticks, range: 0...max(end, step))
    }

    /// Percentiles by how far they are from 100: each nine as wide as the one before.
    static func percentiles(upTo highest: Double) -> Self {
        let all: [(Double, String)] = [
            (1, "0"), (2, "50"), (10, "90"), (100, "99"), (1_000, "99.9"), (10_000, "99.99"), (100_000, "99.999"), (1_000_000, "99.9999"),
        ]
        let end = all.map(\.0).first { $0 >= highest } ?? 1_000_000
        return Self(title: "percentile", isLogarithmic: true, ticks: all.filter { $0.0 <= end }, range: 1...max(end, 10))
    }

    /// Seconds of a run. The last tick is the last round number: the axis ends with the run.
    static func seconds(_ end: Double, ticks count: Int) -> Self {
        var axis = linear("seconds", upTo: end, ticks: count)
        axis.ticks.removeAll { $0.value > end }
        axis.range = 0...max(end, 1)
        return axis
    }
}

/// Text as it may stand in a page.
enum HTMLText {
    static func escaped(_ text: String) -> String {
        var result = ""
        for character in text {
            switch character {
            case "&": result += "&amp;"
            case "<": result += "&lt;"
            case ">": result += "&gt;"
            case "\"": result += "&quot;"
            default: result.append(character)
            }
        }
        return result
    }
}
