import Glibc
import Testing

@testable import Standalone

@Suite struct MachineTests {
    typealias Machine = SupervisorMachine

    private static func plan(
        _ name: String, stage: Int, kind: ProcessPlan.Kind = .service, readiness: ProcessPlan.Readiness = .redis(.tcp(port: 1))
    )
        -> ProcessPlan
    {
        ProcessPlan(
            name: name, kind: kind, stage: stage, executable: "/x", log: LogFile(path: "/l"), readiness: readiness,
            startDeadlineMilliseconds: 1000,
            stop: [.init(signal: SIGINT, waitMilliseconds: 100), .init(signal: SIGQUIT, waitMilliseconds: 50)])
    }

    /// Task in stage 0, two services in stage 1, one in stage 2.
    private static func machine() -> Machine {
        Machine(plans: [plan("init", stage: 0, kind: .task), plan("a", stage: 1), plan("b", stage: 1), plan("c", stage: 2)])
    }

    /// Brings `machine()` to running at time 0: pids 10 to 13.
    private static func running() -> Machine {
        var machine = machine()
        _ = machine.handle(.begin, now: 0)
        _ = machine.handle(.spawned(0, pid: 10), now: 0)
        _ = machine.handle(.exited(0, .code(0)), now: 0)
        for index in 1...3 {
            _ = machine.handle(.spawned(index, pid: Int32(10 + index)), now: 0)
            if index == 1 { continue }
            if index == 2 { _ = machine.handle(.probed(1, ready: true), now: 0) }
            _ = machine.handle(.probed(index, ready: true), now: 0)
        }
        return machine
    }

    @Test func `a stage starts when everything of the stage before is ready, and not earlier`() {
        var machine = Self.machine()
        #expect(machine.handle(.begin, now: 0) == [.spawn(0)])
        #expect(machine.handle(.spawned(0, pid: 10), now: 0) == [])
        #expect(machine.handle(.tick, now: 10) == [], "a task is not probed")
        #expect(machine.handle(.exited(0, .code(0)), now: 20) == [.spawn(1), .spawn(2)])
        #expect(machine.handle(.spawned(1, pid: 11), now: 20) == [])
        #expect(machine.handle(.spawned(2, pid: 12), now: 20) == [])
        #expect(machine.handle(.tick, now: 20) == [.probe(1), .probe(2)])
        #expect(machine.handle(.probed(1, ready: true), now: 20) == [])
        #expect(machine.handle(.probed(2, ready: false), now: 20) == [])
        #expect(machine.handle(.tick, now: 120) == [.probe(2)])
        #expect(machine.handle(.probed(2, ready: true), now: 120) == [.spawn(3)])
        #expect(machine.handle(.spawned(3, pid: 13), now: 120) == [])
        #expect(machine.handle(.probed(3, ready: true), now: 120) == [.ready])
        #expect(machine.phase == .running)
    }

    @Test func `a task that is already done passes without a process`() {
        var machine = Self.machine()
        _ = machine.handle(.begin, now: 0)
        #expect(machine.handle(.exited(0, .code(0)), now: 0) == [.spawn(1), .spawn(2)])
        #expect(machine.entries[0].state == .done)
    }

    @Test func `a failed task ends the start with its exit code`() {
        var machine = Self.machine()
        _ = machine.handle(.begin, now: 0)
        _ = machine.handle(.spawned(0, pid: 10), now: 0)
        #expect(machine.handle(.exited(0, .code(2)), now: 5) == [.finished])
        #expect(machine.phase == .finished(.startFailed(process: 0, reason: "ended with exit code 2 before it was ready")))
    }

    @Test func `what is not ready by its deadline ends the start, and what runs is stopped in reverse`() {
        var machine = Self.machine()
        _ = machine.handle(.begin, now: 0)
        _ = machine.handle(.exited(0, .code(0)), now: 0)
        _ = machine.handle(.spawned(1, pid: 11), now: 0)
        _ = machine.handle(.spawned(2, pid: 12), now: 0)
        _ = machine.handle(.probed(1, ready: true), now: 0)
        let actions = machine.handle(.tick, now: 1000)
        #expect(actions.contains(.signal(1, SIGINT)) && actions.contains(.signal(2, SIGINT)))
        #expect(machine.phase == .stopping(.startFailed(process: 2, reason: "was not ready within 1 s")))
        #expect(machine.handle(.exited(1, .code(0)), now: 1001) == [])
        #expect(machine.handle(.exited(2, .code(0)), now: 1001) == [.finished])
    }

    @Test func `a service that dies is started again after growing pauses that have a bound`() {
        var machine = Self.running()
        var pauses: [UInt64] = []
        var now: UInt64 = 1000
        for round in 0..<9 {
            #expect(machine.handle(.exited(1, .signal(9)), now: now) == [])
            #expect(machine.entries[1].stateName == "backing-off")
            let due = machine.nextTick(of: 1)
            pauses.append(due - now)
            #expect(!machine.handle(.tick, now: due - 1).contains(.spawn(1)))
            #expect(machine.handle(.tick, now: due).contains(.spawn(1)))
            #expect(machine.entries[1].restarts == round + 1)
            now = due
            #expect(machine.handle(.spawned(1, pid: Int32(100 + round)), now: now) == [])
            #expect(machine.handle(.probed(1, ready: true), now: now) == [])
            #expect(machine.entries[1].stateName == "healthy")
        }
        #expect(pauses == [200, 400, 800, 1600, 3200, 6400, 10_000, 10_000, 10_000])
        #expect(machine.phase == .running)
        // A stable time later, the pause is short again.
        now += 30_000
        _ = machine.handle(.exited(1, .code(0)), now: now)
        #expect(machine.nextTick(of: 1) - now == 200)
    }

