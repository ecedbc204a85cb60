internal import Bytes

/// Interim answers.
public enum Interim {
    /// `100 Continue`, whole.
    public static var `continue`: StaticString { "HTTP/1.1 100 Continue\r\n\r\n" }
}

/// Writes one answer into a buffer that it is given: `begin`, any fields, `end`.
///
/// The buffer belongs to the caller and is emptied by it; with its capacity warmed up nothing is allocated.
public struct ResponseWriter: Sendable {
    private let status: Status
    private let rendering: ConnectionMachine.Rendering

    public init(_ status: Status, _ rendering: ConnectionMachine.Rendering) {
        self.status = status
        self.rendering = rendering
    }

    /// Writes the status line, Date and what Connection has to say.
    ///
    /// - Parameter date: what `HTTPDate` holds, refreshed once a second; empty for no Date.
    public func begin(_ output: inout [UInt8], date: Span<UInt8>) {
        output.append(status.line)
        if !date.isEmpty { field(&output, "Date", date) }
        switch rendering.persistence {
        case .implied: break
        case .keepAlive: output.append("Connection: keep-alive\r\n")
        case .close: output.append("Connection: close\r\n")
        }
    }

    /// Writes a field. A value with a line end would start another field or answer: debug builds stop on a value
    /// that holds a control byte, and callers pass only what they have made or checked themselves.
    public func field(_ output: inout [UInt8], _ name: StaticString, _ value: Span<UInt8>) {
        assert(Self.isFieldValue(value), "control byte in a field value")
        output.append(name)
        output.append(": ")
        output.append(value)
        output.append("\r\n")
    }

    public func field(_ output: inout [UInt8], _ name: StaticString, _ value: StaticString) {
        output.append(name)
        output.append(": ")
        output.append(value)
        output.append("\r\n")
    }

    public func field(_ output: inout [UInt8], _ name: StaticString, decimal value: UInt64) {
        output.append(name)
        output.append(": ")
        output.append(decimal: value)
        output.append("\r\n")
    }

    /// Writes Content-Length, the end of the head and the body. An answer to HEAD has the length of the body it
    /// leaves out; 204 and 304 have neither.
    public func end(_ output: inout [UInt8], body: Span<UInt8>) {
        if status.excludesBody {
            output.append("\r\n")
            return
        }
        output.append("Content-Length: ")
        output.append(decimal: UInt64(body.count))
        output.append("\r\n\r\n")
        if !rendering.omitsBody { output.append(body) }
    }

    /// Writes a whole answer with a body of one type and no other fields.
    public func write(_ output: inout [UInt8], date: Span<UInt8>, contentType: StaticString, body: Span<UInt8>) {
        begin(&output, date: date)
        if !status.excludesBody { field(&output, "Content-Type", contentType) }
        end(&output, body: body)
    }

    /// Whether these bytes can be a field value: no control byte but tabs (RFC 9110 section 5.5).
    public static func isFieldValue(_ value: Span<UInt8>) -> Bool {
        var index = value.firstControl(from: 0, to: value.count)
        while index < value.count {
            guard value[index] == ASCII.tab else { return false }
            index = value.firstControl(from: index + 1, to: value.count)
        }
        return true
    }
}
