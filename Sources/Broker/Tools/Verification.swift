internal import Glibc

/// Checks every byte of a stopped broker's data folder, without changing any.
public struct Verification {
    /// What was looked at.
    public private(set) var files = 0
    public private(set) var batches = 0
    public private(set) var records: Int64 = 0
    public private(set) var bytes: Int64 = 0
    /// Sentences that name a file and a position; empty when all is well.
    public private(set) var problems: [String] = []
    /// Torn tails that the next start will cut; they are what a crash leaves, and no damage.
    public private(set) var notes: [String] = []

    /// Throws when the folder cannot be read, or a broker runs on it.
    public init(folder: String) throws {
        guard unsafe access(folder + "/state", F_OK) == 0 else {
            throw BrokerStartError(description: "\(folder) is no data folder of a broker: it has no journal")
        }
        let lock = try OpenFolder.lock(folder)
        defer { Files.close(lock) }
        let state = try checkJournal(folder + "/state")
        for topic in state.topics.values.sorted(by: { $0.name < $1.name }) {
            for index in 0..<topic.partitions { try check(partition: "\(folder)/topics/\(topic.folderName)/\(index)") }
        }
    }

    private mutating func checkJournal(_ directory: String) throws -> BrokerState {
        guard let generation = try JournalFile.generations(directory).last else {
            problems.append("\(directory): the journal is missing")
            return BrokerState()
        }
        let path = JournalFile.path(directory, generation)
        let content = try Files.contents(path)
        let (state, sound, entries) = JournalFile.decode(content.span)
        let marked = (try? Files.contents(directory + "/durable")).flatMap { mark(in: $0) }
        files += 1
        bytes += Int64(content.count)
        if entries == 0 || state.cluster == .zero { problems.append("\(path): the journal has no beginning") }
        if sound < content.count {
            let isTail = marked.map { $0.base < generation || ($0.base == generation && $0.position <= sound) } ?? true
            let text = "\(path): an entry is not whole at byte \(sound) of \(content.count)"
            if isTail { notes.append(text + ": the tail of a crash") } else { problems.append(text) }
        }
        return state
    }

    private func mark(in content: [UInt8]) -> DurableMark? { DurableMark.read(content.span)?.mark }

    private mutating func check(partition folder: String) throws {
        let names: [String]
        do { names = try Files.list(folder) } catch {
            guard error.isAbsent else { throw error }
            return
        }
        let bases = names.compactMap { Segment.baseOffset(fileName: $0, kind: "log") }.sorted()
        let marked = (try? Files.contents(folder + "/durable")).flatMap { mark(in: $0) } ?? DurableMark(base: 0, position: 0)
        if let last = bases.last, marked.base > last { problems.append("\(folder): the segment at offset \(marked.base) is missing") }
        if bases.isEmpty, marked.position > 0 { problems.append("\(folder): all segments are missing") }
        var next: Int64?
        for (number, base) in bases.enumerated() {
            let path = folder + "/" + Segment.fileName(base, "log")
            if let next, next != base { problems.append("\(path): offset \(next) should come here") }
            let (index, size, damage) = try scan(path, base)
            next = index.nextOffset
            let content = try? Files.contents(folder + "/" + Segment.fileName(base, "index"))
            let sealed = content.flatMap { SegmentIndex.read($0, baseOffset: base) }
            if let sealed, number < bases.count - 1, sealed != index { problems.append("\(path): its index does not fit its records") }
            guard let damage else { continue }
            let isBehindMark = marked.base < base || (marked.base == base && marked.position <= index.byteCount)
            let text = "\(path): \(damage) at byte \(index.byteCount) of \(size)"
            if isBehindMark, sealed == nil {
                // The next start cuts here and removes what follows.
                notes.append(text + ": the tail of a crash")
                return
            }
            problems.append(text)
            next = nil
        }
    }

    private mutating func scan(_ path: String, _ base: Int64) throws -> (index: SegmentIndex, size: Int64, damage: String?) {
        let descriptor = try Files.open(path, .read)
        defer { Files.close(descriptor) }
        let size = try Files.size(descriptor, path)
        files += 1
        var index = SegmentIndex(baseOffset: base)
        var scanner = SegmentScanner(descriptor: descriptor, path: path, byteCount: size, expecting: base)
        while true {
            switch try scanner.next() {
            case .end: return (index, size, nil)
            case .damage(_, let reason): return (index, size, "\(reason)")
            case .batch(let header, _):
                index.append(header)
                batches += 1
                records += Int64(header.recordCount)
                bytes += Int64(header.byteCount)
            }
        }
    }
}

extension SegmentIndex {
    fileprivate static func read(_ content: [UInt8], baseOffset: Int64) -> SegmentIndex? {
        SegmentIndex(decoding: content.span, baseOffset: baseOffset)
    }
}
