import Foundation
import Glibc

/// Where a server listens.
enum Endpoint: Sendable, Equatable {
    case tcp(port: UInt16)
    case unix(path: String)

    struct Unknown: Error { let address: String }

    /// `127.0.0.1:PORT` or `unix:PATH`.
    init(_ address: String) throws {
        if address.hasPrefix("unix:") {
            self = .unix(path: String(address.dropFirst(5)))
        } else if address.hasPrefix("127.0.0.1:"), let port = UInt16(address.dropFirst(10)) {
            self = .tcp(port: port)
        } else {
            throw Unknown(address: address)
        }
    }
}

enum HTTPFailure: Error, Equatable {
    case notConnected(code: Int32)
    case timedOut
    /// The peer closed or reset the connection in the middle of an exchange.
    case closed
    case malformed(String)
}

/// A blocking connection that can send anything, also what no HTTP library would. One thread's.
final class HTTPConnection {
    private let descriptor: Int32
    private var buffer: [UInt8] = []
    private let timeoutSeconds: Double

    /// - Parameter receiveBytes: what the kernel may hold that was not read; nil for as much as it likes.
    init(_ endpoint: Endpoint, timeoutSeconds: Double = 20, receiveBytes: Int32? = nil) throws(HTTPFailure) {
        self.timeoutSeconds = timeoutSeconds
        let family = if case .tcp = endpoint { AF_INET } else { AF_UNIX }
        descriptor = socket(family, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        if var receiveBytes {
            // Before the connect, so that the window is small from the start.
            _ = unsafe setsockopt(descriptor, SOL_SOCKET, SO_RCVBUF, &receiveBytes, socklen_t(MemoryLayout<Int32>.size))
        }
        let status = Self.connect(descriptor, endpoint)
        if status != 0 {
            let code = errno
            Glibc.close(descriptor)
            throw .notConnected(code: code)
        }
        var one: Int32 = 1
        _ = unsafe setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &one, socklen_t(MemoryLayout<Int32>.size))
    }

    deinit { Glibc.close(descriptor) }

    /// Its end will be a reset, as of a client that has died.
    func endByReset() {
        var option = linger(l_onoff: 1, l_linger: 0)
        _ = unsafe setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &option, socklen_t(MemoryLayout<linger>.size))
    }

    private static func connect(_ descriptor: Int32, _ endpoint: Endpoint) -> Int32 {
        switch endpoint {
        case .tcp(let port):
            var address = sockaddr_in()
            address.sin_family = sa_family_t(AF_INET)
            address.sin_port = port.bigEndian
            address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
            return unsafe withUnsafePointer(to: &address) { pointer in
                unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    unsafe Glibc.connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
                }
            }
        case .unix(let path):
            var address = sockaddr_un()
            address.sun_family = sa_family_t(AF_UNIX)
            unsafe withUnsafeMutableBytes(of: &address.sun_path) { unsafe $0.copyBytes(from: path.utf8) }
            return unsafe withUnsafePointer(to: &address) { pointer in
                unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    unsafe Glibc.connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
                }
            }
        }
    }

    /// Whether the peer has closed, or has sent what nobody asked for, so that the connection is of no more use.
    var isStale: Bool {
        var entry = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        return unsafe poll(&entry, 1, 0) != 0
    }

    func send(_ text: String) throws(HTTPFailure) { try send(Array(text.utf8)) }

    func send(_ bytes: [UInt8]) throws(HTTPFailure) {
        var sent = 0
        while sent < bytes.count {
            try wait(for: POLLOUT, until: Moment.now.advanced(bySeconds: timeoutSeconds))
            let count = unsafe bytes.withUnsafeBytes { bytes in
                unsafe Glibc.send(descriptor, bytes.baseAddress! + sent, bytes.count - sent, Int32(MSG_NOSIGNAL))
            }
            if count < 0 { throw .closed }
            sent += count
        }
    }

    /// No more will be sent.
    func finishSending() { shutdown(descriptor, Int32(SHUT_WR)) }

    /// The next response; interim ones are passed over.
    /// - Parameter method: of the request that it answers: the answer to HEAD has no body.
    func receive(answering method: String = "GET") throws(HTTPFailure) -> HTTPResponse {
        let deadline = Moment.now.advanced(bySeconds: timeoutSeconds)
        while true {
            let response = try receiveOne(method, deadline)
            if response.status >= 200 { return response }
        }
    }

    /// What comes after that was received.
    enum Rest { case nothing, bytes, end }

    func rest(withinSeconds seconds: Double) -> Rest {
        if !buffer.isEmpty { return .bytes }
        do throws(HTTPFailure) {
            return try fill(Moment.now.advanced(bySeconds: seconds)) == 0 ? .end : .bytes
        } catch {
            return error == .closed ? .end : .nothing
        }
    }

    /// Whether the peer closes, and sends nothing before, within `seconds`.
    func isClosed(withinSeconds seconds: Double) -> Bool { rest(withinSeconds: seconds) == .end }

    private func receiveOne(_ method: String, _ deadline: Moment) throws(HTTPFailure) -> HTTPResponse {
        var response = try HTTPResponse(head: try line(endingIn: "\r\n\r\n", deadline))
        if method == "HEAD" || response.status == 304 || response.status == 204 || response.status < 200 { return response }
        if response["transfer-encoding"] == "chunked" {
            response.body = try chunks(deadline)
        } else if let length = response["content-length"] {
            guard let count = Int(length) else { throw .malformed("Content-Length: \(length)") }
            response.body = try take(count, deadline)
        } else {
            while try fill(deadline) > 0 {}
            response.body = buffer
            buffer = []
        }
        return response
    }

    private func chunks(_ deadline: Moment) throws(HTTPFailure) -> [UInt8] {
        var body: [UInt8] = []
        while true {
            let line = try line(endingIn: "\r\n", deadline)
            guard let count = Int(line, radix: 16) else { throw .malformed("chunk size \(line)") }
            body += try take(count, deadline)
            _ = try take(2, deadline)
            if count == 0 { return body }
        }
    }

    private func line(endingIn end: String, _ deadline: Moment) throws(HTTPFailure) -> String {
        let mark = Array(end.utf8)
        while true {
            if let at = buffer.indices.first(where: { buffer[$0...].starts(with: mark) }) {
                defer { buffer.removeFirst(at + mark.count) }
                return String(decoding: buffer[..<at], as: UTF8.self)
            }
            guard try fill(deadline) > 0 else { throw .closed }
        }
    }

    private func take(_ count: Int, _ deadline: Moment) throws(HTTPFailure) -> [UInt8] {
        while buffer.count < count { guard try fill(deadline) > 0 else { throw .closed } }
        defer { buffer.removeFirst(count) }
        return Array(buffer[..<count])
    }

    /// 0 at the end of input.
    private func fill(_ deadline: Moment) throws(HTTPFailure) -> Int {
        try wait(for: POLLIN, until: deadline)
        var room = [UInt8](repeating: 0, count: 65536)
        let count = unsafe room.withUnsafeMutableBytes { unsafe recv(descriptor, $0.baseAddress, $0.count, 0) }
        if count < 0 { throw .closed }
        buffer += room[..<count]
        return count
    }

    private func wait(for events: Int32, until deadline: Moment) throws(HTTPFailure) {
        while true {
            let left = -deadline.secondsAgo
            if left <= 0 { throw .timedOut }
            var entry = pollfd(fd: descriptor, events: Int16(events), revents: 0)
            if unsafe poll(&entry, 1, Int32(left * 1000) + 1) > 0 { return }
        }
    }
}
