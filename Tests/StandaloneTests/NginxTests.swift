import Foundation
import Glibc
import Testing

@testable import Standalone

/// The real nginx with the rendered configuration, before gateways that do as they are told.
@Suite struct NginxTests {
    /// An nginx on free ports in a folder of its own.
    struct Edge: Sendable {
        let folder: String
        let layout: Layout
        let port: Int
        let plan: ProcessPlan

        func socket(_ gateway: String) -> String { layout.gatewaySocketPrefix(gateway) + ".0" }

        /// curl's status and body for a request with a bearer token.
        func send(_ path: String, _ arguments: [String] = []) throws -> (status: Int, text: String) {
            let all = ["-s", "-i", "--max-time", "10", "-H", "Authorization: Bearer secret-token"] + arguments
            return Self.parse(try run("/usr/bin/curl", all + ["http://127.0.0.1:\(port)\(path)"]).output)
        }

        /// What comes back for bytes as they are.
        func sendRaw(_ request: String) throws -> (status: Int, text: String) {
            Self.parse(try rawExchange(port: port, request))
        }

        static func parse(_ text: String) -> (status: Int, text: String) {
            (text.split(separator: " ").dropFirst().first.flatMap { Int($0) } ?? 0, text)
        }
    }

    /// - Parameter readSeconds: in place of the time that a read's gateway has.
    private static func withEdge(readSeconds: Int? = nil, _ body: @escaping @Sendable (Edge) throws -> Void) async throws {
        try await onThread {
            try withTemporaryFolder { folder in
                let users = try ServiceUsers.current()
                let layout = Layout(data: folder, home: sourceFolder, executable: "/x", uid: geteuid())
                try layout.prepare(users)
                let ports = try Ports.choose(base: 0, remembered: nil, seed: Int.random(in: 0..<12_000), isFree: Ports.isFree)
                let nginx = NginxPlan(
                    layout: layout, ports: ports, user: users.nginx, payments: ["gateway-a", "gateway-b"],
                    inquiries: ["gateway-b", "gateway-a"], threads: 1, executable: "/usr/sbin/nginx", workers: 1, descriptorsMax: 1024)
                try nginx.writeFiles()
                if let readSeconds {
                    let path = layout.nginx + "/api.conf"
                    let text = try #require(SystemCall.readFile(path))
                    try #require(text.contains("proxy_read_timeout 7s;"))
                    try SystemCall.writeFile(path, text.replacing("timeout 7s;", with: "timeout \(readSeconds)s;"), mode: 0o644)
                }
                let plan = nginx.plan(stage: 0)
                let pid = try ChildProcess.spawn(plan)
                defer {
                    kill(pid, SIGTERM)
                    _ = eventually { ChildProcess.reap(pid) != nil }
                }
                try #require(eventually { Probe.isReady(plan.readiness) }, "\(plan.log.tail())")
                try body(Edge(folder: folder, layout: layout, port: ports[.nginx], plan: plan))
            }
        }
    }

    /// A gateway that is told to stop when `body` is done.
    private static func withGateway(_ path: String, _ behaviour: FakeGateway.Behaviour, _ body: (FakeGateway) throws -> Void) throws {
        let gateway = try FakeGateway(socket: path, behaviour)
        defer { gateway.stop() }
        try body(gateway)
    }

    @Test func `nginx accepts the configuration without a warning`() async throws {
        try await Self.withEdge { edge in
            let test = try run("/usr/sbin/nginx", ["-t"] + edge.plan.arguments)
            #expect(test.code == 0 && !test.output.contains("[warn]"), "\(test.output)")
        }
    }

    @Test func `every error of nginx's own is a problem with its status and code`() async throws {
        let long = String(repeating: "a", count: 9000)
        let table: [(request: String, status: Int, code: String)] = [
            ("GARBAGE\r\n\r\n", 400, "bad_request"),
            ("GET /v1/x HTTP/1.1\r\n\r\n", 400, "bad_request"),
            ("GET /v1/x HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n", 400, "bad_request"),
            ("GET /v1/x HTTP/1.1\r\nHost: a\r\n\r\n", 401, "unauthorized"),
            ("GET /v1/x HTTP/1.1\r\nHost: a\r\nAuthorization: Basic eDp5\r\n\r\n", 401, "unauthorized"),
            ("GET /v1/x HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer \r\n\r\n", 401, "unauthorized"),
            ("GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n", 404, "not_found"),
            ("GET /.problem/404 HTTP/1.1\r\nHost: a\r\n\r\n", 404, "not_found"),
            ("TRACE /v1/x HTTP/1.1\r\nHost: a\r\n\r\n", 405, "method_not_allowed"),
            ("POST /v1/payments HTTP/1.1\r\nHost: a\r\nContent-Length: 65537\r\n\r\n", 413, "content_too_large"),
            ("POST /v1/batches HTTP/1.1\r\nHost: a\r\nContent-Length: 1048577\r\n\r\n", 413, "content_too_large"),
            ("GET /v1/\(long) HTTP/1.1\r\nHost: a\r\n\r\n", 414, "uri_too_long"),
            ("GET /v1/x HTTP/1.1\r\nHost: a\r\nX-Long: \(long)\r\n\r\n", 431, "header_fields_too_large"),
            ("POST /v1/x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n", 501, "not_implemented"),
            ("GET /v1/x HTTP/3.0\r\nHost: a\r\n\r\n", 505, "http_version_not_supported"),
        ]
        try await Self.withEdge { edge in
            for (request, status, code) in table {
                let answer = try edge.sendRaw(request)
                let name = "\(request.prefix(60))"
                #expect(answer.status == status, "\(name)")
                #expect(answer.text.contains("Content-Type: application/problem+json\r\n"), "\(name)")
                #expect(answer.text.contains("X-Request-Id: "), "\(name)")
                #expect(answer.text.contains("WWW-Authenticate: Bearer\r\n") == (status == 401), "\(name)")
                let body = try #require(answer.text.range(of: "\r\n\r\n").map { answer.text[$0.upperBound...] })
                let problem = try #require(try JSONSerialization.jsonObject(with: Data(body.utf8)) as? [String: Any], "\(name)")
                #expect(problem["status"] as? Int == status && problem["code"] as? String == code, "\(name)")
                #expect(problem["type"] as? String == "/problems/\(code)" && problem["retryable"] as? Bool == false, "\(name)")
                #expect(problem["title"] is String && problem["request_id"] is String, "\(name)")
            }
        }
    }

