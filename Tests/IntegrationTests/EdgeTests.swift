import Foundation
import Glibc
import Testing

extension WholeSystem {
    /// What nginx and the admin listeners answer by themselves.
    @Suite struct Edge {
        @Test func `every error that nginx makes is a problem`() throws {
            let system = SystemUnderTest.shared
            let way = try system.nginx()
            let authorization = "Authorization: Bearer \(system.demoKey)\r\n"
            let requests: [(name: String, request: String, status: Int, code: String)] = [
                ("no such route", "GET / HTTP/1.1\r\nHost: a\r\n\r\n", 404, "not_found"),
                ("metrics are not for everybody", "GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n", 404, "not_found"),
                ("no key", "GET /v1/accounts HTTP/1.1\r\nHost: a\r\n\r\n", 401, "unauthorized"),
                ("another scheme", "GET /v1/accounts HTTP/1.1\r\nHost: a\r\nAuthorization: Basic YTpi\r\n\r\n", 401, "unauthorized"),
                ("no host", "GET /v1/accounts HTTP/1.1\r\n\(authorization)\r\n", 400, "bad_request"),
                ("no HTTP", "hello\r\n\r\n", 400, "bad_request"),
                (
                    "a long target", "GET /v1/accounts?\(String(repeating: "a", count: 9000)) HTTP/1.1\r\nHost: a\r\n\(authorization)\r\n",
                    414,
                    "uri_too_long"
                ),
                (
                    "long fields",
                    "GET /v1/accounts HTTP/1.1\r\nHost: a\r\nX-Long: \(String(repeating: "a", count: 9000))\r\n\(authorization)\r\n",
                    431, "header_fields_too_large"
                ),
                (
                    "a large body",
                    "POST /v1/payments HTTP/1.1\r\nHost: a\r\n\(authorization)Content-Type: application/json\r\nContent-Length: 70000\r\n\r\n",
                    413,
                    "content_too_large"
                ),
                ("HTTP/3", "GET /v1/accounts HTTP/3.0\r\nHost: a\r\n\(authorization)\r\n", 505, "http_version_not_supported"),
                (
                    "an unknown transfer coding",
                    "POST /v1/payments HTTP/1.1\r\nHost: a\r\n\(authorization)Transfer-Encoding: gzip\r\n\r\n", 501, "not_implemented"
                ),
            ]
            for (name, request, status, code) in requests {
                let connection = try HTTPConnection(way)
                try connection.send(request)
                let answer = try connection.receive()
                #expect(answer.status == status, "\(name)")
                #expect(answer.problemCode == code, "\(name): \(answer)")
            }
        }

        @Test func `with both gateways killed every client is told so, and nothing is lost`() throws {
            let scene = try Scene()
            let world = try scene.world()
            let shop = try scene.open("shop")
            let (system, key) = (scene.system, newKey())
            for name in ["gateway-a", "gateway-b"] { kill(try system.pid(name), SIGKILL) }
            // Until they are up again every answer is a problem of nginx; afterwards it is theirs.
            var codes: Set<String?> = []
            let isBack = try eventually(seconds: 30, everyMilliseconds: 10) {
                let read = try scene.client.get("/v1/accounts/\(shop)")
                if read.status == 200 { return true }
                codes.insert("\(read.status) \(read.problemCode ?? read.text)")
                let payment = try scene.client.pay(1, from: world, to: shop, key: key)
                if payment.status / 100 != 2 { codes.insert("\(payment.status) \(payment.problemCode ?? payment.text)") }
                return false
            }
            #expect(isBack)
            #expect(codes.isSuperset(of: ["503 service_unavailable", "503 not_accepted"]), "\(codes)")
            #expect(
                codes.isSubset(of: ["503 service_unavailable", "503 not_accepted", "504 outcome_unknown", "401 unauthorized"]), "\(codes)")
            try system.waitUntilHealthy()
            #expect(try scene.client.pay(1, from: world, to: shop, key: key).status == 201)
            #expect(try LedgerTables(system: system).movements(to: shop) == (1, 1))
        }

        @Test(arguments: ["gateway-a", "gateway-b", "worker-1"])
        func `health and metrics are served to the operator`(name: String) throws {
            let client = APIClient(try SystemUnderTest.shared.admin(name), key: nil)
            #expect(try client.get("/healthz").status == 200)
            #expect(try client.get("/readyz").status == 200)
            let page = try client.get("/metrics")
            #expect(page.status == 200)
            #expect(page["content-type"]?.hasPrefix("text/plain; version=0.0.4") == true)
            #expect(MetricsPage(page.text).problems == [])
            #expect(MetricsPage(page.text).families.count >= 10)
            let file = FileManager.default.temporaryDirectory.path + "/\(newKey()).metrics"
            defer { try? FileManager.default.removeItem(atPath: file) }
            try page.text.write(toFile: file, atomically: false, encoding: .utf8)
            // The judge of those who read it: units, names, help.
            let verdict = try run("/bin/sh", ["-c", "promtool check metrics < \(file) 2>&1"])
            #expect(verdict.code == 0, "\(verdict.output)")
            #expect(try client.get("/v1/accounts").status == 404)
        }

        @Test func `a dependency that is away is told by readiness, and the process stays alive`() throws {
            let scene = try Scene()
            let world = try scene.world()
            let shop = try scene.open("shop")
            let system = scene.system
            let client = APIClient(try system.admin("worker-1"), key: nil)
            let id = try system.whileFrozen("postgres-primary") {
                let accepted = try scene.client.pay(1, from: world, to: shop, wait: nil)
                #expect(accepted.status == 202, "\(accepted)")
                let isTold = try eventually(seconds: 15) { try client.get("/readyz").status == 503 }
                #expect(isTold)
                #expect(try client.get("/healthz").status == 200)
                return try #require(accepted.json.id.string)
            }
            #expect(try scene.final(id).status.string == "settled")
            let isReady = try eventually(seconds: 15) { try client.get("/readyz").status == 200 }
            #expect(isReady)
            try system.waitUntilHealthy()
        }
    }
}
