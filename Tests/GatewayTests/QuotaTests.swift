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

    // MARK: Several processes

    /// Each tells the others what it has let through, a tenth of a second late.
    @Test(arguments: [1, 2, 5], [20, 1_000, 20_000])
    func `processes that tell each other give a tenant one quota between them`(processCount: Int, perSecond: Int) {
        let quotas = (0..<processCount).map { _ in TenantQuotas("writes", perSecond: perSecond) }
        var loops = quotas.map { [TenantLeases($0), TenantLeases($0)] }
        var untold = quotas.map { _ in [(tenant: TenantID, count: Int)]() }
        var granted: [Int] = []
        for step in 0..<100 {
            let now = Self.start + UInt64(step) * Self.second / 10
            for (listener, quota) in quotas.enumerated() {
                for speaker in untold.indices where speaker != listener {
                    for (tenant, count) in untold[speaker] { quota.spentElsewhere(tenant, count: count, nowNanoseconds: now) }
                }
            }
            for index in loops.indices {
                granted.append(Self.granted(perSecond, &loops[index], at: now))
                untold[index] = quotas[index].takeUntold(countMax: 10, nowNanoseconds: now)
            }
        }
        // At the first instant nobody knows of the others; what that gave too much is made up for, but for what is beyond a second's worth.
        let all = granted.reduce(0, +)
        let slack = processCount * (2 * quotas[0].leaseCount + perSecond / 10 + 1)
        #expect(all >= 10 * perSecond - slack, "\(all)")
        #expect(all <= 11 * perSecond + (processCount - 1) * perSecond + slack, "\(all)")
    }

    @Test func `what others have spent is counted here, for a second at most`() {
        let quotas = TenantQuotas("writes", perSecond: 1_000)
        var loops = [TenantLeases(quotas)]
        quotas.spentElsewhere(TenantID(1), count: 700, nowNanoseconds: Self.start)
        #expect(Self.granted(2_000, &loops, at: Self.start) == 300)
        // However much it was.
        quotas.spentElsewhere(TenantID(1), count: 1_000_000_000, nowNanoseconds: Self.start)
        #expect(Self.granted(2_000, &loops, at: Self.start + Self.second) == 0)
        #expect(Self.granted(2_000, &loops, at: Self.start + 2 * Self.second) == 1_000)
        #expect(Self.granted(2_000, &loops, tenant: 2, at: Self.start) == 1_000)
    }

    @Test func `only what was used is told, and once`() {
        let quotas = TenantQuotas("writes", perSecond: 5_000)
        var leases = TenantLeases(quotas)
        let areFirst = (0..<3).map { _ in leases.take(TenantID(1), nowNanoseconds: Self.start) }
        #expect(!areFirst.contains(false))
        #expect(quotas.takeUntold(countMax: 10, nowNanoseconds: Self.start).map(\.count) == [quotas.leaseCount])
        #expect(quotas.takeUntold(countMax: 10, nowNanoseconds: Self.start).isEmpty)
        leases.forgetIdle()
        leases.forgetIdle()
        // Seven of the lease of ten came back: they are not told when they are taken again.
        let areTaken = (0..<7).map { _ in leases.take(TenantID(1), nowNanoseconds: Self.start) }
        #expect(!areTaken.contains(false))
        #expect(quotas.takeUntold(countMax: 10, nowNanoseconds: Self.start).map(\.count) == [quotas.leaseCount - 7])
    }

    @Test func `a message between gateways can be read, whatever it is`() {
        func read(_ text: String, sender: UInt64 = 7) -> [[Int64]] {
            let bytes: [UInt8] = Array(text.utf8)
            var found: [[Int64]] = []
            SpentRequests.decode(bytes.span, sender: sender) { found.append([$0.rawValue, Int64($1), Int64($2)]) }
            return found
        }
        var message: [UInt8] = []
        SpentRequests.encode(sender: 0xabc, writes: [], reads: [], to: &message)
        #expect(message.isEmpty)
        SpentRequests.encode(sender: 0xabc, writes: [(TenantID(3), 40)], reads: [(TenantID(3), 9), (TenantID(11), 1)], to: &message)
        #expect(text(message) == "0000000000000abc 3:40:0 3:0:9 11:0:1")
        #expect(read(text(message)) == [[3, 40, 0], [3, 0, 9], [11, 0, 1]])
        #expect(read(text(message), sender: 0xabc).isEmpty)
        let other = "0000000000000abc "
        for bad in [
            "", "x", other, other + ":", other + "1:2", other + "1:2:3:4", other + "-1:2:3", other + "1:2:9999999999999999999", other + " ",
        ] {
            #expect(read(bad).isEmpty, "\(bad)")
        }
        #expect(read(other + "1:2:3 x") == [[1, 2, 3]])
    }
}
