// modules: Bytes Telemetry Loop Broker
// support: SegmentChecksum.swift
// seeds: broker-seeds.py
// length: 4096
// planted: Sources/Broker/Log/BatchHeader.swift s/guard position < bytes.count else { throw .invalidRecord }/guard position <= bytes.count else { throw .invalidRecord }/
import Bytes

@testable import Broker

/// A request frame without its length: the header, the body, and for a produce every record set in it. Nothing may trap; what does not
/// parse is an error, which closes the connection.
@c(LLVMFuzzerTestOneInput)
public func fuzzFrame(_ bytes: UnsafePointer<UInt8>, _ count: Int) -> CInt {
    let frame = unsafe Array(UnsafeBufferPointer(start: bytes, count: count))
    do {
        var reader = RequestReader(frame.span)
        let header = try RequestHeader.parse(&reader)
        guard let key = ApiKey(rawValue: header.key), key.versions.contains(header.version) else { return 0 }
        let body = frame.span.extracting(reader.position..<frame.count)
        guard case .produce(let produce) = try Request.parse(key, header: header, body: body) else { return 0 }
        for topic in produce.topics {
            for partition in topic.partitions {
                guard let records = partition.records else { continue }
                validate(body.extracting(records))
            }
        }
    } catch {}
    return 0
}

/// With the checksum made right, so that what lies behind it is reached.
private func validate(_ records: Span<UInt8>) {
    var batch: [UInt8] = []
    for index in records.indices { batch.append(records[index]) }
    SegmentChecksum.repair(&batch, at: 0)
    do throws(BatchRefusal) {
        _ = try BatchHeader.validate(batch.span, batchBytesMax: 1 << 20)
    } catch {}
}
