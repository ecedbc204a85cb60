internal import CSystem
internal import Glibc

/// Where a server listens or a client connects.
public enum SocketAddress: Hashable, Sendable, CustomStringConvertible {
    /// A numeric IPv4 or IPv6 address and a port; port 0 lets the system choose.
    case tcp(address: String, port: UInt16)
    case unix(path: String)

    /// Reads `127.0.0.1:8080`, `[::1]:8080` or `unix:/path`; nil for anything else.
    public init?(_ text: String) {
        if text.hasPrefix("unix:") {
            let path = String(text.dropFirst(5))
            guard !path.isEmpty, path.utf8.count <= 107 else { return nil }
            self = .unix(path: path)
            return
        }
        guard let colon = text.lastIndex(of: ":"), let port = UInt16(text[text.index(after: colon)...]) else { return nil }
        var host = String(text[..<colon])
        if host.hasPrefix("["), host.hasSuffix("]") { host = String(host.dropFirst().dropLast()) }
        if host == "localhost" { host = "127.0.0.1" }
        guard !host.isEmpty else { return nil }
        self = .tcp(address: host, port: port)
    }

    public var description: String {
        switch self {
        case .tcp(let address, let port): address.contains(":") ? "[\(address)]:\(port)" : "\(address):\(port)"
        case .unix(let path): "unix:\(path)"
        }
    }
}

/// A socket could not be opened: an errno and where.
public struct SocketError: Error, CustomStringConvertible {
    public let address: SocketAddress
    public let code: CInt
    /// Of a taken address also who has it, where the system tells.
    public var description: String {
        let text = "\(address): \(unsafe String(cString: strerror(code)))"
        guard code == EADDRINUSE, let holder = Holder.ofSocket(address) else { return text }
        return text + ": \(holder) listens there"
    }
}

/// A listening socket on a loop.
///
/// Out of descriptors (EMFILE) it stops accepting for 100 ms instead of spinning on a listener that stays readable.
public final class Listener {
    public let address: SocketAddress
    private var exhaustions: UInt64 = 0
    private let descriptor: CInt
    private var watch: DescriptorWatch?
    private var resume: LoopTimer?
    private let onAccept: (CInt) -> Void
    /// The file of a Unix socket.
    private var identity: UInt64?
    /// Connections taken at most in one turn, so that a storm of connects does not starve those that are open.
    private let acceptsPerTurnMax = 64

    /// - Parameters:
    ///   - reusePort: SO_REUSEPORT, so that each thread has a listener of its own on one TCP port.
    ///   - unsentBytesMax: what the kernel takes for a TCP connection beyond what its peer's window has room for; else it is megabytes, of
    ///     which the process sees nothing. A Unix socket has its own bound.
    ///   - onAccept: called on the loop with a connected non-blocking descriptor, which it then owns.
    public init(
        loop: EventLoop, address: SocketAddress, reusePort: Bool = false, backlog: CInt = 4096, unsentBytesMax: Int? = nil,
        onAccept: @escaping (CInt) -> Void
    ) throws(SocketError) {
        // A second start would take the name away from whoever listens: its clients would find nobody, or us.
        if case .unix = address { try Self.requireFree(address) }
        let code: CInt =
            switch address {
            case .tcp(let host, let port): unsafe sluice_socket_listen_tcp(host, port, backlog, reusePort)
            case .unix(let path): unsafe sluice_socket_listen_unix(path, backlog, 0o660)
            }
        guard code >= 0 else { throw SocketError(address: address, code: -code) }
        descriptor = code
        if case .tcp = address, let unsentBytesMax {
            let code = sluice_socket_bound_unsent(code, CInt(unsentBytesMax))
            if code < 0 {
                Descriptors.close(descriptor)
                throw SocketError(address: address, code: -code)
            }
        }
        if case .tcp(let host, 0) = address {
            self.address = .tcp(address: host, port: UInt16(sluice_socket_local_port(code)))
        } else {
            self.address = address
        }
        self.onAccept = onAccept
        if case .unix(let path) = address { identity = Self.identity(of: path) }
        resume = LoopTimer(loop: loop) { [unowned self] in watch?.interest = .read }
        watch = DescriptorWatch(loop: loop, descriptor: code) { [unowned self] _ in accept() }
        watch?.interest = .read
    }

    /// Throws when somebody listens there. Threads of one process share a port (SO_REUSEPORT), and so would two processes, unseen: a process asks
    /// before its threads listen.
    public static func requireFree(_ address: SocketAddress) throws(SocketError) {
        switch address {
        case .tcp(_, 0): return
        case .tcp(let host, let port):
            let code = unsafe sluice_socket_try_bind(host, port)
            if code < 0 { throw SocketError(address: address, code: -code) }
        case .unix(let path):
            // A socket of a process that died refuses; one that nobody made is not there.
            var descriptor: CInt = -1
            let code = unsafe sluice_socket_connect_unix(path, &descriptor)
            if code == 0 { Descriptors.close(descriptor) }
            if code == 0 || code == -EAGAIN { throw SocketError(address: address, code: EADDRINUSE) }
        }
    }

    deinit {
        watch?.cancel()
        Descriptors.close(descriptor)
    }

    /// Stops or goes on accepting; what connects meanwhile waits in the kernel's backlog.
    public var isAccepting: Bool {
        get { watch?.interest == .read }
        set {
            resume?.cancel()
            watch?.interest = newValue ? .read : []
        }
    }

    /// How often the system had no descriptor or memory for a connection since the last call.
    public func takeExhaustions() -> UInt64 {
        defer { exhaustions = 0 }
        return exhaustions
    }

    /// Lets nobody connect any more, and takes those who have: they believe to be connected, may have sent a request already, and
    /// would be reset with the listener. Call it before letting the listener go.
    public func finish() {
        resume?.cancel()
        watch?.interest = []
        if case .unix(let path) = address, let identity, Self.identity(of: path) == identity {
            // From now on a connect finds no socket, which tells a proxy to try another one.
            _ = unsafe unlink(path)
        }
        while true {
            let code = sluice_socket_accept(descriptor)
            if code >= 0 {
                onAccept(code)
            } else if code != -ECONNABORTED, code != -EINTR, code != -EPROTO {
                return
            }
        }
    }

    /// Which file stands at a path; nil for none. A process that took the path over has put its own there.
    private static func identity(of path: String) -> UInt64? {
        var status = stat()
        guard unsafe lstat(path, &status) == 0 else { return nil }
        return UInt64(status.st_ino)
    }

    private func accept() {
        for _ in 0..<acceptsPerTurnMax {
            let code = sluice_socket_accept(descriptor)
            if code >= 0 {
                onAccept(code)
                if !isAccepting { return }
                continue
            }
            switch -code {
            case EMFILE, ENFILE, ENOMEM, ENOBUFS:
                exhaustions += 1
                watch?.interest = []
                resume?.arm(afterMilliseconds: 100)
                return
            case ECONNABORTED, EINTR, EPROTO: continue
            default: return
            }
        }
    }
}
