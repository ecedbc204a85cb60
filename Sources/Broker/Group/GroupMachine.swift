/// One consumer group under the classic protocol: who is in it, which generation, and who waits for an answer.
///
/// Pure: requests and the time go in, answers come out, at once or kept back until the group agrees. Times are milliseconds
/// of a clock that never goes back. Requests that wait are known by a number.
struct GroupMachine {
    enum State: String, Sendable {
        case empty = "Empty"
        case preparing = "PreparingRebalance"
        case completing = "CompletingRebalance"
        case stable = "Stable"
    }

    struct Member: Sendable {
        var id: String
        let instance: String?
        var sessionTimeout: UInt64
        var rebalanceTimeout: UInt64
        var protocols: [(name: String, metadata: [UInt8])]
        var assignment: [UInt8] = []
        /// When it is evicted unless it is heard of. Not watched while it waits for a join to complete.
        var deadline: UInt64
        var waitingJoin: UInt64?
        var waitingSync: UInt64?
        let client: String
        let host: String
    }

    private(set) var state = State.empty
    private(set) var generation: Int32 = 0
    private(set) var protocolType = ""
    private(set) var protocolName = ""
    private(set) var leader: String?
    /// In order of arrival.
    private(set) var members: [Member] = []
    /// Ids given out to members that have not come back with them, and until when.
    private var promised: [String: UInt64] = [:]
    /// When a rebalance under way goes on without those who have not rejoined.
    private var rebalanceDeadline: UInt64 = 0
    /// A first generation waits until its `rebalanceDeadline` for more members.
    private var isFirstRebalance = false
    /// When the last member left, or an offset was committed from outside; for forgetting the group.
    private(set) var emptySince: UInt64

    init(now: UInt64) { emptySince = now }

    var isUnused: Bool { members.isEmpty && promised.isEmpty }

    private func index(of member: String) -> Int? { members.firstIndex { $0.id == member } }

    // MARK: Join

    /// The join of `request`. Its answer may be among the actions, or come later from any other call.
    /// - Parameter newId: a fresh unique id, for when the member needs one.
    mutating func join(_ join: JoinRequest, request: UInt64, newId: String, now: UInt64) -> [GroupAction] {
        func refuse(_ error: ErrorCode, member: String? = nil) -> [GroupAction] {
            [.join(request: request, JoinAnswer(error: error, member: member ?? join.member))]
        }
        guard join.sessionTimeoutMilliseconds >= Limits.sessionMillisecondsMin,
            join.sessionTimeoutMilliseconds <= Limits.sessionMillisecondsMax
        else { return refuse(.invalidSessionTimeout) }
        guard !join.protocols.isEmpty, join.protocols.reduce(0, { $0 + $1.metadata.count }) <= Limits.memberBytesMax else {
            return refuse(.inconsistentGroupProtocol)
        }
        if !members.isEmpty, join.protocolType != protocolType || !sharesProtocol(join) { return refuse(.inconsistentGroupProtocol) }

        if let instance = join.instance, let known = members.firstIndex(where: { $0.instance == instance }) {
            if join.member.isEmpty { return replaceStatic(known, join, request: request, newId: newId, now: now) }
            if members[known].id != join.member { return refuse(.fencedInstanceId) }
            return rejoin(known, join, request: request, now: now)
        }
        if !join.member.isEmpty {
            if let known = index(of: join.member) { return rejoin(known, join, request: request, now: now) }
            guard promised[join.member] != nil else { return refuse(.unknownMemberId) }
        }
        guard members.count + promised.count < Limits.groupMembersMax || promised[join.member] != nil else {
            return refuse(.groupMaxSizeReached)
        }
        if join.member.isEmpty, join.instance == nil, join.requiresKnownId {
            promised[newId] = now + UInt64(join.sessionTimeoutMilliseconds)
            return refuse(.memberIdRequired, member: newId)
        }
        promised[join.member] = nil
        return add(join, id: join.member.isEmpty ? newId : join.member, request: request, now: now)
    }

    private func sharesProtocol(_ join: JoinRequest) -> Bool {
        join.protocols.contains { candidate in members.allSatisfy { $0.protocols.contains { $0.name == candidate.name } } }
    }

