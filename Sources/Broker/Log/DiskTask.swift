/// What the flusher does in one round, in this order: sync the data, the folders and the journal; report; then keep
/// marks, seals and removals, which nobody waits for.
struct FlushRound: Sendable {
    struct File: Sendable {
        let descriptor: CInt
        let path: String
    }
    struct Mark: Sendable {
        let file: File
        let bytes: [UInt8]
        let offset: Int64
        let syncs: Bool
    }
    /// A segment that takes no more records: its index, and the producers as of the next one.
    struct Seal: Sendable {
        let directory: String
        /// What was prepared behind its last record is cut off.
        let file: File
        let byteCount: Int64
        let indexPath: String
        let index: [UInt8]
        let producersPath: String
        let producers: [UInt8]
    }
    enum JournalWork: Sendable {
        /// Written at `offset` of the journal, then synced.
        case append(File, bytes: [UInt8], offset: Int64)
        /// A new generation that replaces the old file.
        case rewrite(directory: String, path: String, oldPath: String, bytes: [UInt8])
    }
    struct Removal: Sendable {
        /// Closed after the files are gone.
        var descriptors: [CInt] = []
        var files: [String] = []
        var directories: [String] = []
    }

    /// Numbered from 1, one at a time.
    let number: UInt64
    var files: [File] = []
    var directories: [String] = []
    var journal: JournalWork?
    var marks: [Mark] = []
    var seals: [Seal] = []
    var removals: [Removal] = []
    /// Begun when everything else is done, and not waited for.
    var preparations: [Preparation] = []

    /// Whether there is more to do afterwards than writing marks.
    var needsUpkeep: Bool {
        !seals.isEmpty || !removals.isEmpty || !preparations.isEmpty || marks.contains(where: \.syncs)
    }
}

/// What came of a round. A failed sync is not reported: it ends the process.
struct FlushReport: Sendable {
    enum Journal: Sendable {
        case none
        case appended
        /// The new generation's descriptor.
        case rewritten(CInt)
        /// There was no room; the file is as before.
        case full
    }
    let number: UInt64
    let journal: Journal
}
