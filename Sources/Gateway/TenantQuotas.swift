internal import Bytes
internal import Ledger
internal import Telemetry

/// A quota as clients are told of it: the fields `RateLimit-Policy` and `RateLimit` of draft-ietf-httpapi-ratelimit-headers-10.
struct QuotaPolicy: Equatable, Sendable {
    /// Of what: `writes`.
    let name: StaticString
    let perSecond: Int

    static func == (left: QuotaPolicy, right: QuotaPolicy) -> Bool {
        left.perSecond == right.perSecond && "\(left.name)" == "\(right.name)"
    }

    /// Appends both fields.
    func append(remaining: Int, to output: inout [UInt8]) {
        output.append("RateLimit-Policy: \"")
        output.append(name)
        output.append("\";q=")
        output.append(decimal: UInt64(perSecond))
        output.append(";w=1\r\nRateLimit: \"")
        output.append(name)
        output.append("\";r=")
        output.append(decimal: UInt64(remaining))
        output.append(";t=1\r\n")
    }
}

/// How many requests a second each tenant may make of a process: as many, and after a quiet second as many at once.
///
/// Shared by the loops, which take leases of a hundredth of a second's worth, so that a loop comes by here seldom, and a tenant's
/// requests are counted alike whichever loops its connections have met.
final class TenantQuotas: Sendable {
    let policy: QuotaPolicy
    /// What a loop takes at once: it may keep it for later, so a tenant may exceed its quota by that much for each loop.
    let leaseCount: Int
    private let nanosecondsPerRequest: UInt64
    /// Up to when a tenant's time is used. No more entries than tenants.
    private let usedUpTo = Locked<[TenantID: UInt64]>([:])

    init(_ name: StaticString, perSecond: Int) {
        precondition((1...1_000_000_000).contains(perSecond))
        policy = QuotaPolicy(name: name, perSecond: perSecond)
        leaseCount = max(1, perSecond / 100)
        nanosecondsPerRequest = 1_000_000_000 / UInt64(perSecond)
    }

    /// Takes up to a lease; at least `least`, or nothing.
    ///
    /// - Parameter nowNanoseconds: monotonic.
    func lease(_ tenant: TenantID, least: Int, nowNanoseconds now: UInt64) -> Int {
        usedUpTo.withLock { table in
            let second: UInt64 = 1_000_000_000
            let start = max(table[tenant] ?? 0, now > second ? now - second : 0)
            let available = now > start ? Int((now - start) / nanosecondsPerRequest) : 0
            guard available >= least else { return 0 }
            let taken = min(available, max(least, leaseCount))
            table[tenant] = start + UInt64(taken) * nanosecondsPerRequest
            return taken
        }
    }
}

/// One loop's leases of a quota.
struct TenantLeases {
    private struct Lease {
        var left = 0
        var isUsed = true
    }

    private let quotas: TenantQuotas
    private var leases: [TenantID: Lease] = [:]

    init(_ quotas: TenantQuotas) { self.quotas = quotas }

    var count: Int { leases.count }

    /// Counts requests of a tenant. False, and none is counted, when they are beyond its quota.
    ///
    /// - Parameter now: looked at only when a lease is used up, one request in hundreds.
    mutating func take(_ tenant: TenantID, count: Int = 1, nowNanoseconds now: @autoclosure () -> UInt64) -> Bool {
        var lease = leases[tenant] ?? Lease()
        if lease.left < count { lease.left += quotas.lease(tenant, least: count - lease.left, nowNanoseconds: now()) }
        guard lease.left >= count else {
            leases[tenant] = lease
            return false
        }
        lease.left -= count
        lease.isUsed = true
        leases[tenant] = lease
        return true
    }

    /// Forgets the leases of tenants that asked for nothing since the last call.
    mutating func forgetIdle() {
        guard leases.contains(where: { !$0.value.isUsed }) else {
            for tenant in leases.keys { leases[tenant]?.isUsed = false }
            return
        }
        leases = leases.filter(\.value.isUsed).mapValues { Lease(left: $0.left, isUsed: false) }
    }
}
