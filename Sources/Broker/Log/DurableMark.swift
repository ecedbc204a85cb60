internal import Bytes

/// How far a log is known to have reached the disk: everything before `position` of the file that starts at `base`.
///
/// Damage before the mark is damage; what does not check out behind it is the torn tail of a crash. The mark is
/// written after each completed fdatasync and itself synced only now and then: an older mark is still true.
struct DurableMark: Equatable, Sendable {
    /// The segment's base offset, or the journal's generation.
    var base: Int64
    var position: Int64

    static let slotByteCount = 32
    static let fileByteCount = 2 * slotByteCount

    /// One of two slots, written in turn, so that a torn write leaves the other.
    func slot(sequence: UInt64) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.append(bigEndian: sequence)
        bytes.append(bigEndian: UInt64(bitPattern: base))
        bytes.append(bigEndian: UInt64(bitPattern: position))
        bytes.append(bigEndian: UInt32(0))
        bytes.append(bigEndian: BatchHeader.checksum(bytes.span))
        return bytes
    }

    static func slotOffset(sequence: UInt64) -> Int64 { Int64(sequence & 1) * Int64(slotByteCount) }

    /// The newer valid slot of a mark file; nil when there is none.
    static func read(_ file: Span<UInt8>) -> (mark: DurableMark, sequence: UInt64)? {
        var best: (mark: DurableMark, sequence: UInt64)?
        for start in [0, slotByteCount] where start + slotByteCount <= file.count {
            let slot = file.extracting(start..<start + slotByteCount)
            var reader = RequestReader(slot)
            guard let sequence = try? reader.int64(), let base = try? reader.int64(), let position = try? reader.int64(),
                (try? reader.uint32()) != nil, let checksum = try? reader.uint32(),
                BatchHeader.checksum(slot.extracting(0..<28)) == checksum
            else { continue }
            let number = UInt64(bitPattern: sequence)
            if best == nil || number > best!.sequence { best = (DurableMark(base: base, position: position), number) }
        }
        return best
    }
}
