internal import Bytes

/// An API key: `sk_`, 16 hexadecimal digits that find it, `_`, and 43 base64url characters that prove it.
///
/// It has no `description`: it is shown once, to the person it is made for, through `text`.
public struct APIKey: Sendable {
    public static let bytes = 63

    /// What is stored, logged and shown of it.
    public let publicID: UInt64
    public let text: String

    /// A new key. The generator must be cryptographically secure (`SystemRandomNumberGenerator`).
    public static func make(using generator: inout some RandomNumberGenerator) -> APIKey {
        let publicID: UInt64 = generator.next()
        var secret: [UInt8] = []
        for _ in 0..<4 { secret.append(bigEndian: generator.next() as UInt64) }
        var bytes: [UInt8] = []
        bytes.append("sk_")
        bytes.append(hex: publicID)
        bytes.append(UInt8(ascii: "_"))
        bytes.append(text: Base64URL.text(secret.span))
        return APIKey(publicID: publicID, text: String(decoding: bytes, as: UTF8.self))
    }

    /// The public id of what has a key's form; nil for anything else. Says nothing about whether such a key exists.
    public static func publicID(of key: Span<UInt8>) -> UInt64? {
        guard key.count == bytes, key.extracting(0..<3).equals("sk_"), key[19] == UInt8(ascii: "_"),
            let publicID = Hex.word(key.extracting(3..<19)), Base64URL.bytes(key.extracting(20..<bytes)) != nil
        else { return nil }
        return publicID
    }
}
