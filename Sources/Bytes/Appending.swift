/// A buffer is an array of bytes that its owner keeps and lends as `inout`: emptied with
/// `removeAll(keepingCapacity: true)` it allocates nothing after warm-up.
extension [UInt8] {
    /// Appends text known at compile time.
    @inlinable
    public mutating func append(_ text: StaticString) {
        precondition(text.hasPointerRepresentation)
        unsafe append(contentsOf: UnsafeBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
    }

    /// Appends the UTF-8 of a string.
    @inlinable
    public mutating func append(text: String) {
        append(contentsOf: text.utf8)
    }

    /// Appends borrowed bytes.
    @inlinable
    public mutating func append(_ bytes: Span<UInt8>) {
        unsafe bytes.withUnsafeBufferPointer { buffer in unsafe append(contentsOf: buffer) }
    }

    /// Appends an integer in decimal, without leading zeros.
    public mutating func append(decimal value: Int64) {
        if value < 0 { append(UInt8(ascii: "-")) }
        append(decimal: value.magnitude)
    }

    /// Appends an integer in decimal, without leading zeros.
    public mutating func append(decimal value: UInt64) {
        // Digits come last first. They are gathered on the stack: reversing a slice in place copies it to the heap.
        var digits = [20 of UInt8](repeating: 0)
        var start = 20
        var rest = value
        repeat {
            let (quotient, digit) = rest.quotientAndRemainder(dividingBy: 10)
            start -= 1
            digits[start] = UInt8(ascii: "0") + UInt8(digit)
            rest = quotient
        } while rest != 0
        append(digits.span.extracting(start..<20))
    }

    /// Appends an integer in decimal, padded with zeros to `width` digits.
    public mutating func append(decimal value: UInt64, width: Int) {
        var limit: UInt64 = 10
        for _ in 1..<width {
            if value < limit { append(UInt8(ascii: "0")) }
            limit = limit &* 10
        }
        append(decimal: value)
    }

    /// Appends 16 lowercase hexadecimal digits.
    public mutating func append(hex value: UInt64) {
        var digits = [16 of UInt8](repeating: 0)
        for index in 0..<16 { digits[index] = Hex.digit(UInt8(truncatingIfNeeded: value >> UInt64(60 - 4 * index)) & 15) }
        append(digits.span)
    }

    /// Appends 4 bytes, most significant first.
    public mutating func append(bigEndian value: UInt32) {
        for shift in stride(from: 24, through: 0, by: -8) { append(UInt8(truncatingIfNeeded: value >> UInt32(shift))) }
    }

    /// Appends 8 bytes, most significant first.
    public mutating func append(bigEndian value: UInt64) {
        for shift in stride(from: 56, through: 0, by: -8) { append(UInt8(truncatingIfNeeded: value >> UInt64(shift))) }
    }
}
