internal import CHiredis
internal import Glibc
internal import Loop

/// A connection that blocks its thread for each command: for command-line tools and tests, never on a loop.
///
/// After an error it is of no more use, because a late reply could be taken for the next command's.
@safe
public final class RedisConnection {
    private let context: UnsafeMutablePointer<redisContext>
    private let timeoutMilliseconds: Int
    private var failure: RedisError?

    /// Connects, authenticates and runs the set-up commands.
    public init(_ configuration: RedisConfiguration) throws(RedisError) {
        _ = ignoreSigpipe
        configuration.validate()
        timeoutMilliseconds = configuration.commandTimeoutMilliseconds
        let patience = timeval(milliseconds: configuration.connectTimeoutMilliseconds)
        let opened =
            switch configuration.endpoint {
            case .tcp(let address, let port): unsafe redisConnectWithTimeout(address, CInt(port), patience)
            case .unix(let path): unsafe redisConnectUnixWithTimeout(path, patience)
            }
        guard let context = unsafe opened else { throw .unreachable(code: ENOMEM) }
        unsafe self.context = unsafe context
        guard unsafe context.pointee.err == 0 else { throw .unreachable(code: errno) }
        guard unsafe redisSetTimeout(context, timeval(milliseconds: timeoutMilliseconds)) == REDIS_OK else {
            throw .unreachable(code: errno)
        }
        for arguments in configuration.greeting {
            if case .error(let text) = try command(arguments) { throw .rejected(text) }
        }
    }

    deinit { unsafe redisFree(context) }

    /// Runs one command and waits for its reply; an error reply is a reply. Every single wait for the server is at
    /// most the configuration's `commandTimeoutMilliseconds`.
    public func command(_ arguments: [String]) throws(RedisError) -> OwnedReply {
        var command = CommandBuffer()
        command.encode(arguments)
        return try run(command.encoded)
    }

    /// Runs one command whose arguments are any bytes.
    public func command(_ arguments: [[UInt8]]) throws(RedisError) -> OwnedReply {
        var command = CommandBuffer()
        command.begin(argumentCount: arguments.count)
        for argument in arguments { command.append(argument.span) }
        return try run(command.encoded)
    }

    private func run(_ command: Span<UInt8>) throws(RedisError) -> OwnedReply {
        if let failure { throw failure }
        var reply: UnsafeMutableRawPointer?
        let code = unsafe command.withUnsafeBytes { bytes in
            let text = unsafe bytes.assumingMemoryBound(to: CChar.self).baseAddress
            guard unsafe redisAppendFormattedCommand(context, text, bytes.count) == REDIS_OK else { return REDIS_ERR }
            return unsafe redisGetReply(context, &reply)
        }
        guard code == REDIS_OK, let reply = unsafe reply else {
            let error = currentFailure()
            failure = error
            throw error
        }
        defer { unsafe freeReplyObject(reply) }
        let object = unsafe UnsafePointer(reply.assumingMemoryBound(to: redisReply.self))
        let view = unsafe RedisReply(object)
        return OwnedReply(copying: view)
    }

    private func currentFailure() -> RedisError {
        let code = errno
        return switch unsafe context.pointee.err {
        case REDIS_ERR_EOF: .lost(.closedByServer)
        case REDIS_ERR_PROTOCOL: .lost(.notRedis)
        case REDIS_ERR_IO where code == EAGAIN: .timedOut(afterMilliseconds: timeoutMilliseconds)
        default: .lost(.failed(code: code))
        }
    }
}

extension timeval {
    fileprivate init(milliseconds: Int) {
        self.init(tv_sec: milliseconds / 1_000, tv_usec: milliseconds % 1_000 * 1_000)
    }
}
