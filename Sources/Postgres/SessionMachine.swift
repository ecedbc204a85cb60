/// Decides the life of a session's connection: connect, set up, serve, lose, wait, connect again. No I/O and no clock.
struct SessionMachine {
    enum State: Equatable {
        /// An attempt is under way; `timerFired` ends it.
        case connecting
        /// Connected; the set-up commands are in flight under the same timer.
        case settingUp
        case ready
        /// No connection until `timerFired`.
        case waiting
        case closed
    }

    enum Event: Equatable {
        /// libpq reports the connection as made.
        case connected
        /// Every set-up command succeeded.
        case setUpFinished
        /// The attempt, the set-up or the connection failed.
        case failed
        /// The timer that a `connect` or `dropAndWait` armed.
        case timerFired
        /// The oldest execution in flight has waited too long.
        case deadlinePassed
        case close
    }

    enum Action: Equatable {
        case none
        /// Start an attempt at the host with this number (modulo their count), and the connect timer.
        case connect(rotation: Int)
        case setUp
        /// Stop the timer; executions are accepted from now on.
        case announceReady
        /// Fail what is in flight with `error`, release the connection, and arm the timer.
        case dropAndWait(milliseconds: Int, error: DropReason)
        /// Fail what is in flight as cancelled and release everything.
        case drop
    }

    enum DropReason: Equatable { case lost, timedOut }

    static let backoffMillisecondsMin = 50
    static let backoffMillisecondsMax = 1_000

    private(set) var state = State.waiting
    private var failures = 0
    private var rotation = 0

    /// `jitter` is any random number: it spreads the reconnects of many sessions over half the waiting time.
    mutating func handle(_ event: Event, jitter: UInt64) -> Action {
        switch (state, event) {
        case (.closed, _): return .none
        case (_, .close):
            state = .closed
            return .drop

        case (.waiting, .timerFired):
            state = .connecting
            return .connect(rotation: rotation)
        case (.waiting, _): return .none

        case (.connecting, .connected):
            state = .settingUp
            return .setUp
        case (.settingUp, .setUpFinished):
            state = .ready
            failures = 0
            return .announceReady

        // libpq has been through all hosts by itself: the next attempt begins with the same one.
        case (.connecting, .failed), (.settingUp, .failed), (.ready, .failed): return wait(.lost, jitter)
        // A host that does not answer holds up those behind it.
        case (.connecting, .timerFired), (.settingUp, .timerFired), (.ready, .deadlinePassed):
            rotation += 1
            return wait(.timedOut, jitter)

        case (.connecting, .setUpFinished), (.connecting, .deadlinePassed), (.settingUp, .connected),
            (.settingUp, .deadlinePassed), (.ready, .connected), (.ready, .setUpFinished), (.ready, .timerFired):
            return .none
        }
    }

    private mutating func wait(_ error: DropReason, _ jitter: UInt64) -> Action {
        state = .waiting
        failures += 1
        let full = min(Self.backoffMillisecondsMax, Self.backoffMillisecondsMin << min(failures - 1, 10))
        return .dropAndWait(milliseconds: full - Int(jitter % UInt64(full / 2 + 1)), error: error)
    }
}
