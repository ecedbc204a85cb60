internal import Glibc
internal import Loop

extension SubmitTarget {
    /// Reads `http://HOST[:PORT][/PREFIX]` and looks the host's name up, which blocks.
    public static func resolve(_ url: String) throws(OperateError) -> SubmitTarget {
        guard url.hasPrefix("http://") else {
            throw .refused("'\(url)' is not allowed: use http://HOST:PORT; for https put a proxy on this machine in between")
        }
        let rest = url.dropFirst("http://".count)
        let authority = rest.prefix { $0 != "/" }
        var prefix = rest[authority.endIndex...]
        while prefix.hasSuffix("/") { prefix = prefix.dropLast() }
        guard let (host, port) = split(authority), prefix.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F && $0 != UInt8(ascii: "?") }) else {
            throw .refused("'\(url)' is not allowed: use http://HOST:PORT")
        }
        guard let address = numeric(host) else { throw .refused("the host `\(host)` is not known") }
        return SubmitTarget(address: .tcp(address: address, port: port), host: String(authority), pathPrefix: String(prefix))
    }

    private static func split(_ authority: Substring) -> (host: String, port: UInt16)? {
        var host = authority
        var port: UInt16 = 80
        if let colon = authority.lastIndex(of: ":"), !authority[colon...].contains("]") {
            guard let number = UInt16(authority[authority.index(after: colon)...]), number > 0 else { return nil }
            port = number
            host = authority[..<colon]
        }
        if host.hasPrefix("["), host.hasSuffix("]") { host = host.dropFirst().dropLast() }
        let isPlain = host.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F && $0 != UInt8(ascii: "@") }
        return host.isEmpty || !isPlain ? nil : (String(host), port)
    }

    /// The first address of a name, in digits.
    private static func numeric(_ host: String) -> String? {
        var hints = unsafe addrinfo()
        unsafe hints.ai_socktype = CInt(SOCK_STREAM.rawValue)
        var list: UnsafeMutablePointer<addrinfo>?
        guard unsafe getaddrinfo(host, nil, &hints, &list) == 0, let first = unsafe list else { return nil }
        defer { unsafe freeaddrinfo(first) }
        var text = [CChar](repeating: 0, count: Int(NI_MAXHOST))
        let code = unsafe getnameinfo(
            first.pointee.ai_addr, first.pointee.ai_addrlen, &text, socklen_t(text.count), nil, 0, NI_NUMERICHOST)
        guard code == 0 else { return nil }
        return String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}
