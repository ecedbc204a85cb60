import Bytes
import Glibc
import Loop
import Synchronization

/// A server without a parser: what it does with the n-th request is its script. Requests have no body and come in one piece.
final class BrokenServer: Sendable {
    enum Deed: Sendable {
        /// Bytes, after which the connection stays.
        case answer(String)
        /// Bytes, after which it is closed.
        case answerAndClose(String)
        /// It is reset without an answer.
        case reset
    }

    static let good = Deed.answer("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")

    let address: SocketAddress
    private let thread: LoopThread
    private let inbox = Mailbox<Void>(capacity: 1)

    init(_ script: @escaping @Sendable (Int) -> Deed) {
        let found = Mutex<SocketAddress?>(nil)
        let ready = Mailbox<SocketAddress>(capacity: 1)
        let inbox = inbox
        thread = LoopThread(name: "broken") { loop in
            let acceptor = Acceptor(loop, script)
            let receiver = MailboxReceiver(loop: loop, mailbox: inbox) { _ in loop.stop() }
            _ = ready.send(acceptor.address)
            withExtendedLifetime((acceptor, receiver)) { loop.run() }
        }
        let loop = EventLoop()
        let receiver = MailboxReceiver(loop: loop, mailbox: ready) { address in
            found.withLock { $0 = address }
            loop.stop()
        }
        withExtendedLifetime(receiver) { loop.run() }
        address = found.withLock { $0! }
    }

    func stop() {
        _ = inbox.send(())
        thread.join()
    }
}

private final class Acceptor {
    private let loop: EventLoop
    private let script: @Sendable (Int) -> BrokenServer.Deed
    private var listener: Listener?
    private var watches: [CInt: DescriptorWatch] = [:]
    private var count = 0
    var address: SocketAddress { listener!.address }

    init(_ loop: EventLoop, _ script: @escaping @Sendable (Int) -> BrokenServer.Deed) {
        self.loop = loop
        self.script = script
        listener = try? Listener(loop: loop, address: .tcp(address: "127.0.0.1", port: 0)) { [unowned self] in accept($0) }
    }

    deinit { for (descriptor, watch) in watches { close(descriptor, watch) } }

    private func accept(_ descriptor: CInt) {
        let watch = DescriptorWatch(loop: loop, descriptor: descriptor) { [unowned self] _ in read(descriptor) }
        watches[descriptor] = watch
        watch.interest = .read
    }

    private func read(_ descriptor: CInt) {
        guard let watch = watches[descriptor] else { return }
        var bytes: [UInt8] = []
        switch Descriptors.receive(descriptor, into: &bytes, limit: 4_096) {
        case .wouldBlock: return
        case .ended, .failed: close(descriptor, watch)
        case .transferred: answer(descriptor, watch)
        }
    }

    private func answer(_ descriptor: CInt, _ watch: DescriptorWatch) {
        defer { count += 1 }
        switch script(count) {
        case .answer(let text): send(descriptor, text)
        case .answerAndClose(let text):
            send(descriptor, text)
            close(descriptor, watch)
        case .reset:
            // No lingering: the close is a reset.
            var linger = linger(l_onoff: 1, l_linger: 0)
            _ = unsafe setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &linger, socklen_t(MemoryLayout<Glibc.linger>.size))
            close(descriptor, watch)
        }
    }

    private func send(_ descriptor: CInt, _ text: String) {
        let bytes: [UInt8] = Array(text.utf8)
        if !bytes.isEmpty { _ = Descriptors.send(descriptor, bytes.span) }
    }

    private func close(_ descriptor: CInt, _ watch: DescriptorWatch) {
        watch.cancel()
        watches[descriptor] = nil
        Descriptors.close(descriptor)
    }
}
