public import HTTP1

/// What answers requests. Called on the server's loop; must not block.
public protocol RequestHandler: AnyObject {
    /// A whole request. Everything lent is valid during the call only. Answer it now or later, through `HTTPServer.respond`.
    ///
    /// - Parameters:
    ///   - bytes: what the head's ranges point into.
    ///   - body: decoded; empty when there is none.
    func handle(_ head: borrowing RequestHead, bytes: Span<UInt8>, body: Span<UInt8>, ticket: RequestTicket)

    /// Writes the body of the answer to a request that the parser refused, and says its content type.
    func writeBody(of refusal: Refusal, into body: inout [UInt8]) -> StaticString
}
