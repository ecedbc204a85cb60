import Foundation
import Glibc
import Synchronization
import Testing

/// A gateway of a test: listens where nginx expects one and does as it is told with every request.
final class FakeGateway: Sendable {
    enum Behaviour: Sendable {
        case answer(status: String, body: String, afterMilliseconds: UInt32 = 0)
        /// Reads the request and closes the connection: a gateway that was killed.
        case closeAfterReading
        /// Takes requests and answers none: a gateway that is frozen.
        case keepSilent
    }

    private let listener: ListeningSocket
    private let behaviour: Behaviour
    private let received = Mutex<[String]>([])

    init(socket path: String, _ behaviour: Behaviour) throws {
        listener = try ListeningSocket(unixPath: path)
        self.behaviour = behaviour
        Thread.detachNewThread { [self] in serve() }
    }

    /// The heads and bodies that arrived, in order.
    var requests: [String] { received.withLock { $0 } }

    /// Ends the thread: a shut listener fails its accept.
    func stop() {
        shutdown(listener.descriptor, Int32(SHUT_RDWR))
    }

    private func serve() {
        while true {
            let connection = accept(listener.descriptor, nil, nil)
            guard connection >= 0 else { break }
            Thread.detachNewThread { [self] in
                while let request = Self.read(connection) {
                    received.withLock { $0.append(request) }
                    if case .keepSilent = behaviour { continue }
                    guard case .answer(let status, let body, let milliseconds) = behaviour else { break }
                    usleep(milliseconds * 1_000)
                    let head = "HTTP/1.1 \(status)\r\nContent-Type: application/json\r\nX-Request-Id: from-gateway\r\n"
                    let text = head + "Content-Length: \(body.utf8.count)\r\n\r\n" + body
                    guard unsafe send(connection, text, text.utf8.count, Int32(MSG_NOSIGNAL)) == text.utf8.count else { break }
                }
                close(connection)
            }
        }
        listener.close()
    }

    private static func read(_ connection: CInt) -> String? { readMessage(connection, timeoutMilliseconds: -1) }
}

/// One HTTP message with its Content-Length body; nil when the connection ends, breaks or stays silent before.
func readMessage(_ connection: CInt, timeoutMilliseconds: Int32) -> String? {
    var text = ""
    while true {
        if let end = text.range(of: "\r\n\r\n") {
            let length = text.range(of: "Content-Length: ").flatMap { Int(text[$0.upperBound...].prefix { $0.isNumber }) } ?? 0
            if text[end.upperBound...].utf8.count >= length { return text }
        }
        var entry = pollfd(fd: connection, events: Int16(POLLIN), revents: 0)
        guard unsafe poll(&entry, 1, timeoutMilliseconds) == 1 else { return nil }
        let part = unsafe [UInt8](unsafeUninitializedCapacity: 65_536) { buffer, count in
            count = max(0, unsafe read(connection, buffer.baseAddress!, buffer.count))
        }
        guard !part.isEmpty else { return nil }
        text += String(decoding: part, as: UTF8.self)
    }
}

/// Sends bytes as they are to a loopback port and returns the first answer, or nothing. What the server sent
/// before it reset the connection can still be read.
func rawExchange(port: Int, _ request: String) throws -> String {
    let connection = socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
    defer { close(connection) }
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = UInt16(port).bigEndian
    address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
    let connected = unsafe withUnsafePointer(to: &address) { pointer in
        unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { generic in
            unsafe connect(connection, generic, socklen_t(MemoryLayout<sockaddr_in>.size)) == 0
        }
    }
    try #require(connected)
    _ = unsafe send(connection, request, request.utf8.count, Int32(MSG_NOSIGNAL))
    return readMessage(connection, timeoutMilliseconds: 10_000) ?? ""
}
