internal import Bytes
public import Ledger

extension OperationID {
    /// From exactly 32 lowercase hexadecimal digits; nil for anything else.
    public init?(hex text: Span<UInt8>) {
        guard let (high, low) = words(text) else { return nil }
        self.init(high: high, low: low)
    }
}

extension Fingerprint {
    /// From exactly 32 lowercase hexadecimal digits; nil for anything else.
    public init?(hex text: Span<UInt8>) {
        guard let (high, low) = words(text) else { return nil }
        self.init(high: high, low: low)
    }
}

private func words(_ text: Span<UInt8>) -> (high: UInt64, low: UInt64)? {
    guard text.count == 32, let high = Hex.word(text.extracting(0..<16)), let low = Hex.word(text.extracting(16..<32)) else { return nil }
    return (high, low)
}

extension [UInt8] {
    /// Appends 32 lowercase hexadecimal digits.
    public mutating func append(_ id: OperationID) {
        append(hex: id.high)
        append(hex: id.low)
    }

    /// Appends 32 lowercase hexadecimal digits.
    public mutating func append(_ fingerprint: Fingerprint) {
        append(hex: fingerprint.high)
        append(hex: fingerprint.low)
    }
}
