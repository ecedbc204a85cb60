import Ledger
import Testing

@testable import Gateway

@Suite struct QuotaTests {
    private static let second: UInt64 = 1_000_000_000
    private static let start: UInt64 = 50 * second

    /// How many of `wanted` requests are let through, spread over loops in turn.
    private static func granted(_ wanted: Int, _ loops: inout [TenantLeases], tenant: Int64 = 1, at now: UInt64) -> Int {
        (0..<wanted).reduce(0) { $0 + (loops[$1 % loops.count].take(TenantID(tenant), nowNanoseconds: now) ? 1 : 0) }
    }

    @Test(arguments: [1, 2, 8], [1, 100, 1_000, 20_000])
    func `a tenant gets its quota and no more, however many loops its connections are on`(loopCount: Int, perSecond: Int) {
        let quotas = TenantQuotas("writes", perSecond: perSecond)
        var loops = (0..<loopCount).map { _ in TenantLeases(quotas) }
        // After a quiet second: a second's worth at once.
        let first = Self.granted(3 * perSecond + 100, &loops, at: Self.start)
        #expect(first == perSecond)
        // Then as many as the time gives, within the leases that loops keep.
        var total = 0
        for step in 1...200 { total += Self.granted(perSecond / 50 + loopCount, &loops, at: Self.start + UInt64(step) * Self.second / 100) }
        let slack = loopCount * quotas.leaseCount
        #expect(total <= 2 * perSecond)
        #expect(total >= 2 * perSecond - slack)
    }

    @Test func `a tenant beyond its quota takes nothing from another`() {
        let quotas = TenantQuotas("reads", perSecond: 500)
        var loops = [TenantLeases(quotas), TenantLeases(quotas)]
        #expect(Self.granted(10_000, &loops, tenant: 1, at: Self.start) == 500)
        #expect(Self.granted(10_000, &loops, tenant: 1, at: Self.start) == 0)
        #expect(Self.granted(400, &loops, tenant: 2, at: Self.start) == 400)
    }

    @Test func `requests that come together are counted together, or not at all`() {
        let quotas = TenantQuotas("writes", perSecond: 1_000)
        var leases = TenantLeases(quotas)
        let batch = [600, 600, 400].map { leases.take(TenantID(1), count: $0, nowNanoseconds: Self.start) }
        #expect(batch == [true, false, true])
    }

    @Test func `leases of tenants that have gone quiet are forgotten`() {
        let quotas = TenantQuotas("writes", perSecond: 100)
        var leases = TenantLeases(quotas)
        for tenant in 1...50 { _ = leases.take(TenantID(Int64(tenant)), nowNanoseconds: Self.start) }
        #expect(leases.count == 50)
        leases.forgetIdle()
        _ = leases.take(TenantID(7), nowNanoseconds: Self.start)
        leases.forgetIdle()
        #expect(leases.count == 1)
    }

    @Test func `a client is told its quota as the draft writes it`() {
        var output: [UInt8] = []
        TenantQuotas("writes", perSecond: 20_000).policy.append(remaining: 0, to: &output)
        #expect(text(output) == "RateLimit-Policy: \"writes\";q=20000;w=1\r\nRateLimit: \"writes\";r=0;t=1\r\n")
    }
}
