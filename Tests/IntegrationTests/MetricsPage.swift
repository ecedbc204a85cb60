import Foundation

/// A page of Prometheus's text format 0.0.4, held to what that format asks for.
struct MetricsPage {
    private(set) var families: Set<String> = []
    private(set) var problems: [String] = []
    private var helped: Set<String> = []
    private var kinds: [String: String] = [:]
    private var series: Set<String> = []

    init(_ text: String) {
        if !text.hasSuffix("\n") { problems.append("the last line does not end") }
        for line in text.split(separator: "\n").map(String.init) {
            if line.hasPrefix("# HELP ") {
                help(line)
            } else if line.hasPrefix("# TYPE ") {
                kind(line)
            } else if !line.hasPrefix("#") {
                sample(line)
            }
        }
        families = Set(kinds.keys)
    }

    private mutating func help(_ line: String) {
        let words = line.split(separator: " ", maxSplits: 3)
        if words.count < 4 { return problems.append("no help: \(line)") }
        if !helped.insert(String(words[2])).inserted { problems.append("helped twice: \(line)") }
    }

    private mutating func kind(_ line: String) {
        let words = line.split(separator: " ").map(String.init)
        guard words.count == 4, ["counter", "gauge", "histogram", "summary"].contains(words[3]) else { return problems.append(line) }
        if kinds.updateValue(words[3], forKey: words[2]) != nil { problems.append("typed twice: \(line)") }
    }

    private mutating func sample(_ line: String) {
        guard let gap = line.lastIndex(of: " "), Double(line[line.index(after: gap)...]) != nil || line.hasSuffix("+Inf") else {
            return problems.append("no value: \(line)")
        }
        let name = String(line.prefix { $0 != "{" && $0 != " " })
        if !series.insert(String(line[..<gap])).inserted { problems.append("twice: \(line)") }
        if name.range(of: "^sluice_[a-z0-9_]+$", options: .regularExpression) == nil { problems.append("a name that is not ours: \(line)") }
        let suffixes = ["_bucket", "_sum", "_count"]
        let family =
            suffixes.first { name.hasSuffix($0) && kinds[String(name.dropLast($0.count))] != nil }.map { String(name.dropLast($0.count)) }
            ?? name
        guard let kind = kinds[family], helped.contains(family) else { return problems.append("no help or type before it: \(line)") }
        if kind == "counter", !family.hasSuffix("_total") { problems.append("a counter is called _total: \(line)") }
    }
}
