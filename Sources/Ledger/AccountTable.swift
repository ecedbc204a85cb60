/// The accounts a book holds in memory: found by key, reached by slot, bounded by `shrink`.
struct AccountTable {
    struct Slot {
        var account: Account
        /// The revision storage has; nil while the account exists only in the batch under way.
        var storedRevision: Int64?
        /// On the list of what the batch under way has to store.
        var isTouched = false
        /// When it was last asked for, counted in look-ups.
        var lastUse: UInt64 = 0
    }

    /// How many slots compete for each removal. The one used longest ago among eight taken at random is, for a table
    /// much larger than its hot part, almost never a hot one; and the cost of a removal has a bound.
    private static let candidatesMax = 8

    private(set) var slots: [Slot] = []
    private var indexes: [AccountKey: Int] = [:]
    private var uses: UInt64 = 0
    private var random: UInt64 = 1

    var count: Int { slots.count }

    /// Where an account stands: valid until the next `shrink`.
    func index(of key: AccountKey) -> Int? { indexes[key] }

    /// Where an account stands, counted as a use of it.
    mutating func use(_ key: AccountKey) -> Int? {
        guard let index = indexes[key] else { return nil }
        stamp(index)
        return index
    }

    /// Sets an account's state as storage has it.
    /// - Precondition: the batch under way has not changed it.
    mutating func learn(_ account: Account) {
        let slot = Slot(account: account, storedRevision: account.revision)
        if let index = indexes[account.key] {
            precondition(!slots[index].isTouched, "an account was learned anew while its change was not stored")
            slots[index] = slot
            stamp(index)
        } else {
            append(slot)
        }
    }

    /// Adds an account that storage does not have yet, touched from the start, and returns its slot.
    mutating func open(_ account: Account) -> Int {
        append(Slot(account: account, storedRevision: nil, isTouched: true))
        return slots.count - 1
    }

    /// Changes the account in a slot. True when it is the batch's first change to it: the caller lists it then.
    mutating func change<Result>(_ index: Int, _ body: (inout Account) -> Result) -> (result: Result, isFirst: Bool) {
        let isFirst = !slots[index].isTouched
        slots[index].isTouched = true
        return (body(&slots[index].account), isFirst)
    }

    /// The slot's account is stored as it stands.
    mutating func settle(_ index: Int) {
        slots[index].isTouched = false
        slots[index].storedRevision = slots[index].account.revision
    }

    /// Removes an account.
    mutating func forget(_ key: AccountKey) {
        if let index = indexes[key] { remove(at: index) }
    }

    /// Removes accounts, those used longest ago by preference, until at most `limit` are left. At most
    /// `candidatesMax` slots are looked at for each removal.
    mutating func shrink(to limit: Int) {
        while slots.count > limit {
            var oldest = nextRandomIndex()
            for _ in 1..<Self.candidatesMax {
                let other = nextRandomIndex()
                if slots[other].lastUse < slots[oldest].lastUse { oldest = other }
            }
            remove(at: oldest)
        }
    }

    /// The last slot moves into the gap: slots stay dense, and nothing else moves.
    private mutating func remove(at index: Int) {
        indexes[slots[index].account.key] = nil
        let last = slots.removeLast()
        guard index < slots.count else { return }
        indexes[last.account.key] = index
        slots[index] = last
    }

    private mutating func append(_ slot: Slot) {
        indexes[slot.account.key] = slots.count
        slots.append(slot)
        stamp(slots.count - 1)
    }

    private mutating func stamp(_ index: Int) {
        uses += 1
        slots[index].lastUse = uses
    }

    /// Knuth's linear congruential generator (MMIX), of which the high half is good. Which account is forgotten decides
    /// nothing but a later read, and a fixed start makes a failed test repeatable.
    private mutating func nextRandomIndex() -> Int {
        random = random &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        return Int((random >> 32) % UInt64(slots.count))
    }
}
