import ArgumentParser
import Operate

/// `--check-config`, which every role has.
struct CheckConfigOption: ParsableArguments {
    @Flag(help: "List the settings with their values, where each comes from and what is allowed, and do nothing else. Ends with 0, or 2.")
    var checkConfig = false

    /// A line for each setting that was read, and for what the role has besides: name, value, source, what is allowed.
    static func table(_ more: [(name: String, value: String, source: String, allowed: String)] = []) -> String {
        var table = TextTable(["SETTING", "FLAG", "VALUE", "SOURCE", "ALLOWED"])
        for reading in Settings.all {
            let flag = reading.name.flag.map { "--" + $0 } ?? "-"
            table.add([reading.name.variable, flag, reading.shown ?? "unset", reading.source, reading.allowed])
        }
        for line in more { table.add([line.name, "--limits", line.value, line.source, line.allowed]) }
        return table.text
    }
}
