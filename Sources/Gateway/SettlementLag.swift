/// How long accepted commands wait for the ledger: the age of the oldest command of this gateway that the log has and the ledger has
/// not. No clock and no I/O.
///
/// Measured by marks: now and then an acknowledged command's place in the log is noted with the time, and crossed out once the
/// ledger's next offset is past it.
///
/// A command that gets a place which the ledger had passed before it was produced is in another log than the one that was applied: the
/// topic was made anew, or its disk lost what it had acknowledged. The worker would pass it over.
struct SettlementLag {
    private struct Mark {
        let offset: Int64
        let milliseconds: UInt64
    }

    /// The marks of one partition, in the order of the log.
    private struct Place {
        var marks: [Mark] = []
        /// Of the marks, milliseconds: doubled when they are all in use, so that a long wait is measured more coarsely in the same memory.
        var spacing = SettlementLag.spacingMilliseconds
    }

    /// How far the ledger was, and when that was learned.
    private struct Reach {
        let offset: Int64
        let milliseconds: UInt64
    }

    /// How far the ledger was seen to be in one log.
    private struct Progress {
        /// The log's incarnation.
        let log: String
        /// The last two, the later one first and further on.
        var reaches: [Reach]
        /// Whether a place was given behind what was applied. It stays so until the ledger is set on another log, or this process is started
        /// anew.
        var hasGoneBack = false
    }

    /// Marks of a partition at most.
    static let marksMax = 128
    private static let spacingMilliseconds: UInt64 = 100
    private var places: [Int32: Place] = [:]
    private var progress: [Int32: Progress] = [:]

    /// Whether there is anything to ask the ledger about.
    var isEmpty: Bool { places.isEmpty }

    /// The log has a command at that offset.
    ///
    /// - Returns: false when the ledger had passed the offset before the command was produced: it will never be decided.
    mutating func acknowledged(partition: Int32, offset: Int64, producedMilliseconds produced: UInt64, nowMilliseconds now: UInt64) -> Bool
    {
        guard offset >= 0 else { return true }
        if let reach = progress[partition]?.reaches.first(where: { $0.milliseconds < produced }), offset < reach.offset {
            progress[partition]?.hasGoneBack = true
            return false
        }
        mark(partition, offset, now)
        return true
    }

    private mutating func mark(_ partition: Int32, _ offset: Int64, _ now: UInt64) {
        var place = places[partition] ?? Place()
        if let last = place.marks.last, now < last.milliseconds + place.spacing || offset <= last.offset { return }
        if place.marks.count == Self.marksMax {
            place.marks = place.marks.indices.filter { $0 % 2 == 0 }.map { place.marks[$0] }
            place.spacing *= 2
        }
        place.marks.append(Mark(offset: offset, milliseconds: now))
        places[partition] = place
    }

    /// The ledger has everything of a partition below that offset.
    /// - Parameter log: the incarnation of the log that the offset counts in.
    mutating func applied(partition: Int32, nextOffset: Int64, ofLog log: String, nowMilliseconds now: UInt64) {
        note(partition, nextOffset, log, now)
        guard var place = places[partition] else { return }
        place.marks.removeAll { $0.offset < nextOffset }
        if place.marks.count < Self.marksMax / 4 { place.spacing = max(Self.spacingMilliseconds, place.spacing / 2) }
        places[partition] = place.marks.isEmpty ? nil : place
    }

    private mutating func note(_ partition: Int32, _ offset: Int64, _ log: String, _ now: UInt64) {
        let reach = Reach(offset: offset, milliseconds: now)
        guard var known = progress[partition], known.log == log else {
            progress[partition] = Progress(log: log, reaches: [reach])
            return
        }
        // Another replica may not have come as far; what was seen once stays true.
        guard let last = known.reaches.first, offset > last.offset else { return }
        known.reaches = [reach, last]
        progress[partition] = known
    }

    /// Whether commands of the partition are written where nobody decides them.
    func hasGoneBack(_ partition: Int32) -> Bool { progress[partition]?.hasGoneBack == true }

    var hasAnyGoneBack: Bool { progress.values.contains(where: \.hasGoneBack) }

    /// The age of the oldest command that waits; 0 when none is known to.
    func ageMilliseconds(ofPartition partition: Int32, nowMilliseconds now: UInt64) -> UInt64 {
        guard let first = places[partition]?.marks.first, now > first.milliseconds else { return 0 }
        return now - first.milliseconds
    }

    /// The same of the partition that is furthest behind.
    func oldestMilliseconds(nowMilliseconds now: UInt64) -> UInt64 {
        places.keys.reduce(0) { max($0, ageMilliseconds(ofPartition: $1, nowMilliseconds: now)) }
    }
}
