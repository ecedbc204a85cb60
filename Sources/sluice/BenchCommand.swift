import ArgumentParser

/// `sluice bench`: a load, what the clients would have seen, and what became of the money.
struct BenchCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "bench", abstract: "Send a load of reads and payments, measure it, and prove the money after it.",
        discussion: "`sluice help bench run` lists the options; docs/bench.md says how to read the report.",
        subcommands: [BenchRunCommand.self, BenchCompareCommand.self], defaultSubcommand: BenchRunCommand.self)
}

/// How `sluice bench` ends when it does not end with 0 or 1.
enum BenchExit {
    /// Money is not as promised, whatever the latencies.
    static let wrongMoney = ExitCode(2)
    /// The candidate is worse than the base.
    static let regression = ExitCode(3)
    /// A setting is missing or wrong; nothing was done. Not 2 as elsewhere: that is for money here.
    static let wrongSetting = ExitCode(64)
}

/// Runs what may find a setting wrong: says so on standard error and ends the process with 64.
func withBenchSettings<Result>(_ body: () throws(SettingError) -> Result) throws -> Result {
    do {
        return try body()
    } catch {
        complain("\(error)")
        throw BenchExit.wrongSetting
    }
}