    private mutating func add(_ join: JoinRequest, id: String, request: UInt64, now: UInt64) -> [GroupAction] {
        if members.isEmpty { protocolType = join.protocolType }
        members.append(
            Member(
                id: id, instance: join.instance, sessionTimeout: UInt64(join.sessionTimeoutMilliseconds),
                rebalanceTimeout: Self.rebalanceTimeout(join), protocols: join.protocols,
                deadline: now + UInt64(join.sessionTimeoutMilliseconds), waitingJoin: request, client: join.client, host: join.host))
        return prepareRebalance(now: now) + completeJoinIfAllAreHere(now: now)
    }

    private static func rebalanceTimeout(_ join: JoinRequest) -> UInt64 {
        let asked = join.rebalanceTimeoutMilliseconds > 0 ? join.rebalanceTimeoutMilliseconds : join.sessionTimeoutMilliseconds
        return UInt64(min(asked, Limits.sessionMillisecondsMax))
    }

    private mutating func rejoin(_ known: Int, _ join: JoinRequest, request: UInt64, now: UInt64) -> [GroupAction] {
        let changed = !members[known].protocols.elementsEqual(join.protocols) { $0.name == $1.name && $0.metadata == $1.metadata }
        var actions = dropWaiting(known, error: .rebalanceInProgress)
        members[known].protocols = join.protocols
        members[known].sessionTimeout = UInt64(join.sessionTimeoutMilliseconds)
        members[known].rebalanceTimeout = Self.rebalanceTimeout(join)
        members[known].deadline = now + members[known].sessionTimeout
        switch state {
        case .completing where !changed, .stable where !changed && members[known].id != leader:
            // Nothing new: its answer to the last join may have been lost.
            return actions + [.join(request: request, answer(for: known))]
        case .empty, .completing, .stable:
            members[known].waitingJoin = request
            actions += prepareRebalance(now: now)
        case .preparing:
            members[known].waitingJoin = request
        }
        return actions + completeJoinIfAllAreHere(now: now)
    }

    /// A static member came back without its id: it takes the place, and what was assigned, under a new id.
    private mutating func replaceStatic(_ known: Int, _ join: JoinRequest, request: UInt64, newId: String, now: UInt64) -> [GroupAction] {
        var actions = dropWaiting(known, error: .fencedInstanceId)
        let oldId = members[known].id
        let wasLeader = leader == oldId
        let metadataBefore = members[known].protocols.first { $0.name == protocolName }?.metadata
        members[known].id = newId
        members[known].protocols = join.protocols
        members[known].sessionTimeout = UInt64(join.sessionTimeoutMilliseconds)
        members[known].rebalanceTimeout = Self.rebalanceTimeout(join)
        members[known].deadline = now + members[known].sessionTimeout
        if wasLeader { leader = newId }
        if state == .stable, join.protocols.first(where: { $0.name == protocolName })?.metadata == metadataBefore {
            // It is answered as a follower, also when it led: it then asks for its old assignment instead of making new ones.
            var answer = answer(for: known)
            if wasLeader { answer.leader = oldId }
            answer.members = []
            return actions + [.join(request: request, answer)]
        }
        members[known].waitingJoin = request
        if state != .preparing { actions += prepareRebalance(now: now) }
        return actions + completeJoinIfAllAreHere(now: now)
    }

    /// Answers what a member still waits for, because a newer request of it takes its place.
    private mutating func dropWaiting(_ known: Int, error: ErrorCode) -> [GroupAction] {
        var actions: [GroupAction] = []
        if let request = members[known].waitingJoin {
            actions.append(.join(request: request, JoinAnswer(error: error, member: members[known].id)))
        }
        if let request = members[known].waitingSync { actions.append(.sync(request: request, SyncAnswer(error: error))) }
        members[known].waitingJoin = nil
        members[known].waitingSync = nil
        return actions
    }

