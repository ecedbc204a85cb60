import Bench
import Foundation
import Loop
import Testing

extension Measurements {
    /// TLS against nginx, whose certificate is made for the test.
    @Suite(.serialized) struct TLSTests {
        @Test func `requests go over TLS, and only to whom the certificate is for`() throws {
            let nginx = try NginxWithTLS()
            defer { nginx.stop() }
            func run(_ change: (inout LoadTarget) -> Void) throws -> LoadReport {
                var target = try #require(LoadTarget(url: "https://127.0.0.1:\(nginx.port)"))
                target.security?.authorities = nginx.certificate
                change(&target)
                var options = LoadOptions(
                    target: target, pace: .open(perSecond: 400, .constant), accounts: try #require(AccountSet("a:1..20")))
                options.connections = 8
                options.threads = 2
                options.seconds = 0.5
                options.timeoutSeconds = 2
                options.mix = LoadOptions.Mix(reads: 1, writes: 1)
                return Load.run(options)
            }
            let good = try run { _ in }
            #expect(good.statuses == ["200": 200] && good.isClean && good.errors == [:])
            #expect(good.settings["tls"] == "yes")
            let named = try run { $0.security?.name = "localhost" }
            #expect(named.statuses == ["200": 200] && named.isClean)
            let wrong = try run { $0.security?.name = "example.org" }
            #expect(wrong.answered == 0 && wrong.errors.keys.contains("certificate refused: hostname mismatch"), "\(wrong.errors)")
            let unknown = try run { $0.security?.authorities = nil }
            #expect(
                unknown.answered == 0 && unknown.errors.keys.allSatisfy { $0.hasPrefix("certificate refused: self") }, "\(unknown.errors)")
            let careless = try run {
                $0.security?.authorities = nil
                $0.security?.isVerified = false
            }
            #expect(careless.statuses == ["200": 200] && careless.settings["tls"] == "yes, certificate not checked")
        }

        @Test func `connections that the server ends after each answer are opened again`() throws {
            let nginx = try NginxWithTLS(requestsPerConnection: 5)
            defer { nginx.stop() }
            var target = try #require(LoadTarget(url: "https://127.0.0.1:\(nginx.port)"))
            target.security?.authorities = nginx.certificate
            var options = LoadOptions(target: target, pace: .open(perSecond: 200, .constant), accounts: try #require(AccountSet("a:1..20")))
            (options.connections, options.seconds) = (4, 1)
            let report = Load.run(options)
            #expect(report.statuses == ["200": 200] && report.isClean, "\(report.text)")
        }

        @Test func `a server without TLS is an error, and authorities that are none are refused`() throws {
            let stub = StubServer()
            defer { stub.stop() }
            guard case .tcp(_, let port) = stub.address else { preconditionFailure("the stub listens on TCP") }
            var target = try #require(LoadTarget(url: "https://127.0.0.1:\(port)"))
            #expect(Load.canTrust(target))
            var options = LoadOptions(target: target, pace: .open(perSecond: 20, .constant), accounts: try #require(AccountSet("a")))
            (options.connections, options.seconds, options.timeoutSeconds) = (2, 0.5, 0.5)
            let report = Load.run(options)
            #expect(report.answered == 0 && !report.errors.isEmpty && !report.isClean)
            target.security?.authorities = "/nowhere.pem"
            #expect(!Load.canTrust(target))
        }
    }
}

/// nginx with a fresh certificate for 127.0.0.1 and localhost, which answers everything with 200.
private final class NginxWithTLS {
    let port: UInt16
    let certificate: String
    private let folder: String
    private let process = Process()

    init(requestsPerConnection: Int = 1_000_000) throws {
        folder = NSTemporaryDirectory() + "sluice-tls-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        certificate = "\(folder)/certificate.pem"
        let openssl = Process()
        openssl.executableURL = URL(fileURLWithPath: "/usr/bin/openssl")
        openssl.arguments = [
            "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", "/CN=localhost",
            "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", "\(folder)/key.pem", "-out", certificate,
        ]
        openssl.standardError = FileHandle.nullDevice
        try openssl.run()
        openssl.waitUntilExit()
        port = try Self.freePort()
        try Self.configuration(folder, port, requestsPerConnection).write(toFile: "\(folder)/nginx.conf", atomically: true, encoding: .utf8)
        process.executableURL = URL(fileURLWithPath: "/usr/sbin/nginx")
        process.arguments = ["-e", "\(folder)/error.log", "-c", "\(folder)/nginx.conf"]
        try process.run()
        let deadline = Date(timeIntervalSinceNow: 10)
        while !FileManager.default.fileExists(atPath: "\(folder)/pid"), Date() < deadline { usleep(20_000) }
    }

    /// One that was free a moment ago: nginx cannot choose one itself.
    private static func freePort() throws -> UInt16 {
        let loop = EventLoop()
        let probe = try Listener(loop: loop, address: .tcp(address: "127.0.0.1", port: 0)) { Descriptors.close($0) }
        guard case .tcp(_, let port) = probe.address else { preconditionFailure("a TCP listener has a TCP address") }
        return port
    }

    private static func configuration(_ folder: String, _ port: UInt16, _ requests: Int) -> String {
        """
        daemon off; master_process off; pid \(folder)/pid; error_log \(folder)/error.log;
        events {}
        http {
            access_log off; keepalive_requests \(requests); client_body_temp_path \(folder)/body;
            server {
                listen 127.0.0.1:\(port) ssl; ssl_certificate \(folder)/certificate.pem; ssl_certificate_key \(folder)/key.pem;
                location / { return 200 '{}'; }
            }
        }
        """
    }

    func stop() {
        // Not SIGTERM: a child inherits the signals that its parent's thread has blocked, and that is one of them here.
        kill(process.processIdentifier, SIGKILL)
        process.waitUntilExit()
        try? FileManager.default.removeItem(atPath: folder)
    }
}