    @Test func `a payment that may have been sent is never sent again, and its outcome is called unknown`() async throws {
        try await Self.withEdge { edge in
            try Self.withGateway(edge.socket("gateway-a"), .closeAfterReading) { first in
                try Self.withGateway(edge.socket("gateway-b"), .closeAfterReading) { second in
                    for round in 1...4 {
                        let answer = try edge.send("/v1/payments", ["-d", "{}"])
                        #expect(answer.status == 504 && answer.text.contains(#""code":"outcome_unknown""#), "\(answer.text)")
                        #expect(first.requests.count + second.requests.count == round)
                    }
                }
            }
        }
    }

    @Test func `a payment goes to the other gateway when the first cannot be reached`() async throws {
        try await Self.withEdge { edge in
            try Self.withGateway(edge.socket("gateway-b"), .answer(status: "202 Accepted", body: "{}")) { gateway in
                for _ in 0..<6 {
                    let answer = try edge.send("/v1/payments", ["-d", "{}"])
                    #expect(answer.status == 202)
                }
                #expect(gateway.requests.count == 6)
            }
        }
    }

    @Test func `a read is repeated at the other gateway`() async throws {
        try await Self.withEdge { edge in
            try Self.withGateway(edge.socket("gateway-a"), .closeAfterReading) { broken in
                try Self.withGateway(edge.socket("gateway-b"), .answer(status: "200 OK", body: "{}")) { gateway in
                    for _ in 0..<6 {
                        let answer = try edge.send("/v1/accounts")
                        #expect(answer.status == 200)
                    }
                    #expect(gateway.requests.count == 6 && !broken.requests.isEmpty)
                }
            }
        }
    }

    @Test func `a read that a frozen gateway does not answer is answered by the other`() async throws {
        try await Self.withEdge(readSeconds: 1) { edge in
            try Self.withGateway(edge.socket("gateway-a"), .keepSilent) { frozen in
                try Self.withGateway(edge.socket("gateway-b"), .answer(status: "200 OK", body: "{}")) { gateway in
                    for _ in 0..<6 {
                        let answer = try edge.send("/v1/accounts")
                        #expect(answer.status == 200)
                    }
                    #expect(gateway.requests.count == 6)
                    #expect(frozen.requests.count == 3)
                }
            }
        }
    }

    @Test func `a read that waits is left its time, and one without a wait is not`() async throws {
        try await Self.withEdge(readSeconds: 1) { edge in
            try Self.withGateway(edge.socket("gateway-a"), .answer(status: "200 OK", body: "{}", afterMilliseconds: 1_500)) { first in
                try Self.withGateway(edge.socket("gateway-b"), .answer(status: "200 OK", body: "{}", afterMilliseconds: 1_500)) { second in
                    let waited = try edge.send("/v1/payments/0?wait=2")
                    #expect(waited.status == 200)
                    #expect(first.requests.count + second.requests.count == 1)
                    let answer = try edge.send("/v1/payments/0")
                    #expect(answer.status == 503 && answer.text.contains(#""code":"service_unavailable""#), "\(answer.text)")
                    #expect(first.requests.count + second.requests.count == 3)
                }
            }
        }
    }

