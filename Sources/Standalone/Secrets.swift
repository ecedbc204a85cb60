import Bytes
import Foundation

/// The passwords of one system, made once and kept in `secrets/passwords.json`, readable by its owner.
struct Secrets: Sendable, Equatable, Codable {
    var superuser: String
    var replication: String
    /// Of the roles `sluice`, which migrate and operators connect as, `sluice_worker` and `sluice_gateway`.
    var application: String

    /// 128 random bits each.
    static func generate() -> Secrets {
        Secrets(superuser: password(), replication: password(), application: password())
    }

    /// The kept ones, or new ones that are then kept.
    static func load(_ layout: Layout) throws(StandaloneError) -> Secrets {
        let path = layout.secrets + "/passwords.json"
        if let text = SystemCall.readFile(path) {
            guard let kept = try? JSONDecoder().decode(Secrets.self, from: Data(text.utf8)) else {
                throw .brokenSetup("\(path) cannot be read: restore it, or start afresh with another data folder")
            }
            return kept
        }
        let made = generate()
        try SystemCall.writeFile(path, JSONText.encode(made), mode: 0o600)
        return made
    }

    /// libpq's password file: host:port:database:user:password. It refuses one that others can read.
    var passwordFile: String {
        "*:*:*:postgres:\(superuser)\n*:*:*:sluice_replication:\(replication)\n*:*:*:sluice:\(application)\n"
            + "*:*:*:sluice_gateway:\(application)\n*:*:*:sluice_worker:\(application)\n"
    }

    /// Of a user of Redis: drawn from the application's, so that a data folder from before there were users has them too.
    func redis(_ user: RedisUser) -> String { String(Self.digest("redis.\(user.rawValue).\(application)").prefix(32)) }

    /// SHA-256 in hexadecimal digits, as Redis keeps a password.
    static func digest(_ text: String) -> String {
        let bytes: [UInt8] = Array(text.utf8)
        var digest: [UInt8] = []
        SHA256().hash(of: bytes.span).append(to: &digest)
        return Hex.text(digest.span)
    }

    private static func password() -> String {
        var generator = SystemRandomNumberGenerator()
        let digits = Array("0123456789abcdef")
        return String((0..<32).map { _ in digits[Int.random(in: 0..<16, using: &generator)] })
    }
}
