import CSystem
import Foundation
import Glibc
import Operate
import Synchronization
import Testing

/// The API of a test: answers each request as a closure says, over real connections.
final class FakeAPI: Sendable {
    struct Request: Sendable {
        let method: String
        let path: String
        /// Names in lower case.
        let fields: [String: String]
        let body: String
        /// The n-th request with this key or, for a GET, this path, from 1.
        let attempt: Int

        var key: String { fields["idempotency-key"] ?? "" }
        /// A text member of the body.
        func member(_ name: String) -> String? {
            (try? JSONSerialization.jsonObject(with: Data(body.utf8)) as? [String: Any])?[name] as? String
        }
    }

    enum Reply: Sendable {
        case answer(Int, fields: [String] = [], body: String)
        /// Closes the connection instead of answering.
        case close

        static func accepted(_ id: String) -> Reply { .answer(202, body: #"{"id":"\#(id)","status":"processing"}"#) }
        static func problem(_ status: Int, _ code: String, fields: [String] = []) -> Reply {
            .answer(status, fields: fields, body: #"{"status":\#(status),"code":"\#(code)","title":"T"}"#)
        }
    }

    let port: UInt16
    private let listener: CInt
    private let answer: @Sendable (Request) -> Reply
    private let log = Mutex<[Request]>([])

    init(_ answer: @escaping @Sendable (Request) -> Reply) throws {
        self.answer = answer
        listener = unsafe sluice_socket_listen_tcp("127.0.0.1", 0, 64, false)
        try #require(listener >= 0)
        port = UInt16(sluice_socket_local_port(listener))
        // The listener of Sluice does not block; the threads here do.
        _ = fcntl(listener, F_SETFL, fcntl(listener, F_GETFL) & ~O_NONBLOCK)
        Thread.detachNewThread { [self] in serve() }
    }

    /// A shut listener fails its accept, which ends the thread.
    func stop() { shutdown(listener, CInt(SHUT_RDWR)) }

    /// What arrived, in order.
    var requests: [Request] { log.withLock { $0 } }

    func target() throws -> SubmitTarget { try .resolve("http://127.0.0.1:\(port)") }

    private func serve() {
        while true {
            let connection = accept(listener, nil, nil)
            guard connection >= 0 else { break }
            Thread.detachNewThread { [self] in
                var buffer: [UInt8] = []
                while let request = read(connection, &buffer), write(connection, answer(request)) {}
                close(connection)
            }
        }
        close(listener)
    }

    private func read(_ connection: CInt, _ buffer: inout [UInt8]) -> Request? {
        while true {
            let text = String(decoding: buffer, as: UTF8.self)
            if let end = text.range(of: "\r\n\r\n") {
                var lines = text[..<end.lowerBound].components(separatedBy: "\r\n")
                let words = lines.removeFirst().split(separator: " ").map(String.init)
                var fields: [String: String] = [:]
                for line in lines {
                    let parts = line.split(separator: ":", maxSplits: 1)
                    fields[parts[0].lowercased()] = parts[1].trimmingCharacters(in: .whitespaces)
                }
                let length = Int(fields["content-length"] ?? "0") ?? 0
                let body = text[end.upperBound...]
                if body.utf8.count >= length {
                    buffer.removeFirst(buffer.count - body.utf8.count + length)
                    let name = fields["idempotency-key"] ?? words[1]
                    return log.withLock { log in
                        let attempt = log.count { ($0.fields["idempotency-key"] ?? $0.path) == name } + 1
                        let request = Request(
                            method: words[0], path: words[1], fields: fields, body: String(body.prefix(length)), attempt: attempt)
                        log.append(request)
                        return request
                    }
                }
            }
            var chunk = [UInt8](repeating: 0, count: 65_536)
            let count = unsafe recv(connection, &chunk, chunk.count, 0)
            guard count > 0 else { return nil }
            buffer += chunk[..<count]
        }
    }

    private func write(_ connection: CInt, _ reply: Reply) -> Bool {
        guard case .answer(let status, let fields, let body) = reply else { return false }
        let head = (["HTTP/1.1 \(status) X", "Content-Length: \(body.utf8.count)"] + fields).joined(separator: "\r\n")
        let text = Array((head + "\r\n\r\n" + body).utf8)
        return unsafe send(connection, text, text.count, CInt(MSG_NOSIGNAL)) == text.count
    }
}
