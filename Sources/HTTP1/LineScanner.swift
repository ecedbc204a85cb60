/// Finds the end of a line that may still be arriving.
///
/// Every verdict depends on the first offending byte only, never on how many bytes came with it; that is what
/// makes the parser answer alike for a request that arrives whole, byte by byte or split anywhere.
enum LineScan {
    /// The content ends at `end`; CR and LF are at `end` and `end + 1`.
    case line(end: Int)
    /// Go on at offset `from` when there are more bytes.
    case incomplete(from: Int)

    /// - Parameters:
    ///   - start: where to look on; everything before was scanned by an earlier call.
    ///   - limit: the offset that content must not reach.
    ///   - tooLong: the refusal for content at or beyond `limit`.
    @inline(__always)
    static func scan(_ bytes: Span<UInt8>, from start: Int, limit: Int, tooLong: Refusal) throws(Refusal) -> LineScan {
        let stop = min(bytes.count, limit)
        var index = start
        while true {
            index = index < stop ? bytes.firstControl(from: index, to: stop) : index
            guard index < bytes.count else { return .incomplete(from: index) }
            switch bytes[index] {
            case ASCII.carriageReturn:
                guard index + 1 < bytes.count else { return .incomplete(from: index) }
                guard bytes[index + 1] == ASCII.lineFeed else { throw .bareCarriageReturn }
                return .line(end: index)
            case _ where index >= limit: throw tooLong
            case ASCII.tab: index += 1
            case ASCII.lineFeed: throw .bareLineFeed
            default: throw .controlByte
            }
        }
    }
}
