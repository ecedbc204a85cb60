/// The segments of a path, the parts between slashes, without copying: `/v1/accounts/` has `v1`, `accounts` and an
/// empty one. A route that ends in no slash thus refuses one that does by itself.
public struct PathSegments: Sendable {
    /// Where the next segment starts; beyond `end` when there is none.
    private var index: Int
    private let end: Int

    /// The segments of the path at `path` of the buffer that `next` is given. An empty path has none.
    public init(_ path: ByteRange) {
        index = Int(path.start) + 1
        end = path.isEmpty ? 0 : path.end
    }

    /// The next segment, still encoded; nil after the last one.
    public mutating func next(in bytes: Span<UInt8>) -> ByteRange? {
        guard index <= end else { return nil }
        let start = index
        while index < end, bytes[index] != UInt8(ascii: "/") { index += 1 }
        defer { index += 1 }
        return ByteRange(start, index)
    }

    /// Decodes a segment that a client may have over-encoded, as `encodeURIComponent` does with `:`.
    ///
    /// Only escapes of bytes that could have stood in a segment as they are (RFC 3986 `pchar`) are decoded; those of `/`,
    /// `%`, spaces, control bytes and anything from 0x80 on are refused, and so are the segments `.` and `..` in any
    /// spelling: proxies on the way normalise them away, so what they name depends on who reads them.
    ///
    /// - Returns: the number of bytes written, nil when the segment is refused or `output` is too small.
    public static func decode(_ segment: Span<UInt8>, into output: inout MutableSpan<UInt8>) -> Int? {
        var written = 0
        var index = 0
        while index < segment.count {
            guard written < output.count else { return nil }
            var byte = segment[index]
            index += 1
            if byte == UInt8(ascii: "%") {
                guard let decoded = PercentEncoding.escape(segment, at: index) else { return nil }
                byte = decoded
                index += 2
            }
            guard ByteSet.segment.contains(byte) else { return nil }
            output[written] = byte
            written += 1
        }
        let decoded = output.span
        let isDots = written > 0 && written <= 2 && decoded[0] == UInt8(ascii: ".") && decoded[written - 1] == UInt8(ascii: ".")
        return isDots ? nil : written
    }
}
