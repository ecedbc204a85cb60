import Bytes
import Testing

@testable import Broker

@Suite struct BatchTests {
    private func refusal(_ bytes: [UInt8], max: Int = 1 << 20) -> BatchRefusal? {
        do throws(BatchRefusal) {
            _ = try BatchHeader.validate(bytes.span, batchBytesMax: max)
            return nil
        } catch { return error }
    }

    @Test func `a sound batch is accepted and its header read`() throws {
        let bytes = TestBatch(values: ["a", "bb", "ccc"], producerId: 7, epoch: 1, sequence: 5, timestamps: [10, 30, 20]).bytes
        let header = try BatchHeader.validate(bytes.span, batchBytesMax: 1_000)
        #expect(header.recordCount == 3 && header.byteCount == bytes.count && header.producerId == 7)
        #expect(header.baseSequence == 5 && header.producerEpoch == 1 && header.baseTimestamp == 10 && header.maxTimestamp == 30)
    }

    @Test func `the checksum is CRC-32C`() {
        // RFC 3720 appendix B.4: 32 bytes of zeros, of ones, and rising.
        func checksum(_ bytes: [UInt8]) -> UInt32 { BatchHeader.checksum(bytes.span) }
        #expect(checksum([UInt8](repeating: 0, count: 32)) == 0x8a91_36aa)
        #expect(checksum([UInt8](repeating: 0xff, count: 32)) == 0x62a8_ab43)
        #expect(checksum((0..<32).map { UInt8($0) }) == 0x46dd_794e)
    }

    @Test func `every flipped bit behind the offset fields is refused`() {
        let sound = TestBatch(values: ["hello", "world"]).bytes
        for index in 8..<sound.count where !(12..<16).contains(index) {
            for bit in 0..<8 {
                var damaged = sound
                damaged[index] ^= 1 << UInt8(bit)
                #expect(refusal(damaged) != nil, "byte \(index) bit \(bit)")
            }
        }
    }

    @Test func `every cut-off batch is refused`() {
        let sound = TestBatch(values: ["hello"]).bytes
        for count in 0..<sound.count { #expect(refusal(Array(sound[..<count])) != nil) }
    }

    @Test func `what is not exactly one batch of records of format 2 is refused by name`() {
        let sound = TestBatch().bytes
        #expect(refusal(sound + sound) == .invalidRecord)
        #expect(refusal(TestBatch(attributes: 0x20).bytes) == .invalidRecord)
        #expect(refusal(TestBatch(attributes: 0x10).bytes) == .invalidRecord)
        #expect(refusal(sound, max: sound.count - 1) == .tooLarge)
        var old = sound
        old[16] = 1
        #expect(refusal(old) == .oldFormat)
    }

    @Test func `a batch whose records are fewer than it says is refused although its checksum holds`() {
        var bytes = TestBatch(values: ["a", "b"]).bytes
        bytes[26] = 2
        bytes[60] = 3
        let checksum = BatchHeader.checksum(bytes.span.extracting(21..<bytes.count))
        for byte in 0..<4 { bytes[17 + byte] = UInt8(truncatingIfNeeded: checksum >> UInt32(24 - byte * 8)) }
        #expect(refusal(bytes) == .invalidRecord)
    }
}
