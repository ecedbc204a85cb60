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

/// How many requests a second each tenant may make: as many, and after a quiet second as many at once.
///
/// Shared by the loops, which take leases of 2 ms' worth, so that a loop comes by here seldom, and a tenant's requests are counted alike
/// whichever loops its connections have met. What other processes have let through is told by `SpentRequests` and counts as well.
final class TenantQuotas: Sendable {
    private struct Tenant {
        /// Up to when its time is used, monotonic nanoseconds.
        var usedUpTo: UInt64 = 0
        /// Requests let through here that other processes were not told of. Below 0 when more was given back than taken since.
        var untold = 0
    }

    private static let second: UInt64 = 1_000_000_000
    let policy: QuotaPolicy
    /// What a loop takes at once: it may keep it for later, so a tenant may exceed its quota by that much for each loop.
    let leaseCount: Int
    private let nanosecondsPerRequest: UInt64
    /// No more entries than tenants.
    private let tenants = Locked<[TenantID: Tenant]>([:])

    init(_ name: StaticString, perSecond: Int) {
        precondition((1...1_000_000_000).contains(perSecond))
        policy = QuotaPolicy(name: name, perSecond: perSecond)
        leaseCount = max(1, perSecond / 500)
        nanosecondsPerRequest = Self.second / UInt64(perSecond)
    }

    /// Takes up to a lease; at least `least`, or nothing.
    ///
    /// - Parameter nowNanoseconds: monotonic.
    func lease(_ tenant: TenantID, least: Int, nowNanoseconds now: UInt64) -> Int {
        tenants.withLock { table in
            var entry = table[tenant] ?? Tenant()
            let start = max(entry.usedUpTo, now > Self.second ? now - Self.second : 0)
            let available = now > start ? Int((now - start) / nanosecondsPerRequest) : 0
            guard available >= least else { return 0 }
            let taken = min(available, max(least, leaseCount))
            entry.usedUpTo = start + UInt64(taken) * nanosecondsPerRequest
            entry.untold += taken
            table[tenant] = entry
            return taken
        }
    }

    /// What is left of a lease.
    func giveBack(_ tenant: TenantID, count: Int) {
        guard count > 0 else { return }
        tenants.withLock { table in
            guard var entry = table[tenant] else { return }
            let time = UInt64(count) * nanosecondsPerRequest
            entry.usedUpTo = entry.usedUpTo > time ? entry.usedUpTo - time : 0
            entry.untold -= count
            table[tenant] = entry
        }
    }

    // MARK: Other processes

    /// The requests let through since the last call, by tenant; forgets tenants that have been quiet for long.
    ///
    /// - Parameter countMax: tenants at most; the others are told of by the next call.
    func takeUntold(countMax: Int, nowNanoseconds now: UInt64) -> [(tenant: TenantID, count: Int)] {
        tenants.withLock { table in
            var told: [(tenant: TenantID, count: Int)] = []
            var quiet: [TenantID] = []
            for (tenant, entry) in table {
                if entry.untold > 0, told.count < countMax {
                    told.append((tenant, entry.untold))
                } else if entry.untold <= 0, entry.usedUpTo + 2 * Self.second < now {
                    quiet.append(tenant)
                }
            }
            for (tenant, _) in told { table[tenant]?.untold = 0 }
            for tenant in quiet { table[tenant] = nil }
            return told
        }
    }

    /// Another process has let requests of a tenant through.
    ///
    /// What is beyond a second's worth is passed over: what came late, or from a process with another quota, keeps nobody out for longer.
    func spentElsewhere(_ tenant: TenantID, count: Int, nowNanoseconds now: UInt64) {
        guard count > 0 else { return }
        tenants.withLock { table in
            var entry = table[tenant] ?? Tenant()
            let start = max(entry.usedUpTo, now > Self.second ? now - Self.second : 0)
            let time = UInt64(min(count, policy.perSecond * 2)) * nanosecondsPerRequest
            entry.usedUpTo = max(entry.usedUpTo, min(start + time, now + Self.second))
            table[tenant] = entry
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
        for (tenant, lease) in leases where !lease.isUsed { quotas.giveBack(tenant, count: lease.left) }
        leases = leases.filter(\.value.isUsed).mapValues { Lease(left: $0.left, isUsed: false) }
    }
}
