/// Decides which session serves a read: replicas that are connected, proven fresh and least busy; the primary within a
/// budget when there is none. No I/O and no clock.
///
/// Servers are numbered: the replicas from 0, then the primary.
public struct PoolMachine: Sendable {
    public struct Limits: Sendable {
        public var replicas: Int
        public var sessionsPerReplica: Int
        public var hasPrimary: Bool
        /// For one session to a replica.
        public var inFlightMax: Int
        /// A replica further behind is left out until it is within half of it.
        public var lagBoundMilliseconds: Int
        /// A replica whose last probe is older has proven nothing.
        public var probeAgeMaxMilliseconds: Int
        public var primaryPerSecond: Int
        public var primaryInFlightMax: Int
        /// With no fresh replica and no connection to the primary: whether replicas that are late or have lost their receiver
        /// answer, rather than nobody.
        public var servesLateWithoutPrimary: Bool

        public init(
            replicas: Int, sessionsPerReplica: Int, hasPrimary: Bool, inFlightMax: Int, lagBoundMilliseconds: Int,
            probeAgeMaxMilliseconds: Int, primaryPerSecond: Int, primaryInFlightMax: Int, servesLateWithoutPrimary: Bool
        ) {
            precondition(replicas > 0 || hasPrimary, "a pool of no servers")
            precondition(sessionsPerReplica > 0 && inFlightMax > 0 && lagBoundMilliseconds > 0)
            self.replicas = replicas
            self.sessionsPerReplica = sessionsPerReplica
            self.hasPrimary = hasPrimary
            self.inFlightMax = inFlightMax
            self.lagBoundMilliseconds = lagBoundMilliseconds
            self.probeAgeMaxMilliseconds = probeAgeMaxMilliseconds
            self.primaryPerSecond = primaryPerSecond
            self.primaryInFlightMax = primaryInFlightMax
            self.servesLateWithoutPrimary = servesLateWithoutPrimary
        }
    }

    /// One session to one server.
    public struct Member: Hashable, Sendable {
        public let server: Int
        public let session: Int

        public init(server: Int, session: Int) {
            self.server = server
            self.session = session
        }
    }

    public enum ReplicaState: Int, Sendable, CaseIterable {
        /// No session is connected.
        case down
        /// Connected, and no probe has answered lately.
        case unproven
        case serving
        case late
        /// It failed queries: left out until two probes in a row succeed.
        case suspended
    }

    public enum Choice: Equatable, Sendable {
        case member(Member, isLate: Bool)
        /// Nobody can serve, or all that could are full or past their budget.
        case nobody
    }

    /// How a query ended, as far as it says something about the server.
    public enum Outcome: Sendable {
        /// Answered, also with a refusal: the server works.
        case answered
        /// The server's own failure: out of a resource, shutting down, an I/O error.
        case fault
        /// No answer by the deadline: frozen, or as good as.
        case timedOut
        /// The connection broke; the session reports it by itself.
        case lost
    }

    private struct Session {
        var isReady = false
        var inFlight = 0
    }

    private struct Replica {
        var sessions: [Session]
        var probedNanoseconds: UInt64?
        var isLate = false
        var lagMilliseconds = 0
        var coveredNanoseconds: UInt64 = 0
        var faults = 0
        /// Good probes that are still wanted before it serves again; 0 when it was not suspended.
        var probesWanted = 0
        var hasReadySession: Bool { sessions.contains { $0.isReady } }
    }

    /// Failed queries in a row that suspend a replica.
    static let faultsMax = 3
    static let probesToReturn = 2

    private let limits: Limits
    private var replicas: [Replica]
    private var primary = Session()
    private var budget: SharedBudget
    /// Reads that the primary was not asked for, because its budget was used up, or the asker's share of it.
    public private(set) var usedUpCount = 0
    public private(set) var overShareCount = 0
    /// Where the search begins: one further each time, so that members with equal load take turns.
    private var turn = 0

    public init(limits: Limits) {
        self.limits = limits
        let replica = Replica(sessions: Array(repeating: Session(), count: limits.sessionsPerReplica))
        replicas = Array(repeating: replica, count: limits.replicas)
        budget = SharedBudget(perSecond: limits.primaryPerSecond)
    }

    /// The primary's number among the servers.
    public var primaryServer: Int { limits.replicas }

    public func state(ofReplica index: Int, nowNanoseconds: UInt64) -> ReplicaState {
        let replica = replicas[index]
        guard replica.hasReadySession else { return .down }
        if replica.probesWanted > 0 { return .suspended }
        guard let probed = replica.probedNanoseconds,
            probed + UInt64(limits.probeAgeMaxMilliseconds) * 1_000_000 >= nowNanoseconds
        else { return .unproven }
        return replica.isLate ? .late : .serving
    }

    /// As last measured.
    public func lagMilliseconds(ofReplica index: Int) -> Int { replicas[index].lagMilliseconds }

    /// Every commit that was acknowledged before this instant is seen by a query that is sent to the server now; 0 when that is not
    /// known. The primary has them all.
    public func coveredNanoseconds(ofServer server: Int, nowNanoseconds: UInt64) -> UInt64 {
        server == primaryServer ? nowNanoseconds : replicas[server].coveredNanoseconds
    }

