public import Loop

/// What a run is told.
public struct LoadOptions: Sendable {
    /// When requests are sent.
    public enum Pace: Sendable, Equatable {
        /// At times fixed beforehand, whatever the server does: requests a second over all connections.
        case open(perSecond: Double, Arrivals)
        /// Each connection sends when it has its answer. Finds the capacity; says nothing of the latency that clients would see.
        case closed
    }

    /// How the times of an open pace are spread.
    public enum Arrivals: String, Sendable, CaseIterable {
        /// Evenly.
        case constant
        /// As independent clients come: exponential gaps.
        case poisson
    }

    /// How accounts are drawn.
    public enum Popularity: Sendable, Equatable {
        case uniform
        /// The n-th account is drawn in proportion to 1 / n^exponent; above 0.
        case zipf(exponent: Double)
    }

    public var target: LoadTarget
    /// The API key; nil sends none.
    public var key: String?
    public var pace: Pace
    /// 1 to 50,000, spread over the threads.
    public var connections = 64
    /// Threads with a loop each, 1 to 64 and not more than connections.
    public var threads = 1
    /// How long requests are sent; answers are awaited afterwards.
    public var seconds = 10.0
    /// Reads and writes in proportion; not both 0.
    public var reads = 1
    public var writes = 0
    public var accounts: AccountSet
    public var popularity = Popularity.uniform
    /// Of the payments that are written.
    public var currency = "CZK"
    /// A request not sent so long after its time is dropped, one not answered so long after it was sent is given up; seconds.
    public var timeoutSeconds = 5.0
    /// Of everything drawn by chance, so that a run can be repeated. Idempotency keys are fresh all the same.
    public var seed: UInt64 = 1

    public init(target: LoadTarget, pace: Pace, accounts: AccountSet) {
        self.target = target
        self.pace = pace
        self.accounts = accounts
    }

    /// A sentence on the first setting that cannot work, nil when all can.
    public var problem: String? {
        if case .open(let rate, _) = pace, !(rate >= 1 && rate <= 1_000_000) { return "the rate must be 1 to 1000000 requests a second" }
        if case .zipf(let exponent) = popularity, !(exponent > 0 && exponent <= 10) {
            return "Zipf's exponent must be above 0, and 10 at most"
        }
        if !(1...50_000).contains(connections) { return "the connections must be 1 to 50000" }
        if !(1...64).contains(threads) || threads > connections { return "the threads must be 1 to 64, and not more than the connections" }
        if !(seconds >= 0.1 && seconds <= 604_800) { return "the duration must be 0.1 to 604800 seconds" }
        if !(timeoutSeconds >= 0.1 && timeoutSeconds <= 600) { return "the time-out must be 0.1 to 600 seconds" }
        let shares = 0...1_000_000
        if !shares.contains(reads) || !shares.contains(writes) || reads + writes == 0 { return "the mix must be READS:WRITES, not both 0" }
        if writes > 0, accounts.count < 2 { return "payments need two accounts at least" }
        return nil
    }
}

/// Where the API is.
public struct LoadTarget: Sendable, Equatable {
    /// Connections are spread over them in turn.
    public let addresses: [SocketAddress]
    /// The field `Host`.
    public let host: String
    /// What stands before `/v1`; without a slash at its end.
    public let pathPrefix: String

    /// Unix sockets, one at least.
    public init(unixPaths: [String]) {
        precondition(!unixPaths.isEmpty)
        addresses = unixPaths.map { .unix(path: $0) }
        host = "localhost"
        pathPrefix = ""
    }

    public init(addresses: [SocketAddress], host: String) {
        precondition(!addresses.isEmpty)
        self.addresses = addresses
        self.host = host
        pathPrefix = ""
    }

    /// Reads `http://ADDRESS[:PORT][/PREFIX]` with a numeric address or `localhost`: a name's look-up is no part of what is
    /// measured. Nil for anything else.
    public init?(url: String) {
        guard url.hasPrefix("http://") else { return nil }
        let rest = url.dropFirst("http://".count)
        let authority = String(rest.prefix { $0 != "/" })
        var prefix = rest.dropFirst(authority.count)
        while prefix.hasSuffix("/") { prefix = prefix.dropLast() }
        guard authority.utf8.allSatisfy(Self.isPlain), prefix.utf8.allSatisfy(Self.isPlain) else { return nil }
        let hasPort = authority.last != "]" && authority.contains(":")
        guard let address = SocketAddress(hasPort ? authority : authority + ":80"), case .tcp = address else { return nil }
        addresses = [address]
        host = authority
        pathPrefix = String(prefix)
    }

    private static func isPlain(_ byte: UInt8) -> Bool {
        byte > 0x20 && byte < 0x7F && byte != UInt8(ascii: "?") && byte != UInt8(ascii: "#") && byte != UInt8(ascii: "@")
    }
}
