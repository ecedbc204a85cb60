import Bytes
import Glibc
import Loop
import Testing

@testable import Redis
@testable import TestSupport

/// Bytes this thread has allocated since it began, Swift's and the C libraries': jemalloc's `thread.allocated`.
private func allocatedBytes() -> Int {
    typealias Control =
        @convention(c) (
            UnsafePointer<CChar>, UnsafeMutableRawPointer?, UnsafeMutablePointer<Int>?, UnsafeMutableRawPointer?, Int
        ) -> CInt
    guard let symbol = unsafe dlsym(nil, "mallctl") else { preconditionFailure("jemalloc is not linked") }
    let control = unsafe unsafeBitCast(symbol, to: Control.self)
    var value: UInt64 = 0
    var size = MemoryLayout<UInt64>.size
    let code = unsafe control("thread.allocated", &value, &size, nil, 0)
    precondition(code == 0, "jemalloc keeps no count: error \(code)")
    return Int(value)
}

/// Sends rounds of commands, each from the last reply of the round before.
private final class Rounds {
    var command = CommandBuffer()
    let key: [UInt8] = Array("account:1".utf8)
    var session: RedisSession?
    var repliesLeft = 0
    var roundsLeft = 0
    var byteCount = 0
    let loop: EventLoop

    init(loop: EventLoop) { self.loop = loop }

    func answered(_ result: RedisResult) {
        if case .reply(let reply) = result { byteCount += reply.bytes.count }
        repliesLeft -= 1
        guard repliesLeft == 0 else { return }
        if roundsLeft == 0 { return loop.stop() }
        roundsLeft -= 1
        sendRound()
    }

    func sendRound() {
        let key = key
        for token in 0..<100 as Range<UInt64> {
            command.begin(argumentCount: 2)
            command.append("GET")
            command.append("k:", key.span)
            if session?.send(command, token: token) == true { repliesLeft += 1 }
        }
    }
}

@Suite struct AllocationTests {
    /// What hiredis allocates for a command and its reply: 32 bytes of callback, 48 of reply, 16 of text, and its
    /// share of the buffers that grow anew each turn. In an optimised build all of it is hiredis's; one more object
    /// for each command would be 16 bytes at the least.
    #if DEBUG
    private let budget = 230
    #else
    private let budget = 180
    #endif

    @Test func `a command and its reply allocate what hiredis does and nothing else`() throws {
        try withServer { server in
            let setting = try RedisConnection(RedisConfiguration(endpoint: server.endpoint))
            _ = try setting.command(["SET", "k:account:1", "0123456789"])
            let loop = EventLoop()
            let rounds = Rounds(loop: loop)
            rounds.session = RedisSession(
                loop: loop, configuration: RedisConfiguration(endpoint: server.endpoint),
                onReply: { [unowned rounds] _, result in rounds.answered(result) }, onStateChange: { _ in })
            #expect(run(loop) { rounds.session?.isReady ?? false })
            rounds.roundsLeft = 20
            rounds.sendRound()
            loop.run()

            rounds.byteCount = 0
            let before = allocatedBytes()
            rounds.roundsLeft = 99
            rounds.sendRound()
            loop.run()
            let bytesPerCommand = (allocatedBytes() - before) / 10_000
            #expect(rounds.byteCount == 100 * 100 * 10)
            #expect(bytesPerCommand <= budget, "\(bytesPerCommand)")
        }
    }
}
