import Glibc
import Synchronization
import Telemetry
import Testing

@testable import Loop

@Suite struct LoopTests {
    @Test func `a timer fires once and not before its time`() {
        let loop = EventLoop()
        let start = loop.nowNanoseconds
        var fired: [UInt64] = []
        let timer = LoopTimer(loop: loop) { fired.append(loop.nowNanoseconds - start) }
        let end = LoopTimer(loop: loop) { loop.stop() }
        timer.arm(afterMilliseconds: 20)
        end.arm(afterMilliseconds: 60)
        loop.run()
        #expect(fired.count == 1)
        #expect(fired[0] >= 19_000_000)
    }

    @Test func `a cancelled timer does not fire`() {
        let loop = EventLoop()
        var fired = false
        let timer = LoopTimer(loop: loop) { fired = true }
        let end = LoopTimer(loop: loop) { loop.stop() }
        timer.arm(afterMilliseconds: 5)
        timer.cancel()
        end.arm(afterMilliseconds: 30)
        loop.run()
        #expect(!fired)
    }

    @Test func `messages of many threads arrive once each and in each sender's order`() {
        let mailbox = Mailbox<(sender: Int, number: Int)>(capacity: 100_000)
        let seen = Mutex<[[Int]]>([[], [], []])
        let receiver = LoopThread(name: "receiver") { loop in
            var left = 30_000
            let receiver = MailboxReceiver(loop: loop, mailbox: mailbox) { message in
                seen.withLock { $0[message.sender].append(message.number) }
                left -= 1
                if left == 0 { loop.stop() }
            }
            withExtendedLifetime(receiver) { loop.run() }
        }
        let senders = (0..<3).map { sender in
            LoopThread(name: "sender") { _ in
                for number in 0..<10_000 {
                    let sent = mailbox.send((sender, number))
                    precondition(sent)
                }
            }
        }
        for sender in senders { sender.join() }
        receiver.join()
        let expected = Array(0..<10_000)
        #expect(seen.withLock { $0 } == [expected, expected, expected])
    }

