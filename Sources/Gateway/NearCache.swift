internal import Bytes

/// A loop's own copies of values that Redis answered, so that a hot one is not asked for again. No I/O and no clock.
///
/// An entry is good until Redis says that its key has changed, and never for longer than `ageMillisecondsMax`, counted from when the
/// value was asked for: who loses the word of a change shows the old value for that long and no longer.
///
/// A placeholder stands before each question. A word of a change removes it, so that the reply to a question asked before the change
/// is not kept, in whichever order the two come in (they come over two connections).
///
/// Memory is fixed: keys and bodies stand one after the other in a ring of bytes, the oldest is overwritten first (entries do not live
/// long enough for another order to matter), and the table in front of it is made once.
struct NearCache {
    /// A value that was found. Good until the next call that changes the cache.
    struct Hit: Equatable {
        let revision: Int64
        /// Where the body stands in `bytes`.
        let body: Range<Int>
    }

    /// Names a question that was announced by `expect`; nothing is kept without.
    struct Ticket: Equatable {
        fileprivate let number: UInt64
        static let none = Ticket(number: 0)
    }

    private struct Entry {
        /// 0 when it never held anything.
        var hash: UInt64 = 0
        /// Where it stands in the ring, counted from the first byte ever written.
        var start: UInt64 = 0
        var keyCount: UInt32 = 0
        var bodyCount: UInt32 = 0
        var revision: Int64 = 0
        var askedMilliseconds: UInt64 = 0
        /// The question whose reply is awaited; 0 for a value.
        var ticket: UInt64 = 0
        var isEmpty: Bool { hash == 0 }
    }

    static let bytesMin = 64 * 1024
    private static let ways = 8

    let ageMillisecondsMax: UInt64
    /// What the entries' bodies are ranges of.
    private(set) var bytes: [UInt8] = []
    private let capacity: Int
    private var entries: [Entry]
    private let setMask: UInt64
    private var written: UInt64 = 0
    private var lastTicket: UInt64 = 0
    private let seed = UInt64.random(in: 0...UInt64.max)

    /// - Parameter bytesMax: of the ring and its table together; `bytesMin` at least.
    init(bytesMax: Int, ageMillisecondsMax: UInt64) {
        precondition(bytesMax >= Self.bytesMin && bytesMax <= 1 << 32)
        self.ageMillisecondsMax = ageMillisecondsMax
        // An entry for each 512 bytes: a balance with its key takes about 300, a page some thousands.
        var sets = 16
        while sets * 2 * Self.ways * (512 + MemoryLayout<Entry>.stride) <= bytesMax { sets *= 2 }
        entries = Array(repeating: Entry(), count: sets * Self.ways)
        setMask = UInt64(sets - 1)
        capacity = bytesMax - entries.count * MemoryLayout<Entry>.stride
        // The memory is used as it fills: a gateway without traffic does not have it.
        bytes.reserveCapacity(capacity)
    }

    /// What the cache may hold and what it costs, bytes.
    var bytesReserved: Int { bytes.capacity + entries.count * MemoryLayout<Entry>.stride }

    // MARK: Reading

    /// The value of a key, if there is one that is young enough.
    func find(_ key: Span<UInt8>, nowMilliseconds now: UInt64) -> Hit? {
        let hash = hash(key)
        let first = firstEntry(hash)
        for index in first..<(first + Self.ways) where entries[index].hash == hash {
            let entry = entries[index]
            guard entry.ticket == 0, now < entry.askedMilliseconds + ageMillisecondsMax, isWhole(entry) else { return nil }
            let start = Int(entry.start % UInt64(capacity))
            let end = start + Int(entry.keyCount)
            guard bytes.span.extracting(start..<end).equals(key) else { return nil }
            return Hit(revision: entry.revision, body: end..<(end + Int(entry.bodyCount)))
        }
        return nil
    }

    // MARK: Filling

    /// Announces that a key is about to be asked for. `.none` when another question about it is under way.
    mutating func expect(_ key: Span<UInt8>, nowMilliseconds now: UInt64) -> Ticket {
        let hash = hash(key)
        let index = place(for: hash, now)
        if entries[index].hash == hash, entries[index].ticket != 0, now < entries[index].askedMilliseconds + ageMillisecondsMax {
            return .none
        }
        lastTicket += 1
        entries[index] = Entry(hash: hash, askedMilliseconds: now, ticket: lastTicket)
        return Ticket(number: lastTicket)
    }

