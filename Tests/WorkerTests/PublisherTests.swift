import Ledger
import Loop
import Redis
import Store
import Testing
import Wire

@testable import Worker

@Suite struct PublisherTests {
    let loop = EventLoop()

    func account(_ revision: Int64) -> Account {
        Account(
            key: AccountKey(tenant: TenantID(1), account: AccountID("alice")!), number: 1, currency: Currency("EUR")!, kind: .normal,
            overdraftLimit: 0, revision: revision, openedAt: Timestamp(microseconds: 0), changedAt: Timestamp(microseconds: 0))
    }

    /// Runs the loop for so long.
    func run(milliseconds: Int) {
        let timer = LoopTimer(loop: loop) { loop.stop() }
        timer.arm(afterMilliseconds: milliseconds)
        withExtendedLifetime(timer) { loop.run() }
    }

    @Test func `what Redis refuses is sent again with waits, costs no memory and does not count as published`()
        throws
    {
        let server = try ScriptedRedis(loop: loop)
        var refuses = true
        server.answer = { command in
            if command.first == "FCALL" { return refuses ? "-OOM command not allowed\r\n" : ":2\r\n" }
            return "+OK\r\n"
        }
        var published: [Int32: Int64] = [:]
        let publisher = Publisher(loop: loop, configuration: RedisConfiguration(endpoint: server.address), limits: WorkerLimits()) {
            published.merge($0) { max($0, $1) }
        }
        defer { publisher.close() }
        while !publisher.isReady { run(milliseconds: 5) }
        let before = server.commandCount
        for revision in 1...5 as ClosedRange<Int64> {
            publisher.publish(accounts: [account(revision)], tellings: [], deadLetters: [], reach: [0: revision])
            run(milliseconds: 100)
        }
        // Five of the batches, and a handful of repeats at 50, 100, 200 ... milliseconds.
        #expect(server.commandCount - before <= 12)
        #expect(publisher.owedAccounts == 1)
        #expect(publisher.unconfirmedBatches <= 2)
        #expect(published.isEmpty)

        refuses = false
        run(milliseconds: 2_200)
        #expect(publisher.owedAccounts == 0)
        #expect(published == [0: 5])
    }

    @Test func `an account gets a body once Redis tells that somebody reads it, and then with every change`() throws {
        let server = try ScriptedRedis(loop: loop)
        var seen: [[String]] = []
        var answer = 0
        let putAll = RedisFunctions.name("put_all")
        server.answer = { command in
            guard command.first == "FCALL" else { return "+OK\r\n" }
            // The function, the key, the revision and the body.
            seen.append([command[1], command[3], command[4], command[5]])
            return ":\(command[1] == putAll ? answer : 1)\r\n"
        }
        let publisher = Publisher(loop: loop, configuration: RedisConfiguration(endpoint: server.address), limits: WorkerLimits()) { _ in }
        defer { publisher.close() }
        while !publisher.isReady { run(milliseconds: 5) }
        func change(_ revision: Int64) -> [[String]] {
            seen = []
            publisher.publish(accounts: [account(revision)], tellings: [], deadLetters: [], reach: [0: revision])
            run(milliseconds: 20)
            return seen
        }
        func body(_ revision: Int64) -> String {
            var bytes: [UInt8] = []
            bytes.append(account(revision))
            return String(decoding: bytes, as: UTF8.self)
        }
        #expect(change(2) == [[putAll, "a:{1}:alice", "2", ""]])
        answer = 1
        #expect(change(3) == [[putAll, "a:{1}:alice", "3", ""], [RedisFunctions.name("complete_all"), "a:{1}:alice", "3", body(3)]])
        #expect(change(4) == [[putAll, "a:{1}:alice", "4", body(4)]])
        // Bits beyond the accounts that were asked about mean nothing.
        answer = 6
        #expect(change(5) == [[putAll, "a:{1}:alice", "5", body(5)]])
        #expect(publisher.owedAccounts == 0 && publisher.unconfirmedBatches == 0)
    }

    @Test func `who reads is forgotten after a while, and not at once`() {
        var read = ReadAccounts()
        let hour: UInt64 = 3_600_000_000_000
        read.turn(atNanoseconds: hour)
        read.insert(7)
        #expect(read.contains(7) && !read.contains(8))
        read.turn(atNanoseconds: hour + 1)
        read.turn(atNanoseconds: 2 * hour)
        #expect(read.contains(7))
        read.turn(atNanoseconds: 3 * hour)
        #expect(!read.contains(7))
    }

