/// Lowercase hexadecimal.
public enum Hex {
    /// The digit of 0 to 15.
    @inlinable
    public static func digit(_ value: UInt8) -> UInt8 {
        value < 10 ? UInt8(ascii: "0") + value : UInt8(ascii: "a") + value - 10
    }

    /// The value of a digit; nil for anything but 0-9 and a-f (uppercase is refused: one spelling per id).
    @inlinable
    public static func value(_ digit: UInt8) -> UInt8? {
        switch digit {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): digit - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): digit - UInt8(ascii: "a") + 10
        default: nil
        }
    }

    /// The integer that exactly 16 digits spell; nil for anything else.
    public static func word(_ digits: Span<UInt8>) -> UInt64? {
        guard digits.count == 16 else { return nil }
        var result: UInt64 = 0
        for index in 0..<16 {
            guard let value = value(digits[index]) else { return nil }
            result = result << 4 | UInt64(value)
        }
        return result
    }

    public static func text(_ bytes: Span<UInt8>) -> String {
        var digits: [UInt8] = []
        digits.reserveCapacity(bytes.count * 2)
        for index in 0..<bytes.count {
            digits.append(digit(bytes[index] >> 4))
            digits.append(digit(bytes[index] & 15))
        }
        return String(decoding: digits, as: UTF8.self)
    }
}
