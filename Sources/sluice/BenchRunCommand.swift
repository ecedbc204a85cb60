import ArgumentParser
import Bench
import Foundation

/// `sluice bench run`, which `sluice bench` means when it says nothing else.
struct BenchRunCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "run", abstract: "Send a load of reads and payments, and measure it.",
        discussion: """
            Requests are sent at times that are fixed beforehand, and latency is counted from the time a request should have \
            been sent: a server that stands still for a moment is seen with all who would have waited. --closed sends \
            on each connection as soon as its answer is there, which finds the capacity and flatters the latency.

            Reads are balances, statuses of payments of this run, and pages of transactions; writes are payments of 1 to 100 minor \
            units between two accounts, each under a key that was never used. --prepare opens the accounts and pays into them first.

            Progress goes to standard error: a view that is redrawn on a terminal, a line every 5 seconds elsewhere. Ctrl-C ends \
            the sending and reports what there is.

            Exits with 0 when every request was answered with 2xx or declined, 1 when not, 2 when money is wrong (--audit, or a repeat \
            that was answered with another payment), 64 when a setting is wrong. A search for the capacity exits with 0 when it found one.
            """)

    @OptionGroup(title: "The load") var load: BenchLoadOptions
    @OptionGroup(title: "The audit") var audit: BenchAuditOptions

    @Flag(help: "Open the accounts first, and pay into each.") var prepare = false
    @Flag(help: "Show no progress.") var quiet = false
    @Option(help: ArgumentHelp("Write the result as a JSON object.", valueName: "file")) var json: String?
    @Option(help: ArgumentHelp("Write it as a page that needs nothing else.", valueName: "file")) var html: String?
    @Option(help: ArgumentHelp("Write latencies for HdrHistogram's plotter, as FILE-GROUP.hgrm.", valueName: "file")) var hdr: String?
    @Option(help: ArgumentHelp("What the environment's table says too; may be repeated.", valueName: "name=value")) var note: [String] = []

    func run() throws {
        let (options, search, auditor) = try withBenchSettings { () throws(SettingError) in
            let (options, search) = try load.read()
            if let problem = options.problem { throw SettingError("scenario", problem) }
            return (options, search, try audit.auditor())
        }
        for item in note where !item.contains("=") {
            complain("--note: '\(item)' is not allowed: use NAME=VALUE")
            throw BenchExit.wrongSetting
        }
        if prepare { try BenchPreparation.run(options, url: load.url, keyFile: load.keyFile) }
        var report = measure(options, search)
        for item in note {
            let parts = item.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            report.environment.notes[String(parts[0])] = String(parts[1])
        }
        if let auditor { report.verdict = audit.verdict(auditor, report) }
        say(report.text)
        try write(report)
        try end(report)
    }

    private func measure(_ options: LoadOptions, _ search: Scenario.Search?) -> LoadReport {
        let view = LiveView(quiet ? .silent : LiveView.kind(environment: ProcessInfo.processInfo.environment))
        defer { view.end() }
        guard let search else {
            return Load.run(options, handlesSignals: true, everyMilliseconds: view.everyMilliseconds, onProgress: view.show)
        }
        return CapacityRun.run(
            options, search, handlesSignals: true, everyMilliseconds: view.everyMilliseconds, onProgress: view.show,
            onStep: { step in
                view.end()
                if quiet { return }
                let word = step.holds ? "holds" : "does not hold: \(step.reason ?? "")"
                complain("\(Int(step.asked.rounded()))/s \(word); \(Int(step.achieved.rounded())) answers/s")
            })
    }

    private func write(_ report: LoadReport) throws {
        if let json { try write(report.json + "\n", to: json) }
        if let html { try write(report.html, to: html) }
        guard let hdr else { return }
        let base = hdr.hasSuffix(".hgrm") ? String(hdr.dropLast(5)) : hdr
        for group in report.hgrmGroups {
            let name = group.replacingOccurrences(of: ",", with: "").replacingOccurrences(of: " ", with: "-")
            try write(report.hgrm(group) ?? "", to: "\(base)-\(name).hgrm")
        }
    }

    private func write(_ text: String, to path: String) throws {
        do {
            try Data(text.utf8).write(to: URL(fileURLWithPath: path))
        } catch {
            complain("\(path): \(error.localizedDescription)")
            throw ExitCode.failure
        }
    }

    private func end(_ report: LoadReport) throws {
        if report.verdict?.word == .wrong || report.duplicatesWrong > 0 { throw BenchExit.wrongMoney }
        if report.verdict?.word == .unknown { throw ExitCode.failure }
        let isGood = report.search == nil ? report.isClean : report.capacityPerSecond != nil
        if !isGood { throw ExitCode.failure }
    }
}
