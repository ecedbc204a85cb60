import Glibc
import Loop
import Synchronization

/// The built executable as a process of a test, killed with the test process.
///
/// The kernel kills a child when the *thread* that started it ends, so that thread waits for the child.
final class ExecutableProcess {
    private let thread: LoopThread
    private let pid: pid_t

    init(_ arguments: [String]) throws {
        let binary = try BuiltExecutable.path()
        let started = Mutex<pid_t?>(nil)
        let shared = Shared(started)
        thread = LoopThread(name: arguments[0]) { _ in
            let pid = Command.spawn([binary] + arguments, diesWithThread: true)
            shared.value.withLock { $0 = pid }
            guard pid > 0 else { return }
            var status: CInt = 0
            while unsafe waitpid(pid, &status, 0) < 0, errno == EINTR {}
        }
        while true {
            if let pid = shared.value.withLock({ $0 }) {
                self.pid = pid
                break
            }
            usleep(1_000)
        }
        guard pid > 0 else { throw Broker.Failure(description: "`sluice \(arguments[0])` did not start: errno \(-pid)") }
    }

    func signal(_ number: CInt) { _ = Glibc.kill(pid, number) }
    func join() { thread.join() }
    func kill() {
        signal(SIGKILL)
        join()
    }
}
