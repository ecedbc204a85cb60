public import ArgumentParser
import Foundation
public import Operate

/// `sluice submit`: a file of accounts and payments.
struct SubmitCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "submit", abstract: "Send the accounts and payments of a file.",
        discussion: """
            A line of NDJSON is the body of a request, with "type":"account" for an account and, if you like, a "key":
              {"type":"account","id":"alice","currency":"CZK"}
              {"debit":"alice","credit":"bob","amount":15075,"currency":"CZK","reference":"order-1","key":"order-00001"}
            CSV has a header with the same names (and metadata.NAME); amounts are integers in minor units:
              type,id,debit,credit,amount,currency

            Keys that the file does not have are derived from its name, the line's number and content: submitting a file \
            again changes nothing, and two equal lines are two payments. Rename a file and it is another one, \
            unless --batch names it.

            Accounts are sent first. Payments then reach the ledger in the order of the file as far as it matters: one \
            is sent only when every earlier line that touches the account it debits was accepted. Credits pass each other, \
            and external accounts of the file order nothing. 429, 503, 504 and lost connections are tried again under the same key.

            With --settle each payment is followed to its final state; every second one is sent with Prefer: wait, so that \
            the times to acceptance and to the final state are both measured.

            Exits with 0 when every line was accepted (and decided, with --settle), 1 when not, 2 when a setting is wrong.
            """)

    @Argument(help: "The file.", completion: .file()) var file: String
    @Option(help: "Where the API is. [SLUICE_URL]") var url: String?
    @Option(help: ArgumentHelp("The file with the API key. [SLUICE_KEY_FILE]", valueName: "path")) var keyFile: String?
    @Option(help: "csv or ndjson. (default: by the file's name)") var format: SubmitOptions.Format?
    @Option(help: "Names the file in derived keys. (default: the file's name)") var batch: String?
    @Option(help: "Connections at most.") var connections = 64
    @Option(help: "file: in the order of the file, as said above; none: as fast as it goes.") var order = SubmitOptions.Order.file
    @Flag(help: "Follow each payment to its final state.") var settle = false
    @Option(help: ArgumentHelp("How long a line is tried, and an outcome is waited for.", valueName: "seconds")) var wait = 60
    @Flag(help: "Print the result as a JSON object.") var json = false

    func validate() throws {
        if !(1...10_000).contains(connections) { throw ValidationError("--connections: use 1 to 10000") }
        if !(1...3_600).contains(wait) { throw ValidationError("--wait: use 1 to 3600") }
    }

    func run() throws {
        let (address, keyPath) = try withSettings { () throws(SettingError) in
            (
                try Settings.required("url", url, "the API's address, such as http://127.0.0.1:8080"),
                try Settings.required("key-file", keyFile, "the path of a file with an API key")
            )
        }
        let submitter = try reporting(exitCode: CommandExit.wrongSetting) { () throws(OperateError) in
            var options = SubmitOptions(path: file, target: try .resolve(address), key: try KeyFile(path: keyPath).require())
            options.format = format
            options.batch = batch
            options.connections = connections
            options.order = order
            options.follows = settle
            options.waitSeconds = wait
            return try Submitter(options, onProgress: Progress().show)
        }
        let report = try reporting { () throws(OperateError) in try submitter.run(handlesSignals: true) }
        for problem in report.problems { complain("line \(problem.line): \(problem.problem)") }
        say(json ? report.json : report.text)
        if !report.isComplete { throw ExitCode.failure }
    }
}

extension SubmitOptions.Format: ExpressibleByArgument {}
extension SubmitOptions.Order: ExpressibleByArgument {}

/// A line on standard error every few seconds: often where somebody watches, seldom in a log.
private final class Progress {
    private let isTerminal = isatty(STDERR_FILENO) != 0
    private var calls = 0

    func show(_ report: SubmitReport, _ underWay: Int) {
        calls += 1
        guard calls > 1, isTerminal || calls.isMultiple(of: 10) else { return }
        let finals = report.outcomes.map { ", \($0.settled) settled, \($0.declined.values.reduce(0, +)) declined" } ?? ""
        complain("\(report.accounts.accepted) accounts, \(report.payments.accepted) payments accepted\(finals), \(underWay) under way")
    }
}
