internal import CSystem

/// Whom a connection is from, as far as that can be counted: an IPv4 address, the /64 of an IPv6 address (whoever has one address of
/// it has them all), or this machine, for a Unix socket.
public struct PeerAddress: Hashable, Sendable {
    let high: UInt64
    let low: UInt64

    /// The other end of a Unix socket. Also of a connection that is gone already, whose end will show when it is read.
    public static let thisMachine = PeerAddress(high: 0, low: 0)

    /// An IPv4 address, as the number it is.
    public init(ipv4 address: UInt32) { self.init(high: 0, low: 0xffff << 32 | UInt64(address)) }

    /// An IPv6 address's first 64 bits.
    public init(ipv6Network network: UInt64) { self.init(high: network, low: 0) }

    private init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }

    /// From 16 bytes as IPv6 has them, IPv4 mapped into them (RFC 4291 section 2.5.5.2).
    init(bytes: Span<UInt8>) {
        precondition(bytes.count == 16)
        var words: (UInt64, UInt64) = (0, 0)
        for index in 0..<8 {
            words.0 = words.0 << 8 | UInt64(bytes[index])
            words.1 = words.1 << 8 | UInt64(bytes[index + 8])
        }
        let isMapped = words.0 == 0 && words.1 >> 32 == 0xffff
        self = isMapped ? PeerAddress(high: 0, low: words.1) : PeerAddress(ipv6Network: words.0)
    }
}

extension Descriptors {
    /// Whom a connected socket leads to.
    public static func peer(of descriptor: CInt) -> PeerAddress {
        var bytes: [16 of UInt8] = .init(repeating: 0)
        var span = bytes.mutableSpan
        let code = unsafe span.withUnsafeMutableBufferPointer { buffer in unsafe sluice_socket_peer(descriptor, buffer.baseAddress!) }
        return code == 0 ? PeerAddress(bytes: span.span) : .thisMachine
    }
}