    @Test func `a Redis that refuses to be emptied is asked again with waits`() throws {
        let server = try ScriptedRedis(loop: loop)
        var askedAt: [UInt64] = []
        server.answer = { [loop] command in
            guard command.first == "FLUSHDB" else { return "+OK\r\n" }
            askedAt.append(loop.nowNanoseconds)
            return askedAt.count < 3 ? "-READONLY You can't write against a read only replica.\r\n" : "+OK\r\n"
        }
        let publisher = Publisher(loop: loop, configuration: RedisConfiguration(endpoint: server.address), limits: WorkerLimits()) { _ in }
        defer { publisher.close() }
        publisher.emptyCache()
        // However slow the machine is: it is asked again, and never sooner than after 50 and 100 milliseconds, of a clock that ticks every 4.
        for _ in 0..<500 where askedAt.count < 3 { run(milliseconds: 20) }
        #expect(askedAt.count == 3)
        #expect(askedAt[1] - askedAt[0] >= 45_000_000 && askedAt[2] - askedAt[1] >= 90_000_000)
        run(milliseconds: 300)
        #expect(askedAt.count == 3)
    }

    /// Else a partition in which nothing more happens would have no lease, and its next owner would empty Redis again.
    @Test func `what an emptied Redis makes up for counts as published, and not before it is empty`() throws {
        let server = try ScriptedRedis(loop: loop)
        var isRefused = true
        server.answer = { command in
            guard command.first == "FLUSHDB", isRefused else { return "+OK\r\n" }
            return "-READONLY You can't write against a read only replica.\r\n"
        }
        var published: [[Int32: Int64]] = []
        let publisher = Publisher(loop: loop, configuration: RedisConfiguration(endpoint: server.address), limits: WorkerLimits()) {
            published.append($0)
        }
        defer { publisher.close() }
        publisher.emptyCache(settling: [3: 100])
        for _ in 0..<50 where server.commandCount < 2 { run(milliseconds: 20) }
        #expect(published.isEmpty)
        isRefused = false
        for _ in 0..<100 where published.isEmpty { run(milliseconds: 20) }
        #expect(published == [[3: 100]])
    }
}

/// A Redis on the test's own loop that answers what the test says; one connection at a time.
final class ScriptedRedis {
    let address: SocketAddress
    var answer: ([String]) -> String = { _ in "+OK\r\n" }
    private(set) var commandCount = 0
    private let loop: EventLoop
    private let connected: Connected
    private let listener: Listener

    private final class Connected {
        var accept: (CInt) -> Void = { _ in }
        var watch: DescriptorWatch?
        var unread: [UInt8] = []
    }

    init(loop: EventLoop) throws {
        self.loop = loop
        let connected = Connected()
        self.connected = connected
        listener = try Listener(loop: loop, address: .tcp(address: "127.0.0.1", port: 0)) { connected.accept($0) }
        address = listener.address
        connected.accept = { [unowned self] descriptor in
            connected.watch = DescriptorWatch(loop: self.loop, descriptor: descriptor) { [unowned self] _ in read() }
            connected.watch?.interest = .read
        }
    }

    deinit {
        cut()
    }

    /// Ends the connection, as a server does that goes.
    func cut() {
        guard let watch = connected.watch else { return }
        connected.watch = nil
        connected.unread = []
        watch.cancel()
        Descriptors.close(watch.descriptor)
    }

    private func read() {
        guard let watch = connected.watch else { return }
        guard case .transferred = Descriptors.receive(watch.descriptor, into: &connected.unread, limit: 65_536) else {
            watch.interest = []
            return
        }
        var replies = ""
        while let command = nextCommand() {
            commandCount += 1
            replies += command.first == "PING" ? "+PONG\r\n" : answer(command)
        }
        _ = Descriptors.send(watch.descriptor, Array(replies.utf8).span)
    }

    /// Takes the next whole command from the front of what was read.
    private func nextCommand() -> [String]? {
        let unread = connected.unread
        var cursor = 0
        func number() -> Int? {
            guard cursor < unread.count, let end = unread[cursor...].firstIndex(of: UInt8(ascii: "\n")) else { return nil }
            defer { cursor = end + 1 }
            return Int(String(decoding: unread[(cursor + 1)..<(end - 1)], as: UTF8.self))
        }
        guard let count = number() else { return nil }
        var arguments: [String] = []
        for _ in 0..<count {
            guard let length = number(), cursor + length + 2 <= unread.count else { return nil }
            arguments.append(String(decoding: unread[cursor..<(cursor + length)], as: UTF8.self))
            cursor += length + 2
        }
        connected.unread.removeFirst(cursor)
        return arguments
    }
}
