import Testing

@testable import Broker

/// A group with a clock of its own and everything it has answered.
private struct Group {
    var machine = GroupMachine(now: 0)
    var now: UInt64 = 0
    var joins: [UInt64: JoinAnswer] = [:]
    var syncs: [UInt64: SyncAnswer] = [:]
    private var next: UInt64 = 0

    mutating func take(_ actions: [GroupAction]) {
        for action in actions {
            switch action {
            case .join(let request, let answer):
                #expect(joins[request] == nil, "a join was answered twice")
                joins[request] = answer
            case .sync(let request, let answer):
                #expect(syncs[request] == nil, "a sync was answered twice")
                syncs[request] = answer
            }
        }
    }

    mutating func join(
        _ member: String = "", instance: String? = nil, protocols: [String] = ["range"], metadata: UInt8 = 0, session: Int32 = 6_000
    ) -> UInt64 {
        next += 1
        let request = JoinRequest(
            group: "g", sessionTimeoutMilliseconds: session, rebalanceTimeoutMilliseconds: 20_000, member: member, instance: instance,
            protocolType: "consumer", protocols: protocols.map { ($0, [metadata]) }, requiresKnownId: false, client: "c", host: "")
        take(machine.join(request, request: next, newId: "member-\(next)", now: now))
        return next
    }

    mutating func sync(_ member: String, generation: Int32, assignments: [String: [UInt8]] = [:]) -> UInt64 {
        next += 1
        let request = SyncRequest(
            group: "g", generation: generation, member: member, instance: nil,
            assignments: assignments.map { .init(member: $0.key, bytes: $0.value) })
        take(machine.sync(request, request: next, now: now))
        return next
    }

    mutating func pass(_ milliseconds: UInt64) {
        now += milliseconds
        take(machine.tick(now: now))
    }

    mutating func heartbeat(_ member: String, _ generation: Int32) -> ErrorCode {
        machine.heartbeat(member: member, instance: nil, generation: generation, now: now)
    }

    /// Members that have joined together and got one byte each as their assignment.
    mutating func form(_ count: Int, instances: [String?] = []) -> [String] {
        let requests = (0..<count).map { join(instance: $0 < instances.count ? instances[$0] : nil) }
        pass(Limits.firstRebalanceDelayMilliseconds)
        let ids = requests.map { joins[$0]?.member ?? "" }
        assign(ids)
        return ids
    }

    mutating func assign(_ ids: [String]) {
        let leader = machine.leader ?? ""
        let assignments = Dictionary(uniqueKeysWithValues: ids.enumerated().map { ($1, [UInt8($0)]) })
        for id in ids where id != leader { _ = sync(id, generation: machine.generation) }
        _ = sync(leader, generation: machine.generation, assignments: assignments)
    }
}

