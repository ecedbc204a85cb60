/// Base64 with the URL-safe alphabet and no padding (RFC 4648 section 5).
public enum Base64URL {
    private static let alphabet: [UInt8] = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".utf8)

    public static func text(_ bytes: Span<UInt8>) -> String {
        var result: [UInt8] = []
        result.reserveCapacity((bytes.count * 4 + 2) / 3)
        var held: UInt32 = 0
        var heldBits = 0
        for index in 0..<bytes.count {
            held = held << 8 | UInt32(bytes[index])
            heldBits += 8
            while heldBits >= 6 {
                heldBits -= 6
                result.append(alphabet[Int(held >> UInt32(heldBits)) & 63])
            }
        }
        if heldBits > 0 { result.append(alphabet[Int(held << UInt32(6 - heldBits)) & 63]) }
        return String(decoding: result, as: UTF8.self)
    }

    /// The bytes a text stands for; nil for a character outside the alphabet, a length that no byte count
    /// has, or leftover bits that are not zero (two texts must never mean the same bytes).
    public static func bytes(_ text: Span<UInt8>) -> [UInt8]? {
        guard text.count % 4 != 1 else { return nil }
        var result: [UInt8] = []
        result.reserveCapacity(text.count * 3 / 4)
        var held: UInt32 = 0
        var heldBits = 0
        for index in 0..<text.count {
            guard let value = value(text[index]) else { return nil }
            held = held << 6 | value
            heldBits += 6
            if heldBits >= 8 {
                heldBits -= 8
                result.append(UInt8(truncatingIfNeeded: held >> UInt32(heldBits)))
            }
        }
        guard held & (1 << UInt32(heldBits) - 1) == 0 else { return nil }
        return result
    }

    private static func value(_ character: UInt8) -> UInt32? {
        switch character {
        case UInt8(ascii: "A")...UInt8(ascii: "Z"): UInt32(character - UInt8(ascii: "A"))
        case UInt8(ascii: "a")...UInt8(ascii: "z"): UInt32(character - UInt8(ascii: "a")) + 26
        case UInt8(ascii: "0")...UInt8(ascii: "9"): UInt32(character - UInt8(ascii: "0")) + 52
        case UInt8(ascii: "-"): 62
        case UInt8(ascii: "_"): 63
        default: nil
        }
    }
}
