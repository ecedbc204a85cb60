internal import CLibevent

/// One timer on a loop: armed, it calls its handler once; the handler may arm it again.
///
/// For a few timers a loop (sweeps, reconnects): what there are thousands of is swept by one timer, not given its own.
@safe
public final class LoopTimer {
    private unowned let loop: EventLoop
    private var event: OpaquePointer?
    private let handler: () -> Void
    public private(set) var isArmed = false

    public init(loop: EventLoop, onFire handler: @escaping () -> Void) {
        self.loop = loop
        self.handler = handler
        let context = unsafe Unmanaged.passUnretained(self).toOpaque()
        unsafe event = event_new(loop.base, -1, 0, timerHasFired, context)
        precondition(unsafe event != nil, "libevent made no timer")
    }

    deinit { if let event = unsafe event { unsafe event_free(event) } }

    /// Fires once after the time given, 0 or more; replaces an earlier arming.
    public func arm(afterMilliseconds milliseconds: Int) { arm(afterMicroseconds: milliseconds * 1000) }

    /// The same for times below a millisecond, which the loop keeps to within the kernel's timer slack.
    public func arm(afterMicroseconds microseconds: Int) {
        var interval = timeval(tv_sec: microseconds / 1_000_000, tv_usec: microseconds % 1_000_000)
        let code = unsafe event_add(event, &interval)
        precondition(code == 0, "libevent refused a timer")
        isArmed = true
    }

    public func cancel() {
        isArmed = false
        unsafe event_del(event)
    }

    fileprivate func fire() {
        loop.turnBegins()
        guard isArmed else { return }
        isArmed = false
        handler()
    }
}

private nonisolated func timerHasFired(_ descriptor: CInt, _ events: Int16, _ context: UnsafeMutableRawPointer?) {
    unsafe Unmanaged<LoopTimer>.fromOpaque(context!).takeUnretainedValue().fire()
}
