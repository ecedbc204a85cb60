import Bytes
import Glibc
import Loop
import Server
import Testing

/// A blocking client: sends text, reads until the server closes.
private func exchange(_ address: SocketAddress, _ text: String) throws -> String {
    let descriptor = try Descriptors.connect(to: address)
    defer { Descriptors.close(descriptor) }
    let flags = fcntl(descriptor, F_GETFL)
    _ = fcntl(descriptor, F_SETFL, flags & ~O_NONBLOCK)
    let request: [UInt8] = Array(text.utf8)
    guard Descriptors.send(descriptor, request.span) == .transferred(request.count) else { return "not sent" }
    var answer: [UInt8] = []
    while case .transferred = Descriptors.receive(descriptor, into: &answer, limit: 4096) {}
    return String(decoding: answer, as: UTF8.self)
}

@Suite struct AdminServerTests {
    @Test func `readiness tells the reasons and metrics are served as Prometheus wants them`() throws {
        let server = try AdminServer(address: .tcp(address: "127.0.0.1", port: 0), problems: { ["no \"log\""] }, metrics: { "a_total 1\n" })
        defer { server.close() }
        let ready = try exchange(server.address, "GET /readyz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        #expect(ready.hasPrefix("HTTP/1.1 503 "))
        #expect(ready.hasSuffix("{\"ready\":false,\"problems\":[\"no \\\"log\\\"\"]}\n"))
        let metrics = try exchange(server.address, "GET /metrics HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        #expect(metrics.contains("Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n"))
        #expect(metrics.hasSuffix("\r\n\r\na_total 1\n"))
        let live = try exchange(
            server.address, "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\nGET /livez HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        #expect(live.split(separator: "HTTP/1.1 200 OK").count == 2)
        let wrong = try exchange(server.address, "POST /livez HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        #expect(wrong.hasPrefix("HTTP/1.1 405 "))
        let malformed = try exchange(server.address, "GET / HTTP/1.1\n\n")
        #expect(malformed.hasPrefix("HTTP/1.1 400 "))
    }

    @Test func `the live page and what it needs come from here, under a policy that allows nothing else`() throws {
        let server = try AdminServer(
            address: .tcp(address: "127.0.0.1", port: 0), name: "gateway \"a\"", problems: { [] }, metrics: { "" })
        defer { server.close() }
        func get(_ path: String) throws -> String {
            try exchange(server.address, "GET \(path) HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        }
        let page = try get("/")
        #expect(page.hasPrefix("HTTP/1.1 200 ") && page.contains("Content-Type: text/html; charset=utf-8\r\n"))
        #expect(page.contains("Content-Security-Policy: default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "))
        #expect(page.contains("X-Content-Type-Options: nosniff\r\n"))
        // No script and no style within, which the policy would refuse, and no address of another place.
        #expect(
            !page.contains("<style") && !page.contains("style=") && !page.contains("onload=") && !page.contains("http://")
                && !page.contains("https://"))
        for (path, type) in [("/live.css", "text/css"), ("/live.js", "text/javascript")] {
            #expect(page.contains(path.dropFirst()))
            let file = try get(path)
            #expect(file.hasPrefix("HTTP/1.1 200 ") && file.contains("Content-Type: \(type); charset=utf-8\r\n"))
            #expect(!file.contains("url(") && !file.contains("innerHTML") && !file.contains("https://"))
        }
        #expect(try get("/sources").hasSuffix("\r\n\r\n[{\"name\":\"gateway \\\"a\\\"\",\"path\":\"metrics\"}]\n"))
        #expect(try get("/live.html").hasPrefix("HTTP/1.1 404 "))
    }

    @Test func `a taken address is an error that names it`() throws {
        let server = try AdminServer(address: .tcp(address: "127.0.0.1", port: 0), problems: { [] }, metrics: { "" })
        defer { server.close() }
        let error = #expect(throws: SocketError.self) {
            try AdminServer(address: server.address, problems: { [] }, metrics: { "" })
        }
        #expect(error?.code == EADDRINUSE)
    }
}
