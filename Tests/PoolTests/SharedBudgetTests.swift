import Pool
import Testing

@Suite struct SharedBudgetTests {
    private let second: UInt64 = 1_000_000_000

    /// What each gets in ten seconds who asks every so many milliseconds, from the second second on.
    private func granted(perSecond: Int, everyMilliseconds: [Int64: UInt64]) -> [Int64: Int] {
        var budget = SharedBudget(perSecond: perSecond)
        var counts: [Int64: Int] = [:]
        for millisecond in 0..<11_000 as Range<UInt64> {
            let now = 100 * second + millisecond * 1_000_000
            for (asker, every) in everyMilliseconds.sorted(by: { $0.key < $1.key }) where millisecond % every == 0 {
                guard budget.take(for: asker, nowNanoseconds: now) == .granted, millisecond >= 1_000 else { continue }
                counts[asker, default: 0] += 1
            }
        }
        return counts
    }

    @Test func `one alone gets all of it`() {
        let counts = granted(perSecond: 100, everyMilliseconds: [1: 1])
        #expect((995...1_010).contains(counts[1] ?? 0), "\(counts)")
    }

    @Test func `those who take all they get are given the same`() {
        let counts = granted(perSecond: 90, everyMilliseconds: [1: 1, 2: 1, 3: 1])
        #expect(counts.values.allSatisfy { (290...310).contains($0) }, "\(counts)")
    }

    @Test func `who asks for less than his part is never turned away`() {
        let counts = granted(perSecond: 100, everyMilliseconds: [1: 1, 2: 50])
        #expect(counts[2] == 200, "\(counts)")
        #expect((490...600).contains(counts[1] ?? 0), "\(counts)")
    }

    @Test func `a newcomer is served although another has used all of it, and the rate is held`() {
        var budget = SharedBudget(perSecond: 10)
        let start = 100 * second
        var sum = 0
        for millisecond in 0..<10_000 as Range<UInt64> {
            let now = start + millisecond * 1_000_000
            if budget.take(for: 1, nowNanoseconds: now) == .granted { sum += 1 }
            // Another one each time.
            guard millisecond % 2_500 == 100 else { continue }
            #expect(budget.take(for: 2 + Int64(millisecond), nowNanoseconds: now) == .granted)
            sum += 1
        }
        #expect((60...103).contains(sum), "\(sum)")
    }

    @Test func `it says whose fault it is`() {
        var budget = SharedBudget(perSecond: 10)
        let now = 100 * second
        #expect(budget.take(for: 1, nowNanoseconds: now) == .granted)
        #expect(budget.take(for: 1, nowNanoseconds: now) == .overShare)
        #expect(budget.take(for: 2, nowNanoseconds: now) == .granted)
        #expect(budget.askers == 2)
        // Ours come through for as long as there is credit, and after them nobody's does.
        let own = (0..<100).reduce(0) { count, _ in count + (budget.take(for: nil, nowNanoseconds: now) == .granted ? 1 : 0) }
        #expect((8...10).contains(own))
        #expect(budget.take(for: 1, nowNanoseconds: now + second / 2) == .usedUp)
        var none = SharedBudget(perSecond: 0)
        #expect(none.take(for: nil, nowNanoseconds: now) == .usedUp && none.take(for: 1, nowNanoseconds: now) == .usedUp)
    }

    @Test func `who has not asked for a second leaves his part to the others`() {
        var budget = SharedBudget(perSecond: 10)
        _ = budget.take(for: 2, nowNanoseconds: 100 * second)
        _ = budget.take(for: 1, nowNanoseconds: 100 * second)
        #expect(budget.askers == 2)
        _ = budget.take(for: 1, nowNanoseconds: 101 * second + 1)
        #expect(budget.askers == 1)
    }
}
