public import Loop

/// Where the API is.
public struct LoadTarget: Sendable, Equatable {
    /// How the connections are enciphered.
    public struct Security: Sendable, Equatable {
        /// A PEM file with the authorities that are trusted; nil: the system's.
        public var authorities: String?
        /// Whether the server's certificate is checked.
        public var isVerified = true
        /// Whom the certificate must be for.
        public var name: String

        public init(name: String) { self.name = name }
    }

    /// Connections are spread over them in turn.
    public let addresses: [SocketAddress]
    /// The field `Host`.
    public var host: String
    /// What stands before `/v1`; without a slash at its end.
    public let pathPrefix: String
    /// Nil for connections in the clear.
    public var security: Security?

    /// Unix sockets, one at least.
    public init(unixPaths: [String]) { self.init(addresses: unixPaths.map { .unix(path: $0) }, host: "localhost") }

    public init(addresses: [SocketAddress], host: String) {
        precondition(!addresses.isEmpty)
        self.addresses = addresses
        self.host = host
        pathPrefix = ""
    }

    /// Reads `http://ADDRESS[:PORT][/PREFIX]` or `https:` with a numeric address or `localhost`: a name's look-up is no part
    /// of what is measured. Several that differ in the address alone are separated by commas. Nil for anything else.
    public init?(url: String) {
        let targets = url.split(separator: ",", omittingEmptySubsequences: false).map { LoadTarget(one: String($0)) }
        guard let first = targets.first, let first, targets.allSatisfy({ $0?.isAlike(first) == true }) else { return nil }
        addresses = targets.compactMap { $0?.addresses.first }
        host = first.host
        pathPrefix = first.pathPrefix
        security = first.security
    }

    private init?(one url: String) {
        let isSecure = url.hasPrefix("https://")
        guard isSecure || url.hasPrefix("http://") else { return nil }
        let rest = url.dropFirst(isSecure ? "https://".count : "http://".count)
        let authority = String(rest.prefix { $0 != "/" })
        var prefix = rest.dropFirst(authority.count)
        while prefix.hasSuffix("/") { prefix = prefix.dropLast() }
        guard authority.utf8.allSatisfy(Self.isPlain), prefix.utf8.allSatisfy(Self.isPlain) else { return nil }
        let hasPort = authority.last != "]" && authority.contains(":")
        guard let address = SocketAddress(hasPort ? authority : authority + (isSecure ? ":443" : ":80")), case .tcp(let name, _) = address
        else { return nil }
        addresses = [address]
        host = authority
        pathPrefix = String(prefix)
        // `localhost` was made an address, and certificates are for the name.
        if isSecure { security = Security(name: authority.hasPrefix("localhost") ? "localhost" : name) }
    }

    private func isAlike(_ other: LoadTarget) -> Bool {
        pathPrefix == other.pathPrefix && (security == nil) == (other.security == nil)
    }

    private static func isPlain(_ byte: UInt8) -> Bool {
        byte > 0x20 && byte < 0x7F && byte != UInt8(ascii: "?") && byte != UInt8(ascii: "#") && byte != UInt8(ascii: "@")
    }
}
