import Testing

@testable import Redis

@Suite struct InFlightRingTests {
    @Test func `replies take tokens in order, around the end of the ring`() {
        var ring = InFlightRing(capacity: 16)
        var next: UInt64 = 0
        var expected: UInt64 = 0
        for _ in 0..<10 {
            for _ in 0..<13 {
                ring.append(token: next, deadlineNanoseconds: next)
                next += 1
            }
            for _ in 0..<13 {
                #expect(ring.takeAnswered() == expected)
                expected += 1
            }
        }
        #expect(ring.count == 0)
        #expect(ring.firstDeadlineNanoseconds == nil)
    }

    @Test func `the late reply of a command given up on is no other command's`() {
        var ring = InFlightRing(capacity: 4)
        for token in 1...3 as ClosedRange<UInt64> { ring.append(token: token, deadlineNanoseconds: token * 10) }
        #expect(ring.takeLate(nowNanoseconds: 9) == nil)
        #expect(ring.takeLate(nowNanoseconds: 20) == 1)
        #expect(ring.takeLate(nowNanoseconds: 20) == 2)
        #expect(ring.takeLate(nowNanoseconds: 20) == nil)
        #expect(ring.firstDeadlineNanoseconds == 30)
        #expect(ring.count == 3)
        #expect(ring.takeAnswered() == nil)
        #expect(ring.takeAnswered() == nil)
        #expect(ring.takeAnswered() == 3)
    }

    @Test func `a lost connection gives back every token that was not answered`() {
        var ring = InFlightRing(capacity: 4)
        for token in 1...4 as ClosedRange<UInt64> { ring.append(token: token, deadlineNanoseconds: token) }
        #expect(ring.takeAnswered() == 1)
        #expect(ring.takeLate(nowNanoseconds: 2) == 2)
        #expect(ring.takeLost() == 3)
        #expect(ring.takeLost() == 4)
        #expect(ring.takeLost() == nil)
        #expect(ring.count == 0)
    }

    @Test func `a random history agrees with a plain list`() {
        var random = SystemRandomNumberGenerator()
        let seed = UInt64.random(in: 0...UInt64.max, using: &random)
        var state = seed
        func draw(_ bound: UInt64) -> UInt64 {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return (state >> 33) % bound
        }
        var ring = InFlightRing(capacity: 64)
        var list: [(token: UInt64, deadline: UInt64, late: Bool)] = []
        var now: UInt64 = 0
        for token in 0..<20_000 as Range<UInt64> {
            now += draw(3)
            if list.count < 64 {
                ring.append(token: token, deadlineNanoseconds: now + 20)
                list.append((token, now + 20, false))
            }
            if draw(2) == 0, !list.isEmpty {
                let first = list.removeFirst()
                #expect(ring.takeAnswered() == (first.late ? nil : first.token), "seed \(seed)")
            }
            if draw(4) == 0, let index = list.firstIndex(where: { !$0.late }), list[index].deadline <= now {
                list[index].late = true
                #expect(ring.takeLate(nowNanoseconds: now) == list[index].token, "seed \(seed)")
            }
            if draw(500) == 0 {
                for entry in list where !entry.late { #expect(ring.takeLost() == entry.token, "seed \(seed)") }
                #expect(ring.takeLost() == nil, "seed \(seed)")
                list.removeAll()
            }
            #expect(ring.count == list.count, "seed \(seed)")
        }
    }
}
