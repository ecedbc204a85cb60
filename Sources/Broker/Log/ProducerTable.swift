internal import Bytes

/// What a partition remembers of its idempotent producers: enough to answer a repeated batch with the offset it
/// already has and to refuse one that would leave a gap. Pure: rebuilt from the log, and saved with it.
struct ProducerTable: Equatable, Sendable {
    struct Batch: Equatable, Sendable {
        let firstSequence: Int32
        let lastSequence: Int32
        let firstOffset: Int64
        let lastOffset: Int64
    }

    struct Producer: Equatable, Sendable {
        var epoch: Int16
        /// The sequence the next batch must start with.
        var nextSequence: Int32
        /// The last offset written, for forgetting the oldest.
        var lastOffset: Int64
        /// The last few, oldest first.
        var batches: [Batch] = []
    }

    /// What to do with a batch.
    enum Verdict: Equatable {
        case append
        /// It is in the log already.
        case duplicate(firstOffset: Int64, lastOffset: Int64)
        /// It was in the log before the batches that are remembered.
        case oldDuplicate
        /// An earlier batch is missing.
        case outOfOrder
        /// A newer instance of the producer has written.
        case staleEpoch
    }

    private(set) var producers: [Int64: Producer] = [:]

    /// Judges a batch. A producer that is not known may start anywhere, as in Kafka: its state may have been forgotten
    /// with the records it came from, and refusing would make it fatal.
    func judge(_ header: BatchHeader) -> Verdict {
        guard header.isIdempotent, let known = producers[header.producerId] else { return .append }
        if header.producerEpoch < known.epoch { return .staleEpoch }
        if header.producerEpoch > known.epoch { return header.baseSequence == 0 ? .append : .outOfOrder }
        let last = Self.advance(header.baseSequence, by: header.lastOffsetDelta)
        for batch in known.batches where batch.firstSequence == header.baseSequence && batch.lastSequence == last {
            return .duplicate(firstOffset: batch.firstOffset, lastOffset: batch.lastOffset)
        }
        if header.baseSequence == known.nextSequence { return .append }
        // Sequences wrap from 2^31-1 to 0: what lies less than half the circle behind is old, the rest ahead.
        let behind = UInt32(bitPattern: known.nextSequence &- header.baseSequence) & 0x7fff_ffff
        return behind < 1 << 30 && !known.batches.isEmpty ? .oldDuplicate : .outOfOrder
    }

    /// Remembers a batch that is in the log at `firstOffset`.
    mutating func record(_ header: BatchHeader, firstOffset: Int64) {
        guard header.isIdempotent else { return }
        var producer = producers[header.producerId] ?? Producer(epoch: header.producerEpoch, nextSequence: 0, lastOffset: 0)
        if producer.epoch != header.producerEpoch {
            producer = Producer(epoch: header.producerEpoch, nextSequence: 0, lastOffset: 0)
        }
        let last = Self.advance(header.baseSequence, by: header.lastOffsetDelta)
        producer.nextSequence = Self.advance(last, by: 1)
        producer.lastOffset = firstOffset + Int64(header.lastOffsetDelta)
        if producer.batches.count == Limits.producerBatchesRemembered { producer.batches.removeFirst() }
        producer.batches.append(
            Batch(firstSequence: header.baseSequence, lastSequence: last, firstOffset: firstOffset, lastOffset: producer.lastOffset))
        producers[header.producerId] = producer
        forgetBeyondBound()
    }

    /// Remembers that a batch was refused for a passing reason (a full disk) although its sequence was right: of an unknown producer,
    /// later batches that are already on their way must not slip in before it.
    mutating func expect(_ header: BatchHeader) {
        guard header.isIdempotent, producers[header.producerId] == nil else { return }
        producers[header.producerId] = Producer(epoch: header.producerEpoch, nextSequence: header.baseSequence, lastOffset: -1)
        forgetBeyondBound()
    }

    private mutating func forgetBeyondBound() {
        guard producers.count > Limits.producersPerPartitionMax else { return }
        // Forgetting an eighth at once keeps the cost of finding the oldest off most batches.
        let oldest = producers.sorted { $0.value.lastOffset < $1.value.lastOffset }.prefix(Limits.producersPerPartitionMax / 8)
        for (id, _) in oldest { producers[id] = nil }
    }

    private static func advance(_ sequence: Int32, by count: Int32) -> Int32 {
        Int32(truncatingIfNeeded: (Int64(sequence) + Int64(count)) & 0x7fff_ffff)
    }
}

extension ProducerTable {
    /// The content of a segment's `producers` file.
    func sealedBytes() -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.append("SLUICEP1")
        encode(into: &bytes)
        bytes.append(bigEndian: BatchHeader.checksum(bytes.span))
        return bytes
    }

    /// Appends the table as `init(_:)` reads it.
    func encode(into bytes: inout [UInt8]) {
        bytes.append(bigEndian: UInt32(producers.count))
        for (id, producer) in producers {
            bytes.append(bigEndian: UInt64(bitPattern: id))
            bytes.append(bigEndian: UInt32(UInt16(bitPattern: producer.epoch)))
            bytes.append(bigEndian: UInt32(bitPattern: producer.nextSequence))
            bytes.append(bigEndian: UInt64(bitPattern: producer.lastOffset))
            bytes.append(bigEndian: UInt32(producer.batches.count))
            for batch in producer.batches {
                bytes.append(bigEndian: UInt32(bitPattern: batch.firstSequence))
                bytes.append(bigEndian: UInt32(bitPattern: batch.lastSequence))
                bytes.append(bigEndian: UInt64(bitPattern: batch.firstOffset))
                bytes.append(bigEndian: UInt64(bitPattern: batch.lastOffset))
            }
        }
    }

    /// Reads what `encode` wrote; its caller has checked a checksum, so anything else is refused whole.
    init(_ reader: inout RequestReader) throws(WireError) {
        for _ in 0..<(try reader.arrayCount()) {
            let id = try reader.int64()
            let epoch = Int16(truncatingIfNeeded: try reader.int32())
            var producer = Producer(epoch: epoch, nextSequence: try reader.int32(), lastOffset: try reader.int64())
            for _ in 0..<(try reader.arrayCount()) {
                let first = try reader.int32()
                let last = try reader.int32()
                let firstOffset = try reader.int64()
                producer.batches.append(
                    Batch(firstSequence: first, lastSequence: last, firstOffset: firstOffset, lastOffset: try reader.int64()))
            }
            producers[id] = producer
        }
    }
}
