import Loop

@testable import Redis

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
    let loop: EventLoop
    let metrics = RedisMetrics()
    private(set) var answers: [(token: UInt64, answer: Answer)] = []
    private(set) var states: [Bool] = []
    var onAnswer: ((UInt64) -> Void)?
    var onState: ((Bool) -> Void)?
    var session: RedisSession?

    init(_ configuration: RedisConfiguration, loop: EventLoop = EventLoop()) {
        self.loop = loop
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
