public import ArgumentParser
public import Bench
import Foundation
import Operate

/// `sluice bench`: a load, and what the clients would have seen.
struct BenchCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "bench", abstract: "Send a load of reads and payments, and measure it.",
        discussion: """
            Requests are sent at times that are fixed beforehand, and latency is counted from the time a request should have \
            been sent: a server that stands still for a moment is seen with all who would have waited. --closed sends \
            on each connection as soon as its answer is there, which finds the capacity and flatters the latency.

            Reads are balances of the accounts given; writes are payments of 1 to 100 minor units between two of them, each \
            under a key that was never used. Nothing is repeated, and Retry-After is not heeded.

            Exits with 0 when every request was answered with 2xx, 1 when not, 2 when a setting is wrong.
            """)

    @Option(help: "Where the API is, with a numeric address or localhost. [SLUICE_URL]") var url: String?
    @Option(help: ArgumentHelp("Unix sockets instead; may be repeated.", valueName: "path")) var unix: [String] = []
    @Option(help: ArgumentHelp("The file with the API key. [SLUICE_KEY_FILE]", valueName: "path")) var keyFile: String?
    @Option(help: "Requests a second, over all connections.") var rate = 1_000.0
    @Option(help: "constant or poisson.") var arrivals = LoadOptions.Arrivals.constant
    @Flag(help: "A closed loop, without a rate.") var closed = false
    @Option(help: "Connections.") var connections = 64
    @Option(help: "Threads that send.") var threads = 1
    @Option(help: "How long requests are sent.") var seconds = 10.0
    @Option(help: ArgumentHelp("How many reads to how many writes.", valueName: "reads:writes")) var mix = "1:0"
    @Option(help: ArgumentHelp("Accounts: a range as payer:1..500, one id, or @FILE with one on each line.", valueName: "ids"))
    var accounts: String
    @Option(help: "Draw accounts by Zipf's law with this exponent instead of all alike.") var zipf: Double?
    @Option(help: "Of the payments.") var currency = "CZK"
    @Option(help: ArgumentHelp("After it a request is dropped, or given up.", valueName: "seconds")) var timeout = 5.0
    @Option(help: "Of all that is drawn by chance.") var seed: UInt64 = 1
    @Option(help: ArgumentHelp("Write the result as a JSON object too.", valueName: "file")) var json: String?

    func run() throws {
        let options = try withSettings { () throws(SettingError) in try readOptions() }
        if let problem = options.problem {
            complain(problem)
            throw CommandExit.wrongSetting
        }
        let report = Load.run(options)
        say(report.text)
        if let json {
            do {
                try Data((report.json + "\n").utf8).write(to: URL(fileURLWithPath: json))
            } catch {
                complain("\(json): \(error.localizedDescription)")
                throw ExitCode.failure
            }
        }
        if !report.isClean { throw ExitCode.failure }
    }

    private func readOptions() throws(SettingError) -> LoadOptions {
        var options = LoadOptions(
            target: try target(), pace: closed ? .closed : .open(perSecond: rate, arrivals), accounts: try accountSet())
        options.key = try key()
        options.connections = connections
        options.threads = threads
        options.seconds = seconds
        let parts = mix.split(separator: ":", omittingEmptySubsequences: false).map { Int($0) }
        guard parts.count == 2, let reads = parts[0], let writes = parts[1] else {
            throw SettingError("mix", "'\(mix)' is not allowed: use READS:WRITES, such as 5:1")
        }
        options.reads = reads
        options.writes = writes
        if let zipf { options.popularity = .zipf(exponent: zipf) }
        guard (1...8).contains(currency.utf8.count), currency.utf8.allSatisfy({ $0 >= UInt8(ascii: "A") && $0 <= UInt8(ascii: "Z") }) else {
            throw SettingError("currency", "'\(currency)' is not allowed: use a code such as CZK")
        }
        options.currency = currency
        options.timeoutSeconds = timeout
        options.seed = seed
        return options
    }

    private func target() throws(SettingError) -> LoadTarget {
        guard unix.isEmpty else { return LoadTarget(unixPaths: unix) }
        let text = try Settings.required("url", url, "the API's address, such as http://127.0.0.1:8080, or --unix")
        guard let target = LoadTarget(url: text) else {
            throw SettingError("url", "'\(text)' is not allowed: use http://ADDRESS:PORT with a numeric address or localhost")
        }
        return target
    }

    private func key() throws(SettingError) -> String? {
        guard let path = Settings.text("key-file", keyFile) else { return nil }
        do throws(OperateError) { return try KeyFile(path: path).require() } catch { throw SettingError("key-file", "\(error)") }
    }

    private func accountSet() throws(SettingError) -> AccountSet {
        if accounts.hasPrefix("@") {
            let path = String(accounts.dropFirst())
            guard let text = try? String(contentsOfFile: path, encoding: .utf8) else {
                throw SettingError("accounts", "'\(path)' cannot be read")
            }
            let ids = text.split(whereSeparator: \.isNewline).map(String.init)
            guard let set = AccountSet(ids) else { throw SettingError("accounts", "'\(path)' holds no account ids, one on each line") }
            return set
        }
        guard let set = AccountSet(accounts) else {
            throw SettingError("accounts", "'\(accounts)' is not allowed: use a range as payer:1..500, one id, or @FILE")
        }
        return set
    }
}

extension LoadOptions.Arrivals: ExpressibleByArgument {}
