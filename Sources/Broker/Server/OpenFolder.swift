internal import CBroker
internal import Glibc
internal import Loop
internal import Telemetry

/// A data folder, locked and recovered.
struct OpenFolder {
    let journal: JournalFile
    let state: BrokerState
    let topics: [Topic]
    /// Held open for the life of the process: the lock goes with it.
    let lock: CInt

    /// Locks the folder, making it if it is not there. Another broker on it is a refusal.
    static func lock(_ folder: String) throws -> CInt {
        try Files.makeDirectory(folder)
        let parent = folder.split(separator: "/", omittingEmptySubsequences: false).dropLast().joined(separator: "/")
        try Files.syncDirectory(parent.isEmpty ? (folder.hasPrefix("/") ? "/" : ".") : parent)
        let path = folder + "/lock"
        let descriptor = try Files.open(path, .create)
        guard sluice_file_lock(descriptor) == 0 else {
            let holder = Holder.ofLock(descriptor) ?? "another broker"
            Files.close(descriptor)
            throw BrokerStartError(description: "\(folder) is in use by \(holder); stop it, or give this one a folder of its own")
        }
        return descriptor
    }

    init(_ folder: String) throws {
        let start = Clock.monotonicMilliseconds
        let folder = folder.count > 1 && folder.hasSuffix("/") ? String(folder.dropLast()) : folder
        lock = try Self.lock(folder)
        (journal, state) = try JournalFile.open(folder + "/state")
        let topicsFolder = folder + "/topics"
        try Files.makeDirectory(topicsFolder)
        try Files.syncDirectory(folder)
        try Self.removeOrphans(topicsFolder, state)
        var topics: [Topic] = []
        var cut: Int64 = 0
        var scanned: Int64 = 0
        for topic in state.topics.values {
            var recovered: [Int32: PartitionLog.Recovered] = [:]
            for index in 0..<topic.partitions {
                guard let partition = try PartitionLog.recover(folder: "\(topicsFolder)/\(topic.folderName)/\(index)") else { continue }
                cut += partition.cutBytes
                scanned += partition.scannedBytes
                recovered[index] = partition
            }
            topics.append(Self.runtime(topic, topicsFolder: topicsFolder, recovered: recovered))
        }
        self.topics = topics
        Log.info(
            "the log is open", .text("folder", folder), .text("cluster", state.cluster.base64), .integer("topics", topics.count),
            .integer("scanned_bytes", scanned), .integer("cut_bytes", cut), .integer("milliseconds", Clock.monotonicMilliseconds - start))
    }

    /// A crash between the journal's entry and the removal leaves folders of deleted topics.
    private static func removeOrphans(_ topicsFolder: String, _ state: BrokerState) throws {
        let known = Set(state.topics.values.map(\.folderName))
        for name in try Files.list(topicsFolder) where !known.contains(name) && isTopicFolder(name) {
            Log.info("the folder of a deleted topic is removed", .text("folder", topicsFolder + "/" + name))
            try Files.removeDirectory(topicsFolder + "/" + name)
        }
    }

    /// Only what this broker can have made: a name, a point, 32 hexadecimal digits.
    private static func isTopicFolder(_ name: String) -> Bool {
        let id = name.utf8.suffix(33)
        guard id.count == 33, id.first == UInt8(ascii: ".") else { return false }
        return id.dropFirst().allSatisfy {
            (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) || (UInt8(ascii: "a")...UInt8(ascii: "f")).contains($0)
        }
    }

    static func runtime(_ topic: BrokerState.Topic, topicsFolder: String, recovered: [Int32: PartitionLog.Recovered]) -> Topic {
        let folder = topicsFolder + "/" + topic.folderName
        let partitions = (0..<topic.partitions).map { index in
            let log = PartitionLog(
                folder: "\(folder)/\(index)", settings: topic.logSettings, recovered: recovered[index] ?? PartitionLog.Recovered())
            return Partition(index: index, log: log)
        }
        return Topic(topic, folder: folder, partitions: partitions)
    }
}
