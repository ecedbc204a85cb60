import ArgumentParser
import Bench
import Foundation
import Operate

/// Opens the accounts of a load and pays into them. Its keys are derived from the lines: doing it again changes nothing.
enum BenchPreparation {
    /// Into each account, minor units: payments of 1 to 100 do not use it up.
    private static let amount = 1_000_000_000
    /// Where it comes from: an account that may go below zero.
    private static let source = "bench:cash"

    static func run(_ options: LoadOptions, url: String?, keyFile: String?) throws {
        let path = FileManager.default.temporaryDirectory.appending(path: "sluice-bench-\(UUID().uuidString).ndjson").path
        defer { try? FileManager.default.removeItem(atPath: path) }
        guard FileManager.default.createFile(atPath: path, contents: Data(lines(options).utf8)) else {
            complain("\(path): cannot be written")
            throw ExitCode.failure
        }
        let (address, keyPath) = try withBenchSettings { () throws(SettingError) in
            (
                try Settings.required("url", url, "the API's address: --prepare does not use Unix sockets"),
                try Settings.required("key-file", keyFile, "the path of a file with an API key")
            )
        }
        // One gateway of several will do.
        let first = String(address.prefix { $0 != "," })
        let report = try reporting { () throws(OperateError) in
            var submission = SubmitOptions(path: path, target: try .resolve(first), key: try KeyFile(path: keyPath).require())
            submission.format = .ndjson
            submission.batch = "sluice-bench-\(options.currency)"
            submission.order = .file
            submission.follows = true
            return try Submitter(submission).run(handlesSignals: false)
        }
        guard report.isComplete else {
            complain("the accounts could not be opened and paid into:\n\(report.text)")
            throw ExitCode.failure
        }
    }

    private static func lines(_ options: LoadOptions) -> String {
        var text = "{\"type\":\"account\",\"id\":\"\(source)\",\"currency\":\"\(options.currency)\",\"kind\":\"external\"}\n"
        let names = (0..<options.accounts.count).map(options.accounts.name).filter { $0 != source }
        for name in names { text += "{\"type\":\"account\",\"id\":\"\(name)\",\"currency\":\"\(options.currency)\"}\n" }
        for name in names {
            text += "{\"debit\":\"\(source)\",\"credit\":\"\(name)\",\"amount\":\(amount),\"currency\":\"\(options.currency)\"}\n"
        }
        return text
    }
}
