public import ArgumentParser
public import Bench
import Foundation
import Operate

/// The options of a load. What the command line leaves out is the scenario's, and then a default.
struct BenchLoadOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "A preset (\(Scenario.presetNames.joined(separator: ", "))) or a file: docs/bench.md.", valueName: "name or path"))
    var scenario: String?

    @Option(help: "Where the API is, with a numeric address or localhost; several gateways separated by commas. [SLUICE_URL]")
    var url: String?
    @Option(help: ArgumentHelp("Unix sockets instead; may be repeated.", valueName: "path")) var unix: [String] = []
    @Option(help: ArgumentHelp("The field Host, and with https whom the certificate must be for.", valueName: "name")) var host: String?
    @Option(help: ArgumentHelp("With https: the authorities that are trusted. (default: the system's)", valueName: "PEM file"))
    var tlsCa: String?
    @Flag(help: "With https: do not check the certificate.") var tlsInsecure = false
    @Option(help: ArgumentHelp("The file with the API key. [SLUICE_KEY_FILE]", valueName: "path")) var keyFile: String?

    @Option(help: "Requests a second, over all connections: level 1 of a scenario. (default: 1000)") var rate: Double?
    @Option(help: "constant or poisson. (default: constant)") var arrivals: LoadOptions.Arrivals?
    @Flag(help: "A closed loop, without a rate.") var closed = false
    @Option(help: "Connections. (default: 64)") var connections: Int?
    @Option(help: "Threads that send. (default: 1)") var threads: Int?
    @Option(help: "How long requests are sent, in place of a scenario's phases. (default: 10)") var seconds: Double?
    @Option(help: ArgumentHelp("How many reads to how many payments. (default: 5:1)", valueName: "reads:writes")) var mix: String?
    @Option(
        help: ArgumentHelp(
            "What the reads are: balances, payment statuses, transactions. (default: 3:1:1)", valueName: "b:s:t"))
    var reads: String?
    @Option(
        help: ArgumentHelp(
            "Accounts: a range as payer:1..500, one id, or @FILE with one on each line. (default: bench:1..1000)", valueName: "ids"))
    var accounts: String?
    @Option(help: "Draw accounts by Zipf's law with this exponent instead of all alike.") var zipf: Double?
    @Option(help: ArgumentHelp("The share of reads of, and payments to, the first account.", valueName: "share")) var hot: Double?
    @Option(help: ArgumentHelp("The share of payments that repeat an earlier one under its key.", valueName: "share"))
    var duplicates: Double?
    @Option(help: ArgumentHelp("The share of payments sent with Prefer: wait.", valueName: "share")) var wait: Double?
    @Option(help: ArgumentHelp("The share of accepted payments that are followed until they are final.", valueName: "share"))
    var follow: Double?
    @Option(help: "How often 429, 503, 504 and lost connections are tried again, with the same key. (default: 0)") var retries: Int?
    @Option(help: "Of the payments.") var currency = "CZK"
    @Option(help: ArgumentHelp("After it a request is dropped, or given up. (default: 5)", valueName: "seconds")) var timeout: Double?
    @Option(help: "Of all that is drawn by chance.") var seed: UInt64 = 1

    /// The load, and the search where the scenario is one.
    func read() throws(SettingError) -> (LoadOptions, Scenario.Search?) {
        let scenario = try readScenario()
        let isClosed = closed || (scenario.isClosed ?? false)
        var options = LoadOptions(
            target: try target(),
            pace: isClosed ? .closed : .open(perSecond: rate ?? scenario.rate ?? 1_000, arrivals ?? scenario.arrivals ?? .constant),
            accounts: try accountSet(accounts ?? scenario.accounts ?? "bench:1..1000"))
        options.name = scenario.name
        options.key = try key()
        if let phases = scenario.phases { options.phases = phases }
        if let seconds { options.seconds = seconds }
        options.connections = connections ?? scenario.connections ?? 64
        options.threads = threads ?? scenario.threads ?? 1
        options.mix = try readMix(mix ?? scenario.mix ?? "5:1", reads ?? scenario.reads ?? "3:1:1")
        let (zipf, hot) = zipf == nil && hot == nil ? (scenario.zipf, scenario.hot) : (zipf, hot)
        if let zipf { options.popularity = .zipf(exponent: zipf) }
        if let hot {
            if zipf != nil { throw SettingError("hot", "and --zipf exclude each other") }
            options.popularity = .hot(share: hot)
        }
        options.duplicateShare = duplicates ?? scenario.duplicates ?? 0
        options.waitShare = wait ?? scenario.wait ?? 0
        options.followShare = follow ?? scenario.follow ?? 0
        options.retriesMax = retries ?? scenario.retries ?? 0
        guard (1...8).contains(currency.utf8.count), currency.utf8.allSatisfy({ $0 >= UInt8(ascii: "A") && $0 <= UInt8(ascii: "Z") }) else {
            throw SettingError("currency", "'\(currency)' is not allowed: use a code such as CZK")
        }
        options.currency = currency
        options.timeoutSeconds = timeout ?? scenario.timeoutSeconds ?? 5
        options.seed = seed
        var search = scenario.search
        if let rate { search?.startPerSecond = rate }
        if let seconds { search?.stepSeconds = seconds }
        return (options, search)
    }

    private func readScenario() throws(SettingError) -> Scenario {
        guard let scenario else { return Scenario() }
        do throws(ScenarioError) { return try Scenario.named(scenario) } catch { throw SettingError("scenario", "\(error)") }
    }

    private func readMix(_ mix: String, _ reads: String) throws(SettingError) -> LoadOptions.Mix {
        func parts(_ text: String) -> [Int] {
            let parts = text.split(separator: ":", omittingEmptySubsequences: false).map { Int($0) }
            return parts.contains(nil) ? [] : parts.compactMap { $0 }
        }
        let (pair, triple) = (parts(mix), parts(reads))
        guard pair.count == 2 else { throw SettingError("mix", "'\(mix)' is not allowed: use READS:WRITES, such as 5:1") }
        guard triple.count == 3 else {
            throw SettingError("reads", "'\(reads)' is not allowed: use BALANCES:STATUSES:TRANSACTIONS, such as 3:1:1")
        }
        var result = LoadOptions.Mix(reads: pair[0], writes: pair[1])
        (result.balances, result.statuses, result.transactions) = (triple[0], triple[1], triple[2])
        return result
    }

    private func target() throws(SettingError) -> LoadTarget {
        var target: LoadTarget
        if !unix.isEmpty {
            guard unix.allSatisfy({ !$0.isEmpty && $0.utf8.count <= 107 }) else {
                throw SettingError("unix", "a path must be 1 to 107 bytes long")
            }
            target = LoadTarget(unixPaths: unix)
        } else {
            let text = try Settings.required("url", url, "the API's address, such as http://127.0.0.1:8080, or --unix")
            guard let found = LoadTarget(url: text) else {
                throw SettingError("url", "'\(text)' is not allowed: use http://ADDRESS:PORT or https: with a numeric address or localhost")
            }
            target = found
        }
        if let host {
            guard !host.isEmpty, host.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }) else {
                throw SettingError("host", "'\(host)' is not allowed: use a name")
            }
            target.host = host
            target.security?.name = String(host.prefix { $0 != ":" })
        }
        if target.security == nil, tlsCa != nil || tlsInsecure { throw SettingError("tls-ca", "and --tls-insecure are for https") }
        target.security?.authorities = tlsCa
        target.security?.isVerified = !tlsInsecure
        if !Load.canTrust(target) { throw SettingError("tls-ca", "'\(tlsCa ?? "the system's authorities")' cannot be read as PEM") }
        return target
    }

    private func key() throws(SettingError) -> String? {
        guard let path = try Settings.text("key-file", keyFile) else { return nil }
        do throws(OperateError) { return try KeyFile(path: path).require() } catch { throw SettingError("key-file", "\(error)") }
    }

    private func accountSet(_ accounts: String) throws(SettingError) -> AccountSet {
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
