/// A request of the corpus that a gateway refuses and nginx 1.22 does not: it writes each request anew for the gateway, and makes
/// a good one of this. Whatever comes of it, it is one request with one answer, and the gateway reads what nginx has read.
struct MendedRequest: Sendable {
    let name: String
    let verdict: CorpusVerdict
    let reason: String

    static let all = lines + targets + fields + bodies

    private static let lines = mended(
        [
            "bare LF after the request line", "bare LF after a field", "bare LF as the empty line", "bare LF first", "CR and then a method",
            "two empty lines before the request line",
        ], 200, "to nginx LF ends a line, and CR and LF before a request are nothing; its own lines end in CRLF")

    private static let targets =
        mended(
            [
                "two spaces after the method", "two spaces before the version", "space after the version", "version with two digits",
                "HTTP/1.2",
            ], 200,
            "nginx takes more spaces, and every version from HTTP/1.1 below HTTP/2.0; its own request line has one space and HTTP/1.1")
        + mended(["another scheme"], 200, "of an absolute target nginx passes on the path and the query")
        + mended(
            ["absolute target with another host", "absolute target with another port"], 404,
            "the host of an absolute target goes before the field Host (RFC 9112 section 3.2.2); and there is no account `x`"
        )

    private static let fields =
        mended(["no colon"], 200, "nginx passes the name on with an empty value")
        + mended(
            ["parenthesis in a name", "byte from 0x80 on in a name"], 200,
            "nginx leaves out a field whose name has more than letters, digits and hyphens (ignore_invalid_headers)")
        + mended(
            ["unknown expectation", "empty expectation"], 200,
            "nginx passes over what is not 100-continue, and never passes an expectation on")
        + mended(
            [
                "Host with letters for a port", "Host with a signed port", "Host with a port beyond 65535", "Host with two ports",
                "text after an IPv6 address",
            ], 200, "nginx looks at nothing behind the host, and passes on the host alone (proxy_set_header Host $host)")

    /// The handler refuses them as it would this body with a length: they have no idempotency key.
    private static let bodies = mended(
        [
            "space after the chunk size", "tab after the chunk size", "chunk size of 17 digits", "bare LF after a chunk size",
            "space before an extension", "space in an extension", "extension without a name", "extension without a value",
            "extension with an open quote", "extension that ends in a backslash", "extension with text after the quote",
            "chunk shorter than its size", "chunk ended by LF", "trailer without a colon", "trailer with a space before the colon",
            "folded trailer", "bare LF after the last chunk", "NUL in a trailer",
        ], 400,
        "nginx passes over what stands behind a chunk's size and in trailers, and ends lines at LF; it passes the body on whole, with a length"
    )

    private static func mended(_ names: [String], _ status: Int, _ reason: String) -> [MendedRequest] {
        names.map { MendedRequest(name: $0, verdict: CorpusVerdict(answers: [status], handled: 1), reason: reason) }
    }
}
