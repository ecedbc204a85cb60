import Foundation

/// A client of the API on one connection, which is made anew where the server has closed it. One thread's.
///
/// Nothing is sent twice: a test that repeats says so.
final class APIClient {
    let endpoint: Endpoint
    let key: String?
    private var connection: HTTPConnection?

    init(_ endpoint: Endpoint, key: String?) {
        self.endpoint = endpoint
        self.key = key
    }

    /// - Parameters:
    ///   - fields: added to Host, Authorization and, with a body, Content-Type and Content-Length; one of the same name
    ///     replaces ours.
    ///   - body: JSON.
    func send(
        _ method: String, _ target: String, _ fields: [String: String] = [:], body: String? = nil, timeoutSeconds: Double = 20
    ) throws(HTTPFailure) -> HTTPResponse {
        var all = ["Host": "sluice.test"]
        if let key { all["Authorization"] = "Bearer \(key)" }
        if let body {
            all["Content-Type"] = "application/json"
            all["Content-Length"] = "\(body.utf8.count)"
        }
        all.merge(fields) { _, given in given }
        let lines = all.sorted { $0.key < $1.key }.map { "\($0.key): \($0.value)\r\n" }.joined()
        do throws(HTTPFailure) {
            let connection = try connected(timeoutSeconds)
            try connection.send("\(method) \(target) HTTP/1.1\r\n\(lines)\r\n\(body ?? "")")
            let response = try connection.receive(answering: method)
            if response["connection"]?.lowercased() == "close" { self.connection = nil }
            return response
        } catch {
            connection = nil
            throw error
        }
    }

    private func connected(_ timeoutSeconds: Double) throws(HTTPFailure) -> HTTPConnection {
        if let connection, !connection.isStale { return connection }
        let made = try HTTPConnection(endpoint, timeoutSeconds: timeoutSeconds)
        connection = made
        return made
    }

    func get(_ target: String, _ fields: [String: String] = [:]) throws(HTTPFailure) -> HTTPResponse { try send("GET", target, fields) }

    // MARK: Writes

    /// - Parameter wait: seconds of `Prefer: wait`; nil: without it.
    func post(_ target: String, key: String, wait: Int?, body: String) throws(HTTPFailure) -> HTTPResponse {
        var fields = ["Idempotency-Key": key]
        if let wait { fields["Prefer"] = "wait=\(wait)" }
        return try send("POST", target, fields, body: body)
    }

    func pay(
        _ amount: Int, from debit: String, to credit: String, currency: String = "CZK", key: String = newKey(), wait: Int? = 10,
        more: String = ""
    ) throws(HTTPFailure) -> HTTPResponse {
        let body = "{\"debit\":\"\(debit)\",\"credit\":\"\(credit)\",\"amount\":\(amount),\"currency\":\"\(currency)\"\(more)}"
        return try post("/v1/payments", key: key, wait: wait, body: body)
    }

    func open(
        _ account: String, currency: String = "CZK", kind: String = "normal", limit: Int = 0, key: String = newKey(), wait: Int? = 10
    ) throws(HTTPFailure) -> HTTPResponse {
        let body = "{\"id\":\"\(account)\",\"currency\":\"\(currency)\",\"kind\":\"\(kind)\",\"overdraft_limit\":\(limit)}"
        return try post("/v1/accounts", key: key, wait: wait, body: body)
    }
}

extension APIClient {
    /// Holds an amount.
    func hold(
        _ amount: Int, from debit: String, to credit: String, key: String = newKey(), wait: Int? = 10, more: String = ""
    ) throws(HTTPFailure) -> HTTPResponse {
        try pay(amount, from: debit, to: credit, key: key, wait: wait, more: ",\"capture\":\"manual\"" + more)
    }

    /// Changes a payment: `capture`, `void` or `refunds`.
    func change(
        payment: String, _ verb: String, _ body: String = "{}", key: String = newKey(), wait: Int? = 10
    ) throws(HTTPFailure) -> HTTPResponse {
        try post("/v1/payments/\(payment)/\(verb)", key: key, wait: wait, body: body)
    }

    /// Changes an account: `freeze`, `unfreeze`, `close` or `limit`.
    func change(
        account: String, _ verb: String, _ body: String = "{}", key: String = newKey(), wait: Int? = 10
    ) throws(HTTPFailure) -> HTTPResponse {
        try post("/v1/accounts/\(account)/\(verb)", key: key, wait: wait, body: body)
    }
}

/// An idempotency key that nobody has used.
func newKey() -> String { "key-\(UUID().uuidString.lowercased())" }
