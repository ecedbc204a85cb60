import HTTP1
import Testing
import Wire

@testable import Gateway

@Suite struct ResourceTests {
    private static func kind(_ path: String) -> String {
        withHead("GET \(path) HTTP/1.1\r\nHost: a\r\n\r\n") { head, bytes in
            switch Resource.find(head.path, in: bytes) {
            case .payments: "payments"
            case .payment(let id): "payment \(bytes[id].text)"
            case .batches: "batches"
            case .accounts: "accounts"
            case .account(let id): "account \(bytes[id].text)"
            case .balance(let id): "balance \(bytes[id].text)"
            case .transactions(let id): "transactions \(bytes[id].text)"
            case .changeOfPayment(let id, let verb): "\(verb) of payment \(bytes[id].text)"
            case .changeOfAccount(let id, let verb): "\(verb) of account \(bytes[id].text)"
            case nil: "nothing"
            }
        }
    }

    @Test(
        "a path names its resource",
        arguments: [
            ("/v1/payments", "payments"), ("/v1/payments?reference=x", "payments"), ("/v1/payments/0a", "payment 0a"),
            ("/v1/accounts", "accounts"), ("/v1/batches", "batches"), ("/v1/accounts/al%3Aice", "account al%3Aice"),
            ("/v1/accounts/a/balance", "balance a"),
            ("/v1/accounts/a/transactions", "transactions a"), ("/v1/payments/0a/capture", "capture of payment 0a"),
            ("/v1/payments/0a/void", "void of payment 0a"), ("/v1/payments/0a/refunds", "refunds of payment 0a"),
            ("/v1/accounts/a/freeze", "freeze of account a"), ("/v1/accounts/a/unfreeze", "unfreeze of account a"),
            ("/v1/accounts/a/close", "close of account a"), ("/v1/accounts/a/limit", "limit of account a"),
        ])
    func served(_ path: String, _ kind: String) { #expect(Self.kind(path) == kind) }

    @Test(
        "any other path names nothing",
        arguments: [
            "/", "/v1", "/v1/", "/v2/payments", "/V1/payments", "/v1/payment", "/v1/payments/", "/v1/payments/a/", "/v1/payments/a/balance",
            "/v1/accounts/", "/v1/accounts//balance", "/v1/accounts/a/", "/v1/accounts/a/balance/", "/v1/accounts/a/balance/b",
            "/v1/accounts/a/holds", "/v1/accounts/a/capture", "/v1/payments/0a/freeze", "/v1/payments/0a/refund", "/v1/payments/0a/void/",
            "/v1/payments//void", "/v1/batches/", "/v1/batches/a", "/v1/%61ccounts", "//v1/accounts", "/v1//accounts",
            "/v1/accounts/a/../b",
        ])
    func others(_ path: String) { #expect(Self.kind(path) == "nothing") }

    @Test("a 405 allows POST where commands are taken, and only for a role that takes them")
    func methods() {
        #expect("\(Resource.payments.allowedMethods(.all))" == "GET, HEAD, POST")
        #expect("\(Resource.accounts.allowedMethods(.payments))" == "GET, HEAD, POST")
        #expect("\(Resource.accounts.allowedMethods(.inquiries))" == "GET, HEAD")
        #expect("\(Resource.account(.empty).allowedMethods(.all))" == "GET, HEAD")
        #expect("\(Resource.batches.allowedMethods(.all))" == "POST")
        #expect("\(Resource.changeOfPayment(.empty, .capture).allowedMethods(.all))" == "POST")
        #expect("\(Resource.changeOfAccount(.empty, .freeze).allowedMethods(.inquiries))" == "")
    }

    // MARK: Queries

    private static func values(_ query: String, _ resource: Resource, method: HTTP1.Method = .get) throws -> QueryValues {
        try withHead("GET /v1/x?\(query) HTTP/1.1\r\nHost: a\r\n\r\n") { head, bytes in
            try QueryValues(head.query, in: bytes, allowed: resource.parameters(of: method), limits: GatewayLimits())
        }
    }

    @Test("a query is read with its defaults")
    func queries() throws {
        let none = try Self.values("", .accounts)
        #expect(none.limit == 50 && none.cursor == nil && none.minRevision == 0 && none.waitSeconds == 0)
        #expect(try Self.values("limit=200", .accounts).limit == 200)
        #expect(try Self.values("limit=1&&cursor=abc&", .transactions(.empty)).cursor?.count == 3)
        #expect(try Self.values("min_revision=9007199254740991", .balance(.empty)).minRevision == 9_007_199_254_740_991)
        #expect(try Self.values("wait=10", .payment(.empty)).waitSeconds == 10)
    }

    @Test(
        "a parameter that is unknown to the resource, repeated, empty or out of range is refused",
        arguments: [
            ("limit=0", Resource.accounts), ("limit=201", .accounts), ("limit=", .accounts), ("limit=+1", .accounts),
            ("limit=1.0", .accounts),
            ("limit=-1", .accounts), ("limit=%31", .accounts), ("limit=1&limit=1", .accounts), ("limit=99999999999999999999", .accounts),
            ("Limit=1", .accounts), ("wait=1", .accounts), ("reference=a", .accounts), ("min_revision=1", .accounts), ("x", .accounts),
            ("wait=11", .payment(.empty)), ("limit=1", .payment(.empty)), ("min_revision=9007199254740992", .account(.empty)),
            ("limit=1", .account(.empty)), ("cursor=a&cursor=b", .payments),
        ])
    func refused(_ query: String, _ resource: Resource) throws {
        let problem = try #require(throws: Problem.self) { try Self.values(query, resource) }
        #expect(problem.code == .invalidParameter && problem.detail != nil)
    }

    @Test("a POST has no parameters")
    func posts() throws {
        #expect(throws: Problem.self) { try Self.values("limit=1", .accounts, method: .post) }
        _ = try Self.values("", .accounts, method: .post)
    }

    @Test("an account's id is decoded, and what can be none is told apart")
    func accounts() {
        func decoded(_ segment: String) -> String? {
            var bytes: [UInt8] = []
            return withBytes(segment) { Decoded.account($0, into: &bytes) } ? text(bytes) : nil
        }
        #expect(decoded("al%3Aice") == "al:ice")
        #expect(decoded(String(repeating: "%61", count: 64)) == String(repeating: "a", count: 64))
        for wrong in ["a%2Fb", "..", "%2E", "a%20b", "a%00", String(repeating: "%61", count: 65)] {
            #expect(decoded(wrong) == nil, "\(wrong)")
        }
    }

    @Test("a reference is decoded as UTF-8")
    func references() throws {
        #expect(try withBytes("order+1%2B%C5%BE") { try Decoded.reference($0) } == "order 1+ž")
        #expect(try withBytes(String(repeating: "%61", count: 128)) { try Decoded.reference($0) }.utf8.count == 128)
        for wrong in ["", "a%00b", "%C2%85", "%FF", "%C5", String(repeating: "a", count: 129)] {
            #expect(throws: Problem.self, "\(wrong)") { try withBytes(wrong) { try Decoded.reference($0) } }
        }
    }
}