    @Test func `without gateways nothing was accepted, and that is said`() async throws {
        try await Self.withEdge { edge in
            let payment = try edge.send("/v1/payments", ["-d", "{}"])
            #expect(
                payment.status == 503 && payment.text.contains(#""code":"not_accepted""#) && payment.text.contains("Retry-After: 1\r\n"))
            let read = try edge.send("/v1/accounts")
            #expect(read.status == 503 && read.text.contains(#""code":"service_unavailable""#) && read.text.contains("Retry-After: 1\r\n"))
        }
    }

    @Test(arguments: ["422 Unprocessable Content", "503 Service Unavailable", "404 Not Found", "504 Gateway Timeout"])
    func `a gateway's own error passes unchanged, also one with a status that nginx makes itself`(status: String) async throws {
        try await Self.withEdge { edge in
            try Self.withGateway(edge.socket("gateway-a"), .answer(status: status, body: #"{"mine":1}"#)) { gateway in
                let answer = try edge.send("/v1/payments", ["-d", "{}"])
                #expect(answer.text.hasSuffix(#"{"mine":1}"#) && "\(answer.status)" == status.prefix(3), "\(answer.text)")
                #expect(gateway.requests.count == 1)
            }
        }
    }

    @Test func `the gateway sees the client's request, without what a client must not say`() async throws {
        try await Self.withEdge { edge in
            try Self.withGateway(edge.socket("gateway-a"), .answer(status: "200 OK", body: "{}")) { gateway in
                let answer = try edge.send(
                    "/v1//accounts/%41?x=%2f",
                    [
                        "-H", "X-Request-Id: my-own-id-1", "-H", "X-Sluice-Tenant: other", "-H", "X-Forwarded-For: 1.2.3.4",
                        "-H", "Idempotency-Key: k-12345678", "-H", "Prefer: wait=3",
                    ])
                let request = try #require(gateway.requests.first)
                #expect(request.hasPrefix("GET /v1//accounts/%41?x=%2f HTTP/1.1\r\n"), "the path is not rewritten")
                for header in [
                    "Authorization: Bearer secret-token", "X-Request-Id: my-own-id-1", "Idempotency-Key: k-12345678", "Prefer: wait=3",
                ] {
                    #expect(request.contains("\r\n\(header)\r\n"))
                }
                for name in ["X-Sluice-Tenant", "X-Forwarded-For", "Connection:"] { #expect(!request.contains(name)) }
                #expect(answer.text.components(separatedBy: "X-Request-Id: ").count == 2, "once")
                #expect(answer.text.contains("X-Request-Id: my-own-id-1\r\n"))
                let odd = try edge.send("/v1/accounts", ["-H", "X-Request-Id: \"},{"])
                #expect(!odd.text.contains("X-Request-Id: \""), "an id that would spoil the log is replaced")
            }
        }
    }

    @Test(arguments: [
        ("/v1/payments/0123456789abcdef0123456789abcdef", "0123456789abcdef0123456789abcdef"), ("/v1/accounts/alice", ""),
        ("/v1/payments/\"},{", ""), (nil, ""),
    ])
    func `the log names the payment that an answer points to, and nothing else that one may say`(location: String?, payment: String)
        async throws
    {
        try await Self.withEdge { edge in
            let status = "202 Accepted" + (location.map { "\r\nLocation: \($0)" } ?? "")
            try Self.withGateway(edge.socket("gateway-a"), .answer(status: status, body: "{}")) { _ in
                let answer = try edge.send("/v1/payments", ["-H", "X-Request-Id: my-own-id-1", "-d", "{}"])
                #expect(answer.status == 202)
            }
            let log = LogFile(path: edge.layout.logs + "/nginx-access.log")
            try #require(eventually { log.tail().split(separator: "\n").count == 1 })
            let entry = try #require(try JSONSerialization.jsonObject(with: Data(log.tail().utf8)) as? [String: Any])
            #expect(entry["payment"] as? String == payment && entry["request_id"] as? String == "my-own-id-1")
        }
    }

    @Test func `a large batch passes, and the log tells neither token nor query`() async throws {
        try await Self.withEdge { edge in
            try Self.withGateway(edge.socket("gateway-a"), .answer(status: "200 OK", body: "{}")) { gateway in
                try SystemCall.writeFile(edge.folder + "/batch", String(repeating: "b", count: 1 << 20), mode: 0o600)
                let batch = try edge.send("/v1/batches", ["-H", "Expect:", "--data-binary", "@\(edge.folder)/batch"])
                #expect(batch.status == 200)
                #expect(gateway.requests.first.map { $0.utf8.count > 1 << 20 } == true)
                #expect(try edge.send("/v1/payments?reference=private").status == 200)
                #expect(try edge.sendRaw("POST /v1/payments HTTP/1.1\r\nHost: a\r\nContent-Length: 99999\r\n\r\n").status == 413)
            }
            let log = LogFile(path: edge.layout.logs + "/nginx-access.log")
            try #require(eventually { log.tail().split(separator: "\n").count == 3 })
            #expect(!log.tail().contains("secret-token") && !log.tail().contains("private"))
            let entries = try log.tail().split(separator: "\n").map {
                try #require(try JSONSerialization.jsonObject(with: Data($0.utf8)) as? [String: Any])
            }
            #expect(entries.map { $0["path"] as? String } == ["/v1/batches", "/v1/payments", "/v1/payments"])
            #expect(entries.map { $0["method"] as? String } == ["POST", "GET", "POST"])
            #expect(entries.map { $0["status"] as? Int } == [200, 200, 413])
        }
    }
}
