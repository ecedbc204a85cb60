import Testing

@testable import Postgres

@Suite struct SessionMachineTests {
    typealias Machine = SessionMachine

    static let states: [Machine.State] = [.waiting, .connecting, .settingUp, .ready, .closed]
    static let events: [Machine.Event] = [.connected, .setUpFinished, .failed, .timerFired, .deadlinePassed, .close]

    /// A machine that has come to the state by the shortest way.
    private func machine(in state: Machine.State) -> Machine {
        let ways: [Machine.State: [Machine.Event]] = [
            .waiting: [], .connecting: [.timerFired], .settingUp: [.timerFired, .connected],
            .ready: [.timerFired, .connected, .setUpFinished], .closed: [.close],
        ]
        var machine = Machine()
        for event in ways[state, default: []] { _ = machine.handle(event, jitter: 0) }
        precondition(machine.state == state)
        return machine
    }

    /// State by state: what each event leads to. What is not listed changes nothing.
    private let expected: [Machine.State: [Machine.Event: (Machine.State, Machine.Action)]] = [
        .waiting: [
            .timerFired: (.connecting, .connect(rotation: 0)),
            .close: (.closed, .drop),
        ],
        .connecting: [
            .connected: (.settingUp, .setUp),
            .failed: (.waiting, .dropAndWait(milliseconds: 50, error: .lost)),
            .timerFired: (.waiting, .dropAndWait(milliseconds: 50, error: .timedOut)),
            .close: (.closed, .drop),
        ],
        .settingUp: [
            .setUpFinished: (.ready, .announceReady),
            .failed: (.waiting, .dropAndWait(milliseconds: 50, error: .lost)),
            .timerFired: (.waiting, .dropAndWait(milliseconds: 50, error: .timedOut)),
            .close: (.closed, .drop),
        ],
        .ready: [
            .failed: (.waiting, .dropAndWait(milliseconds: 50, error: .lost)),
            .deadlinePassed: (.waiting, .dropAndWait(milliseconds: 50, error: .timedOut)),
            .close: (.closed, .drop),
        ],
        .closed: [:],
    ]

    @Test(arguments: states, events) func `every event in every state`(state: Machine.State, event: Machine.Event) {
        var machine = machine(in: state)
        let action = machine.handle(event, jitter: 0)
        let (nextState, nextAction) = expected[state]?[event] ?? (state, .none)
        #expect(machine.state == nextState)
        #expect(action == nextAction)
    }

    private func milliseconds(_ action: Machine.Action) -> Int? {
        guard case .dropAndWait(let milliseconds, _) = action else { return nil }
        return milliseconds
    }

    @Test func `the wait doubles from 50 ms to a second, and begins anew once ready`() {
        var machine = Machine()
        func fail() -> Int? {
            _ = machine.handle(.timerFired, jitter: 0)
            return milliseconds(machine.handle(.failed, jitter: 0))
        }
        #expect((0..<8).map { _ in fail() } == [50, 100, 200, 400, 800, 1_000, 1_000, 1_000])
        for event in [.timerFired, .connected, .setUpFinished] as [Machine.Event] { _ = machine.handle(event, jitter: 0) }
        #expect(milliseconds(machine.handle(.failed, jitter: 0)) == 50)
    }

    @Test func `jitter takes off up to half of the wait`() {
        var waits: Set<Int> = []
        for jitter in 0..<200 as Range<UInt64> {
            var machine = machine(in: .connecting)
            waits.insert(milliseconds(machine.handle(.failed, jitter: jitter)) ?? 0)
        }
        #expect(waits == Set(25...50))
        var machine = machine(in: .connecting)
        #expect(milliseconds(machine.handle(.failed, jitter: .max)).map { (25...50).contains($0) } == true)
    }

    @Test func `only a host that did not answer makes the next attempt begin elsewhere`() {
        var machine = Machine()
        #expect(machine.handle(.timerFired, jitter: 0) == .connect(rotation: 0))
        _ = machine.handle(.failed, jitter: 0)
        #expect(machine.handle(.timerFired, jitter: 0) == .connect(rotation: 0))
        _ = machine.handle(.timerFired, jitter: 0)
        #expect(machine.handle(.timerFired, jitter: 0) == .connect(rotation: 1))
        _ = machine.handle(.connected, jitter: 0)
        _ = machine.handle(.setUpFinished, jitter: 0)
        _ = machine.handle(.deadlinePassed, jitter: 0)
        #expect(machine.handle(.timerFired, jitter: 0) == .connect(rotation: 2))
    }
}

@Suite struct ConnectionTargetTests {
    private func hosts(_ string: String, rotation: Int) throws -> [String: String] {
        let options = try ConnectionTarget(string).options(rotation: rotation, defaults: [("host", "unused"), ("sslmode", "allow")])
        return Dictionary(uniqueKeysWithValues: options.map { ($0.keyword, $0.value) })
    }

    @Test func `hosts and ports are rotated together`() throws {
        let string = "host=a,b,c hostaddr=1,2,3 port=11,12,13 dbname='x y'"
        #expect(try ConnectionTarget(string).hostCount == 3)
        #expect(try hosts(string, rotation: 0)["host"] == "a,b,c")
        let rotated = try hosts(string, rotation: 4)
        #expect(rotated["host"] == "b,c,a" && rotated["hostaddr"] == "2,3,1" && rotated["port"] == "12,13,11")
        #expect(rotated["dbname"] == "x y")
    }

    @Test func `one port serves all hosts, and a URI is read too`() throws {
        let rotated = try hosts("postgresql://user@a,b/base?target_session_attrs=read-write&port=7", rotation: 1)
        #expect(rotated["host"] == "b,a" && rotated["port"] == "7" && rotated["target_session_attrs"] == "read-write")
    }

    @Test func `defaults give way to what the string says`() throws {
        let options = try hosts("host=a sslmode=require", rotation: 0)
        #expect(options["host"] == "a" && options["sslmode"] == "require")
        #expect(try hosts("host=a", rotation: 0)["sslmode"] == "allow")
    }
}
