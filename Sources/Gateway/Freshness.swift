internal import Store

/// Until when the accounts of each partition may be believed as Redis has them: what the leases of the workers said. No I/O, no clock.
///
/// A worker renews the lease of a partition while everything it has committed there is in Redis. Without a good one Redis may lack
/// changes: the worker died between a commit and its publication, Redis was frozen, restarted or cut off. Then what Redis has counts
/// as the least that exists, and a database is asked.
struct Freshness {
    /// By partition: monotonic milliseconds, counted from when the lease was asked for, so that the answer's way only shortens it.
    private var goodUntil: [UInt64] = []
    private(set) var partitions: [Int32] = []
    /// Partitions have small numbers; one beyond this has no lease.
    private static let partitionsMax: Int32 = 4_096

    /// The partitions of the tenants that are known here: only their leases are asked for.
    mutating func watch(_ wanted: some Sequence<Int32>) {
        partitions = Set(wanted.filter { (0..<Self.partitionsMax).contains($0) }).sorted()
        let count = Int(partitions.last ?? -1) + 1
        if goodUntil.count < count { goodUntil.append(contentsOf: repeatElement(0, count: count - goodUntil.count)) }
    }

    /// For how many milliseconds, from when it was asked for, the lease of a partition is good.
    mutating func learn(_ partition: Int32, leftMilliseconds: Int64, askedMilliseconds: UInt64) {
        guard goodUntil.indices.contains(Int(partition)) else { return }
        let left = min(leftMilliseconds, Int64(CacheLifetime.leaseMilliseconds))
        goodUntil[Int(partition)] = askedMilliseconds + UInt64(max(0, left))
    }

    /// The connection is lost: the next one may be to a server that knows less.
    mutating func forgetAll() {
        for index in goodUntil.indices { goodUntil[index] = 0 }
    }

    func isGood(_ partition: Int32, nowMilliseconds now: UInt64) -> Bool {
        goodUntil.indices.contains(Int(partition)) && now < goodUntil[Int(partition)]
    }
}
