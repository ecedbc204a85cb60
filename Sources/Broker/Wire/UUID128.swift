internal import Bytes

/// 128 random bits: a topic's id, and the cluster's.
struct UUID128: Hashable, Sendable {
    var high: UInt64
    var low: UInt64

    static let zero = UUID128(high: 0, low: 0)

    static func random() -> UUID128 {
        var generator = SystemRandomNumberGenerator()
        return UUID128(high: generator.next(), low: generator.next())
    }

    /// 32 lowercase hexadecimal digits.
    var hexadecimal: String {
        var text: [UInt8] = []
        text.append(hex: high)
        text.append(hex: low)
        return String(decoding: text, as: UTF8.self)
    }

    /// 22 characters of base64url, as Kafka writes its ids.
    var base64: String {
        let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".utf8)
        var text: [UInt8] = []
        for index in 0..<22 {
            // 6 bits from the top of the 128, the last group padded with zeros below.
            let bit = 122 - index * 6
            let value =
                bit >= 64
                ? high >> UInt64(bit - 64)
                : bit >= 0
                    ? (high << 1) << UInt64(63 - bit) | low >> UInt64(bit)
                    : low << UInt64(-bit)
            text.append(alphabet[Int(value & 63)])
        }
        return String(decoding: text, as: UTF8.self)
    }
}
