import Testing

/// One request that must be refused, and how.
struct BadRequest: CustomTestStringConvertible, Sendable {
    /// Whether the connection can still be trusted after the answer.
    enum After: Sendable { case open, closed }

    let name: String
    /// What is sent; `KEY` stands for a valid API key, `NEW` for an unused idempotency key.
    let text: [UInt8]
    let status: Int
    let code: String
    /// Where a body is wrong, as a JSON pointer and a code.
    var pointer: String?
    var pointerCode: String?
    let after: After
    /// How nginx refuses it by itself; nil where it passes it on.
    var atTheEdge: (status: Int, code: String)?

    var testDescription: String { name }

    /// Bytes as they are; the connection is closed after the answer, because nobody knows where the next request begins.
    static func raw(_ name: String, _ status: Int, _ code: String, _ text: String, after: After = .closed) -> BadRequest {
        BadRequest(name: name, text: Array(text.utf8), status: status, code: code, after: after)
    }

    /// A `GET` of a good account list with these further lines.
    static func fields(_ name: String, _ status: Int, _ code: String, _ lines: String, after: After = .closed) -> BadRequest {
        raw(name, status, code, "GET /v1/accounts HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer KEY\r\n\(lines)\r\n\r\n", after: after)
    }

    /// A `POST` of a payment with these framing lines, and what follows the empty line.
    static func framing(_ name: String, _ status: Int, _ code: String, _ lines: String, _ rest: String = "") -> BadRequest {
        raw(
            name, status, code,
            "POST /v1/payments HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer KEY\r\nIdempotency-Key: NEW\r\nContent-Type: application/json\r\n"
                + "\(lines)\r\n\r\n\(rest)")
    }

    /// A well-formed `GET` whose target is not good.
    static func target(_ name: String, _ status: Int, _ code: String, _ target: String) -> BadRequest {
        raw(name, status, code, "GET \(target) HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer KEY\r\n\r\n", after: .open)
    }

    /// A well-formed request with another method.
    static func method(_ name: String, _ status: Int, _ code: String, _ method: String, _ target: String) -> BadRequest {
        raw(
            name, status, code, "\(method) \(target) HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer KEY\r\nContent-Length: 0\r\n\r\n",
            after: .open)
    }

    func refusedByNginx(_ status: Int, _ code: String) -> BadRequest {
        var result = self
        result.atTheEdge = (status, code)
        return result
    }

    /// A `POST` of a good payment whose header lines are given.
    static func post(_ name: String, _ status: Int, _ code: String, _ lines: [String], to target: String = "/v1/payments") -> BadRequest {
        let body = goodPayment
        let all = ["POST \(target) HTTP/1.1", "Host: a"] + lines + ["Content-Length: \(body.utf8.count)"]
        return raw(name, status, code, all.joined(separator: "\r\n") + "\r\n\r\n" + body, after: .open)
    }

    /// A `POST` whose body is no JSON that is taken.
    static func json(
        _ name: String, _ body: [UInt8], _ status: Int = 400, _ code: String = "malformed_json", to target: String = "/v1/payments"
    ) -> BadRequest {
        let head =
            "POST \(target) HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer KEY\r\nIdempotency-Key: NEW\r\nContent-Type: application/json\r\n"
        return BadRequest(
            name: name, text: Array("\(head)Content-Length: \(body.count)\r\n\r\n".utf8) + body, status: status, code: code, after: .open)
    }

    static func json(_ name: String, _ body: String) -> BadRequest { json(name, Array(body.utf8)) }

    /// A `POST` of a payment that is JSON and not valid.
    static func payment(_ name: String, _ body: String, _ pointer: String, _ code: String) -> BadRequest {
        invalid(name, body, pointer, code, to: "/v1/payments")
    }

    /// A `POST` of an account that is JSON and not valid.
    static func account(_ name: String, _ body: String, _ pointer: String, _ code: String) -> BadRequest {
        invalid(name, body, pointer, code, to: "/v1/accounts")
    }

    private static func invalid(_ name: String, _ body: String, _ pointer: String, _ code: String, to target: String) -> BadRequest {
        var result = json(name, Array(body.utf8), 422, "validation_failed", to: target)
        result.pointer = pointer
        result.pointerCode = code
        return result
    }

    static let goodPayment = payment()

    /// A good payment with some members replaced, and others added.
    static func payment(
        debit: String = "\"a\"", credit: String = "\"b\"", amount: String = "1", currency: String = "\"CZK\"", more: String = ""
    ) -> String { "{\"debit\":\(debit),\"credit\":\(credit),\"amount\":\(amount),\"currency\":\(currency)\(more)}" }
}
