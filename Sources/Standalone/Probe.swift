import CSystem
import Glibc

/// One short, blocking exchange that tells whether a service answers. It has a deadline of its own, so
/// a frozen service holds the supervisor up for no longer.
enum Probe {
    static let deadlineMilliseconds: UInt64 = 1_000

    static func isReady(_ readiness: ProcessPlan.Readiness) -> Bool {
        switch readiness {
        case .none:
            true
        case .http(let endpoint, let path):
            // Only the status counts; "Connection: close" lets the server forget us.
            exchange(endpoint, send: Array("GET \(path) HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".utf8), wanted: 12)
                .starts(with: "HTTP/1.1 200".utf8)
        case .redis(let endpoint):
            exchange(endpoint, send: Array("PING\r\n".utf8), wanted: 5).starts(with: "+PONG".utf8)
        case .postgres(let endpoint):
            // 'R' asks for a password: the server takes sessions. While it starts or stops it answers 'E'.
            exchange(endpoint, send: postgresStartup(user: "sluice", database: "postgres"), wanted: 1).first == UInt8(ascii: "R")
        case .kafka(let endpoint):
            // The answer's length and our correlation id.
            exchange(endpoint, send: kafkaApiVersions(correlation: 1), wanted: 8).dropFirst(4).starts(with: [0, 0, 0, 1])
        }
    }

    /// StartupMessage of protocol 3.0 (PostgreSQL manual, "Message Formats"). The server closes without a
    /// line in its log when the client leaves instead of sending a password.
    static func postgresStartup(user: String, database: String) -> [UInt8] {
        var body: [UInt8] = [0, 3, 0, 0]
        for text in ["user", user, "database", database] { body += Array(text.utf8) + [0] }
        body.append(0)
        return bigEndian(UInt32(body.count + 4)) + body
    }

    /// ApiVersions (key 18) version 0 without a client id: every broker answers it.
    static func kafkaApiVersions(correlation: UInt32) -> [UInt8] {
        let body: [UInt8] = [0, 18, 0, 0] + bigEndian(correlation) + [0xff, 0xff]
        return bigEndian(UInt32(body.count)) + body
    }

    private static func bigEndian(_ value: UInt32) -> [UInt8] {
        (0..<4).map { UInt8(truncatingIfNeeded: value >> (24 - 8 * $0)) }
    }

    /// At least the first `wanted` bytes of the answer, fewer when the deadline passes or the peer closes.
    private static func exchange(_ endpoint: ProcessPlan.Endpoint, send request: [UInt8], wanted: Int) -> [UInt8] {
        var descriptor: CInt = -1
        let failure =
            switch endpoint {
            case .tcp(let port): unsafe sluice_socket_connect_tcp("127.0.0.1", UInt16(port), &descriptor)
            case .unix(let path): unsafe sluice_socket_connect_unix(path, &descriptor)
            }
        guard failure == 0 else { return [] }
        defer { close(descriptor) }
        let deadline = Supervisor.now() + deadlineMilliseconds
        guard wait(descriptor, for: POLLOUT, until: deadline), sluice_socket_error(descriptor) == 0 else { return [] }
        // A request of some tens of bytes fits the send buffer of a new connection in one piece.
        guard unsafe sluice_socket_send(descriptor, request, request.count) == request.count else { return [] }
        var answer: [UInt8] = []
        while answer.count < wanted, wait(descriptor, for: POLLIN, until: deadline) {
            // All that is there: closing with bytes unread would reset the connection, and PostgreSQL logs that.
            var count = 0
            let part = unsafe [UInt8](unsafeUninitializedCapacity: 1024) { buffer, filled in
                count = unsafe sluice_socket_receive(descriptor, buffer.baseAddress!, buffer.count)
                filled = max(0, count)
            }
            guard count > 0 else { break }
            answer += part
        }
        return answer
    }

    private static func wait(_ descriptor: CInt, for events: Int32, until deadline: UInt64) -> Bool {
        while true {
            let now = Supervisor.now()
            guard now < deadline else { return false }
            var entry = pollfd(fd: descriptor, events: Int16(events), revents: 0)
            let count = unsafe poll(&entry, 1, Int32(deadline - now))
            if count < 0 && errno == EINTR { continue }
            return count == 1
        }
    }
}
