import Bytes
import Loop

/// Stands between a client and Redis on the test's own loop, and keeps back what a test wants kept back: the network that a Unix socket
/// is not. A connection that has sent SUBSCRIBE is the listener, any other the session.
final class RedisRelay {
    let address: SocketAddress
    /// Nothing goes through to or from the listener, and nobody is told: a connection that died silently.
    var holdsListener = false { didSet { moved() } }
    /// The session's commands go through; the replies wait here.
    var holdsReplies = false { didSet { moved() } }

    private let loop: EventLoop
    private let server: SocketAddress
    private let door = Door()
    private let listener: Listener
    private var pairs: [Pair] = []

    private final class Door { var accept: (CInt) -> Void = { _ in } }

    private final class Pair {
        var client: DescriptorWatch?
        var server: DescriptorWatch?
        var toServer: [UInt8] = []
        var toClient: [UInt8] = []
        var isListener = false
    }

    init(loop: EventLoop, to server: SocketAddress) throws {
        self.loop = loop
        self.server = server
        let door = door
        listener = try Listener(loop: loop, address: .tcp(address: "127.0.0.1", port: 0)) { door.accept($0) }
        address = listener.address
        door.accept = { [unowned self] in accept($0) }
    }

    deinit { for pair in pairs { close(pair) } }

    /// Whether a reply with this in it waits here.
    func isHolding(_ text: String) -> Bool {
        pairs.contains { !$0.isListener && String(decoding: $0.toClient, as: UTF8.self).contains(text) }
    }

    private func accept(_ descriptor: CInt) {
        guard let upstream = try? Descriptors.connect(to: server) else { return Descriptors.close(descriptor) }
        let pair = Pair()
        pairs.append(pair)
        pair.client = DescriptorWatch(loop: loop, descriptor: descriptor) { [unowned self, unowned pair] _ in
            guard pump(pair.client, into: &pair.toServer) else { return close(pair) }
            if String(decoding: pair.toServer, as: UTF8.self).contains("SUBSCRIBE") { pair.isListener = true }
            move(pair)
        }
        pair.server = DescriptorWatch(loop: loop, descriptor: upstream) { [unowned self, unowned pair] _ in
            guard pump(pair.server, into: &pair.toClient) else { return close(pair) }
            move(pair)
        }
        pair.client?.interest = .read
        pair.server?.interest = .read
    }

    private func pump(_ watch: DescriptorWatch?, into buffer: inout [UInt8]) -> Bool {
        guard let watch else { return false }
        switch Descriptors.receive(watch.descriptor, into: &buffer, limit: 65_536) {
        case .transferred, .wouldBlock: return true
        case .ended, .failed: return false
        }
    }

    private func moved() { for pair in pairs { move(pair) } }

    /// What the tests send fits a socket's buffer.
    private func move(_ pair: Pair) {
        if pair.isListener, holdsListener { return }
        if let server = pair.server, !pair.toServer.isEmpty {
            _ = Descriptors.send(server.descriptor, pair.toServer.span)
            pair.toServer.removeAll()
        }
        if !pair.isListener, holdsReplies { return }
        if let client = pair.client, !pair.toClient.isEmpty {
            _ = Descriptors.send(client.descriptor, pair.toClient.span)
            pair.toClient.removeAll()
        }
    }

    private func close(_ pair: Pair) {
        for watch in [pair.client, pair.server].compactMap(\.self) {
            watch.cancel()
            Descriptors.close(watch.descriptor)
        }
        pair.client = nil
        pair.server = nil
    }
}
