import Foundation

/// What `sluice status` says.
public struct SystemStatus: Sendable, Equatable {
    /// `starting`, `running`, `stopping`, `stopped`, `failed` or `not running`.
    public var phase: String
    /// In the order of their start; empty when nothing runs.
    public var processes: [ProcessStatus]

    /// 0: all are healthy. 1: nothing runs. 3: something runs, and not all of it is healthy.
    public var exitCode: Int32 {
        if processes.isEmpty { return 1 }
        return processes.allSatisfy { $0.state == "healthy" } ? 0 : 3
    }

    /// An array of objects with `name`, `pid`, `address`, `admin`, `state` and `restarts`.
    public var json: String { JSONText.encode(processes) }

    /// A table for people.
    public var table: String {
        guard !processes.isEmpty else { return "not running" }
        let rows =
            [["NAME", "PID", "STATE", "RESTARTS", "ADDRESS"]]
            + processes.map { [$0.name, $0.pid.map(String.init) ?? "-", $0.state, "\($0.restarts)", $0.address] }
        let widths = (0..<4).map { column in rows.map { $0[column].count }.max()! + 2 }
        let lines = rows.map { row in
            (0..<4).map { row[$0].padding(toLength: widths[$0], withPad: " ", startingAt: 0) }.joined() + row[4]
        }
        return lines.joined(separator: "\n")
    }

    /// Printed when everything is up.
    static func welcome(_ options: StandaloneOptions, _ layout: Layout, _ ports: Ports) -> String {
        var lines = ["up, in \(layout.data)"]
        if options.components.contains(.nginx) {
            lines.append("  API       http://\(ports.address(.nginx))/v1\n  live      http://\(ports.address(.nginx))/live/")
        }
        if options.components.contains(.application) { lines.append("  API key   \(layout.demoKey)") }
        lines += [
            "  logs      \(layout.logs)",
            "  settings  set -a; . \(layout.data)/settings.env",
            "  look      sluice status --data \(layout.data)",
            "  stop      Ctrl-C, or: sluice down --data \(layout.data)",
        ]
        return lines.joined(separator: "\n")
    }
}
