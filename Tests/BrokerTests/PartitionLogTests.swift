import Glibc
import Testing

@testable import Broker

/// A log in a private folder, flushed on this thread as the flusher would.
final class TestLog {
    let root: String
    var folder: String { root + "/topic/0" }
    var log: PartitionLog
    private var sequence: Int32 = 0

    init(settings: LogSettings = LogSettings(segmentBytes: 16 << 10)) throws {
        var template = Array("/tmp/sluice-log-XXXXXX".utf8CString)
        try #require(unsafe mkdtemp(&template) != nil)
        root = unsafe template.withUnsafeBufferPointer { unsafe String(cString: $0.baseAddress!) }
        log = PartitionLog(folder: root + "/topic/0", settings: settings)
    }

    deinit {
        log.close()
        _ = try? Files.removeDirectory(root)
    }

    @discardableResult
    func append(_ batch: TestBatch) -> PartitionLog.AppendResult {
        var bytes = batch.bytes
        let range = bytes.indices
        return log.append(batch.header, in: &bytes, at: range, nowMilliseconds: 1_000)
    }

    /// One batch of one record by producer 1.
    func appendNext(_ value: String = "value") {
        append(TestBatch(values: [value], producerId: 1, epoch: 0, sequence: sequence))
        sequence += 1
    }

    func flush() throws {
        var round = FlushRound(number: 1)
        let offset = log.takeFlushWork(into: &round, nowMilliseconds: 0)
        Upkeep.writeMarks(round)
        Upkeep.keepHouse(round)
        log.flushCompleted(upTo: offset)
    }

    func reopen() throws {
        let settings = log.settings
        log.close()
        log = PartitionLog(folder: folder, settings: settings, recovered: try PartitionLog.recover(folder: folder) ?? .init())
    }

    var lastPath: String { log.segments.last?.path ?? "" }

    func values(from offset: Int64 = 0) throws -> [String] {
        var bytes: [UInt8] = []
        var next = offset
        var result: [String] = []
        while next < log.endOffset {
            bytes.removeAll()
            let count = try log.read(from: next, below: log.endOffset, maxBytes: 5_000, atLeastOne: true, into: &bytes)
            try #require(count > 0)
            var start = 0
            while start < bytes.count {
                let batch = bytes.span.extracting(start..<bytes.count)
                guard let header = BatchHeader(batch) else { preconditionFailure("what was read is no batch") }
                var records = RecordWalk(batch.extracting(0..<header.byteCount), header)
                while let record = try records.next() {
                    if record.offset >= offset, let value = record.value {
                        result.append(String(decoding: bytes[start...][start + value.lowerBound..<start + value.upperBound], as: UTF8.self))
                    }
                }
                next = header.nextOffset
                start += header.byteCount
            }
        }
        return result
    }
}