    @Test func `messages that wait together cost one wake-up`() {
        let mailbox = Mailbox<Int>(capacity: 1_000)
        /// How often the mailbox's eventfd was written to since it was last read.
        func wakeUps() -> UInt64 {
            var count: UInt64 = 0
            return unsafe read(mailbox.descriptor, &count, 8) == 8 ? count : 0
        }
        for number in 0..<500 { #expect(mailbox.send(number)) }
        #expect(wakeUps() == 1)
        #expect(mailbox.send(500))
        #expect(wakeUps() == 0)
        var batch: [Int] = []
        mailbox.takeAll(into: &batch)
        #expect(batch == Array(0...500))
        // Empty again, so the next one wakes, also while what was taken is still being handled.
        for number in 0..<3 { #expect(mailbox.send(number)) }
        #expect(wakeUps() == 1)
    }

    @Test func `all that waits is handled in the turn of one wake-up`() {
        let mailbox = Mailbox<Int>(capacity: 1_000)
        for number in 0..<500 { #expect(mailbox.send(number)) }
        let loop = EventLoop()
        var handled: [Int] = []
        var turns: [Int] = []
        let receiver = MailboxReceiver(loop: loop, mailbox: mailbox) { handled.append($0) }
        loop.atTurnEnd { if handled.count > turns.last ?? 0 { turns.append(handled.count) } }
        let end = LoopTimer(loop: loop) { loop.stop() }
        end.arm(afterMilliseconds: 10)
        withExtendedLifetime(receiver) { loop.run() }
        #expect(handled == Array(0..<500))
        #expect(turns == [500])
    }

    @Test func `a full or closed mailbox refuses and keeps what it has`() {
        let mailbox = Mailbox<Int>(capacity: 2)
        #expect(mailbox.send(1))
        #expect(mailbox.send(2))
        #expect(!mailbox.send(3))
        let loop = EventLoop()
        var seen: [Int] = []
        let receiver = MailboxReceiver(loop: loop, mailbox: mailbox) { seen.append($0) }
        let end = LoopTimer(loop: loop) { loop.stop() }
        end.arm(afterMilliseconds: 10)
        withExtendedLifetime(receiver) { loop.run() }
        #expect(seen == [1, 2])
        mailbox.close()
        #expect(!mailbox.send(4))
    }

    @Test func `what many ready descriptors gather is sent before all of them were handled`() throws {
        let loop = EventLoop()
        var descriptors: [CInt] = []
        defer { descriptors.forEach(Descriptors.close) }
        var watches: [DescriptorWatch] = []
        var handled = 0
        var gathered: [Int] = []
        for _ in 0..<300 {
            var pair: [CInt] = [0, 0]
            try #require(unsafe socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0, &pair) == 0)
            descriptors += pair
            #expect(Descriptors.send(pair[1], [UInt8(1)].span) == .transferred(1))
            // What is not read stays ready: libevent soon reports all of them in one turn.
            watches.append(DescriptorWatch(loop: loop, descriptor: pair[0]) { _ in handled += 1 })
            watches.last?.interest = .read
        }
        loop.atTurnEnd {
            gathered.append(handled)
            handled = 0
            if gathered.count == 100 { loop.stop() }
        }
        loop.run()
        for watch in watches { watch.cancel() }
        #expect(gathered.max() == EventLoop.descriptorsHandledMax)
    }

    @Test func `bytes go both ways between a listener and a connect`() throws {
        let loop = EventLoop()
        var server: DescriptorWatch?
        var echoed: [UInt8] = []
        let listener = try Listener(loop: loop, address: .tcp(address: "127.0.0.1", port: 0)) { descriptor in
            server = DescriptorWatch(loop: loop, descriptor: descriptor) { _ in
                var buffer: [UInt8] = []
                switch Descriptors.receive(descriptor, into: &buffer, limit: 100) {
                case .transferred: _ = Descriptors.send(descriptor, buffer.span)
                case .ended: loop.stop()
                default: break
                }
            }
            server?.interest = .read
        }
        let client = try Descriptors.connect(to: listener.address)
        var watch: DescriptorWatch?
        watch = DescriptorWatch(loop: loop, descriptor: client) { readiness in
            if readiness == .write {
                watch?.interest = .read
                #expect(Descriptors.connectError(client) == 0)
                let hello: [UInt8] = Array("hello".utf8)
                #expect(Descriptors.send(client, hello.span) == .transferred(5))
            } else {
                #expect(Descriptors.receive(client, into: &echoed, limit: 100) == .transferred(5))
                shutdown(client, Int32(SHUT_WR))
                watch?.interest = []
            }
        }
        watch?.interest = .write
        let limit = LoopTimer(loop: loop) { loop.stop() }
        limit.arm(afterMilliseconds: 2_000)
        loop.run()
        #expect(echoed == Array("hello".utf8))
        watch?.cancel()
        Descriptors.close(client)
        if let server {
            server.cancel()
            Descriptors.close(server.descriptor)
        }
    }

    @Test func `a cancelled watch is not called again, not even in the turn of its cancelling`() {
        let loop = EventLoop()
        var pair: [CInt] = [0, 0]
        #expect(unsafe socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0, &pair) == 0)
        var calls = 0
        var first: DescriptorWatch?
        var second: DescriptorWatch?
        first = DescriptorWatch(loop: loop, descriptor: pair[0]) { _ in
            calls += 1
            second?.cancel()
            first?.cancel()
        }
        second = DescriptorWatch(loop: loop, descriptor: pair[1]) { _ in
            calls += 1
            first?.cancel()
            second?.cancel()
        }
        first?.interest = .write
        second?.interest = .write
        let end = LoopTimer(loop: loop) { loop.stop() }
        end.arm(afterMilliseconds: 20)
        loop.run()
        #expect(calls == 1)
        Descriptors.close(pair[0])
        Descriptors.close(pair[1])
    }

    @Test func `the longest turn is what a handler took`() {
        let loop = EventLoop()
        let timer = LoopTimer(loop: loop) {
            let start = loop.nowNanoseconds
            while loop.nowNanoseconds - start < 5_000_000 {}
            loop.stop()
        }
        timer.arm(afterMilliseconds: 1)
        loop.run()
        #expect(loop.longestTurnNanoseconds.value >= 5_000_000)
    }

    @Test(arguments: [
        ("127.0.0.1:80", "127.0.0.1:80"), ("[::1]:443", "[::1]:443"), ("unix:/run/x.sock", "unix:/run/x.sock"),
        ("localhost:1", "127.0.0.1:1"),
    ])
    func `addresses are read and written back`(text: String, expected: String) {
        #expect(SocketAddress(text)?.description == expected)
    }

    @Test(arguments: ["", "unix:", "127.0.0.1", ":80", "127.0.0.1:65536", "127.0.0.1:-1"])
    func `what is no address is refused`(text: String) {
        #expect(SocketAddress(text) == nil)
    }

    @Test func `a taken port is an error that names it`() throws {
        let loop = EventLoop()
        let first = try Listener(loop: loop, address: .tcp(address: "127.0.0.1", port: 0)) { Descriptors.close($0) }
        let error = #expect(throws: SocketError.self) {
            try Listener(loop: loop, address: first.address) { Descriptors.close($0) }
        }
        #expect(error?.code == EADDRINUSE)
        #expect(error?.description.contains(first.address.description) == true)
    }
}
