internal import Bytes

/// Decides what a session does about its connection; `ConnectionKeeper` does it. No clock, no socket.
///
/// ```
/// disconnected -> connecting -> settingUp -> ready <-> suspect
///                     ^             |          |          |
///                     +-- backingOff <---------+----------+        closed: from any state, for good
/// ```
///
/// `suspect` is the circuit breaker. After a time-out no new command is taken and a PING is sent behind those in
/// flight: its answer means that all of theirs are in, and the session is ready again. Without an answer the
/// connection is dropped, because a peer that is gone without a word looks exactly like one that is frozen.
struct SessionMachine {
    enum State: CaseIterable { case disconnected, connecting, settingUp, ready, suspect, backingOff, closed }

    enum Event: CaseIterable {
        case start
        /// The socket is connected.
        case connected
        /// Every set-up command was answered, none with an error.
        case setUpDone
        /// The connection could not be made, was lost, or was refused its set-up.
        case failed
        case commandTimedOut
        case probeAnswered
        /// The one timer, which every action arms or cancels as it says.
        case timerFired
        case close
    }

    enum Action: Equatable {
        case nothing
        /// Open a connection; arm the timer, which covers set-up too.
        case connect(timeoutMilliseconds: Int)
        /// Send the set-up commands; the timer goes on.
        case setUp
        /// Cancel the timer and take commands.
        case becomeReady
        /// Take no commands, send a PING and arm the timer.
        case probe(timeoutMilliseconds: Int)
        /// Drop the connection if there is one, fail what is in flight, arm the timer.
        case retry(afterMilliseconds: Int)
        /// Drop the connection if there is one, fail what is in flight, cancel the timer.
        case close
    }

    private(set) var state = State.disconnected
    private let connectTimeoutMilliseconds: Int
    private let probeTimeoutMilliseconds: Int
    private let waitMinMilliseconds: Int
    private let waitMaxMilliseconds: Int
    private var waitMilliseconds: Int
    private var random: SplitMix64

    /// `seed` makes the waits' jitter; the same seed gives the same waits.
    init(_ configuration: RedisConfiguration, seed: UInt64) {
        connectTimeoutMilliseconds = configuration.connectTimeoutMilliseconds
        probeTimeoutMilliseconds = configuration.probeTimeoutMilliseconds
        waitMinMilliseconds = configuration.reconnectMinMilliseconds
        waitMaxMilliseconds = configuration.reconnectMaxMilliseconds
        waitMilliseconds = configuration.reconnectMinMilliseconds
        random = SplitMix64(seed: seed)
    }

    mutating func handle(_ event: Event) -> Action {
        switch (state, event) {
        case (.closed, _):
            return .nothing
        case (_, .close):
            state = .closed
            return .close
        case (.disconnected, .start), (.backingOff, .timerFired):
            state = .connecting
            return .connect(timeoutMilliseconds: connectTimeoutMilliseconds)
        case (.connecting, .connected):
            state = .settingUp
            return .setUp
        case (.settingUp, .setUpDone):
            state = .ready
            waitMilliseconds = waitMinMilliseconds
            return .becomeReady
        case (.ready, .commandTimedOut):
            state = .suspect
            return .probe(timeoutMilliseconds: probeTimeoutMilliseconds)
        case (.suspect, .probeAnswered):
            state = .ready
            return .becomeReady
        case (.connecting, .failed), (.settingUp, .failed), (.ready, .failed), (.suspect, .failed),
            (.connecting, .timerFired), (.settingUp, .timerFired), (.suspect, .timerFired):
            state = .backingOff
            return .retry(afterMilliseconds: nextWait())
        default:
            return .nothing
        }
    }

    private mutating func nextWait() -> Int {
        let wait = waitMilliseconds
        waitMilliseconds = min(wait * 2, waitMaxMilliseconds)
        return wait - Int.random(in: 0...(wait / 2), using: &random)
    }
}
