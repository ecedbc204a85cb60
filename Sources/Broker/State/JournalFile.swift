internal import Bytes
internal import Telemetry

/// The journal's file: `state/GENERATION.journal`, entries one after the other. This type reads it at start and makes a
/// first one; while the broker runs, the flusher writes it.
struct JournalFile {
    static let magic: StaticString = "SLUICEJ1"
    var directory: String
    var generation: Int64
    var file: FlushRound.File
    var byteCount: Int64
    /// Its size when it was last rewritten.
    var rewrittenByteCount: Int64
    var mark: FlushRound.File
    var markSequence: UInt64

    var path: String { Self.path(directory, generation) }

    static func path(_ directory: String, _ generation: Int64) -> String { directory + "/" + Segment.fileName(generation, "journal") }

    static func encode(_ entries: [JournalEntry]) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.append(magic)
        for entry in entries { entry.append(to: &bytes) }
        return bytes
    }

    /// What a journal's bytes hold up to the first entry that is not whole.
    static func decode(_ bytes: Span<UInt8>) -> (state: BrokerState, soundByteCount: Int, entryCount: Int) {
        var state = BrokerState()
        guard bytes.count >= 8 else { return (state, 0, 0) }
        for index in 0..<8 where unsafe bytes[index] != magic.utf8Start[index] { return (state, 0, 0) }
        var sound = 8
        var count = 0
        while let (entry, length) = entry(bytes.extracting(sound..<bytes.count)) {
            state.apply(entry)
            sound += length
            count += 1
        }
        return (state, sound, count)
    }

    /// The entry whose frame starts `bytes`, and the frame's length; nil when it is not whole.
    private static func entry(_ bytes: Span<UInt8>) -> (entry: JournalEntry, byteCount: Int)? {
        var frame = RequestReader(bytes)
        do {
            let length = Int(try frame.uint32())
            let checksum = try frame.uint32()
            guard length > 0, length <= frame.remaining else { return nil }
            let body = bytes.extracting(8..<8 + length)
            guard BatchHeader.checksum(body) == checksum else { return nil }
            var reader = RequestReader(body)
            let entry = try JournalEntry(&reader)
            return reader.remaining == 0 ? (entry, 8 + length) : nil
        } catch {
            return nil
        }
    }

    /// Generations present, oldest first (their names sort as their numbers do).
    static func generations(_ directory: String) throws(DiskError) -> [Int64] {
        let names = try Files.list(directory)
        return names.compactMap { Segment.baseOffset(fileName: $0, kind: "journal") }
    }

    /// Reads the newest generation, cuts a torn tail, or makes a first generation with a new cluster id.
    static func open(_ directory: String) throws -> (journal: JournalFile, state: BrokerState) {
        try Files.makeDirectory(directory)
        let markFile = try PartitionLog.makeMarkFile(directory)
        let markBytes = try Files.contents(markFile.path)
        let marked = DurableMark.read(markBytes.span)
        guard let generation = try generations(directory).last else {
            if let marked { throw RecoveryError.damage(path(directory, marked.mark.base), at: 0, "the journal is missing") }
            return try create(directory, mark: markFile)
        }
        let path = path(directory, generation)
        let bytes = try Files.contents(path)
        let (state, sound, entries) = decode(bytes.span)
        // A generation is complete before it gets its name, so a journal without its first entry is never a torn one.
        guard entries > 0, state.cluster != .zero else {
            throw RecoveryError.damage(path, at: Int64(sound), "the journal has no beginning")
        }
        if let mark = marked?.mark, mark.base > generation || (mark.base == generation && Int64(sound) < mark.position) {
            throw RecoveryError.damage(
                path, at: Int64(sound), mark.base > generation ? "a newer journal is missing" : "an entry is not whole")
        }
        let descriptor = try Files.open(path, .write)
        if sound < bytes.count {
            Log.warning(
                "a torn tail of the journal is cut off", .text("file", path), .integer("at_byte", sound),
                .integer("bytes", bytes.count - sound))
            try Files.truncate(descriptor, to: Int64(sound), path)
        }
        try Files.sync(descriptor, path)
        for old in try generations(directory).dropLast() { try Files.remove(Self.path(directory, old)) }
        let journal = JournalFile(
            directory: directory, generation: generation, file: FlushRound.File(descriptor: descriptor, path: path),
            byteCount: Int64(sound), rewrittenByteCount: Int64(sound), mark: markFile, markSequence: marked?.sequence ?? 0)
        return (journal, state)
    }

    private static func create(_ directory: String, mark: FlushRound.File) throws -> (journal: JournalFile, state: BrokerState) {
        var state = BrokerState()
        state.apply(.cluster(.random()))
        let path = path(directory, 0)
        let bytes = encode(state.entries())
        try Files.replace(path + ".new", with: bytes.span)
        try Files.rename(path + ".new", to: path)
        try Files.syncDirectory(directory)
        let descriptor = try Files.open(path, .write)
        let journal = JournalFile(
            directory: directory, generation: 0, file: FlushRound.File(descriptor: descriptor, path: path),
            byteCount: Int64(bytes.count), rewrittenByteCount: Int64(bytes.count), mark: mark, markSequence: 0)
        return (journal, state)
    }
}
