/// A run of bytes inside a receive buffer, counted from the first byte of its request.
///
/// Parsers answer with ranges so that nothing is copied and nothing is allocated; a range means something
/// only together with the buffer that was parsed.
public struct ByteRange: Equatable, Sendable {
    /// Offset of the first byte.
    public var start: UInt32
    /// Length in bytes.
    public var count: UInt32

    public static let empty = ByteRange(0, 0)

    /// The offset after the last byte.
    @inlinable public var end: Int { Int(start) + Int(count) }
    @inlinable public var isEmpty: Bool { count == 0 }

    /// The bytes from offset `start` up to, not including, `end`.
    @inlinable public init(_ start: Int, _ end: Int) {
        self.start = UInt32(truncatingIfNeeded: start)
        self.count = UInt32(truncatingIfNeeded: end - start)
    }
}

extension Span where Element == UInt8 {
    /// The bytes of `range`. A range that reaches outside is a bug of the caller and stops the process.
    @inlinable
    public subscript(_ range: ByteRange) -> Span<UInt8> {
        @_lifetime(copy self)
        get { extracting(Int(range.start)..<range.end) }
    }
}
