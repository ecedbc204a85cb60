import Testing

@testable import Kafka

@Suite struct InFlightTableTests {
    @Test func `the oldest is known whatever the order of answers`() {
        var table = InFlightTable(capacity: 10)
        let keys = (0..<5).map { table.insert(token: UInt64(100 + $0), nowNanoseconds: UInt64($0)) }
        #expect(table.oldestNanoseconds == 0)
        #expect(table.remove(keys[2]) == 102)
        #expect(table.oldestNanoseconds == 0)
        #expect(table.remove(keys[0]) == 100)
        #expect(table.oldestNanoseconds == 1)
        #expect(table.remove(keys[1]) == 101)
        #expect(table.oldestNanoseconds == 3)
        #expect(table.remove(keys[4]) == 104)
        #expect(table.remove(keys[3]) == 103)
        #expect(table.oldestNanoseconds == nil)
        #expect(table.count == 0)
    }

    @Test func `a second answer is noticed, also when the slot is used again`() {
        var table = InFlightTable(capacity: 1)
        let first = table.insert(token: 1, nowNanoseconds: 0)
        #expect(table.isFull)
        #expect(table.remove(first) == 1)
        #expect(table.remove(first) == nil)
        let second = table.insert(token: 2, nowNanoseconds: 0)
        #expect(table.remove(first) == nil)
        #expect(table.remove(second) == 2)
        #expect(table.remove(UInt64.max) == nil)
    }

    @Test func `it agrees with a plain list over many random steps`() {
        let seed = UInt64.random(in: 0...UInt64.max)
        print("in-flight table: seed \(seed)")
        var random = Steps(state: seed)
        var table = InFlightTable(capacity: 64)
        var model: [(key: UInt64, token: UInt64, time: UInt64)] = []
        for step in UInt64(0)..<20_000 {
            if !table.isFull, random.next() % 2 == 0 {
                model.append((table.insert(token: step, nowNanoseconds: step), step, step))
            } else if !model.isEmpty {
                let entry = model.remove(at: Int(random.next() % UInt64(model.count)))
                #expect(table.remove(entry.key) == entry.token)
            }
            #expect(table.count == model.count)
            #expect(table.oldestNanoseconds == model.first?.time)
            #expect(table.isFull == (model.count == 64))
        }
    }
}

/// splitmix64.
private struct Steps {
    var state: UInt64
    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}
