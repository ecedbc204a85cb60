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
        /// The first account is read, and paid to, with this share; the others are alike, and pay.
        case hot(share: Double)
    }

    /// In proportion; not all 0.
    public struct Mix: Sendable, Equatable {
        public var reads = 1
        public var writes = 0
        /// What the reads are. Statuses are those of payments that this run has seen accepted: until there is one, a
        /// balance is read instead.
        public var balances = 3
        public var statuses = 1
        public var transactions = 1

        public init(reads: Int = 1, writes: Int = 0) {
            self.reads = reads
            self.writes = writes
        }
    }

    /// What the run is called in its report.
    public var name = "bench"
    public var target: LoadTarget
    /// The API key; nil sends none.
    public var key: String?
    public var pace: Pace
    /// One after the other; a closed loop takes only their durations.
    public var phases = [LoadPhase("load", seconds: 10)]
    /// 1 to 50,000, spread over the threads.
    public var connections = 64
    /// Threads with a loop each, 1 to 64 and not more than connections.
    public var threads = 1
    public var mix = Mix()
    public var accounts: AccountSet
    public var popularity = Popularity.uniform
    /// Of the payments that are written.
    public var currency = "CZK"
    /// The share of payments that repeat an earlier one of this run under its key.
    public var duplicateShare = 0.0
    /// The share of payments sent with `Prefer: wait=10`.
    public var waitShare = 0.0
    /// The share of accepted payments that are followed to their final state, on connections of their own.
    public var followShare = 0.0
    /// How often a request that was refused for the moment (429, 503, 504) or had no answer is sent again, with the same key.
    public var retriesMax = 0
    /// A request not sent so long after its time is dropped, one not answered so long after it was sent is given up; seconds.
    public var timeoutSeconds = 5.0
    /// Of everything drawn by chance, so that a run can be repeated. Idempotency keys are fresh all the same.
    public var seed: UInt64 = 1

    public init(target: LoadTarget, pace: Pace, accounts: AccountSet) {
        self.target = target
        self.pace = pace
        self.accounts = accounts
    }

    /// How long requests are sent. Setting it leaves one phase.
    public var seconds: Double {
        get { phases.reduce(0) { $0 + $1.seconds } }
        set { phases = [LoadPhase("load", seconds: newValue)] }
    }

    /// A sentence on the first setting that cannot work, nil when all can.
    public var problem: String? {
        if case .open(let rate, _) = pace, !(rate >= 1 && rate <= 1_000_000) { return "the rate must be 1 to 1000000 requests a second" }
        if case .zipf(let exponent) = popularity, !(exponent > 0 && exponent <= 10) {
            return "Zipf's exponent must be above 0, and 10 at most"
        }
        if !(1...50_000).contains(connections) { return "the connections must be 1 to 50000" }
        if !(1...64).contains(threads) || threads > connections { return "the threads must be 1 to 64, and not more than the connections" }
        if !(1...BenchLimits.phasesMax).contains(phases.count) { return "the phases must be 1 to \(BenchLimits.phasesMax)" }
        if let problem = phases.lazy.compactMap(\.problem).first { return problem }
        if phases.allSatisfy(\.isWarmUp) { return "one phase at least must not be for warming up" }
        if phases.allSatisfy({ $0.from == 0 && $0.to == 0 }) { return "one phase at least must have a level above 0" }
        if !(timeoutSeconds >= 0.1 && timeoutSeconds <= 600) { return "the time-out must be 0.1 to 600 seconds" }
        if !(0...100).contains(retriesMax) { return "the retries must be 0 to 100" }
        return mixProblem
    }

    private var mixProblem: String? {
        let shares = 0...1_000_000
        if !shares.contains(mix.reads) || !shares.contains(mix.writes) || mix.reads + mix.writes == 0 {
            return "the mix must be READS:WRITES, not both 0"
        }
        let reads = [mix.balances, mix.statuses, mix.transactions]
        if !reads.allSatisfy(shares.contains) || mix.reads > 0 && reads.allSatisfy({ $0 == 0 }) {
            return "the reads must be BALANCES:STATUSES:TRANSACTIONS, not all 0"
        }
        if mix.writes > 0, accounts.count < 2 { return "payments need two accounts at least" }
        for (name, share) in [("duplicates", duplicateShare), ("waiting payments", waitShare), ("followed payments", followShare)]
        where !(share >= 0 && share <= 1) { return "the share of \(name) must be 0 to 1" }
        if duplicateShare + waitShare > 1 { return "duplicates and waiting payments together must not be more than all" }
        if case .hot(let share) = popularity {
            if !(share > 0 && share <= 1) { return "the hot account's share must be above 0, and 1 at most" }
            if accounts.count < 3 { return "a hot account needs two others beside it" }
        }
        return nil
    }
}

/// What bounds the memory and the connections of a run.
enum BenchLimits {
    static let phasesMax = 64
    /// Points of a time series; a longer run has wider ones.
    static let intervalsMax = 600
    /// Requests that wait for their next try, on a thread. More are given up.
    static let retriesWaitingMax = 100_000
    /// Payments that statuses and duplicates are drawn from, on a thread: the latest.
    static let recentPaymentsMax = 4_096
    /// Payments followed at the same time, on a thread, each on a connection.
    static let followedMax = 512
    /// Accepted payments that are remembered for the audit, on a thread: 16 bytes each.
    static let acknowledgedMax = 10_000_000
    /// A follower gives up after it.
    static let followSeconds = 60.0
}
