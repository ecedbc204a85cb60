internal import Store

/// Which accounts somebody reads, as far as Redis has told: only of those a body is worth its writing.
///
/// Accounts share bits: one that is taken for another costs a body that nobody reads, and one that is not known costs its readers a miss.
struct ReadAccounts {
    /// 2^20 bits in each of two generations: 256 KiB in all.
    private static let wordsCount = 1 << 14
    /// What is not seen again for one or two of these is forgotten. A body lives as long when nothing renews it.
    private static let generationNanoseconds = UInt64(CacheLifetime.bodyMilliseconds) * 1_000_000

    private var young = [UInt64](repeating: 0, count: wordsCount)
    private var old = [UInt64](repeating: 0, count: wordsCount)
    private var turnedAt: UInt64 = 0

    func contains(_ number: Int64) -> Bool {
        let (word, bit) = Self.place(number)
        return (young[word] | old[word]) & bit != 0
    }

    mutating func insert(_ number: Int64) {
        let (word, bit) = Self.place(number)
        young[word] |= bit
    }

    /// Forgets the old generation once it is due.
    mutating func turn(atNanoseconds now: UInt64) {
        guard now - turnedAt > Self.generationNanoseconds else { return }
        turnedAt = now
        swap(&young, &old)
        for word in young.indices { young[word] = 0 }
    }

    private static func place(_ number: Int64) -> (word: Int, bit: UInt64) {
        let place = UInt64(bitPattern: number) & UInt64(64 * wordsCount - 1)
        return (Int(place >> 6), 1 << (place & 63))
    }
}
