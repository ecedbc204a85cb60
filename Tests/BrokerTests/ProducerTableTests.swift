import Testing

@testable import Broker

@Suite struct ProducerTableTests {
    private func batch(_ sequence: Int32, count: Int = 1, id: Int64 = 1, epoch: Int16 = 0) -> BatchHeader {
        TestBatch(values: Array(repeating: "x", count: count), producerId: id, epoch: epoch, sequence: sequence).header
    }

    /// A table that took batches of one record with the sequences 0 to `count` - 1 at offsets 100 and up.
    private func table(count: Int32) -> ProducerTable {
        var table = ProducerTable()
        for sequence in 0..<count { table.record(batch(sequence), firstOffset: 100 + Int64(sequence)) }
        return table
    }

    @Test func `the next sequence is appended, a gap is refused`() {
        let table = table(count: 3)
        #expect(table.judge(batch(3)) == .append)
        #expect(table.judge(batch(4)) == .outOfOrder)
    }

    @Test func `each of the last five batches is answered with the offset it has`() {
        let table = table(count: 9)
        for sequence in Int32(4)...8 {
            let offset = 100 + Int64(sequence)
            #expect(table.judge(batch(sequence)) == .duplicate(firstOffset: offset, lastOffset: offset))
        }
        #expect(table.judge(batch(3)) == .oldDuplicate)
    }

    @Test func `a repeated first sequence with another length is no duplicate`() {
        #expect(table(count: 3).judge(batch(2, count: 2)) == .oldDuplicate)
    }

    @Test func `a newer epoch starts at zero and fences the older one`() {
        var table = table(count: 3)
        #expect(table.judge(batch(5, epoch: 1)) == .outOfOrder)
        #expect(table.judge(batch(0, epoch: 1)) == .append)
        table.record(batch(0, epoch: 1), firstOffset: 200)
        #expect(table.judge(batch(3, epoch: 0)) == .staleEpoch)
        #expect(table.judge(batch(1, epoch: 1)) == .append)
    }

    @Test func `sequences wrap from the largest to zero`() {
        var table = ProducerTable()
        table.record(batch(.max - 1, count: 3), firstOffset: 0)
        #expect(table.judge(batch(1)) == .append)
        #expect(table.judge(batch(.max - 1, count: 3)) == .duplicate(firstOffset: 0, lastOffset: 2))
        #expect(table.judge(batch(2)) == .outOfOrder)
    }

    @Test func `an unknown producer may start anywhere`() {
        #expect(ProducerTable().judge(batch(77)) == .append)
    }

    @Test func `after a refusal for want of room later batches of a new producer do not slip in before it`() {
        var table = ProducerTable()
        table.expect(batch(0))
        #expect(table.judge(batch(1)) == .outOfOrder)
        #expect(table.judge(batch(0)) == .append)
    }

    @Test func `the number of producers is bounded and the newest are kept`() {
        var table = ProducerTable()
        for id in 0...Int64(Limits.producersPerPartitionMax) { table.record(batch(0, id: id), firstOffset: id) }
        #expect(table.producers.count <= Limits.producersPerPartitionMax)
        #expect(table.producers[Int64(Limits.producersPerPartitionMax)] != nil && table.producers[0] == nil)
    }

    /// The table in a `producers` file; nil when it is not sound.
    private func read(_ bytes: [UInt8]) -> ProducerTable? {
        guard let body = Checksummed.body(bytes.span, magic: "SLUICEP1") else { return nil }
        var reader = RequestReader(body)
        return try? ProducerTable(&reader)
    }

    @Test func `what is saved is read back, and nothing with a flipped bit is`() {
        let table = table(count: 7)
        let bytes = table.sealedBytes()
        #expect(read(bytes) == table)
        for index in bytes.indices {
            var damaged = bytes
            damaged[index] ^= 4
            #expect(read(damaged) == nil)
        }
    }
}