    @Test func `one failed probe is forgiven, two are not, and one good probe heals`() {
        var machine = Self.running()
        _ = machine.handle(.probed(1, ready: false), now: 2000)
        #expect(machine.entries[1].stateName == "healthy")
        _ = machine.handle(.probed(1, ready: true), now: 4000)
        _ = machine.handle(.probed(1, ready: false), now: 6000)
        #expect(machine.entries[1].stateName == "healthy")
        _ = machine.handle(.probed(1, ready: false), now: 8000)
        #expect(machine.entries[1].stateName == "unhealthy")
        #expect(machine.handle(.tick, now: 20_000).contains(.probe(1)))
        _ = machine.handle(.probed(1, ready: true), now: 20_000)
        #expect(machine.entries[1].stateName == "healthy")
    }

    @Test func `a restarted service that does not become ready is shown, not killed`() {
        var machine = Self.running()
        _ = machine.handle(.exited(1, .code(1)), now: 100)
        _ = machine.handle(.tick, now: 300)
        _ = machine.handle(.spawned(1, pid: 50), now: 300)
        #expect(machine.handle(.tick, now: 1300).contains(.probe(1)))
        #expect(machine.entries[1].stateName == "unhealthy")
        #expect(machine.phase == .running)
    }

    @Test func `a start that is put off is tried again until its deadline`() {
        var machine = Self.machine()
        _ = machine.handle(.begin, now: 0)
        _ = machine.handle(.deferred(0), now: 0)
        #expect(machine.handle(.tick, now: 99) == [])
        #expect(machine.handle(.tick, now: 100) == [.spawn(0)])
        _ = machine.handle(.deferred(0), now: 100)
        #expect(machine.handle(.tick, now: 1000) == [.finished])
        guard case .finished(.startFailed(0, _)) = machine.phase else {
            Issue.record("\(machine.phase)")
            return
        }
    }

    @Test func `stopping goes from the last stage to the first, and escalates`() {
        var machine = Self.running()
        #expect(machine.handle(.stop, now: 0) == [.signal(3, SIGINT)])
        #expect(machine.handle(.stop, now: 0) == [], "once is enough")
        #expect(machine.handle(.tick, now: 99) == [])
        #expect(machine.handle(.tick, now: 100) == [.signal(3, SIGQUIT)])
        #expect(machine.handle(.tick, now: 150) == [.kill(3)])
        #expect(machine.handle(.exited(3, .signal(9)), now: 160) == [.signal(1, SIGINT), .signal(2, SIGINT)])
        #expect(machine.handle(.exited(2, .code(0)), now: 161) == [])
        #expect(machine.handle(.exited(1, .code(0)), now: 162) == [.finished])
        #expect(machine.phase == .finished(.requested))
    }

    @Test func `what does not vanish after SIGKILL is left behind by name, and the stop goes on`() {
        var machine = Self.running()
        _ = machine.handle(.stop, now: 0)
        _ = machine.handle(.tick, now: 100)
        _ = machine.handle(.tick, now: 150)
        #expect(machine.handle(.tick, now: 5150) == [.signal(1, SIGINT), .signal(2, SIGINT)])
        #expect(machine.entries[3].stateName == "stuck")
    }

    @Test func `a stop while a service waits to be restarted does not start it`() {
        var machine = Self.running()
        _ = machine.handle(.exited(3, .code(1)), now: 0)
        #expect(machine.handle(.stop, now: 1) == [.signal(1, SIGINT), .signal(2, SIGINT)])
        #expect(!machine.handle(.tick, now: 60).contains(.spawn(3)))
    }

    /// Every event in every state: none traps, and the invariants hold after each. The seed is the step count.
    @Test(arguments: 0..<200) func `any order of events keeps the invariants`(seed: Int) {
        var random = SplitMix(state: UInt64(seed))
        var machine = Self.machine()
        var now: UInt64 = 0
        var finished = 0
        for step in 0..<300 {
            now += random.next() % 400
            let index = Int(random.next() % 4)
            let wasStopping = machine.isStopping
            let event: Machine.Event =
                switch random.next() % 12 {
                case 0: .begin
                case 1, 2: .tick
                case 3, 4: .spawned(index, pid: Int32(step + 1))
                case 5: .deferred(index)
                case 6: .failed(index, reason: "r")
                case 7: .exited(index, .code(random.next() % 2 == 0 ? 0 : 1))
                case 8, 9: .probed(index, ready: true)
                case 10: .probed(index, ready: false)
                default: random.next() % 20 == 0 ? .stop : .tick
                }
            let actions = machine.handle(event, now: now)
            finished += actions.count { $0 == .finished }
            for action in actions {
                if case .spawn = action {
                    #expect(!wasStopping && !machine.isStopping, "seed \(seed) step \(step): spawned while stopping")
                }
            }
            for entry in machine.entries {
                switch entry.state {
                case .healthy, .unhealthy, .starting, .stopping: #expect(entry.pid != nil, "seed \(seed) step \(step): \(entry.state)")
                case .waiting, .stopped, .done, .backingOff, .deferred:
                    #expect(entry.pid == nil, "seed \(seed) step \(step): \(entry.state)")
                case .stuck: break
                }
            }
            if case .finished = machine.phase {
                #expect(machine.entries.allSatisfy { $0.pid == nil || $0.stateName == "stuck" }, "seed \(seed) step \(step)")
            }
        }
        #expect(finished <= 1)
    }
}

extension SupervisorMachine {
    /// When one entry is due; the others' times are of no interest to a test.
    fileprivate func nextTick(of index: Int) -> UInt64 {
        if case .backingOff(let until) = entries[index].state { until } else { 0 }
    }
}

/// A small generator whose sequence is the same everywhere.
struct SplitMix {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
        return mixed ^ (mixed >> 31)
    }
}
