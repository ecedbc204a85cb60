import Pool
import Testing

@Suite struct TokenBucketTests {
    private func granted(_ bucket: inout TokenBucket, from start: UInt64, milliseconds: UInt64) -> Int {
        (0..<milliseconds * 10).reduce(0) { count, tick in count + (bucket.take(nowNanoseconds: start + tick * 100_000) ? 1 : 0) }
    }

    @Test(arguments: [1, 10, 100, 2_500]) func `over time the rate is held`(perSecond: Int) {
        var bucket = TokenBucket(perSecond: perSecond)
        let count = granted(&bucket, from: 1_000_000_000_000, milliseconds: 4_000)
        let burst = max(1, perSecond / 10)
        #expect(count >= 4 * perSecond && count <= 4 * perSecond + burst)
    }

    @Test func `a pause allows a tenth of a second's worth at once, and no more`() {
        var bucket = TokenBucket(perSecond: 100)
        for start in [10_000_000_000, 20_000_000_000, 3_600_000_000_000] as [UInt64] {
            let count = (0..<1_000).reduce(0) { count, _ in count + (bucket.take(nowNanoseconds: start) ? 1 : 0) }
            #expect(count == 10)
        }
    }

    @Test func `a rate of none grants nothing`() {
        var bucket = TokenBucket(perSecond: 0)
        #expect(granted(&bucket, from: 0, milliseconds: 2_000) == 0)
    }
}
