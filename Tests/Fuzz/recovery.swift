// modules: Bytes Telemetry Loop Broker
// support: SegmentChecksum.swift
// seeds: broker-seeds.py
// length: 4096
// options: -close_fd_mask=2
// planted: Sources/Broker/Log/BatchHeader.swift s/guard byteCount >= Self.byteCount, byteCount/guard byteCount/
import Bytes
import Glibc

@testable import Broker

private let folder = "/dev/shm/sluice-fuzz-\(getpid())"

/// The first byte says what the rest is: a segment file, with its checksums as they are or made right, a journal, an index, a producers
/// file or a mark. Recovery may refuse or cut, never trap; what it keeps must be readable to its end.
@c(LLVMFuzzerTestOneInput)
public func fuzzRecovery(_ bytes: UnsafePointer<UInt8>, _ count: Int) -> CInt {
    guard count > 1 else { return 0 }
    var content = unsafe Array(UnsafeBufferPointer(start: bytes + 1, count: count - 1))
    switch unsafe bytes[0] % 6 {
    case 0: recover(content)
    case 1:
        var start: Int? = 0
        while let at = start, at < content.count { start = SegmentChecksum.repair(&content, at: at) }
        recover(content)
    case 2: _ = JournalFile.decode(content.span)
    case 3:
        seal(&content)
        _ = SegmentIndex(decoding: content.span, baseOffset: 0)
    case 4:
        var reader = RequestReader(content.span)
        _ = try? ProducerTable(&reader)
    default: _ = DurableMark.read(content.span)
    }
    return 0
}

/// Puts the name of an index in front and a right checksum behind.
private func seal(_ content: inout [UInt8]) {
    var whole: [UInt8] = []
    whole.append("SLUICEI1")
    whole += content
    whole.append(bigEndian: BatchHeader.checksum(whole.span))
    content = whole
}

private func recover(_ content: [UInt8]) {
    do {
        try Files.makeDirectory(folder)
        try Files.replace(folder + "/" + Segment.fileName(0, "log"), with: content.span)
        try Files.remove(folder + "/durable")
        guard let recovered = try PartitionLog.recover(folder: folder) else { return }
        let log = PartitionLog(folder: folder, settings: LogSettings(), recovered: recovered)
        defer { log.close() }
        var next: Int64 = 0
        while next < log.endOffset {
            var batch: [UInt8] = []
            let got = try log.read(from: next, below: log.endOffset, maxBytes: 1, atLeastOne: true, into: &batch)
            guard got > 0, let header = BatchHeader(batch.span) else { preconditionFailure("a recovered log cannot be read to its end") }
            next = header.nextOffset
        }
        _ = try log.lookup(timestamp: 1, below: log.endOffset)
    } catch is PartitionLog.ReadError {
        preconditionFailure("a recovered log cannot be read")
    } catch {}
}