    private mutating func prepareRebalance(now: UInt64) -> [GroupAction] {
        if state == .preparing { return [] }
        isFirstRebalance = state == .empty
        state = .preparing
        rebalanceDeadline =
            isFirstRebalance ? now + Limits.firstRebalanceDelayMilliseconds : now + (members.map(\.rebalanceTimeout).max() ?? 0)
        var actions: [GroupAction] = []
        for index in members.indices {
            members[index].assignment = []
            if let request = members[index].waitingSync {
                actions.append(.sync(request: request, SyncAnswer(error: .rebalanceInProgress)))
                members[index].waitingSync = nil
            }
        }
        return actions
    }

    private mutating func completeJoinIfAllAreHere(now: UInt64) -> [GroupAction] {
        guard state == .preparing else { return [] }
        if members.isEmpty {
            becomeEmpty(now: now)
            return []
        }
        if isFirstRebalance, now < rebalanceDeadline { return [] }
        guard members.allSatisfy({ $0.waitingJoin != nil }), promised.isEmpty || now >= rebalanceDeadline || !isFirstRebalance else {
            return []
        }
        return completeJoin(now: now)
    }

    private mutating func completeJoin(now: UInt64) -> [GroupAction] {
        generation = generation == .max ? 1 : generation + 1
        state = .completing
        isFirstRebalance = false
        protocolName = vote()
        if leader == nil || index(of: leader!).map({ members[$0].waitingJoin == nil }) ?? true {
            leader = (members.first { $0.waitingJoin != nil } ?? members[0]).id
        }
        var actions: [GroupAction] = []
        for known in members.indices {
            members[known].deadline = now + members[known].sessionTimeout
            guard let request = members[known].waitingJoin else { continue }
            members[known].waitingJoin = nil
            actions.append(.join(request: request, answer(for: known)))
        }
        return actions
    }

    private func answer(for known: Int) -> JoinAnswer {
        var answer = JoinAnswer(
            generation: generation, protocolName: protocolName, leader: leader ?? "", member: members[known].id)
        if members[known].id == leader {
            answer.members = members.map { member in
                let metadata = member.protocols.first { $0.name == protocolName }?.metadata ?? []
                return JoinAnswer.Member(id: member.id, instance: member.instance, metadata: metadata)
            }
        }
        return answer
    }

    /// Of the protocols that everybody knows, the one that most members prefer.
    private func vote() -> String {
        let common = members[0].protocols.map(\.name).filter { name in members.allSatisfy { $0.protocols.contains { $0.name == name } } }
        var votes: [String: Int] = [:]
        for member in members {
            if let choice = member.protocols.first(where: { common.contains($0.name) }) { votes[choice.name, default: 0] += 1 }
        }
        return common.max { (votes[$0] ?? 0, $1) < (votes[$1] ?? 0, $0) } ?? ""
    }

    // MARK: Sync, heartbeat, leave

    /// The checks that every request of a member passes. nil: it is one of the group, in this generation.
    private func refusal(member: String, instance: String?, generation: Int32?) -> ErrorCode? {
        if let instance, let known = members.first(where: { $0.instance == instance }), known.id != member { return .fencedInstanceId }
        guard index(of: member) != nil else { return .unknownMemberId }
        if let generation, generation != self.generation { return .illegalGeneration }
        return nil
    }

    mutating func sync(_ sync: SyncRequest, request: UInt64, now: UInt64) -> [GroupAction] {
        if let error = refusal(member: sync.member, instance: sync.instance, generation: sync.generation) {
            return [.sync(request: request, SyncAnswer(error: error))]
        }
        guard let known = index(of: sync.member) else { return [] }
        members[known].deadline = now + members[known].sessionTimeout
        switch state {
        case .empty: return [.sync(request: request, SyncAnswer(error: .unknownMemberId))]
        case .preparing: return [.sync(request: request, SyncAnswer(error: .rebalanceInProgress))]
        case .stable: return [.sync(request: request, SyncAnswer(assignment: members[known].assignment))]
        case .completing:
            members[known].waitingSync = request
            guard members[known].id == leader else { return [] }
            for assignment in sync.assignments where assignment.bytes.count <= Limits.memberBytesMax {
                if let target = index(of: assignment.member) { members[target].assignment = assignment.bytes }
            }
            state = .stable
            var actions: [GroupAction] = []
            for index in members.indices {
                guard let request = members[index].waitingSync else { continue }
                members[index].waitingSync = nil
                members[index].deadline = now + members[index].sessionTimeout
                actions.append(.sync(request: request, SyncAnswer(assignment: members[index].assignment)))
            }
            return actions
        }
    }

