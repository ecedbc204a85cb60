public import Redis

/// The functions that keep Redis from going back in time (`infra/redis/sluice.lua`).
public enum RedisFunctions {
    /// What the functions' names begin with. The number is the file's version, in the name of the library too: what another build loads
    /// replaces nothing of this one's. It rises with every change of the file, to which `RedisFunctionsTests` holds it.
    public static let prefix: StaticString = "sluice_3_"

    /// A function's whole name.
    public static func name(_ function: String) -> String { "\(prefix)\(function)" }

    /// `sluice.lua`.
    public static var source: String { String(decoding: PackageResources.sluice_lua, as: UTF8.self) }

    /// Loads the library; run on each new connection, safe to repeat: what it replaces is the same.
    public static let setUp: [[String]] = [["FUNCTION", "LOAD", "REPLACE", source]]

    /// The worker's write after a commit: accounts of one tenant, each with its revision, and a body where somebody is known to read it.
    ///
    /// The reply has a bit for each, the lowest first: set where a body stood there, of whatever revision.
    public static func encodePutAll(_ values: borrowing ValueList, lifetimeMilliseconds: Int, into command: inout CommandBuffer) {
        begin("put_all", values, furtherCount: 2, &command)
        command.append(decimal: Int64(lifetimeMilliseconds))
        command.append(decimal: Int64(CacheLifetime.floorMilliseconds))
    }

    /// Bodies of accounts whose revision `encodePutAll` wrote without one: each is stored where that floor still stands.
    public static func encodeCompleteAll(_ values: borrowing ValueList, lifetimeMilliseconds: Int, into command: inout CommandBuffer) {
        begin("complete_all", values, furtherCount: 1, &command)
        command.append(decimal: Int64(lifetimeMilliseconds))
    }

    /// What the owner publishes of payments that it has just decided.
    public static func encodeFillAll(_ values: borrowing ValueList, lifetimeMilliseconds: Int, into command: inout CommandBuffer) {
        begin("fill_all", values, furtherCount: 1, &command)
        command.append(decimal: Int64(lifetimeMilliseconds))
    }

    /// A call with keys, and a revision and a body for each; so many arguments follow.
    private static func begin(
        _ function: StaticString, _ values: borrowing ValueList, furtherCount: Int, _ command: inout CommandBuffer
    ) {
        command.begin(argumentCount: 3 + 3 * values.count + furtherCount)
        command.append("FCALL")
        command.append(prefix, function)
        values.append(to: &command)
    }

    /// The worker's write of a payment that changed: the body is there for whoever reads next, whatever stood there before.
    public static func encodeReplace(
        key: Span<UInt8>, revision: Int64, body: Span<UInt8>, lifetimeMilliseconds: Int, into command: inout CommandBuffer
    ) {
        command.begin(argumentCount: 7)
        command.append("FCALL")
        command.append(prefix, "replace")
        command.append("1")
        command.append(key)
        command.append(decimal: revision)
        command.append(body)
        command.append(decimal: Int64(lifetimeMilliseconds))
    }

    /// Takes away the marker of a command that was not produced, unless another attempt was accepted since.
    public static func encodeUnmark(key: Span<UInt8>, into command: inout CommandBuffer) {
        command.begin(argumentCount: 5)
        command.append("FCALL")
        command.append(prefix, "unmark")
        command.append("1")
        command.append(key)
        command.append(decimal: Int64(CacheLifetime.markerMilliseconds))
    }

    /// A reader's fill after a miss: refused without a good lease of the partition, and when the snapshot may be older than the lease.
    ///
    /// - Parameters:
    ///   - lease: the key of the partition's lease.
    ///   - ageMilliseconds: how old the snapshot that the body was read from may be.
    public static func encodeFill(
        key: Span<UInt8>, lease: Span<UInt8>, revision: Int64, body: Span<UInt8>, lifetimeMilliseconds: Int, ageMilliseconds: Int,
        into command: inout CommandBuffer
    ) {
        command.begin(argumentCount: 9)
        command.append("FCALL")
        command.append(prefix, "fill")
        command.append("2")
        command.append(key)
        command.append(lease)
        command.append(decimal: revision)
        command.append(body)
        command.append(decimal: Int64(lifetimeMilliseconds))
        command.append(decimal: Int64(ageMilliseconds))
    }

    // MARK: Leases

    /// The worker's word that everything which it has committed in a partition is in Redis.
    ///
    /// The reply is how often the lease was renewed, or a `LeaseRefusal`.
    /// - Parameter confirmed: the last such reply under this epoch; 0 for none.
    public static func encodeRenew(lease: Span<UInt8>, epoch: Int64, confirmed: Int64, into command: inout CommandBuffer) {
        command.begin(argumentCount: 7)
        command.append("FCALL")
        command.append(prefix, "renew")
        command.append("1")
        command.append(lease)
        command.append(decimal: epoch)
        command.append(decimal: Int64(CacheLifetime.leaseMilliseconds))
        command.append(decimal: confirmed)
    }

    /// For how many milliseconds the leases of some partitions are still good: the reply is an array of integers, in their order.
    public static func encodeFresh(partitions: [Int32], into command: inout CommandBuffer) {
        command.begin(argumentCount: 3 + partitions.count)
        command.append("FCALL_RO")
        command.append(prefix, "fresh")
        command.append(decimal: Int64(partitions.count))
        var key: [UInt8] = []
        for partition in partitions {
            key.removeAll(keepingCapacity: true)
            CacheKey.appendLease(ofPartition: partition, to: &key)
            command.append(key.span)
        }
    }
}

/// Why a lease was not renewed.
public enum LeaseRefusal: Int64, Sendable {
    /// A later owner of the partition has written it.
    case superseded = -1
    /// Redis does not know of renewals that it had confirmed: it came back with what it held at an earlier time.
    case forgotten = -2
    /// Redis holds what was vouched for in an earlier line of the ledger's history, and some of that may be of commits that are lost.
    case otherLine = -3
}
