import Bytes

@testable import Broker

/// Builds record batches as a producer sends them.
struct TestBatch {
    var values: [String] = ["one"]
    var baseOffset: Int64 = 0
    var producerId: Int64 = -1
    var epoch: Int16 = -1
    var sequence: Int32 = -1
    var timestamps: [Int64] = []
    var attributes: Int16 = 0

    /// The batch's bytes, checksum and all.
    var bytes: [UInt8] {
        var records: [UInt8] = []
        let base = timestamps.first ?? 1_000
        for (index, value) in values.enumerated() {
            var record: [UInt8] = [0]
            Self.append(varint: (timestamps.isEmpty ? base : timestamps[index]) - base, to: &record)
            Self.append(varint: Int64(index), to: &record)
            Self.append(varint: -1, to: &record)
            Self.append(varint: Int64(value.utf8.count), to: &record)
            record += Array(value.utf8)
            Self.append(varint: 0, to: &record)
            Self.append(varint: Int64(record.count), to: &records)
            records += record
        }
        var sealed: [UInt8] = []
        Self.append(attributes, to: &sealed)
        sealed.append(bigEndian: UInt32(values.count - 1))
        sealed.append(bigEndian: UInt64(bitPattern: base))
        sealed.append(bigEndian: UInt64(bitPattern: timestamps.max() ?? base))
        sealed.append(bigEndian: UInt64(bitPattern: producerId))
        Self.append(epoch, to: &sealed)
        sealed.append(bigEndian: UInt32(bitPattern: sequence))
        sealed.append(bigEndian: UInt32(values.count))
        sealed += records
        var batch: [UInt8] = []
        batch.append(bigEndian: UInt64(bitPattern: baseOffset))
        batch.append(bigEndian: UInt32(sealed.count + 9))
        batch.append(bigEndian: UInt32(0))
        batch.append(2)
        batch.append(bigEndian: BatchHeader.checksum(sealed.span))
        return batch + sealed
    }

    var header: BatchHeader {
        let bytes = bytes
        guard let header = BatchHeader(bytes.span) else { preconditionFailure("a test's batch does not parse") }
        return header
    }

    private static func append(_ value: Int16, to bytes: inout [UInt8]) {
        bytes.append(UInt8(truncatingIfNeeded: value >> 8))
        bytes.append(UInt8(truncatingIfNeeded: value))
    }

    static func append(varint value: Int64, to bytes: inout [UInt8]) {
        var rest = UInt64(bitPattern: (value << 1) ^ (value >> 63))
        while rest >= 0x80 {
            bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        bytes.append(UInt8(rest))
    }
}
