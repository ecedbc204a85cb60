import Testing

@testable import Broker

/// Zeros ahead of a segment's end: used, given back, and never taken for records or for damage.
@Suite struct PreparationTests {
    private func fileBytes(_ test: TestLog) throws -> [UInt8] { try Files.contents(test.lastPath) }

    /// A log with some flushed records and prepared room behind them.
    private func prepared() throws -> TestLog {
        let test = try TestLog(settings: LogSettings(segmentBytes: 1 << 20))
        for number in 0..<400 { test.appendNext("value-\(number)") }
        try test.flush()
        return test
    }

    private func overwrite(_ path: String, _ range: Range<Int64>) throws {
        let descriptor = try Files.open(path, .write)
        defer { Files.close(descriptor) }
        try Files.write(descriptor, [UInt8](repeating: 0, count: Int(range.upperBound - range.lowerBound)).span, at: range.lowerBound, path)
    }

    @Test func `room is prepared ahead, filled with records, and cut off at the next start`() throws {
        let test = try prepared()
        let before = test.log.byteCount
        let size = try fileBytes(test).count
        #expect(Int64(size) > before + 32 << 10)
        let room = try fileBytes(test)[Int(before)...]
        #expect(room.allSatisfy { $0 == 0 })
        for number in 400..<500 { test.appendNext("value-\(number)") }
        #expect(try fileBytes(test).count == size, "records went where room was")
        try test.flush()
        try test.reopen()
        #expect(try test.values() == (0..<500).map { "value-\($0)" })
        let left = try fileBytes(test).count
        #expect(Int64(left) == test.log.byteCount)
    }

    @Test func `a full segment keeps no room`() throws {
        let test = try TestLog(settings: LogSettings(segmentBytes: 256 << 10))
        while test.log.segments.count < 3 {
            for _ in 0..<200 { test.appendNext() }
            try test.flush()
        }
        try test.flush()
        for segment in test.log.segments.dropLast() {
            let size = try Files.contents(segment.path).count
            #expect(Int64(size) == segment.byteCount)
        }
        try test.reopen()
        let open = test.log.segments.dropLast().filter { !$0.isSealed }
        #expect(open.isEmpty)
    }

    @Test func `room that records need first is not written over`() throws {
        let test = try TestLog(settings: LogSettings(segmentBytes: 1 << 20))
        test.appendNext("value-0")
        var round = FlushRound(number: 1)
        let offset = test.log.takeFlushWork(into: &round, nowMilliseconds: 0)
        #expect(round.preparations.count == 1)
        let start = try #require(round.preparations.first?.range.lowerBound)
        // The records come before the zeros, and go beyond where these begin.
        var number = 1
        while test.log.byteCount <= start + 10_000 {
            test.appendNext("value-\(number)")
            number += 1
        }
        Upkeep.writeMarks(round)
        Upkeep.keepHouse(round)
        test.log.flushCompleted(upTo: offset)
        #expect(try test.values() == (0..<number).map { "value-\($0)" })
        try test.flush()
        #expect(try test.values() == (0..<number).map { "value-\($0)" })
    }

    @Test func `a write that a power cut lost ends the log there, and what was behind it stays away`() throws {
        let test = try prepared()
        let first = test.log.byteCount
        test.appendNext("lost")
        let second = test.log.byteCount
        test.appendNext("kept by the disk")
        let path = test.lastPath
        try overwrite(path, first..<second)
        try test.reopen()
        #expect(test.log.endOffset == 400 && test.log.byteCount == first)
        // A record of the same length in the gap: the one behind it must not come back.
        test.append(TestBatch(values: ["last"], producerId: 1, epoch: 0, sequence: 400))
        try test.flush()
        try test.reopen()
        #expect(test.log.endOffset == 401)
        #expect(try test.values(from: 399) == ["value-399", "last"])
    }

    @Test func `zeros where durable records were are damage`() throws {
        let test = try prepared()
        let path = test.lastPath
        try overwrite(path, test.log.byteCount - 10..<test.log.byteCount)
        let error = #expect(throws: RecoveryError.self) { try test.reopen() }
        #expect(error?.description.contains("\(path): damaged at byte") == true)
    }

    @Test(arguments: [true, false])
    func `a segment that lost its end at a batch's edge takes those behind it along`(asZeros: Bool) throws {
        let test = try TestLog()
        test.appendNext()
        try test.flush()
        let one = test.log.byteCount
        for _ in 0..<500 { test.appendNext() }
        #expect(test.log.segments.count > 2)
        let first = test.log.segments[0]
        try overwrite(first.path, first.byteCount - one..<first.byteCount)
        if !asZeros {
            let descriptor = try Files.open(first.path, .write)
            try Files.truncate(descriptor, to: first.byteCount - one, first.path)
            Files.close(descriptor)
        }
        try test.reopen()
        #expect(test.log.segments.count == 1 && test.log.endOffset == first.nextOffset - 1)
        let names = try Files.list(test.folder)
        #expect(names.filter { $0.hasSuffix(".log") }.count == 1)
    }

    @Test func `the same is damage when a later segment was durable`() throws {
        let test = try TestLog()
        for _ in 0..<500 { test.appendNext() }
        let first = test.log.segments[0]
        var round = FlushRound(number: 1)
        _ = test.log.takeFlushWork(into: &round, nowMilliseconds: 0)
        // The marks, not the seals: the first segment is scanned.
        round.seals = []
        Upkeep.writeMarks(round)
        Upkeep.keepHouse(round)
        try overwrite(first.path, first.byteCount - 100..<first.byteCount)
        #expect(throws: RecoveryError.self) { try test.reopen() }
    }

    private struct Want {
        let end, prepared, segment: Int64
        let expected: Range<Int64>?
        init(_ end: Int64, _ prepared: Int64, _ segment: Int64, _ expected: Range<Int64>?) {
            (self.end, self.prepared, self.segment, self.expected) = (end, prepared, segment, expected)
        }
    }

    @Test func `how much is prepared`() {
        let table: [Want] = [
            Want(100, 0, 1_048_576, 20_480..<86_016), Want(100, 86_016, 1_048_576, nil),
            Want(60_000, 86_016, 1_048_576, 86_016..<151_552),
            Want(1_048_576, 1_048_576, 67_108_864, 1_310_720..<2_359_296),
            Want(33_554_432, 0, 67_108_864, 34_603_008..<38_797_312),
            Want(16_000, 0, 16_384, nil), Want(60_000, 0, 65_537, nil), Want(40_000, 0, 65_537, 57_344..<65_536),
        ]
        for want in table {
            let range = Preparation.wanted(end: want.end, prepared: want.prepared, segmentBytes: want.segment)
            #expect(range == want.expected, "\(want)")
        }
    }
}
