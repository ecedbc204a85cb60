internal import Telemetry

/// Tells now and then how many lines of the log were left out of messages that have not come again. Each process has one, on its main loop.
public final class LogSweep {
    private static let everyMilliseconds = 10_000
    private var timer: LoopTimer?

    public init(loop: EventLoop) {
        timer = LoopTimer(loop: loop) { [unowned self] in
            Log.tellLeftOut()
            timer?.arm(afterMilliseconds: Self.everyMilliseconds)
        }
        timer?.arm(afterMilliseconds: Self.everyMilliseconds)
    }
}
