internal import Glibc

/// Why a command has no reply.
public enum RedisError: Error, Hashable, Sendable, CustomStringConvertible {
    /// No answer in time. The command may have run.
    case timedOut(afterMilliseconds: Int)
    /// The connection went while the command was in flight. It may have run.
    case lost(Loss)
    /// Not sent: no ready connection, or too many commands in flight.
    case refused
    /// Not sent: no connection could be made; an errno.
    case unreachable(code: CInt)
    /// Not sent: the server answered AUTH or a set-up command with this error.
    case rejected(String)

    /// How a connection ended.
    public enum Loss: Hashable, Sendable {
        case closedByServer
        /// The socket failed; an errno, 0 when hiredis told none.
        case failed(code: CInt)
        /// The server sent what is not the Redis protocol.
        case notRedis
        /// Dropped because the server was silent for too long.
        case silent
        /// The owner closed it.
        case closed
    }

    /// What a caller can do.
    public enum Recovery: Sendable {
        /// The command may have run: repeat it only if running it twice does no harm.
        case repeatIfHarmless
        /// The command has not run: repeat it later, or do without.
        case repeatLater
        /// Repeating does not help until the set-up or the server's users are changed.
        case changeSetUp
    }

    public var recovery: Recovery {
        switch self {
        case .timedOut, .lost: .repeatIfHarmless
        case .refused, .unreachable: .repeatLater
        case .rejected: .changeSetUp
        }
    }

    public var description: String {
        switch self {
        case .timedOut(let milliseconds): "Redis did not answer within \(milliseconds) ms"
        case .lost(.closedByServer): "Redis closed the connection"
        case .lost(.failed(let code)): "the connection to Redis failed: \(unsafe String(cString: strerror(code)))"
        case .lost(.notRedis): "the server does not speak Redis's protocol"
        case .lost(.silent): "Redis was silent for too long"
        case .lost(.closed): "the connection to Redis was closed"
        case .refused: "no ready connection to Redis, or too many commands in flight"
        case .unreachable(let code): "Redis cannot be reached: \(unsafe String(cString: strerror(code)))"
        case .rejected(let text): "Redis refused the connection's set-up: \(text)"
        }
    }
}