@Suite struct GroupMachineTests {
    @Test func `members that come together form one generation with one leader`() throws {
        var group = Group()
        let requests = [group.join(), group.join(), group.join()]
        #expect(group.joins.isEmpty)
        group.pass(Limits.firstRebalanceDelayMilliseconds)
        let answers = try requests.map { try #require(group.joins[$0]) }
        #expect(answers.allSatisfy { $0.error == .none && $0.generation == 1 && $0.leader == answers[0].leader })
        #expect(answers.filter { $0.members.count == 3 }.map(\.member) == [answers[0].leader])
        #expect(group.machine.state == .completing)
    }

    @Test func `each member gets what the leader assigned to it, whoever asks first`() throws {
        var group = Group()
        let ids = group.form(3)
        #expect(group.machine.state == .stable && group.syncs.count == 3)
        #expect(group.machine.members.map(\.assignment) == [[0], [1], [2]])
        #expect(Set(group.syncs.values.map(\.assignment)) == [[0], [1], [2]] && ids.count == 3)
    }

    @Test func `a new member makes the others rejoin and completes when all have`() throws {
        var group = Group()
        let ids = group.form(2)
        let third = group.join()
        #expect(group.machine.state == .preparing && group.joins[third] == nil)
        #expect(group.heartbeat(ids[0], 1) == .rebalanceInProgress)
        _ = group.join(ids[0])
        #expect(group.joins[third] == nil)
        _ = group.join(ids[1])
        #expect(try #require(group.joins[third]).generation == 2)
    }

    @Test func `a silent member is evicted at its session time-out, not before`() {
        var group = Group()
        let ids = group.form(2)
        group.pass(5_900)
        #expect(group.heartbeat(ids[0], 1) == .none && group.machine.members.count == 2)
        group.pass(99)
        #expect(group.machine.members.count == 2)
        group.pass(1)
        #expect(group.machine.members.map(\.id) == [ids[0]])
        #expect(group.heartbeat(ids[0], 1) == .rebalanceInProgress && group.heartbeat(ids[1], 1) == .unknownMemberId)
    }

    @Test func `a rebalance goes on without those who do not come`() throws {
        var group = Group()
        let ids = group.form(2)
        let third = group.join()
        let rejoined = group.join(ids[0])
        for _ in 0..<5 {
            group.pass(3_900)
            _ = group.heartbeat(ids[1], 1)
        }
        #expect(group.joins[third] == nil)
        group.pass(600)
        #expect(group.joins[third]?.generation == 2 && group.joins[rejoined]?.generation == 2)
        #expect(!group.machine.members.contains { $0.id == ids[1] })
    }

    @Test func `a member that waits in a join is not evicted, until its connection is gone`() {
        var group = Group()
        let ids = group.form(2)
        let waiting = group.join(ids[0])
        group.pass(7_000)
        #expect(group.machine.members.contains { $0.id == ids[0] } || group.joins[waiting] != nil)
        var other = Group()
        let first = other.join()
        other.machine.forget(request: first, now: other.now)
        other.pass(6_001)
        #expect(other.machine.members.isEmpty && other.machine.state == .empty)
    }

    @Test func `leaving rebalances at once, and the last one empties the group`() {
        var group = Group()
        let ids = group.form(2)
        let left = group.machine.leave(member: ids[0], instance: nil, now: group.now)
        group.take(left.actions)
        #expect(left.error == .none && group.machine.state == .preparing)
        let last = group.machine.leave(member: ids[1], instance: nil, now: group.now)
        #expect(last.error == .none && group.machine.state == .empty)
        #expect(group.machine.leave(member: ids[1], instance: nil, now: group.now).error == .unknownMemberId)
    }

    @Test func `a zombie of an older generation is refused everything`() {
        var group = Group()
        let ids = group.form(2)
        _ = group.join()
        for id in ids { _ = group.join(id) }
        #expect(group.machine.generation == 2)
        #expect(group.heartbeat(ids[0], 1) == .illegalGeneration)
        #expect(group.machine.commitRefusal(member: ids[0], instance: nil, generation: 1, now: 0) == .illegalGeneration)
        #expect(group.machine.commitRefusal(member: "who", instance: nil, generation: 2, now: 0) == .unknownMemberId)
        #expect(group.machine.commitRefusal(member: "", instance: nil, generation: -1, now: 0) == .unknownMemberId)
        #expect(group.syncs[group.sync(ids[0], generation: 1)]?.error == .illegalGeneration)
    }

    @Test func `a static member takes its place again under a new id, and its old self is fenced`() throws {
        var group = Group()
        let ids = group.form(2, instances: ["a", "b"])
        let again = try #require(group.joins[group.join(instance: "a")])
        #expect(again.error == .none && again.generation == 1 && again.member != ids[0] && group.machine.state == .stable)
        #expect(group.machine.heartbeat(member: ids[0], instance: "a", generation: 1, now: group.now) == .fencedInstanceId)
        #expect(group.syncs[group.sync(again.member, generation: 1)]?.assignment == [0])
        // It led, and must not be told so: it would assign anew what nobody else waits for.
        #expect(again.leader != again.member && again.members.isEmpty)
    }

    @Test func `a static member that died while the first generation formed is replaced at once`() throws {
        var group = Group()
        let dead = group.join(instance: "worker-1")
        group.machine.forget(request: dead, now: group.now)
        group.pass(Limits.firstRebalanceDelayMilliseconds)
        #expect(group.joins[dead] == nil)
        group.pass(2_000)
        let next = group.join(instance: "worker-1")
        let answer = try #require(group.joins[next], "it waits for as long as a rebalance may last")
        #expect(answer.error == .none && answer.leader == answer.member)
    }

    @Test func `a static member with a changed subscription rebalances`() {
        var group = Group()
        _ = group.form(2, instances: ["a", "b"])
        _ = group.join(instance: "a", metadata: 9)
        #expect(group.machine.state == .preparing)
    }

    @Test func `members without a common protocol or type are refused`() {
        var group = Group()
        _ = group.form(1)
        #expect(group.joins[group.join(protocols: ["sticky"])]?.error == .inconsistentGroupProtocol)
        #expect(group.joins[group.join(session: 1)]?.error == .invalidSessionTimeout)
    }

    @Test func `the protocol that most prefer wins among those that all know`() {
        var group = Group()
        _ = [group.join(protocols: ["a", "b"]), group.join(protocols: ["b", "a"]), group.join(protocols: ["c", "b", "a"])]
        group.pass(Limits.firstRebalanceDelayMilliseconds)
        #expect(group.machine.protocolName == "b")
    }

    @Test func `a new member is first given an id, which it must use within its session`() {
        var group = Group()
        var request = JoinRequest(
            group: "g", sessionTimeoutMilliseconds: 6_000, rebalanceTimeoutMilliseconds: 6_000, member: "", instance: nil,
            protocolType: "consumer", protocols: [("range", [])], requiresKnownId: true, client: "c", host: "")
        group.take(group.machine.join(request, request: 1, newId: "id", now: 0))
        #expect(group.joins[1]?.error == .memberIdRequired && group.joins[1]?.member == "id" && group.machine.members.isEmpty)
        request.member = "id"
        group.pass(6_001)
        group.take(group.machine.join(request, request: 2, newId: "x", now: group.now))
        #expect(group.joins[2]?.error == .unknownMemberId)
    }

    @Test(arguments: [UInt64(1), 2, 3, 4, 5, 6, 7, 8])
    func `random events leave every request answered at most once and the group whole`(seed: UInt64) {
        var random = Seeded(state: seed)
        var group = Group()
        var known: [String] = [""]
        var generations: Int32 = 0
        for _ in 0..<3_000 {
            let member = known[Int(random.next() % UInt64(known.count))]
            switch random.next() % 6 {
            case 0, 1:
                let request = group.join(member, instance: random.next() % 8 == 0 ? "s\(random.next() % 3)" : nil)
                if let id = group.joins[request]?.member, !id.isEmpty { known.append(id) }
            case 2:
                let everyone = group.machine.members.map { ($0.id, [UInt8(1)]) }
                _ = group.sync(member, generation: group.machine.generation, assignments: Dictionary(uniqueKeysWithValues: everyone))
            case 3: _ = group.heartbeat(member, group.machine.generation)
            case 4: group.take(group.machine.leave(member: member, instance: nil, now: group.now).actions)
            default: group.pass(random.next() % 3_000)
            }
            known = [""] + group.machine.members.map(\.id)
            #expect(group.machine.generation >= generations, "seed \(seed)")
            generations = group.machine.generation
            #expect(group.machine.members.isEmpty == (group.machine.state == .empty), "seed \(seed)")
            if group.machine.state == .stable {
                #expect(group.machine.members.allSatisfy { $0.waitingJoin == nil && $0.waitingSync == nil }, "seed \(seed)")
            }
        }
        // Left alone, everybody is evicted and nobody waits for ever.
        for _ in 0..<20 { group.pass(10_000) }
        while let waiting = group.machine.members.first?.waitingJoin { group.machine.forget(request: waiting, now: group.now) }
        for _ in 0..<20 { group.pass(10_000) }
        #expect(group.machine.members.isEmpty, "seed \(seed)")
    }
}

/// A small generator whose runs can be repeated (splitmix64).
struct Seeded: RandomNumberGenerator {
    var state: UInt64
    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var z = state
        z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
        z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
        return z ^ (z >> 31)
    }
}
