/// The parameters of a query string, `name=value` between `&`, without copying.
///
/// The request parser has already checked that every escape has two hexadecimal digits.
public struct QueryParameters: Sendable {
    /// One parameter, still encoded.
    public struct Parameter: Equatable, Sendable {
        public var name: ByteRange
        /// Empty also for a name without `=`.
        public var value: ByteRange
    }

    private var index: Int
    private let end: Int

    /// The parameters of the query at `query` of the buffer that `next` is given.
    public init(_ query: ByteRange) {
        index = Int(query.start)
        end = query.end
    }

    /// The next parameter. Empty ones (`a=1&&b=2`) are skipped.
    public mutating func next(in bytes: Span<UInt8>) -> Parameter? {
        while index < end {
            let start = index
            var equals = -1
            while index < end, bytes[index] != UInt8(ascii: "&") {
                if equals < 0, bytes[index] == UInt8(ascii: "=") { equals = index }
                index += 1
            }
            let stop = index
            index += 1
            guard stop > start else { continue }
            guard equals >= 0 else { return Parameter(name: ByteRange(start, stop), value: ByteRange(stop, stop)) }
            return Parameter(name: ByteRange(start, equals), value: ByteRange(equals + 1, stop))
        }
        return nil
    }

    /// What a query says about one parameter.
    public enum Lookup: Equatable, Sendable {
        case absent
        /// The value, still encoded.
        case found(ByteRange)
        /// The parameter comes more than once; which one counts is not ours to guess.
        case repeated
    }

    /// Looks for the parameter `name` in the query at `query`. Names are compared as they were sent: the names of this
    /// API need no escapes, so an escaped one is an unknown one.
    public static func find(_ name: StaticString, in bytes: Span<UInt8>, query: ByteRange) -> Lookup {
        var parameters = QueryParameters(query)
        var result = Lookup.absent
        while let parameter = parameters.next(in: bytes) {
            guard bytes[parameter.name].equals(name) else { continue }
            if result != .absent { return .repeated }
            result = .found(parameter.value)
        }
        return result
    }
}

/// Percent-decoding into a buffer of the caller.
public enum PercentEncoding {
    /// Decodes a query name or value: escapes to bytes and `+` to a space, as forms and nearly all clients encode.
    ///
    /// The result may be any bytes, also control bytes and broken UTF-8; the reader of the parameter judges that.
    ///
    /// - Returns: the number of bytes written, nil when an escape is broken or `output` is too small.
    public static func decodeQuery(_ input: Span<UInt8>, into output: inout MutableSpan<UInt8>) -> Int? {
        var written = 0
        var index = 0
        while index < input.count {
            guard written < output.count else { return nil }
            var byte = input[index]
            index += 1
            if byte == UInt8(ascii: "%") {
                guard let decoded = escape(input, at: index) else { return nil }
                byte = decoded
                index += 2
            } else if byte == UInt8(ascii: "+") {
                byte = ASCII.space
            }
            output[written] = byte
            written += 1
        }
        return written
    }

    /// The byte that the two digits at `index` spell.
    static func escape(_ input: Span<UInt8>, at index: Int) -> UInt8? {
        guard index + 1 < input.count, let high = ASCII.hexValue(input[index]), let low = ASCII.hexValue(input[index + 1])
        else { return nil }
        return high << 4 | low
    }
}
