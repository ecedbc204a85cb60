internal import Foundation

extension LoadReport {
    /// Lines for people.
    public var text: String {
        let asked = askedPerSecond.map { " of \(Self.decimals($0, 0)) asked (\(arrivals ?? ""))" } ?? " (closed loop)"
        var lines = [
            "answers/s  \(Self.decimals(achievedPerSecond, 0))\(asked), \(connections) connections, \(Self.decimals(seconds, 1)) s"
                + (stoppedEarly ? ", STOPPED EARLY" : ""),
            "sent       \(sent), \(answered) answered, \(late) late (\(Self.decimals(latestMilliseconds, 1)) ms at most), \(dropped) dropped"
                + (warmUps > 0 ? ", \(warmUps) for warming up" : ""),
            "answers    " + Self.list(statuses),
        ]
        if retries > 0 || gaveUp > 0 {
            lines.append("retries    \(retries), \(gaveUp) requests given up, \(acceptedLater) payments accepted by a later try")
        }
        if !errors.isEmpty { lines.append("errors     " + Self.list(errors)) }
        if closedIdle > 0 { lines.append("closed     \(closedIdle) connections, between two requests") }
        if duplicatesWrong > 0 { lines.append("WRONG      \(duplicatesWrong) repeats were answered with another payment than the first") }
        lines += ["", latencyTable]
        if let search { lines += ["", Self.table(search, found: capacityPerSecond)] }
        lines += ["", generatorLine]
        lines += generator.warnings.map { "WARNING    \($0)" }
        if let verdict { lines.append(verdict.text) }
        return lines.joined(separator: "\n")
    }

    private var generatorLine: String {
        "generator  \(Self.decimals(generator.cpuMicrosecondsPerRequest, 1)) us of CPU a request, busiest thread "
            + "\(Self.decimals(generator.busiestThreadShare * 100, 0)) %, \(generator.lateByItself) sends late by itself"
    }

    /// Latencies from the intended send; with `service` what the last try alone took.
    private var latencyTable: String {
        var rows: [(String, Latency?)] = [("all", all), ("reads", reads), ("writes", writes), ("refused", refused)]
        for kind in kinds { rows += [(kind.name, kind.latency), ("  service", kind.service)] }
        rows.append(("accepted to final", timeToFinal))
        if phases.count > 1 { rows += phases.map { ("phase \($0.name)", $0.latency) } }
        let width = rows.map(\.0.count).max() ?? 0
        let names = ["count", "p50", "p90", "p99", "p99.9", "p99.99", "max"]
        var lines = [Self.left("ms", width) + names.map { Self.right($0) }.joined()]
        for case (let name, let latency?) in rows {
            let values = [latency.p50, latency.p90, latency.p99, latency.p999, latency.p9999, latency.max]
            let cells = [String(latency.count)] + values.map { Self.decimals($0, 2) }
            lines.append(Self.left(name, width) + cells.map { Self.right($0) }.joined())
        }
        return lines.joined(separator: "\n")
    }

    private static func table(_ steps: [KneeSearch.Step], found: Double?) -> String {
        var lines = [["asked/s", "answers/s", "p99 ms", "failed"].map { right($0) }.joined() + "  holds"]
        for step in steps {
            let cells = [
                decimals(step.asked, 0), decimals(step.achieved, 0), decimals(step.p99, 1), decimals(step.failedShare * 100, 2) + " %",
            ]
            let limited = step.isGeneratorLimited ? " (the generator was late itself)" : ""
            lines.append(cells.map { right($0) }.joined() + "  " + (step.holds ? "yes" : "no: \(step.reason ?? "")") + limited)
        }
        lines.append(found.map { "capacity   \(decimals($0, 0)) requests a second" } ?? "capacity   none: not even the lowest rate held")
        return lines.joined(separator: "\n")
    }

    private static func list(_ counts: [String: Int]) -> String {
        counts.isEmpty ? "none" : counts.sorted { $0.key < $1.key }.map { "\($0.key): \($0.value)" }.joined(separator: ", ")
    }

    static func decimals(_ value: Double, _ digits: Int) -> String { String(format: "%.\(digits)f", value) }

    private static func left(_ text: String, _ width: Int) -> String { text + String(repeating: " ", count: max(0, width - text.count)) }

    private static func right(_ text: String) -> String { String(repeating: " ", count: max(0, 10 - text.count)) + text }
}