@Suite struct PartitionLogTests {
    @Test func `what is appended is read back over segments, from any offset`() throws {
        let test = try TestLog()
        for number in 0..<1_000 { test.appendNext("value-\(number)") }
        #expect(test.log.segments.count > 3 && test.log.endOffset == 1_000)
        for start in [0, 1, 499, 998, 999] as [Int64] {
            #expect(try test.values(from: start) == (Int(start)..<1_000).map { "value-\($0)" })
        }
        #expect(throws: PartitionLog.ReadError.outOfRange) {
            var bytes: [UInt8] = []
            _ = try test.log.read(from: 1_001, below: 2_000, maxBytes: 100, atLeastOne: true, into: &bytes)
        }
    }

    @Test func `readers see nothing above the limit they are given`() throws {
        let test = try TestLog()
        for _ in 0..<10 { test.appendNext() }
        var bytes: [UInt8] = []
        _ = try test.log.read(from: 0, below: 4, maxBytes: 1 << 20, atLeastOne: true, into: &bytes)
        #expect(bytes.count == 4 * TestBatch(values: ["value"], producerId: 1, epoch: 0, sequence: 0).bytes.count)
    }

    @Test func `limits on bytes are kept, and a first batch above them comes alone when it must`() throws {
        let test = try TestLog()
        for _ in 0..<10 { test.appendNext() }
        let one = TestBatch(values: ["value"], producerId: 1, epoch: 0, sequence: 0).bytes.count
        var bytes: [UInt8] = []
        #expect(try test.log.read(from: 0, below: 10, maxBytes: 3 * one + 10, atLeastOne: false, into: &bytes) == 3 * one)
        #expect(try test.log.read(from: 0, below: 10, maxBytes: 10, atLeastOne: false, into: &bytes) == 0)
        #expect(try test.log.read(from: 0, below: 10, maxBytes: 10, atLeastOne: true, into: &bytes) == one)
    }

    @Test func `a log cut at any byte behind its mark recovers to the batches that are whole`() throws {
        let test = try TestLog()
        for _ in 0..<3 { test.appendNext() }
        try test.flush()
        for _ in 0..<2 { test.appendNext() }
        let path = test.lastPath
        let whole = try Files.contents(path)
        let batch = whole.count / 5
        for size in 3 * batch...whole.count {
            try Files.replace(path, with: whole.span.extracting(0..<size))
            try test.reopen()
            #expect(test.log.endOffset == Int64(size / batch), "cut at \(size)")
            #expect(try Files.contents(path).count == size / batch * batch)
        }
    }

    @Test func `a byte changed behind the mark cuts the log there, one before it is named and refused`() throws {
        let test = try TestLog()
        for _ in 0..<3 { test.appendNext() }
        try test.flush()
        for _ in 0..<2 { test.appendNext() }
        let path = test.lastPath
        let whole = try Files.contents(path)
        let batch = whole.count / 5
        for index in stride(from: 0, to: whole.count, by: 7) where index % batch < 12 || index % batch >= 16 {
            var damaged = whole
            damaged[index] ^= 0x10
            try Files.replace(path, with: damaged.span)
            if index < 3 * batch {
                let error = #expect(throws: RecoveryError.self) { try test.reopen() }
                #expect(error?.description.contains("\(path): damaged at byte \(index / batch * batch)") == true)
            } else {
                try test.reopen()
                #expect(test.log.endOffset == Int64(index / batch), "byte \(index)")
            }
        }
    }

    @Test func `a missing durable segment is named and refused`() throws {
        let test = try TestLog()
        for _ in 0..<500 { test.appendNext() }
        try test.flush()
        let path = test.lastPath
        try Files.remove(path)
        let error = #expect(throws: RecoveryError.self) { try test.reopen() }
        #expect(error?.description.contains(path) == true)
    }

    @Test func `segments behind a torn one are removed when none of them was durable`() throws {
        let test = try TestLog()
        test.appendNext()
        try test.flush()
        for _ in 0..<500 { test.appendNext() }
        #expect(test.log.segments.count > 2)
        let first = test.log.segments[0]
        let descriptor = try Files.open(first.path, .write)
        try Files.truncate(descriptor, to: first.byteCount - 1, first.path)
        Files.close(descriptor)
        try test.reopen()
        #expect(test.log.segments.count == 1 && test.log.endOffset == first.nextOffset - 1)
    }

    @Test func `producers are known again after a restart, also those whose records are in sealed segments`() throws {
        let test = try TestLog()
        test.append(TestBatch(values: ["a"], producerId: 9, epoch: 2, sequence: 0))
        for _ in 0..<500 { test.appendNext() }
        try test.flush()
        let before = test.log.producers
        try test.reopen()
        #expect(test.log.producers == before && test.log.segments.first?.isSealed == true)
        #expect(test.append(TestBatch(values: ["a"], producerId: 9, epoch: 2, sequence: 0)) == .stored(firstOffset: 0, lastOffset: 0))
        #expect(test.append(TestBatch(values: ["a"], producerId: 9, epoch: 2, sequence: 2)) == .refused(.outOfOrderSequenceNumber))
        #expect(test.append(TestBatch(values: ["a"], producerId: 9, epoch: 2, sequence: 1)) == .stored(firstOffset: 501, lastOffset: 501))
    }

    @Test func `without the files beside the segments everything is scanned and is the same`() throws {
        let test = try TestLog()
        for _ in 0..<500 { test.appendNext() }
        try test.flush()
        let before = test.log.producers
        for name in try Files.list(test.folder) where name.hasSuffix(".index") || name.hasSuffix(".producers") {
            try Files.remove(test.folder + "/" + name)
        }
        try test.reopen()
        #expect(test.log.producers == before && test.log.endOffset == 500)
        #expect(try test.values().count == 500)
    }

    @Test func `retention empties a quiet log and its offsets go on`() throws {
        let test = try TestLog()
        for _ in 0..<500 { test.appendNext() }
        try test.flush()
        test.log.settings.retentionMilliseconds = 10
        #expect(test.log.applyRetention(nowMilliseconds: 1_000_000) > 1)
        try test.flush()
        try test.reopen()
        #expect(test.log.startOffset == 500 && test.log.endOffset == 500)
        test.appendNext("after")
        #expect(try test.values(from: 500) == ["after"])
    }

    @Test(arguments: [
        (retentionMilliseconds: Int64(-1), retentionBytes: Int64(-1), expected: 0), (5_000, -1, 2), (-1, 250, 1), (-1, 0, 3), (0, -1, 3),
    ])
    func `what retention removes`(retentionMilliseconds: Int64, retentionBytes: Int64, expected: Int) {
        let segments = (0..<4).map { number in
            var index = SegmentIndex(baseOffset: Int64(number))
            var header = TestBatch(values: ["x"], baseOffset: Int64(number), timestamps: [Int64(number) * 1_000]).header
            header.byteCount = 100
            index.append(header)
            return index
        }
        let settings = LogSettings(retentionMilliseconds: retentionMilliseconds, retentionBytes: retentionBytes)
        #expect(Retention.expired(segments, settings: settings, nowMilliseconds: 6_500) == expected)
    }

    @Test func `a time is found at the first record that has it`() throws {
        let test = try TestLog()
        for number in 0..<300 {
            test.append(TestBatch(values: ["a", "b", "c"], timestamps: (0..<3).map { Int64(number * 30 + $0 * 10) }))
        }
        for number in [0, 1, 2, 450, 899] {
            #expect(try test.log.lookup(timestamp: Int64(number * 10), below: 900)?.offset == Int64(number))
            #expect(try test.log.lookup(timestamp: Int64(number * 10 - 5), below: 900)?.offset == Int64(number))
        }
        #expect(try test.log.lookup(timestamp: 9_000, below: 900) == nil)
        #expect(try test.log.lookup(timestamp: 5_000, below: 100) == nil)
    }

    @Test(arguments: [UInt64(1), 2, 3, 4])
    func `random damage never traps, and what is recovered is a prefix`(seed: UInt64) throws {
        var random = Seeded(state: seed)
        let test = try TestLog()
        for _ in 0..<200 { test.appendNext() }
        let files = test.log.segments.map(\.path)
        let whole = try files.map { try Files.contents($0) }
        for _ in 0..<150 {
            for (path, content) in zip(files, whole) {
                var damaged = content
                for _ in 0..<random.next() % 3 {
                    damaged[Int(random.next() % UInt64(damaged.count))] = UInt8(truncatingIfNeeded: random.next())
                }
                if random.next() % 4 == 0 { damaged.removeLast(Int(random.next() % UInt64(damaged.count))) }
                try Files.replace(path, with: damaged.span)
            }
            try? Files.remove(test.folder + "/durable")
            do { try test.reopen() } catch is RecoveryError { continue }
            #expect(test.log.endOffset <= 200, "seed \(seed)")
            #expect(try test.values().count == Int(test.log.endOffset), "seed \(seed)")
        }
    }
}

