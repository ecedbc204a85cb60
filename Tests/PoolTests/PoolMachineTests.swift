import Pool
import Testing

@Suite struct PoolMachineTests {
    typealias Member = PoolMachine.Member
    private let second: UInt64 = 1_000_000_000

    private func limits(replicas: Int = 2, servesLate: Bool = false) -> PoolMachine.Limits {
        PoolMachine.Limits(
            replicas: replicas, sessionsPerReplica: 2, hasPrimary: true, inFlightMax: 4, lagBoundMilliseconds: 1_000,
            probeAgeMaxMilliseconds: 1_000, primaryPerSecond: 10, primaryInFlightMax: 1, servesLateWithoutPrimary: servesLate)
    }

    /// All sessions connected, all replicas proven at `second`.
    private func serving(replicas: Int = 2, servesLate: Bool = false) -> PoolMachine {
        var machine = PoolMachine(limits: limits(replicas: replicas, servesLate: servesLate))
        for server in 0..<replicas {
            for session in 0..<2 { machine.sessionChanged(Member(server: server, session: session), isReady: true) }
            machine.measured(replica: server, lagMilliseconds: 0, nowNanoseconds: second)
        }
        machine.sessionChanged(Member(server: replicas, session: 0), isReady: true)
        return machine
    }

    /// Chooses and starts; nil when there was nobody.
    private func start(_ machine: inout PoolMachine, at now: UInt64? = nil, excluding: Int? = nil) -> Member? {
        guard case .member(let member, _) = machine.choose(for: 1, excluding: excluding, nowNanoseconds: now ?? second) else { return nil }
        machine.started(member)
        return member
    }

    @Test func `equal members take turns, and all of them are used before one is used twice`() {
        var machine = serving()
        let members = (0..<4).compactMap { _ in start(&machine) }
        #expect(Set(members).count == 4)
    }

    @Test func `the least busy one is chosen`() {
        var machine = serving()
        let members = (0..<8).compactMap { _ in start(&machine) }
        machine.finished(members[5], .answered)
        #expect(start(&machine) == members[5])
    }

