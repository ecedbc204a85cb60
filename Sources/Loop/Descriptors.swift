internal import Bytes
internal import CSystem
internal import Glibc

/// What a read or write on a socket came to. Would-block is a value; a descriptor that is not open is a bug.
public enum TransferResult: Equatable, Sendable {
    case transferred(Int)
    case wouldBlock
    /// The peer closed its side (reads only).
    case ended
    /// The connection is gone; an errno.
    case failed(CInt)
}

/// The system calls on sockets that loops make; nothing else in Sluice makes them.
public enum Descriptors {
    public static func close(_ descriptor: CInt) {
        let code = Glibc.close(descriptor)
        precondition(code == 0 || errno != EBADF, "a descriptor was closed twice")
    }

    /// Appends at most `limit` bytes that wait on the socket to `buffer`.
    public static func receive(_ descriptor: CInt, into buffer: inout [UInt8], limit: Int) -> TransferResult {
        var result = TransferResult.wouldBlock
        let start = buffer.count
        buffer.append(addingCapacity: limit) { output in
            unsafe output.withUnsafeMutableBufferPointer { memory, count in
                let code = unsafe sluice_socket_receive(descriptor, memory.baseAddress! + count, limit)
                result = interpret(code, endsAtZero: true)
                if case .transferred(let received) = result { count += received }
            }
        }
        precondition(buffer.count >= start)
        return result
    }

    /// Receives into memory the caller owns.
    public static func receive(_ descriptor: CInt, into memory: UnsafeMutableRawBufferPointer) -> TransferResult {
        guard let address = memory.baseAddress else { return .wouldBlock }
        return unsafe interpret(sluice_socket_receive(descriptor, address, memory.count), endsAtZero: true)
    }

    /// Sends as many of the bytes as the socket takes now.
    public static func send(_ descriptor: CInt, _ bytes: Span<UInt8>) -> TransferResult {
        unsafe bytes.withUnsafeBufferPointer { buffer in
            guard let address = buffer.baseAddress else { return .transferred(0) }
            return unsafe interpret(sluice_socket_send(descriptor, address, buffer.count), endsAtZero: false)
        }
    }

    /// Tells the peer that no more will be sent; reading goes on. A peer that is gone already shows at the next read.
    public static func shutDownWriting(_ descriptor: CInt) { _ = Glibc.shutdown(descriptor, CInt(SHUT_WR)) }

    /// Begins a non-blocking connect. The descriptor turns writable when it is done; `connectError` tells how it went.
    public static func connect(to address: SocketAddress) throws(SocketError) -> CInt {
        var descriptor: CInt = -1
        let code =
            switch address {
            case .tcp(let host, let port): unsafe sluice_socket_connect_tcp(host, port, &descriptor)
            case .unix(let path): unsafe sluice_socket_connect_unix(path, &descriptor)
            }
        guard code == 0 else { throw SocketError(address: address, code: -code) }
        return descriptor
    }

    /// 0 when a connect that was in progress has succeeded, else its errno.
    public static func connectError(_ descriptor: CInt) -> CInt { sluice_socket_error(descriptor) }

    private static func interpret(_ code: Int, endsAtZero: Bool) -> TransferResult {
        if code > 0 { return .transferred(code) }
        if code == 0 { return endsAtZero ? .ended : .transferred(0) }
        let number = CInt(-code)
        if number == EAGAIN || number == EINTR { return .wouldBlock }
        precondition(number != EBADF && number != ENOTSOCK, "a descriptor that is not an open socket was used")
        return .failed(number)
    }
}
