internal import Glibc

/// Why a request has no answer.
enum LoadFailure: Hashable, Sendable, CustomStringConvertible {
    /// An errno.
    case notConnected(CInt)
    /// By the server, before the answer was whole.
    case closed
    /// An errno while it was sent or its answer received: a reset, mostly.
    case lost(CInt)
    case timedOut
    case answerMalformed
    /// The server's certificate, in libssl's words.
    case distrusted(String)
    /// TLS went wrong otherwise.
    case handshakeFailed

    var description: String {
        switch self {
        case .notConnected(let code): "not connected: \(unsafe String(cString: strerror(code)))"
        case .closed: "closed before the answer"
        case .lost(let code): "connection lost: \(unsafe String(cString: strerror(code)))"
        case .timedOut: "timed out"
        case .answerMalformed: "answer malformed"
        case .distrusted(let reason): "certificate refused: \(reason)"
        case .handshakeFailed: "TLS failed"
        }
    }
}