    /// Keeps the reply to a question, unless its key has changed since, or the question took too long.
    mutating func keep(_ ticket: Ticket, _ key: Span<UInt8>, revision: Int64, body: Span<UInt8>, nowMilliseconds now: UInt64) {
        guard ticket != .none, let index = awaiting(ticket, hash(key)) else { return }
        let count = key.count + body.count
        // A value that takes more than its share would push out many others.
        guard now < entries[index].askedMilliseconds + ageMillisecondsMax, count <= capacity / 16 else {
            entries[index] = Entry()
            return
        }
        entries[index].start = append(key, body)
        entries[index].keyCount = UInt32(key.count)
        entries[index].bodyCount = UInt32(body.count)
        entries[index].revision = revision
        entries[index].ticket = 0
    }

    /// Whether a question is under way whose key has not changed since.
    func awaits(_ ticket: Ticket, _ key: Span<UInt8>) -> Bool { ticket != .none && awaiting(ticket, hash(key)) != nil }

    /// The question was not answered with a value.
    mutating func forget(_ ticket: Ticket, _ key: Span<UInt8>) {
        guard ticket != .none, let index = awaiting(ticket, hash(key)) else { return }
        entries[index] = Entry()
    }

    // MARK: Forgetting

    /// The key has changed: its value, and what is on its way, is old.
    mutating func invalidate(_ key: Span<UInt8>) {
        let hash = hash(key)
        let first = firstEntry(hash)
        for index in first..<(first + Self.ways) where entries[index].hash == hash { entries[index] = Entry() }
    }

    mutating func removeAll() {
        for index in entries.indices { entries[index] = Entry() }
    }

    // MARK: The table

    private func hash(_ key: Span<UInt8>) -> UInt64 {
        // Seeded: who chooses account ids cannot choose which of them push each other out.
        var hasher = Hasher()
        hasher.combine(seed)
        unsafe key.withUnsafeBytes { bytes in unsafe hasher.combine(bytes: bytes) }
        return UInt64(bitPattern: Int64(hasher.finalize())) | 1
    }

    private func firstEntry(_ hash: UInt64) -> Int { Int((hash >> 1) & setMask) * Self.ways }

    private func awaiting(_ ticket: Ticket, _ hash: UInt64) -> Int? {
        let first = firstEntry(hash)
        for index in first..<(first + Self.ways) where entries[index].ticket == ticket.number && entries[index].hash == hash {
            return index
        }
        return nil
    }

    /// The entry of a key, else one that holds nothing any more, else the oldest of its set.
    private func place(for hash: UInt64, _ now: UInt64) -> Int {
        let first = firstEntry(hash)
        var oldest = first
        for index in first..<(first + Self.ways) {
            if entries[index].hash == hash { return index }
            if entries[index].askedMilliseconds < entries[oldest].askedMilliseconds { oldest = index }
        }
        // What holds nothing has no time and is the oldest of all.
        return oldest
    }

    private func isWhole(_ entry: Entry) -> Bool { entry.start + UInt64(capacity) >= written }

    /// Writes into the ring, never around its end. Returns where.
    private mutating func append(_ key: Span<UInt8>, _ body: Span<UInt8>) -> UInt64 {
        let count = key.count + body.count
        var offset = Int(written % UInt64(capacity))
        if offset + count > capacity {
            // The rest of the ring stays unused until the next round.
            if bytes.count < capacity { bytes.append(contentsOf: repeatElement(0, count: capacity - bytes.count)) }
            written += UInt64(capacity - offset)
            offset = 0
        }
        let start = written
        put(key, at: offset)
        put(body, at: offset + key.count)
        written += UInt64(count)
        return start
    }

    private mutating func put(_ part: Span<UInt8>, at offset: Int) {
        guard offset < bytes.count else {
            bytes.append(part)
            return
        }
        precondition(offset + part.count <= bytes.count)
        unsafe part.withUnsafeBufferPointer { source in
            unsafe bytes.withUnsafeMutableBufferPointer { target in
                guard let from = source.baseAddress else { return }
                unsafe (target.baseAddress! + offset).update(from: from, count: source.count)
            }
        }
    }
}