    mutating func heartbeat(member: String, instance: String?, generation: Int32, now: UInt64) -> ErrorCode {
        if let error = refusal(member: member, instance: instance, generation: generation) { return error }
        guard let known = index(of: member) else { return .unknownMemberId }
        members[known].deadline = now + members[known].sessionTimeout
        return state == .preparing ? .rebalanceInProgress : .none
    }

    /// One member goes; a static one is named by its instance, its id may then be empty.
    mutating func leave(member: String, instance: String?, now: UInt64) -> (error: ErrorCode, actions: [GroupAction]) {
        if let instance {
            guard let known = members.firstIndex(where: { $0.instance == instance }) else { return (.unknownMemberId, []) }
            guard member.isEmpty || members[known].id == member else { return (.fencedInstanceId, []) }
            return (.none, remove(known, now: now))
        }
        if promised.removeValue(forKey: member) != nil { return (.none, completeJoinIfAllAreHere(now: now)) }
        guard let known = index(of: member) else { return (.unknownMemberId, []) }
        return (.none, remove(known, now: now))
    }

    private mutating func remove(_ known: Int, now: UInt64) -> [GroupAction] {
        var actions = dropWaiting(known, error: .unknownMemberId)
        let gone = members.remove(at: known)
        if leader == gone.id { leader = nil }
        if members.isEmpty {
            becomeEmpty(now: now)
            return actions
        }
        if state != .preparing { actions += prepareRebalance(now: now) }
        return actions + completeJoinIfAllAreHere(now: now)
    }

    private mutating func becomeEmpty(now: UInt64) {
        if state != .empty { generation += 1 }
        state = .empty
        leader = nil
        protocolName = ""
        emptySince = now
    }

    /// Whether offsets may be committed; they are then known to come from a living member, or from outside an empty group.
    mutating func commitRefusal(member: String, instance: String?, generation: Int32, now: UInt64) -> ErrorCode? {
        if generation < 0, member.isEmpty {
            guard members.isEmpty else { return .unknownMemberId }
            emptySince = now
            return nil
        }
        if let error = refusal(member: member, instance: instance, generation: generation) { return error }
        guard let known = index(of: member) else { return .unknownMemberId }
        members[known].deadline = now + members[known].sessionTimeout
        return state == .completing ? .rebalanceInProgress : nil
    }

    // MARK: Time and connections

    /// Evicts members not heard of, and lets a rebalance go on without those who have not come.
    mutating func tick(now: UInt64) -> [GroupAction] {
        var actions: [GroupAction] = []
        for (id, until) in promised where until <= now { promised[id] = nil }
        while let known = members.firstIndex(where: { $0.waitingJoin == nil && $0.deadline <= now }) {
            actions += remove(known, now: now)
        }
        if state == .preparing, now >= rebalanceDeadline {
            if !isFirstRebalance {
                // Static members keep their place until their session ends; the others are out.
                while let known = members.firstIndex(where: { $0.waitingJoin == nil && $0.instance == nil }) {
                    actions += remove(known, now: now)
                    if state != .preparing { return actions }
                }
            }
            if members.contains(where: { $0.waitingJoin != nil }) {
                actions += completeJoin(now: now)
            } else if !members.isEmpty {
                // The wait for a first generation is over, also when all who came for it have died meanwhile: who comes now, in the
                // place of one of them, waits no longer than for the others' sessions.
                isFirstRebalance = false
                rebalanceDeadline = now + (members.map(\.rebalanceTimeout).max() ?? 0)
            } else {
                becomeEmpty(now: now)
            }
        }
        return actions
    }

    /// The connection that waited for this answer is gone: the member has its session time-out to come back.
    mutating func forget(request: UInt64, now: UInt64) {
        for index in members.indices {
            if members[index].waitingJoin == request {
                members[index].waitingJoin = nil
                members[index].deadline = now + members[index].sessionTimeout
            }
            if members[index].waitingSync == request { members[index].waitingSync = nil }
        }
    }
}
