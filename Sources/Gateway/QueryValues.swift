internal import Bytes
internal import HTTP1
internal import Wire

/// The parameters of queries, as a set.
struct QueryNames: OptionSet {
    let rawValue: UInt8

    static let limit = QueryNames(rawValue: 1)
    static let cursor = QueryNames(rawValue: 2)
    static let reference = QueryNames(rawValue: 4)
    static let wait = QueryNames(rawValue: 8)
    static let minRevision = QueryNames(rawValue: 16)

    init(rawValue: UInt8) { self.rawValue = rawValue }

    /// Nil for a name that no resource knows.
    init?(_ name: Span<UInt8>) {
        if name.equals("limit") {
            self = .limit
        } else if name.equals("cursor") {
            self = .cursor
        } else if name.equals("reference") {
            self = .reference
        } else if name.equals("wait") {
            self = .wait
        } else if name.equals("min_revision") {
            self = .minRevision
        } else {
            return nil
        }
    }

    /// The name of the one parameter in the set.
    var name: String {
        switch self {
        case .limit: "limit"
        case .cursor: "cursor"
        case .reference: "reference"
        case .wait: "wait"
        default: "min_revision"
        }
    }
}

/// What a query asks for, checked. A parameter that is unknown to the resource, repeated or out of range is refused:
/// one that is passed over in silence gives a wrong page to whoever mistyped it.
struct QueryValues {
    /// Rows of the page.
    var limit: Int
    var cursor: ByteRange?
    /// Still percent-encoded.
    var reference: ByteRange?
    /// 0 to `Limits.waitSecondsMax`.
    var waitSeconds = 0
    /// 0 when the client asks for none.
    var minRevision: Int64 = 0

    init(_ query: ByteRange, in bytes: Span<UInt8>, allowed: QueryNames, limits: borrowing GatewayLimits) throws(Problem) {
        limit = limits.pageRowsDefault
        var parameters = QueryParameters(query)
        var seen: QueryNames = []
        while let parameter = parameters.next(in: bytes) {
            guard let name = QueryNames(bytes[parameter.name]), allowed.contains(name) else {
                throw Problem(.invalidParameter, detail: "the query has a parameter that is not known here")
            }
            guard seen.insert(name).inserted else { throw Problem(.invalidParameter, detail: "`\(name.name)` appears more than once") }
            try take(name, parameter.value, bytes, limits)
        }
    }

    private mutating func take(
        _ name: QueryNames, _ value: ByteRange, _ bytes: Span<UInt8>, _ limits: borrowing GatewayLimits
    ) throws(Problem) {
        switch name {
        case .limit: limit = Int(try Self.integer(name, bytes[value], 1...Int64(limits.pageRowsMax)))
        case .wait: waitSeconds = Int(try Self.integer(name, bytes[value], 0...Int64(Limits.waitSecondsMax)))
        case .minRevision: minRevision = try Self.integer(name, bytes[value], 0...9_007_199_254_740_991)
        case .cursor: cursor = value
        default: reference = value
        }
    }

    private static func integer(_ name: QueryNames, _ text: Span<UInt8>, _ range: ClosedRange<Int64>) throws(Problem) -> Int64 {
        var value: Int64 = 0
        var isValid = text.count >= 1 && text.count <= 16
        for index in 0..<text.count where isValid {
            let digit = text[index] &- UInt8(ascii: "0")
            isValid = digit <= 9
            value = value * 10 + Int64(digit)
        }
        guard isValid, range.contains(value) else {
            throw Problem(.invalidParameter, detail: "`\(name.name)` must be \(range.lowerBound) to \(range.upperBound)")
        }
        return value
    }
}

/// Texts from the path and the query, decoded.
enum Decoded {
    /// Decodes a path's segment into `bytes`; false when it can be no account's id.
    static func account(_ segment: Span<UInt8>, into bytes: inout [UInt8]) -> Bool {
        bytes.removeAll(keepingCapacity: true)
        // Each byte may be escaped as three.
        guard segment.count <= 3 * 64 else { return false }
        bytes.append(segment)
        var output = bytes.mutableSpan
        guard let count = PathSegments.decode(segment, into: &output) else { return false }
        bytes.removeLast(bytes.count - count)
        return true
    }

    /// A reference: 1 to 128 bytes of UTF-8 without control characters, as payments carry it.
    static func reference(_ value: Span<UInt8>) throws(Problem) -> String {
        let problem = Problem(
            .invalidParameter, detail: "`reference` must be 1 to \(Limits.referenceBytesMax) bytes of UTF-8 without control characters")
        var bytes: [UInt8] = []
        bytes.append(value)
        var output = bytes.mutableSpan
        guard let count = PercentEncoding.decodeQuery(value, into: &output), (1...Limits.referenceBytesMax).contains(count) else {
            throw problem
        }
        bytes.removeLast(bytes.count - count)
        guard let text = String(validating: bytes, as: UTF8.self),
            text.unicodeScalars.allSatisfy({ $0.properties.generalCategory != .control })
        else { throw problem }
        return text
    }
}
