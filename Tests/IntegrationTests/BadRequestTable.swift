/// Requests that HTTP itself does not allow, or that two readers might understand differently.
extension BadRequest {
    static let all = lines + heads + framed + routes + headers + queries + texts + payments + accounts

    private static let lines: [BadRequest] = [
        raw("bare LF", 400, "bad_request", "GET /v1/accounts HTTP/1.1\nHost: a\n\n"),
        raw("bare LF after a field", 400, "bad_request", "GET /v1/accounts HTTP/1.1\r\nHost: a\nX: b\r\n\r\n"),
        raw("bare CR in a field", 400, "bad_request", "GET /v1/accounts HTTP/1.1\r\nHost: a\r\nX: a\rb\r\n\r\n"),
        raw("NUL in a field", 400, "bad_request", "GET /v1/accounts HTTP/1.1\r\nHost: a\r\nX: \0\r\n\r\n"),
        raw("no HTTP at all", 400, "bad_request", "hello\r\n\r\n"),
        raw("two spaces after the method", 400, "bad_request", "GET  /v1/accounts HTTP/1.1\r\nHost: a\r\n\r\n"),
        raw("version in lower case", 400, "bad_request", "GET /v1/accounts http/1.1\r\nHost: a\r\n\r\n"),
        raw("HTTP/2.0", 505, "http_version_not_supported", "GET /v1/accounts HTTP/2.0\r\nHost: a\r\n\r\n"),
        raw("the preface of HTTP/2", 505, "http_version_not_supported", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
        raw("CONNECT", 501, "not_implemented", "CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n"),
        raw("byte from 0x80 on in the target", 400, "bad_request", "GET /v1/accounts/\u{e9} HTTP/1.1\r\nHost: a\r\n\r\n"),
        raw("broken escape in the target", 400, "bad_request", "GET /v1/accounts/%4 HTTP/1.1\r\nHost: a\r\n\r\n"),
        raw("fragment in the target", 400, "bad_request", "GET /v1/accounts#a HTTP/1.1\r\nHost: a\r\n\r\n"),
        raw("a long target", 414, "uri_too_long", "GET /\(String(repeating: "a", count: 9000)) HTTP/1.1\r\nHost: a\r\n\r\n"),
    ]

    private static let heads: [BadRequest] = [
        raw("no Host", 400, "bad_request", "GET /v1/accounts HTTP/1.1\r\n\r\n"),
        raw("two Hosts", 400, "bad_request", "GET /v1/accounts HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n"),
        raw("Host with a path", 400, "bad_request", "GET /v1/accounts HTTP/1.1\r\nHost: a/b\r\n\r\n"),
        raw("target of another host", 400, "bad_request", "GET http://b/v1/accounts HTTP/1.1\r\nHost: a\r\n\r\n"),
        fields("folded line", 400, "bad_request", "X: a\r\n b"),
        fields("space before the colon", 400, "bad_request", "X : a"),
        fields("no colon", 400, "bad_request", "X"),
        fields("no name", 400, "bad_request", ": a"),
        fields("a long field", 431, "header_fields_too_large", "X: \(String(repeating: "a", count: 20_000))"),
        fields("many fields", 431, "header_fields_too_large", (0..<200).map { "X\($0): a" }.joined(separator: "\r\n")),
        fields("an unknown expectation", 417, "expectation_failed", "Expect: 200-ok"),
    ]

    private static let framed: [BadRequest] = [
        framing("no length", 411, "length_required", "X: a"),
        framing("Content-Length twice", 400, "bad_request", "Content-Length: 2\r\nContent-Length: 3", "{}x"),
        framing("the same Content-Length twice", 400, "bad_request", "Content-Length: 2\r\nContent-Length: 2", "{}"),
        framing("Content-Length list", 400, "bad_request", "Content-Length: 2, 2", "{}"),
        framing("Content-Length with plus", 400, "bad_request", "Content-Length: +2", "{}"),
        framing("Content-Length in hexadecimal", 400, "bad_request", "Content-Length: 0x2", "{}"),
        framing("negative Content-Length", 400, "bad_request", "Content-Length: -1"),
        framing("Content-Length beyond 64 bits", 400, "bad_request", "Content-Length: 18446744073709551617", "{}"),
        framing("Content-Length with chunked", 400, "bad_request", "Content-Length: 2\r\nTransfer-Encoding: chunked", "0\r\n\r\n"),
        framing("chunked with Content-Length", 400, "bad_request", "Transfer-Encoding: chunked\r\nContent-Length: 2", "0\r\n\r\n"),
        framing("space before the colon of Content-Length", 400, "bad_request", "Content-Length : 2", "{}"),
        framing("chunked twice", 400, "bad_request", "Transfer-Encoding: chunked, chunked", "0\r\n\r\n"),
        framing("chunked not last", 400, "bad_request", "Transfer-Encoding: chunked, gzip", "0\r\n\r\n"),
        framing("an unknown coding", 501, "not_implemented", "Transfer-Encoding: xchunked", "0\r\n\r\n"),
        framing("identity", 501, "not_implemented", "Transfer-Encoding: identity", "0\r\n\r\n"),
        framing("chunk size with 0x", 400, "bad_request", "Transfer-Encoding: chunked", "0x2\r\n{}\r\n0\r\n\r\n"),
        framing("space after a chunk size", 400, "bad_request", "Transfer-Encoding: chunked", "2 \r\n{}\r\n0\r\n\r\n"),
        framing("bare LF after a chunk size", 400, "bad_request", "Transfer-Encoding: chunked", "2\n{}\r\n0\r\n\r\n"),
        framing("chunk longer than its size", 400, "bad_request", "Transfer-Encoding: chunked", "2\r\n{}x\r\n0\r\n\r\n"),
        framing("chunk size that wraps", 400, "bad_request", "Transfer-Encoding: chunked", "10000000000000002\r\n{}\r\n0\r\n\r\n"),
        framing("a large body", 413, "content_too_large", "Content-Length: 65537"),
        framing("a large chunk", 413, "content_too_large", "Transfer-Encoding: chunked", "10001\r\n"),
    ]

    private static let routes: [BadRequest] = [
        target("no such route", 404, "not_found", "/v1/nothing"),
        target("another version", 404, "not_found", "/v2/accounts"),
        target("no version", 404, "not_found", "/accounts"),
        target("metrics are on the admin listener", 404, "not_found", "/metrics"),
        target("a slash too many", 404, "not_found", "/v1/accounts/"),
        target("dots that climb", 404, "not_found", "/v1/accounts/../accounts"),
        target("a part that is not there", 404, "not_found", "/v1/accounts/a/balances"),
        target("an escaped slash is no separator", 404, "not_found", "/v1/accounts%2Fa"),
        target("an account id with a space", 404, "not_found", "/v1/accounts/a%20b"),
        target("a long account id", 404, "not_found", "/v1/accounts/\(String(repeating: "a", count: 65))"),
        target("a payment id that is too short", 404, "not_found", "/v1/payments/0123"),
        target("a payment id in upper case", 404, "not_found", "/v1/payments/0123456789ABCDEF0123456789ABCDEF"),
        method("DELETE of an account", 405, "method_not_allowed", "DELETE", "/v1/accounts/a"),
        method("PUT of a payment", 405, "method_not_allowed", "PUT", "/v1/payments"),
        method("PATCH of the accounts", 405, "method_not_allowed", "PATCH", "/v1/accounts"),
        method("POST to a balance", 405, "method_not_allowed", "POST", "/v1/accounts/a/balance"),
        method("a method in lower case", 405, "method_not_allowed", "get", "/v1/accounts").refusedByNginx(400, "bad_request"),
    ]

    private static let headers: [BadRequest] = [
        post("no key", 401, "unauthorized", ["Idempotency-Key: NEW", "Content-Type: application/json"]),
        post(
            "a key that is none", 401, "unauthorized",
            ["Authorization: Bearer sk_x", "Idempotency-Key: NEW", "Content-Type: application/json"]),
        post(
            "two keys", 401, "unauthorized",
            ["Authorization: Bearer KEY", "Authorization: Bearer KEY", "Idempotency-Key: NEW", "Content-Type: application/json"]
        )
        .refusedByNginx(400, "bad_request"),
        post("no idempotency key", 400, "missing_idempotency_key", ["Authorization: Bearer KEY", "Content-Type: application/json"]),
        post(
            "an idempotency key of 7 characters", 400, "invalid_idempotency_key",
            ["Authorization: Bearer KEY", "Idempotency-Key: 1234567", "Content-Type: application/json"]),
        post(
            "an idempotency key of 256 characters", 400, "invalid_idempotency_key",
            ["Authorization: Bearer KEY", "Idempotency-Key: \(String(repeating: "k", count: 256))", "Content-Type: application/json"]),
        post(
            "an idempotency key with a space", 400, "invalid_idempotency_key",
            ["Authorization: Bearer KEY", "Idempotency-Key: 1234 5678", "Content-Type: application/json"]),
        post(
            "an idempotency key that is not ASCII", 400, "invalid_idempotency_key",
            ["Authorization: Bearer KEY", "Idempotency-Key: 1234567\u{e9}", "Content-Type: application/json"]),
        post(
            "two idempotency keys", 400, "invalid_idempotency_key",
            ["Authorization: Bearer KEY", "Idempotency-Key: 12345678", "Idempotency-Key: 12345678", "Content-Type: application/json"]),
        post("no content type", 415, "unsupported_media_type", ["Authorization: Bearer KEY", "Idempotency-Key: NEW"]),
        post(
            "a form", 415, "unsupported_media_type",
            ["Authorization: Bearer KEY", "Idempotency-Key: NEW", "Content-Type: application/x-www-form-urlencoded"]),
        post(
            "JSON in another character set", 415, "unsupported_media_type",
            ["Authorization: Bearer KEY", "Idempotency-Key: NEW", "Content-Type: application/json; charset=latin1"]),
        post(
            "a query on a POST", 400, "invalid_parameter",
            ["Authorization: Bearer KEY", "Idempotency-Key: NEW", "Content-Type: application/json"], to: "/v1/payments?wait=1"),
    ]
}
