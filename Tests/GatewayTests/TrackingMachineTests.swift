import Testing

@testable import Gateway

@Suite struct TrackingMachineTests {
    /// A machine whose session tracks for listener 7.
    private func on() -> TrackingMachine {
        var machine = TrackingMachine()
        #expect(machine.sessionChanged(isReady: true) == .nothing)
        #expect(machine.listenerChanged(7) == .ask(7))
        #expect(machine.answered(isTracking: true) == .nothing)
        #expect(machine.isOn)
        return machine
    }

    @Test func `nothing is trusted before the session has said that it tracks`() {
        var machine = TrackingMachine()
        #expect(machine.listenerChanged(7) == .nothing)
        #expect(!machine.isOn)
        #expect(machine.sessionChanged(isReady: true) == .ask(7))
        #expect(!machine.isOn)
        #expect(machine.answered(isTracking: true) == .nothing)
        #expect(machine.isOn)
    }

    @Test func `a lost listener empties and bypasses, until a new one is tracked for`() {
        var machine = on()
        #expect(machine.listenerChanged(nil) == .empty)
        #expect(!machine.isOn)
        #expect(machine.listenerChanged(8) == .ask(8))
        #expect(!machine.isOn)
        _ = machine.answered(isTracking: true)
        #expect(machine.isOn)
    }

    @Test func `a listener that was replaced empties, although one stands`() {
        var machine = on()
        #expect(machine.listenerChanged(8) == .emptyAndAsk(8))
        #expect(!machine.isOn)
    }

    @Test func `a lost session empties, and tracks anew when it is back`() {
        var machine = on()
        #expect(machine.sessionChanged(isReady: false) == .empty)
        #expect(machine.sessionChanged(isReady: true) == .ask(7))
        #expect(machine.answered(isTracking: true) == .nothing)
        #expect(machine.isOn)
    }

    @Test func `an answer that was asked for an earlier listener turns nothing on`() {
        var machine = TrackingMachine()
        _ = machine.sessionChanged(isReady: true)
        #expect(machine.listenerChanged(7) == .ask(7))
        #expect(machine.listenerChanged(8) == .ask(8))
        #expect(machine.answered(isTracking: true) == .nothing)
        #expect(!machine.isOn)
        _ = machine.answered(isTracking: true)
        #expect(machine.state == .on(8))
    }

    @Test func `what was refused is asked again`() {
        var machine = TrackingMachine()
        _ = machine.sessionChanged(isReady: true)
        _ = machine.listenerChanged(7)
        #expect(machine.answered(isTracking: false) == .nothing)
        #expect(!machine.isOn)
        #expect(machine.retry() == .ask(7))
        _ = machine.answered(isTracking: true)
        #expect(machine.isOn)
        #expect(machine.retry() == .nothing)
    }

    @Test func `an answer that comes after the session was lost turns nothing on`() {
        var machine = TrackingMachine()
        _ = machine.sessionChanged(isReady: true)
        _ = machine.listenerChanged(7)
        #expect(machine.sessionChanged(isReady: false) == .nothing)
        #expect(machine.answered(isTracking: false) == .nothing)
        #expect(!machine.isOn)
    }
}