@Suite struct JournalTests {
    private let entries: [JournalEntry] = [
        .cluster(UUID128(high: 1, low: 2)), .topic(id: UUID128(high: 3, low: 4), name: "t", partitions: 3),
        .setting(topic: UUID128(high: 3, low: 4), name: "retention.ms", value: "5"), .partitions(topic: UUID128(high: 3, low: 4), count: 4),
        .producerIds(below: 1_000),
        .offset(
            group: "g", topic: UUID128(high: 3, low: 4), partition: 1,
            CommittedOffset(offset: 7, leaderEpoch: -1, metadata: "m", committedMilliseconds: 8)),
    ]

    private func read(_ bytes: [UInt8]) -> (state: BrokerState, sound: Int, count: Int) {
        let result = JournalFile.decode(bytes.span)
        return (result.state, result.soundByteCount, result.entryCount)
    }

    @Test func `a state survives being written anew`() {
        let state = read(JournalFile.encode(entries)).state
        #expect(
            state.topics.values.first?.partitions == 4 && state.offsets["g"]?.values.first?.offset == 7 && state.producerIdsBelow == 1_000)
        #expect(read(JournalFile.encode(state.entries())).state == state)
    }

    @Test func `a journal cut anywhere holds the entries before the cut`() {
        let bytes = JournalFile.encode(entries)
        var ends = [8]
        for count in 1...entries.count { ends.append(JournalFile.encode(Array(entries[..<count])).count) }
        for size in 8...bytes.count {
            let found = read(Array(bytes[..<size]))
            #expect(found.sound == ends.last { $0 <= size } && found.count == ends.lastIndex { $0 <= size })
        }
    }

    @Test func `a flipped bit ends the journal before its entry`() {
        let bytes = JournalFile.encode(entries)
        for index in 8..<bytes.count {
            var damaged = bytes
            damaged[index] ^= 1
            let found = read(damaged)
            #expect(found.sound <= index && found.count < entries.count)
        }
    }

    @Test func `a deleted topic takes its offsets along, a deleted group only its own`() {
        var state = read(JournalFile.encode(entries)).state
        state.apply(.groupDeleted("other"))
        #expect(state.offsets["g"]?.count == 1)
        state.apply(.topicDeleted(UUID128(high: 3, low: 4)))
        #expect(state.topics.isEmpty && state.offsets["g"]?.isEmpty == true)
    }

    @Test func `of two marks the newer sound one counts`() {
        let older = DurableMark(base: 1, position: 10).slot(sequence: 4)
        let newer = DurableMark(base: 1, position: 20).slot(sequence: 5)
        func read(_ bytes: [UInt8]) -> Int64? { DurableMark.read(bytes.span)?.mark.position }
        #expect(read(older + newer) == 20)
        var torn = older + newer
        torn[40] ^= 1
        #expect(read(torn) == 10)
        #expect(read([UInt8](repeating: 0, count: 64)) == nil)
    }
}
