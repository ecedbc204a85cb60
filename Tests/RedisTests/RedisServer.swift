import Foundation
import Glibc
import Loop
import Redis

/// A redis-server of a test's own, in a private folder on a Unix socket; `stop` it, also on failure.
final class RedisServer {
    let endpoint: SocketAddress
    private let folder: String
    private let options: [String]
    private var process: Process?

    struct CannotStart: Error { let reason: String }

    /// - Parameter options: as on redis-server's command line, `--requirepass secret`.
    init(options: [String] = []) throws {
        var template = Array("/tmp/sluice-redis-XXXXXX".utf8CString)
        guard unsafe mkdtemp(&template) != nil else { throw CannotStart(reason: "no private folder") }
        folder = unsafe template.withUnsafeBufferPointer { unsafe String(cString: $0.baseAddress!) }
        endpoint = .unix(path: folder + "/redis.sock")
        self.options = options
        try start()
    }

    /// Starts the server, again after `kill`, and waits until it takes connections.
    func start() throws {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/redis-server")
        process.arguments =
            ["--port", "0", "--unixsocket", folder + "/redis.sock", "--dir", folder, "--save", "", "--appendonly", "no"] + options
        process.standardOutput = FileHandle.nullDevice
        process.standardError = FileHandle.nullDevice
        try process.run()
        self.process = process
        for _ in 0..<500 {
            if let socket = try? Descriptors.connect(to: endpoint) {
                Descriptors.close(socket)
                return
            }
            guard process.isRunning else { break }
            usleep(10_000)
        }
        stop()
        throw CannotStart(reason: "redis-server did not open \(endpoint)")
    }

    /// SIGSTOP and SIGCONT: the kernel still takes connections and bytes, nobody answers.
    func freeze() { signal(SIGSTOP) }
    func thaw() { signal(SIGCONT) }

    /// kill -9.
    func kill() {
        signal(SIGKILL)
        process?.waitUntilExit()
        process = nil
    }

    func stop() {
        kill()
        try? FileManager.default.removeItem(atPath: folder)
    }

    private func signal(_ number: CInt) { if let process { _ = Glibc.kill(process.processIdentifier, number) } }
}

/// Runs `body` with a server that is stopped afterwards, however `body` ends.
func withServer(options: [String] = [], _ body: (RedisServer) throws -> Void) throws {
    let server = try RedisServer(options: options)
    defer { server.stop() }
    try body(server)
}

/// Runs the loop until the condition holds, looking every 2 ms. False when it did not within the time.
func run(_ loop: EventLoop, forAtMostMilliseconds milliseconds: Int = 5_000, until condition: @escaping () -> Bool) -> Bool {
    let end = loop.nowNanoseconds + UInt64(milliseconds) * 1_000_000
    var timer: LoopTimer?
    timer = LoopTimer(loop: loop) {
        if condition() || loop.nowNanoseconds > end { loop.stop() } else { timer?.arm(afterMilliseconds: 2) }
    }
    timer?.arm(afterMilliseconds: 0)
    loop.run()
    timer = nil
    return condition()
}

/// What became of one token.
enum Answer: Equatable {
    case reply(OwnedReply)
    case failure(RedisError)
}

/// A session that keeps every answer, in order, with what its readiness went through.
final class Recorder {
    let loop = EventLoop()
    let metrics = RedisMetrics()
    private(set) var answers: [(token: UInt64, answer: Answer)] = []
    private(set) var states: [Bool] = []
    var onAnswer: ((UInt64) -> Void)?
    var onState: ((Bool) -> Void)?
    var session: RedisSession?

    init(_ configuration: RedisConfiguration) {
        session = RedisSession(
            loop: loop, configuration: configuration, metrics: metrics,
            onReply: { [unowned self] token, result in
                switch result {
                case .reply(let reply): answers.append((token, .reply(OwnedReply(copying: reply))))
                case .failure(let error): answers.append((token, .failure(error)))
                }
                onAnswer?(token)
            },
            onStateChange: { [unowned self] ready in
                states.append(ready)
                onState?(ready)
            })
    }

    var isReady: Bool { session?.isReady ?? false }

    func send(_ arguments: [String], token: UInt64) -> Bool {
        var command = CommandBuffer()
        command.begin(argumentCount: arguments.count)
        for argument in arguments { command.append(text: argument) }
        return session?.send(command, token: token) ?? false
    }

    func waitUntilReady() -> Bool { run(loop) { self.isReady } }
    func waitForAnswers(_ count: Int) -> Bool { run(loop) { self.answers.count >= count } }
    func answer(to token: UInt64) -> Answer? { answers.first { $0.token == token }?.answer }

    /// True when each of the tokens was answered, and none of them twice.
    func answeredOnce(_ tokens: some Sequence<UInt64>) -> Bool { answers.map(\.token).sorted() == tokens.sorted() }
}
