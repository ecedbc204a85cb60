import Foundation
import Testing

/// Accounts of one test, under names that no other test has.
struct Scene {
    let system = SystemUnderTest.shared
    let client: APIClient
    private let tag = UUID().uuidString.prefix(8).lowercased()

    /// - Parameter client: of another tenant or another way in; otherwise the first key's, through nginx.
    init(_ client: APIClient? = nil) throws { self.client = try client ?? SystemUnderTest.shared.client() }

    /// The account's id in this test.
    func id(_ name: String) -> String { "\(name)-\(tag)" }

    @discardableResult
    func open(
        _ name: String, currency: String = "CZK", kind: String = "normal", limit: Int = 0, sourceLocation: SourceLocation = #_sourceLocation
    ) throws -> String {
        let response = try client.open(id(name), currency: currency, kind: kind, limit: limit)
        try #require(response.status == 201, "\(response)", sourceLocation: sourceLocation)
        return id(name)
    }

    /// The account that money comes from and goes to: outside of the ledger.
    @discardableResult
    func world(currency: String = "CZK", sourceLocation: SourceLocation = #_sourceLocation) throws -> String {
        try open("world", currency: currency, kind: "external", sourceLocation: sourceLocation)
    }

    /// An account with an amount paid in from `world`, which is open.
    @discardableResult
    func funded(_ name: String, _ amount: Int, limit: Int = 0, sourceLocation: SourceLocation = #_sourceLocation) throws -> String {
        try open(name, limit: limit, sourceLocation: sourceLocation)
        let response = try client.pay(amount, from: id("world"), to: id(name))
        try #require(response.status == 201, "\(response)", sourceLocation: sourceLocation)
        return id(name)
    }

    /// What the API says once it is no older than the revision.
    func posted(_ account: String, minRevision: Int = 0, sourceLocation: SourceLocation = #_sourceLocation) throws -> Int {
        let response = try client.get("/v1/accounts/\(account)/balance?min_revision=\(minRevision)")
        try #require(response.status == 200, "\(response)", sourceLocation: sourceLocation)
        return try #require(response.json.posted.int, sourceLocation: sourceLocation)
    }

    /// Asks for a payment until it is decided.
    func final(_ id: String, seconds: Double = 20, sourceLocation: SourceLocation = #_sourceLocation) throws -> JSON {
        var last: HTTPResponse?
        let isFinal = try eventually(seconds: seconds) {
            last = try client.get("/v1/payments/\(id)")
            return last?.status == 200 && last?.json.status.string != "processing"
        }
        try #require(isFinal, "\(String(describing: last))", sourceLocation: sourceLocation)
        return try #require(last, sourceLocation: sourceLocation).json
    }
}
