// modules: Bytes Ledger Wire
// seconds: 30
// planted: Sources/Wire/RecordHeaders.swift s/: \.failure(\.notCanonical)$/: .success(command)/
import Bytes
import Ledger
import Wire

@MainActor private let reader = RequestReader()

/// A record of the log: headers and a value. What is taken is written again as the same record.
///
/// The input is lines of `name=value` up to an empty line, then the value. `*` alone stands for a whole valid set of headers, so
/// that values are met with good headers as well.
@MainActor @c(LLVMFuzzerTestOneInput)
public func fuzzRecord(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    let input = unsafe FuzzInput(start, count)
    let bytes = input.bytes
    var headers = RecordHeaders()
    var position = 0
    while position < bytes.count {
        var end = position
        while end < bytes.count, bytes[end] != UInt8(ascii: "\n") { end += 1 }
        let line = bytes.extracting(position..<end)
        position = min(end + 1, bytes.count)
        if line.isEmpty { break }
        add(line, to: &headers)
    }
    let value = FuzzInput(copying: bytes.extracting(position...))
    let span = value.bytes
    let operation = headers.operation
    switch reader.record(value: span, headers: headers) {
    case .failure(let problem): precondition(!problem.description.isEmpty, "a problem without a text")
    case .success(let record):
        precondition(
            operation?.id == record.envelope.id && operation?.tenant == record.envelope.tenant, "another operation than the headers say")
        checkAgain(record, span)
    }
    return 0
}

private func add(_ line: Span<UInt8>, to headers: inout RecordHeaders) {
    if line.count == 1, line[0] == UInt8(ascii: "*") { return addAll(to: &headers) }
    var equals = 0
    while equals < line.count, line[equals] != UInt8(ascii: "=") { equals += 1 }
    headers.add(name: line.extracting(0..<equals), value: line.extracting(min(equals + 1, line.count)...))
}

private func addAll(to headers: inout RecordHeaders) {
    let lines = [
        "v=1", "tenant=42", "id=0000000000000001fffffffffffffffe", "fingerprint=00000000000000030000000000000004",
        "accepted-at=1795737600000001",
    ]
    for text in lines {
        let line: [UInt8] = Array(text.utf8)
        add(line.span, to: &headers)
    }
}

@MainActor private func checkAgain(_ record: CommandRecord, _ value: Span<UInt8>) {
    var written: [UInt8] = []
    record.appendValue(to: &written)
    precondition(value.equals(written), "a value is written in another way than it was read")
    var headers = RecordHeaders()
    var scratch: [UInt8] = []
    record.forEachHeader(scratch: &scratch) { name, value in
        let copy: [UInt8] = Array("\(name)".utf8)
        headers.add(name: copy.span, value: value)
    }
    guard case .success(let again) = reader.record(value: value, headers: headers) else { preconditionFailure("a record that is refused") }
    precondition(again == record, "another record than was written")
}
