import Glibc
import Loop

/// A server on the test's own loop that answers, or not, as the test says; one connection at a time.
final class FakeServer {
    private(set) var address: SocketAddress
    /// Answers one command with the bytes of a reply; empty: none.
    var answer: ([String]) -> String = { _ in "+OK\r\n" }
    /// Whether bytes are read; while not, the client's socket fills up.
    var isReading = true { didSet { watch?.interest = isReading ? .read : [] } }
    private(set) var commandCount = 0
    private let loop: EventLoop
    private var listener: Listener?
    private var watch: DescriptorWatch?
    private var unread: [UInt8] = []

    init(loop: EventLoop) throws {
        self.loop = loop
        address = .unix(path: "")
        let listener = try Listener(loop: loop, address: .tcp(address: "127.0.0.1", port: 0)) { [unowned self] in accept($0) }
        address = listener.address
        self.listener = listener
    }

    deinit { closeConnection() }

    func closeConnection() {
        guard let watch else { return }
        watch.cancel()
        Descriptors.close(watch.descriptor)
        self.watch = nil
        unread.removeAll()
    }

    func send(_ text: String) {
        guard let watch else { return }
        _ = Descriptors.send(watch.descriptor, Array(text.utf8).span)
    }

    /// TCP segments with data that came in on this connection (tcpi_data_segs_in of Linux's tcp_info): on the
    /// loopback, with Nagle's algorithm off, one for each small write of the client.
    var segmentCount: UInt32 {
        var info = [UInt32](repeating: 0, count: 64)
        var length = socklen_t(256)
        let code = unsafe getsockopt(watch?.descriptor ?? -1, CInt(IPPROTO_TCP), TCP_INFO, &info, &length)
        precondition(code == 0 && length >= 156)
        return info[152 / 4]
    }

    private func accept(_ descriptor: CInt) {
        closeConnection()
        watch = DescriptorWatch(loop: loop, descriptor: descriptor) { [unowned self] _ in read() }
        watch?.interest = isReading ? .read : []
    }

    private func read() {
        guard let watch else { return }
        switch Descriptors.receive(watch.descriptor, into: &unread, limit: 65_536) {
        case .transferred: answerAll()
        case .wouldBlock: break
        case .ended, .failed: closeConnection()
        }
    }

    private func answerAll() {
        var position = 0
        var replies = ""
        while let command = command(at: &position) {
            commandCount += 1
            replies += answer(command)
        }
        unread.removeFirst(position)
        send(replies)
    }

    /// The next whole command; leaves `position` alone when there is none.
    private func command(at position: inout Int) -> [String]? {
        var cursor = position
        func number() -> Int? {
            guard let end = unread[cursor...].firstIndex(of: UInt8(ascii: "\n")) else { return nil }
            defer { cursor = end + 1 }
            return Int(String(decoding: unread[cursor + 1..<end - 1], as: UTF8.self))
        }
        guard cursor < unread.count, let count = number() else { return nil }
        var arguments: [String] = []
        for _ in 0..<count {
            guard cursor < unread.count, let length = number(), cursor + length + 2 <= unread.count else { return nil }
            arguments.append(String(decoding: unread[cursor..<cursor + length], as: UTF8.self))
            cursor += length + 2
        }
        position = cursor
        return arguments
    }
}