    // MARK: Choosing

    /// The member that should serve now. When it is used, `started` must follow.
    ///
    /// - Parameters:
    ///   - asker: whose share of the primary's budget it is.
    ///   - excluded: a server that has just failed this query.
    public mutating func choose(
        for asker: SharedBudget.Asker = nil, excluding excluded: Int? = nil, nowNanoseconds: UInt64
    ) -> Choice {
        turn &+= 1
        var isAnyServing = false
        for index in replicas.indices where index != excluded {
            isAnyServing = isAnyServing || state(ofReplica: index, nowNanoseconds: nowNanoseconds) == .serving
        }
        if isAnyServing {
            // Full replicas do not overflow to the primary: that would let a flood of reads reach the writers.
            return leastBusy(isLate: false, excluded, nowNanoseconds).map { .member($0, isLate: false) } ?? .nobody
        }
        if primary.isReady, excluded != primaryServer { return choosePrimary(for: asker, nowNanoseconds: nowNanoseconds) }
        guard limits.servesLateWithoutPrimary, !primary.isReady else { return .nobody }
        return leastBusy(isLate: true, excluded, nowNanoseconds).map { .member($0, isLate: true) } ?? .nobody
    }

    /// The primary, within its budget and the asker's share of it.
    public mutating func choosePrimary(for asker: SharedBudget.Asker = nil, nowNanoseconds: UInt64) -> Choice {
        guard primary.isReady, primary.inFlight < limits.primaryInFlightMax else { return .nobody }
        switch budget.take(for: asker, nowNanoseconds: nowNanoseconds) {
        case .granted: return .member(Member(server: primaryServer, session: 0), isLate: false)
        case .usedUp: usedUpCount += 1
        case .overShare: overShareCount += 1
        }
        return .nobody
    }

    /// Among those that serve, or among those that are connected and have proven nothing, or too much lag.
    private func leastBusy(isLate: Bool, _ excluded: Int?, _ now: UInt64) -> Member? {
        var best: Member?
        var bestInFlight = limits.inFlightMax
        for offset in replicas.indices {
            let index = (turn + offset) % replicas.count
            let state = state(ofReplica: index, nowNanoseconds: now)
            guard index != excluded, isLate ? state == .late || state == .unproven : state == .serving else { continue }
            for session in replicas[index].sessions.indices {
                let candidate = replicas[index].sessions[session]
                if candidate.isReady, candidate.inFlight < bestInFlight {
                    bestInFlight = candidate.inFlight
                    best = Member(server: index, session: session)
                }
            }
        }
        return best
    }

    // MARK: What happened

    /// A query was sent to the member.
    public mutating func started(_ member: Member) { update(member) { $0.inFlight += 1 } }

    /// The query that `started` counted has ended.
    public mutating func finished(_ member: Member, _ outcome: Outcome) {
        update(member) {
            precondition($0.inFlight > 0, "a query finished twice")
            $0.inFlight -= 1
        }
        guard member.server < replicas.count else { return }
        switch outcome {
        case .answered: replicas[member.server].faults = 0
        case .fault:
            replicas[member.server].faults += 1
            if replicas[member.server].faults >= Self.faultsMax { suspend(member.server) }
        case .timedOut: suspend(member.server)
        case .lost: break
        }
    }

    /// A session has connected, or is no longer.
    ///
    /// What answers once the connection is back may be a server that was started anew, and one that was killed begins with what it had at its
    /// last restart point, minutes old: nothing that was proven before counts.
    public mutating func sessionChanged(_ member: Member, isReady: Bool) {
        var isLost = false
        update(member) {
            isLost = $0.isReady && !isReady
            $0.isReady = isReady
        }
        guard isLost, member.server < replicas.count else { return }
        replicas[member.server].probedNanoseconds = nil
        replicas[member.server].coveredNanoseconds = 0
    }

    /// A probe of a replica answered.
    ///
    /// - Parameter coveredNanoseconds: every commit acknowledged before this instant was replayed; 0 when that is not known.
    public mutating func measured(replica index: Int, lagMilliseconds: Int, coveredNanoseconds: UInt64 = 0, nowNanoseconds: UInt64) {
        replicas[index].probedNanoseconds = nowNanoseconds
        replicas[index].coveredNanoseconds = coveredNanoseconds
        replicas[index].lagMilliseconds = lagMilliseconds
        replicas[index].probesWanted = max(0, replicas[index].probesWanted - 1)
        // Half the bound to come back, so that one at the edge does not come and go.
        let bound = replicas[index].isLate ? limits.lagBoundMilliseconds / 2 : limits.lagBoundMilliseconds
        replicas[index].isLate = lagMilliseconds > bound
    }

    /// A probe of a replica failed or was not answered.
    public mutating func probeFailed(replica index: Int) { suspend(index) }

    private mutating func suspend(_ index: Int) {
        replicas[index].faults = 0
        replicas[index].probesWanted = Self.probesToReturn
    }

    private mutating func update(_ member: Member, _ change: (inout Session) -> Void) {
        if member.server == primaryServer { change(&primary) } else { change(&replicas[member.server].sessions[member.session]) }
    }
}
