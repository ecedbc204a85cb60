internal import Bytes

/// A value in Redis: `REVISION` `\n` `BODY`.
///
/// Lives as long as the bytes it was read from.
public struct CacheValue: ~Escapable {
    public let revision: Int64
    /// Empty for a floor, `-` for a tombstone.
    public let body: Span<UInt8>

    /// What the value says.
    public enum Kind: Equatable, Sendable {
        /// A finished response body.
        case body
        /// Nothing below the revision may be shown; a miss.
        case floor
        /// There was no such account when this was stored.
        case tombstone
    }

    /// Nil when the bytes are no value of ours: treated as a miss, never shown.
    @_lifetime(copy bytes)
    public init?(_ bytes: Span<UInt8>) {
        var revision: Int64 = 0
        var index = 0
        while index < bytes.count, bytes[index] != UInt8(ascii: "\n") {
            let digit = bytes[index] &- UInt8(ascii: "0")
            guard digit <= 9, index < 16 else { return nil }
            revision = revision * 10 + Int64(digit)
            index += 1
        }
        guard index > 0, index < bytes.count else { return nil }
        self.revision = revision
        body = bytes.extracting((index + 1)...)
    }

    public var kind: Kind {
        if body.count == 0 { return .floor }
        return body.count == 1 && body[0] == UInt8(ascii: "-") ? .tombstone : .body
    }

    /// Appends a value.
    public static func append(revision: Int64, body: Span<UInt8>, to buffer: inout [UInt8]) {
        buffer.append(decimal: revision)
        buffer.append(UInt8(ascii: "\n"))
        buffer.append(body)
    }
}

/// How long values live in Redis. Coherence does not depend on these: they are the last net.
public enum CacheLifetime {
    /// An account's body, milliseconds; each write adds up to a tenth at random, so that they do not expire together.
    public static let bodyMilliseconds = 600_000
    /// A floor, milliseconds: longer than the largest replica lag that is served and the longest query together.
    public static let floorMilliseconds = 60_000
    /// A payment's body after its decision, milliseconds: until every replica that is served has it.
    public static let paymentMilliseconds = 60_000
    /// "No such account", milliseconds.
    public static let tombstoneMilliseconds = 2_000
    /// The marker before the log has acknowledged, milliseconds: just above the delivery time-out.
    public static let markerMilliseconds = 10_000
    /// The marker once the log has acknowledged, milliseconds: while the worker may be behind.
    public static let acceptedMarkerMilliseconds = 3_600_000
    /// A page of transactions, milliseconds.
    public static let pageMilliseconds = 60_000
    /// A copy in a gateway's process, milliseconds, from when Redis was asked for it. The loss of the connection that tells of changes
    /// is silent: this is how long such a copy can outlive its change.
    public static let nearMilliseconds: UInt64 = 1_000
    /// How long a worker's word that Redis has everything is good, milliseconds.
    public static let leaseMilliseconds = 1_000
    /// How often it is given, milliseconds.
    public static let leaseRenewalMilliseconds = 200
}
