import Loop
import Testing

@testable import Redis

private typealias State = SessionMachine.State
private typealias Event = SessionMachine.Event
private typealias Action = SessionMachine.Action

private func configuration() -> RedisConfiguration {
    var configuration = RedisConfiguration(endpoint: .unix(path: "/none"))
    configuration.connectTimeoutMilliseconds = 700
    configuration.probeTimeoutMilliseconds = 300
    configuration.reconnectMinMilliseconds = 50
    configuration.reconnectMaxMilliseconds = 400
    return configuration
}

/// A machine led to a state by the shortest way.
private func machine(in state: State) -> SessionMachine {
    let way: [Event] =
        switch state {
        case .disconnected: []
        case .connecting: [.start]
        case .settingUp: [.start, .connected]
        case .ready: [.start, .connected, .setUpDone]
        case .suspect: [.start, .connected, .setUpDone, .commandTimedOut]
        case .backingOff: [.start, .failed]
        case .closed: [.close]
        }
    var machine = SessionMachine(configuration(), seed: 1)
    for event in way { _ = machine.handle(event) }
    precondition(machine.state == state)
    return machine
}

@Suite struct SessionMachineTests {
    /// Every move there is; any other event in any state changes nothing.
    private static let moves: [(State, Event, State, String)] = [
        (.disconnected, .start, .connecting, "connect(timeoutMilliseconds: 700)"),
        (.connecting, .connected, .settingUp, "setUp"),
        (.settingUp, .setUpDone, .ready, "becomeReady"),
        (.ready, .commandTimedOut, .suspect, "probe(timeoutMilliseconds: 300)"),
        (.suspect, .probeAnswered, .ready, "becomeReady"),
        (.connecting, .failed, .backingOff, "retry"),
        (.settingUp, .failed, .backingOff, "retry"),
        (.ready, .failed, .backingOff, "retry"),
        (.suspect, .failed, .backingOff, "retry"),
        (.connecting, .timerFired, .backingOff, "retry"),
        (.settingUp, .timerFired, .backingOff, "retry"),
        (.suspect, .timerFired, .backingOff, "retry"),
        (.backingOff, .timerFired, .connecting, "connect(timeoutMilliseconds: 700)"),
        (.disconnected, .close, .closed, "close"),
        (.connecting, .close, .closed, "close"),
        (.settingUp, .close, .closed, "close"),
        (.ready, .close, .closed, "close"),
        (.suspect, .close, .closed, "close"),
        (.backingOff, .close, .closed, "close"),
    ]

    @Test func `every event in every state does what the table says and nothing else`() {
        for state in State.allCases {
            for event in Event.allCases {
                var machine = machine(in: state)
                let action = machine.handle(event)
                if let move = Self.moves.first(where: { $0.0 == state && $0.1 == event }) {
                    #expect(machine.state == move.2, "\(state) \(event)")
                    #expect("\(action)".hasPrefix(move.3), "\(state) \(event): \(action)")
                } else {
                    #expect(machine.state == state, "\(state) \(event)")
                    #expect(action == .nothing, "\(state) \(event)")
                }
            }
        }
    }

    private static func wait(_ action: Action) -> Int? {
        if case .retry(let milliseconds) = action { milliseconds } else { nil }
    }

    @Test(arguments: [1, 2, 3, 99] as [UInt64])
    func `waits double up to the longest, each between half of it and all`(seed: UInt64) {
        var machine = SessionMachine(configuration(), seed: seed)
        _ = machine.handle(.start)
        for longest in [50, 100, 200, 400, 400, 400] {
            let wait = Self.wait(machine.handle(.failed)) ?? -1
            #expect((longest / 2...longest).contains(wait), "\(wait) of \(longest)")
            _ = machine.handle(.timerFired)
        }
    }

    @Test func `a connection that became ready starts the waits anew`() {
        var machine = SessionMachine(configuration(), seed: 1)
        _ = machine.handle(.start)
        for _ in 0..<5 {
            _ = machine.handle(.failed)
            _ = machine.handle(.timerFired)
        }
        _ = machine.handle(.connected)
        _ = machine.handle(.setUpDone)
        #expect((25...50).contains(Self.wait(machine.handle(.failed)) ?? -1))
    }

    @Test func `two seeds do not come back in step`() {
        var waits: Set<[Int]> = []
        for seed in 1...8 as ClosedRange<UInt64> {
            var machine = SessionMachine(configuration(), seed: seed)
            _ = machine.handle(.start)
            var row: [Int] = []
            for _ in 0..<4 {
                row.append(Self.wait(machine.handle(.failed)) ?? -1)
                _ = machine.handle(.timerFired)
            }
            waits.insert(row)
        }
        #expect(waits.count == 8)
    }
}
