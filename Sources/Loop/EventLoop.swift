internal import CLibevent
internal import CSystem
public import Telemetry

/// One thread's libevent base: descriptors, timers and what runs at the end of each turn.
///
/// Made, used and released on one thread; not `Sendable`, so the compiler keeps it there. Other threads reach it
/// through a `Mailbox`. Handlers run on this thread, one at a time, and must not block.
@safe
public final class EventLoop {
    /// The longest turn since the process started (time spent in handlers, without the wait), nanoseconds.
    public let longestTurnNanoseconds = Gauge()

    let base: OpaquePointer
    private var turnEndHandlers: [() -> Void] = []
    private var turnStartNanoseconds: UInt64 = 0
    /// Descriptors handled since the handlers of the turn's end last ran.
    private var handled = 0
    private var stopped = false

    public init() {
        guard let base = unsafe makeEventBase() else { preconditionFailure("libevent made no event base") }
        unsafe self.base = base
    }

    deinit { unsafe event_base_free(base) }

    /// Monotonic nanoseconds, read anew at each call.
    public var nowNanoseconds: UInt64 { Clock.monotonicNanoseconds }

    /// Monotonic milliseconds, read once a turn: for deadlines, which need no better, on paths that pass here many times a turn.
    public var turnMilliseconds: UInt64 { (turnStartNanoseconds == 0 ? Clock.monotonicNanoseconds : turnStartNanoseconds) / 1_000_000 }

    /// Runs turns until `stop`. A turn is: wait, run the handlers of everything that is ready, run the turn-end handlers.
    public func run() {
        stopped = false
        endTurn()
        while !stopped {
            let code = unsafe event_base_loop(base, EVLOOP_ONCE | EVLOOP_NO_EXIT_ON_EMPTY)
            precondition(code >= 0, "libevent's loop failed: its back end is unusable")
            endTurn()
        }
    }

    /// Makes `run` return after this turn. On this thread only.
    public func stop() { stopped = true }

    /// How many descriptors may be handled before the handlers of the turn's end run.
    ///
    /// With thousands of connections a turn may have thousands of them. What the first ones gathered would be sent when all were
    /// handled: late, and out of the processor's caches by then.
    public static let descriptorsHandledMax = 64

    /// Adds work to run at the end of every turn, after the ready handlers and before the next wait, and within a turn each time
    /// `descriptorsHandledMax` have been handled: sending what was gathered, in one system call. Never runs below another handler.
    /// Handlers run in the order they were added and live as long as the loop.
    public func atTurnEnd(_ handler: @escaping () -> Void) { turnEndHandlers.append(handler) }

    /// Called by every handler's trampoline: the first one of a turn starts the turn's clock.
    func turnBegins() {
        if turnStartNanoseconds == 0 { turnStartNanoseconds = Clock.monotonicNanoseconds }
    }

    /// Called after every descriptor's handler, with nothing of ours below it.
    func descriptorWasHandled() {
        handled += 1
        if handled == Self.descriptorsHandledMax { runTurnEndHandlers() }
    }

    private func runTurnEndHandlers() {
        handled = 0
        for handler in turnEndHandlers { handler() }
    }

    private func endTurn() {
        runTurnEndHandlers()
        if turnStartNanoseconds != 0 {
            longestTurnNanoseconds.raise(to: Int64(Clock.monotonicNanoseconds - turnStartNanoseconds))
            turnStartNanoseconds = 0
        }
    }
}

/// libevent without its per-event locks (a base is used by one thread) and with the clock that timers need.
private nonisolated func makeEventBase() -> OpaquePointer? {
    guard let configuration = unsafe event_config_new() else { return nil }
    defer { unsafe event_config_free(configuration) }
    unsafe event_config_set_flag(configuration, Int32(EVENT_BASE_FLAG_NOLOCK.rawValue | EVENT_BASE_FLAG_PRECISE_TIMER.rawValue))
    return unsafe event_base_new_with_config(configuration)
}