    @Test func `full replicas refuse and do not overflow to the primary`() {
        var machine = serving()
        for _ in 0..<16 { #expect(start(&machine).map { $0.server < 2 } == true) }
        #expect(machine.choose(nowNanoseconds: second) == .nobody)
    }

    @Test func `replicas without connection, without proof, late or suspended get nothing`() {
        var machine = serving(replicas: 4)
        for session in 0..<2 { machine.sessionChanged(Member(server: 0, session: session), isReady: false) }
        machine.measured(replica: 1, lagMilliseconds: 1_001, nowNanoseconds: second)
        machine.probeFailed(replica: 2)
        #expect((0..<4).map { machine.state(ofReplica: $0, nowNanoseconds: second) } == [.down, .late, .suspended, .serving])
        for _ in 0..<8 { #expect(start(&machine)?.server == 3) }
        // The last one's proof grows old; then the primary has to help.
        #expect(machine.state(ofReplica: 3, nowNanoseconds: 2 * second + 1) == .unproven)
        #expect(start(&machine, at: 2 * second + 1)?.server == machine.primaryServer)
    }

    @Test func `a replica with one session left serves over that one, once it has answered`() {
        var machine = serving(replicas: 1)
        machine.sessionChanged(Member(server: 0, session: 0), isReady: false)
        #expect(machine.state(ofReplica: 0, nowNanoseconds: second) == .unproven)
        machine.measured(replica: 0, lagMilliseconds: 0, nowNanoseconds: second)
        // Attempts to connect say nothing new.
        machine.sessionChanged(Member(server: 0, session: 0), isReady: false)
        for _ in 0..<4 { #expect(start(&machine) == Member(server: 0, session: 1)) }
        #expect(start(&machine) == nil)
    }

    /// Killed and started anew within a probe's age: it may answer from minutes ago.
    @Test func `what a replica had proven does not count for the server that is there after a lost connection`() {
        var machine = serving(replicas: 1)
        machine.measured(replica: 0, lagMilliseconds: 0, coveredNanoseconds: 77, nowNanoseconds: second)
        for session in 0..<2 { machine.sessionChanged(Member(server: 0, session: session), isReady: false) }
        for session in 0..<2 { machine.sessionChanged(Member(server: 0, session: session), isReady: true) }
        #expect(machine.state(ofReplica: 0, nowNanoseconds: second) == .unproven)
        #expect(machine.coveredNanoseconds(ofServer: 0, nowNanoseconds: second) == 0)
        #expect(start(&machine)?.server == machine.primaryServer)
        machine.measured(replica: 0, lagMilliseconds: 60_000, nowNanoseconds: second)
        #expect(machine.state(ofReplica: 0, nowNanoseconds: second) == .late)
    }

    @Test func `a late replica comes back at half the bound`() {
        var machine = serving(replicas: 1)
        let states: [(lag: Int, state: PoolMachine.ReplicaState)] = [
            (1_000, .serving), (1_001, .late), (1_000, .late), (501, .late), (500, .serving), (1_000, .serving),
        ]
        for (lag, state) in states {
            machine.measured(replica: 0, lagMilliseconds: lag, nowNanoseconds: second)
            #expect(machine.state(ofReplica: 0, nowNanoseconds: second) == state, "at \(lag) ms")
        }
    }

    @Test func `three faults in a row suspend, an answer between them does not`() {
        var machine = serving(replicas: 1)
        for outcome in [.fault, .fault, .answered, .fault, .fault] as [PoolMachine.Outcome] {
            guard let member = start(&machine) else { continue }
            machine.finished(member, outcome)
        }
        #expect(machine.state(ofReplica: 0, nowNanoseconds: second) == .serving)
        if let member = start(&machine) { machine.finished(member, .fault) }
        #expect(machine.state(ofReplica: 0, nowNanoseconds: second) == .suspended)
    }

    @Test(arguments: [PoolMachine.Outcome.answered, .fault, .timedOut, .lost])
    func `of single outcomes only a time-out suspends, until two probes in a row succeed`(outcome: PoolMachine.Outcome) {
        var machine = serving(replicas: 1)
        if let member = start(&machine) { machine.finished(member, outcome) }
        guard outcome == .timedOut else {
            #expect(machine.state(ofReplica: 0, nowNanoseconds: second) == .serving)
            return
        }
        #expect(machine.state(ofReplica: 0, nowNanoseconds: second) == .suspended)
        machine.measured(replica: 0, lagMilliseconds: 0, nowNanoseconds: second)
        machine.probeFailed(replica: 0)
        machine.measured(replica: 0, lagMilliseconds: 0, nowNanoseconds: second)
        #expect(machine.state(ofReplica: 0, nowNanoseconds: second) == .suspended)
        machine.measured(replica: 0, lagMilliseconds: 0, nowNanoseconds: second)
        #expect(machine.state(ofReplica: 0, nowNanoseconds: second) == .serving)
    }

    @Test func `the primary is bounded by its rate and by what it is busy with`() {
        var machine = PoolMachine(limits: limits())
        machine.sessionChanged(Member(server: 2, session: 0), isReady: true)
        let primary = Member(server: 2, session: 0)
        #expect(start(&machine, at: 10 * second) == primary)
        // Within the rate again, but still busy.
        #expect(start(&machine, at: 11 * second) == nil)
        machine.finished(primary, .timedOut)
        #expect(start(&machine, at: 12 * second) == primary)
        machine.finished(primary, .answered)
        // Not busy, but past the rate.
        #expect(start(&machine, at: 12 * second) == nil)
        #expect(start(&machine, at: 12 * second + second / 10) == primary)
        #expect(machine.overShareCount == 1 && machine.usedUpCount == 0)
    }

    @Test func `the primary's budget is shared by those who ask`() {
        var machine = PoolMachine(limits: limits())
        let primary = Member(server: 2, session: 0)
        machine.sessionChanged(primary, isReady: true)
        func take(_ asker: Int64, _ now: UInt64) -> Bool {
            guard case .member = machine.choosePrimary(for: asker, nowNanoseconds: now) else { return false }
            machine.started(primary)
            machine.finished(primary, .answered)
            return true
        }
        var counts: [Int64: Int] = [:]
        // One asks a thousand times a second, the other twice.
        for millisecond in 0..<5_000 as Range<UInt64> {
            let now = 10 * second + millisecond * 1_000_000
            if take(1, now) { counts[1, default: 0] += 1 }
            if millisecond % 500 == 250, take(2, now) { counts[2, default: 0] += 1 }
        }
        #expect(counts[2] == 10 && (24...45).contains(counts[1] ?? 0), "\(counts)")
        #expect(machine.overShareCount > 4_000)
    }

    @Test func `a repeat goes to another server, to the primary when there is no other`() {
        var machine = serving()
        for _ in 0..<6 { #expect(start(&machine, excluding: 0)?.server == 1) }
        var single = serving(replicas: 1)
        #expect(start(&single, excluding: 0)?.server == single.primaryServer)
        var alone = serving(replicas: 1)
        alone.sessionChanged(Member(server: 1, session: 0), isReady: false)
        #expect(start(&alone, excluding: 0) == nil)
    }

    @Test func `late replicas serve only as the last resort, and only where allowed`() {
        for servesLate in [false, true] {
            var machine = serving(servesLate: servesLate)
            for index in 0..<2 { machine.measured(replica: index, lagMilliseconds: 60_000, nowNanoseconds: second) }
            #expect(start(&machine)?.server == machine.primaryServer)
            // Its budget is used up, but it is there: no stale answers.
            #expect(start(&machine) == nil)
            machine.sessionChanged(Member(server: 2, session: 0), isReady: false)
            let choice = machine.choose(nowNanoseconds: second)
            guard servesLate else {
                #expect(choice == .nobody)
                continue
            }
            guard case .member(let member, let isLate) = choice else {
                Issue.record("nobody served")
                continue
            }
            #expect(isLate && member.server < 2)
            for index in 0..<2 { machine.probeFailed(replica: index) }
            #expect(machine.choose(nowNanoseconds: second) == .nobody)
        }
    }

    @Test func `whatever happens, what was started is finished and only what serves is chosen`() {
        let seed = UInt64.random(in: 0...UInt64.max)
        var random = SplitMix(state: seed)
        var machine = PoolMachine(limits: limits(replicas: 3))
        var started: [Member] = []
        var now = second
        for _ in 0..<20_000 {
            now += random.next() % 20_000_000
            let server = Int(random.next() % 4)
            let member = Member(server: server, session: server == 3 ? 0 : Int(random.next() % 2))
            switch random.next() % 8 {
            case 0: machine.sessionChanged(member, isReady: random.next() % 4 != 0)
            case 1 where server < 3: machine.measured(replica: server, lagMilliseconds: Int(random.next() % 1_500), nowNanoseconds: now)
            case 2 where server < 3: machine.probeFailed(replica: server)
            case 3, 4, 5:
                guard case .member(let chosen, let isLate) = machine.choose(nowNanoseconds: now) else { continue }
                #expect(!isLate, "seed \(seed)")
                if chosen.server < 3 { #expect(machine.state(ofReplica: chosen.server, nowNanoseconds: now) == .serving, "seed \(seed)") }
                machine.started(chosen)
                started.append(chosen)
                let load = started.count { $0 == chosen }
                #expect(load <= (chosen.server == 3 ? 1 : 4), "seed \(seed)")
            default:
                guard !started.isEmpty else { continue }
                let outcomes: [PoolMachine.Outcome] = [.answered, .answered, .answered, .fault, .timedOut, .lost]
                machine.finished(started.remove(at: Int(random.next() % UInt64(started.count))), outcomes[Int(random.next() % 6)])
            }
        }
    }
}

/// A small random number generator with a seed that a failing test can print.
private struct SplitMix {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var value = state
        value = (value ^ (value >> 30)) &* 0xbf58_476d_1ce4_e5b9
        value = (value ^ (value >> 27)) &* 0x94d0_49bb_1331_11eb
        return value ^ (value >> 31)
    }
}
