import Bytes

@testable import Broker

/// What the broker's targets need to get past checksums.
enum SegmentChecksum {
    /// Fills in the checksum of the batch at `start`, if its length lies within the bytes; returns where the next one begins.
    @discardableResult
    static func repair(_ bytes: inout [UInt8], at start: Int) -> Int? {
        guard let header = BatchHeader(bytes.span.extracting(start..<bytes.count)) else { return nil }
        guard start + header.byteCount <= bytes.count else { return nil }
        let end = start + header.byteCount
        let checksum = BatchHeader.checksum(bytes.span.extracting(start + BatchHeader.checksummedFrom..<end))
        for byte in 0..<4 { bytes[start + 17 + byte] = UInt8(truncatingIfNeeded: checksum >> UInt32(24 - byte * 8)) }
        return end
    }
}
