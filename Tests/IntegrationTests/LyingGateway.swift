import CSystem
import Foundation
import Glibc
import Synchronization

/// Answers payments as a gateway does, on one thread, and keeps none of them: what was acknowledged here has reached no log.
final class LyingGateway: Sendable {
    struct Counts {
        var accepted = 0
        var refused = 0
    }

    let port: UInt16
    private let listener: Int32
    private let refusedEvery: Int
    private let counts = Mutex(Counts())
    private let isStopped = Atomic(false)

    /// - Parameter refusedEvery: each so many-th payment is refused with 503; 0: none is.
    init(refusedEvery: Int = 0) throws {
        listener = unsafe sluice_socket_listen_tcp("127.0.0.1", 0, 64, false)
        guard listener >= 0 else { throw SystemUnderTest.Failure(description: "no socket to listen on: errno \(-listener)") }
        port = UInt16(sluice_socket_local_port(listener))
        self.refusedEvery = refusedEvery
        Thread.detachNewThread { self.serve() }
    }

    /// Its thread lets go of everything within a moment.
    func stop() { isStopped.store(true, ordering: .relaxed) }

    var seen: Counts { counts.withLock { $0 } }

    private func serve() {
        var buffers: [Int32: [UInt8]] = [:]
        while !isStopped.load(ordering: .relaxed) {
            var entries = ([listener] + buffers.keys).map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
            guard unsafe poll(&entries, nfds_t(entries.count), 20) > 0 else { continue }
            for entry in entries where entry.revents != 0 {
                if entry.fd == listener {
                    let descriptor = sluice_socket_accept(listener)
                    if descriptor >= 0 { buffers[descriptor] = [] }
                } else if !receive(entry.fd, &buffers[entry.fd, default: []]) {
                    close(entry.fd)
                    buffers[entry.fd] = nil
                }
            }
        }
        for descriptor in [listener] + buffers.keys { close(descriptor) }
    }

    /// False when the connection has ended.
    private func receive(_ descriptor: Int32, _ buffer: inout [UInt8]) -> Bool {
        var room = [UInt8](repeating: 0, count: 65_536)
        let count = unsafe room.withUnsafeMutableBytes { unsafe sluice_socket_receive(descriptor, $0.baseAddress!, $0.count) }
        if count <= 0 { return count == -Int(EAGAIN) }
        buffer += room[..<count]
        while let body = takeRequest(&buffer) {
            let answer = Array(answer(to: body).utf8)
            let sent = unsafe answer.withUnsafeBytes { unsafe sluice_socket_send(descriptor, $0.baseAddress!, $0.count) }
            if sent != answer.count { return false }
        }
        return true
    }

    /// The body of the first request, once all of it is there.
    private func takeRequest(_ buffer: inout [UInt8]) -> String? {
        let text = String(decoding: buffer, as: UTF8.self)
        guard let end = text.firstRange(of: "\r\n\r\n") else { return nil }
        let head = text[..<end.lowerBound]
        let length = head.split(separator: "\r\n").first { $0.lowercased().hasPrefix("content-length:") }.flatMap {
            Int($0.split(separator: ":")[1].trimmingCharacters(in: .whitespaces))
        }
        let bytes = head.utf8.count + 4 + (length ?? 0)
        guard buffer.count >= bytes else { return nil }
        defer { buffer.removeFirst(bytes) }
        return String(decoding: buffer[(head.utf8.count + 4)..<bytes], as: UTF8.self)
    }

    private func answer(to body: String) -> String {
        let isRefused = counts.withLock { counts in
            let number = counts.accepted + counts.refused + 1
            let isRefused = refusedEvery > 0 && number.isMultiple(of: refusedEvery)
            if isRefused { counts.refused += 1 } else { counts.accepted += 1 }
            return isRefused
        }
        if isRefused { return "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n" }
        let id = UUID().uuidString.replacingOccurrences(of: "-", with: "").lowercased()
        let shown = "{\"id\":\"\(id)\",\"status\":\"processing\",\(body.dropFirst())"
        return "HTTP/1.1 202 Accepted\r\nLocation: /v1/payments/\(id)\r\nContent-Type: application/json\r\n"
            + "Content-Length: \(shown.utf8.count)\r\n\r\n\(shown)"
    }
}
