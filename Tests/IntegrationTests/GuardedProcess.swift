import CSystem
import Foundation
import Glibc
import Synchronization

/// A child that does not outlive the test process, however that ends: the kernel sends the child SIGTERM when the
/// thread that started it is gone, so one thread starts it and waits for it.
final class GuardedProcess: Sendable {
    struct CannotStart: Error { let reason: String }

    let pid: pid_t
    private let box: Box

    /// - Parameter output: the file that standard output and standard error are written to.
    init(_ executable: String, _ arguments: [String], output: String) throws {
        let box = Box()
        Thread.detachNewThread { box.run(executable, arguments, output: output) }
        box.started.wait()
        self.box = box
        pid = box.pid
        guard pid > 0 else { throw CannotStart(reason: "\(executable): \(unsafe String(cString: strerror(-pid)))") }
    }

    /// Its exit code, 128 and the signal's number when one ended it; nil while it runs.
    var exitCode: Int32? { box.exitCode }

    /// Returns the exit code, or nil when the time is over first.
    func waitForEnd(seconds: Double) -> Int32? {
        _ = eventually(seconds: seconds) { exitCode != nil }
        return exitCode
    }

    private final class Box: Sendable {
        let started = DispatchSemaphore(value: 0)
        private let state = Mutex<(pid: pid_t, exitCode: Int32?)>((0, nil))

        var pid: pid_t { state.withLock { $0.pid } }
        var exitCode: Int32? { state.withLock { $0.exitCode } }

        func run(_ executable: String, _ arguments: [String], output: String) {
            let log = unsafe open(output, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o644)
            let pid = Box.spawn([executable] + arguments, log: log)
            close(log)
            state.withLock { $0.pid = pid }
            started.signal()
            guard pid > 0 else { return }
            var status: Int32 = 0
            while unsafe waitpid(pid, &status, 0) < 0, errno == EINTR {}
            let code = status & 0x7f == 0 ? status >> 8 & 0xff : 128 + status & 0x7f
            state.withLock { $0.exitCode = code }
        }

        private static func spawn(_ words: [String], log: Int32) -> pid_t {
            var arguments = unsafe words.map { unsafe strdup($0) }
            unsafe arguments.append(nil)
            defer { for index in unsafe arguments.indices { unsafe free(arguments[index]) } }
            return unsafe arguments.withUnsafeBufferPointer { argv in
                unsafe words[0].withCString { path in
                    var request = unsafe sluice_spawn_request(
                        path: path, argv: argv.baseAddress!, envp: environ, directory: nil, standard_input: -1, standard_output: log,
                        standard_error: log, change_user: false, uid: 0, gid: 0, parent_death_signal: SIGTERM, new_session: true)
                    return unsafe sluice_process_spawn(&request)
                }
            }
        }
    }
}

/// Asks again and again, at most `seconds`; whether it became true.
func eventually(seconds: Double = 20, everyMilliseconds: UInt32 = 25, _ condition: () throws -> Bool) rethrows -> Bool {
    let deadline = Moment.now.advanced(bySeconds: seconds)
    while true {
        if try condition() { return true }
        if Moment.now >= deadline { return false }
        usleep(everyMilliseconds * 1000)
    }
}

/// A point of the monotonic clock.
struct Moment: Comparable, Sendable {
    private let nanoseconds: UInt64

    static var now: Moment { Moment(nanoseconds: sluice_clock_monotonic_nanoseconds()) }
    static func < (left: Moment, right: Moment) -> Bool { left.nanoseconds < right.nanoseconds }

    func advanced(bySeconds seconds: Double) -> Moment { Moment(nanoseconds: nanoseconds + UInt64(max(0, seconds) * 1e9)) }
    /// How long ago, negative in the future.
    var secondsAgo: Double { (Double(sluice_clock_monotonic_nanoseconds()) - Double(nanoseconds)) / 1e9 }
    func milliseconds(since earlier: Moment) -> Double { (Double(nanoseconds) - Double(earlier.nanoseconds)) / 1e6 }
}

/// What a program wrote and how it ended.
struct ProgramResult {
    let code: Int32
    let output: String
    let errors: String
}

/// Runs a program to its end, at most `seconds`; then it is killed and its code is 137.
func run(_ program: String, _ arguments: [String], seconds: Int = 60) throws -> ProgramResult {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/timeout")
    process.arguments = ["--signal=KILL", "\(seconds)", program] + arguments
    // Files, not pipes: a pipe that nobody reads while the other is read would block the program.
    let folder = FileManager.default.temporaryDirectory.path
    let paths = ["out", "err"].map { "\(folder)/sluice-run-\(UUID().uuidString).\($0)" }
    defer { for path in paths { unsafe unlink(path) } }
    for path in paths { _ = FileManager.default.createFile(atPath: path, contents: nil) }
    process.standardInput = FileHandle.nullDevice
    process.standardOutput = FileHandle(forWritingAtPath: paths[0])
    process.standardError = FileHandle(forWritingAtPath: paths[1])
    try process.run()
    process.waitUntilExit()
    let texts = paths.map { FileManager.default.contents(atPath: $0).map { String(decoding: $0, as: UTF8.self) } ?? "" }
    return ProgramResult(code: process.terminationStatus, output: texts[0], errors: texts[1])
}
