internal import CSystem
internal import Glibc
internal import Telemetry

/// A named thread with an event loop of its own. What the body makes lives and dies on that thread.
public final class LoopThread: Sendable {
    private struct Body {
        let name: String
        let run: (EventLoop) -> Void
    }
    private let thread: Locked<pthread_t?>

    /// Starts the thread; `body` gets a fresh loop, sets things up, and calls `loop.run()`. The thread ends with it.
    ///
    /// - Parameter name: as `top -H` shows it, 15 bytes at most.
    public init(name: String, body: sending @escaping (EventLoop) -> Void) {
        let start = ThreadStart(name: name, run: body)
        let context = unsafe Unmanaged.passRetained(start).toOpaque()
        var thread = pthread_t()
        let code = unsafe pthread_create(&thread, nil, loopThreadMain, context)
        precondition(code == 0, "the system gave no thread: error \(code)")
        self.thread = Locked(thread)
    }

    /// Waits until the thread has ended. A second call returns at once.
    public func join() {
        let thread = thread.withLock { thread in
            defer { thread = nil }
            return thread
        }
        if let thread { pthread_join(thread, nil) }
    }
}

private final class ThreadStart {
    let name: String
    let run: (EventLoop) -> Void
    init(name: String, run: @escaping (EventLoop) -> Void) {
        self.name = name
        self.run = run
    }
}

private nonisolated func loopThreadMain(_ context: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
    let start = unsafe Unmanaged<ThreadStart>.fromOpaque(context!).takeRetainedValue()
    unsafe start.name.withCString { name in unsafe sluice_thread_set_name(name) }
    start.run(EventLoop())
    return nil
}
