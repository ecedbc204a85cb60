internal import Bytes
internal import Kafka
internal import Ledger
internal import Store
internal import Wire

extension LogRecord {
    /// Reads a record of the log. Never fails: what cannot be read is `.unreadable`, with all that is needed to look into it.
    init(_ record: borrowing Record, reader: RequestReader) {
        position = LogPosition(partition: record.partition, offset: record.offset)
        var headers = RecordHeaders()
        record.forEachHeader { name, value in headers.add(name: name, value: value) }
        switch reader.record(value: record.value, headers: headers) {
        case .success(let command): content = .command(command)
        case .failure(.unknownVersion(let version)): content = .unknownVersion(version)
        case .failure(let problem): content = .unreadable(Unreadable(record, headers, reason: problem.description))
        }
    }
}

extension LogRecord.Unreadable {
    init(_ record: borrowing Record, _ headers: RecordHeaders, reason: String) {
        self.reason = reason
        tenant = headers.operation?.tenant
        operation = headers.operation?.id
        if let channel = record.header("reply-to"), channel.count > 0, channel.count <= ReplyChannel.bytesMax {
            replyTo = Self.text(channel)
        } else {
            replyTo = nil
        }
        traceparent = headers.traceparent
        var bytes: [UInt8] = []
        bytes.append(record.key)
        key = bytes
        bytes = []
        bytes.append(record.value)
        value = bytes
        self.headers = Self.object(of: record.headers.map { ($0.name, String(decoding: $0.value, as: UTF8.self)) })
    }

    /// From a command that could be read and that the database refused.
    init(command: CommandRecord, reason: String) {
        self.reason = reason
        tenant = command.envelope.tenant
        operation = command.envelope.id
        if case .changePayment(let change) = command.envelope.command { payment = change.payment }
        replyTo = command.replyTo
        traceparent = command.envelope.traceparent
        key = Array(String(command.envelope.tenant.rawValue).utf8)
        var value: [UInt8] = []
        command.appendValue(to: &value)
        self.value = value
        var members: [(String, String)] = []
        var scratch: [UInt8] = []
        command.forEachHeader(scratch: &scratch) { name, value in members.append(("\(name)", Self.text(value))) }
        headers = Self.object(of: members)
    }

    private static func text(_ bytes: Span<UInt8>) -> String {
        unsafe bytes.withUnsafeBufferPointer { buffer in unsafe String(decoding: buffer, as: UTF8.self) }
    }

    /// A JSON object of texts. NUL, which PostgreSQL's `json` takes but no text of it can hold, becomes U+FFFD.
    private static func object(of members: [(name: String, value: String)]) -> String {
        func quoted(_ text: String) -> String {
            var result = "\""
            for scalar in text.unicodeScalars {
                switch scalar {
                case "\"", "\\": result += "\\\(scalar)"
                case "\0": result += "\u{FFFD}"
                case _ where scalar.value < 0x20: result += "\\u00" + (scalar.value < 16 ? "0" : "") + String(scalar.value, radix: 16)
                default: result.unicodeScalars.append(scalar)
                }
            }
            return result + "\""
        }
        return "{" + members.map { "\(quoted($0.name)):\(quoted($0.value))" }.joined(separator: ",") + "}"
    }
}
