internal import CHiredis
internal import CRedis
internal import Glibc
internal import Loop
internal import Telemetry

/// One hiredis asynchronous connection on a loop, from connect to its end; a reconnect makes a new one.
///
/// hiredis's hooks for an event library end in a `DescriptorWatch`, with one difference: to want to write is only
/// noted, and `flush` sends everything at the end of the turn. The socket is watched for room only while it is full.
///
/// hiredis frees its context by itself on any error, in the middle of a call, and defers a free that is asked for
/// in one of its callbacks. So `context` is nil from the moment it is doomed, and the handlers below are called
/// after hiredis has returned, except for replies.
///
/// The server is trusted: hiredis 0.14 asserts, and so ends the process, when a reply comes that is no error and
/// that no command asked for (`redisProcessCallbacks`).
@safe
final class RedisLink {
    /// Who is told. Set before `open`, released with the link.
    struct Handlers {
        var connected: () -> Void
        /// The connection ended, and not by `drop`. Once, as the last call.
        var ended: (RedisError) -> Void
        /// A reply to a command of the owner's user. Called by hiredis: `drop` is allowed.
        var commandReply: (RedisReply) -> Void
        /// A reply to a command of the session itself.
        var serviceReply: (RedisReply) -> Void
    }

    private let loop: EventLoop
    private let handlers: Handlers
    private let metrics: RedisMetrics
    private var context: UnsafeMutablePointer<redisAsyncContext>?
    private var watch: DescriptorWatch?
    /// Tells of an end that came at the end of a turn in a turn of its own: what its handlers gather is then sent.
    private var endTimer: LoopTimer?
    private var end: RedisError?
    private var isConnected = false
    private var mustTellConnected = false
    private var hasUnsent = false
    private var isWriting = false
    private var isSocketFull = false

    init(loop: EventLoop, metrics: RedisMetrics, handlers: Handlers) {
        self.loop = loop
        self.metrics = metrics
        self.handlers = handlers
    }

    deinit { drop() }

    /// Begins to connect. An error here is the end; `ended` is not called.
    func open(_ endpoint: SocketAddress) -> RedisError? {
        _ = ignoreSigpipe
        let opened: UnsafeMutablePointer<redisAsyncContext>? =
            switch endpoint {
            case .tcp(let address, let port): unsafe redisAsyncConnect(address, CInt(port))
            case .unix(let path): unsafe redisAsyncConnectUnix(path)
            }
        guard let context = unsafe opened else { return .unreachable(code: ENOMEM) }
        guard unsafe context.pointee.err == 0 else {
            let code = errno
            unsafe redisAsyncFree(context)
            return .unreachable(code: code)
        }
        unsafe self.context = unsafe context
        _ = unsafe sluice_redis_descriptor_close_on_exec(context.pointee.c.fd)
        watch = unsafe DescriptorWatch(loop: loop, descriptor: context.pointee.c.fd) { [unowned self] readiness in isReady(readiness) }
        unsafe context.pointee.ev.data = Unmanaged.passUnretained(self).toOpaque()
        unsafe context.pointee.ev.addRead = linkWantsToRead
        unsafe context.pointee.ev.addWrite = linkWantsToWrite
        unsafe context.pointee.ev.delWrite = linkHasWritten
        unsafe context.pointee.ev.cleanup = linkIsFreed
        // Registering this callback is what asks for the first write event, which ends the connect.
        unsafe redisAsyncSetConnectCallback(context, linkHasConnected)
        return nil
    }

    /// Ends the connection without a word to anyone. Allowed in a reply handler.
    func drop() {
        guard let context = unsafe self.context else { return }
        release()
        unsafe context.pointee.ev.addRead = nil
        unsafe context.pointee.ev.addWrite = nil
        unsafe context.pointee.ev.delWrite = nil
        unsafe context.pointee.ev.cleanup = nil
        unsafe redisAsyncFree(context)
    }

    /// Adds a command to what the end of the turn sends. False when the connection has ended.
    func send(_ command: Span<UInt8>) -> Bool { unsafe append(command, commandWasAnswered) }

    /// As `send`; the reply goes to `serviceReply`.
    func sendService(_ command: Span<UInt8>) -> Bool { unsafe append(command, serviceCommandWasAnswered) }

    /// Sends what the turn has gathered, in one write. Calls no handler: an end is told in the next turn.
    func flush() {
        guard hasUnsent, !isSocketFull, unsafe context != nil else { return }
        write()
        if end != nil {
            endTimer = LoopTimer(loop: loop) { [unowned self] in withExtendedLifetime(self) { tell() } }
            endTimer?.arm(afterMilliseconds: 0)
        }
    }

    /// Takes what waits on the socket, up to 16 KiB, and hands the replies over.
    func readNow() {
        guard isConnected, let context = unsafe context else { return }
        withExtendedLifetime(self) {
            unsafe redisAsyncHandleRead(context)
            tell()
        }
    }

    private func isReady(_ readiness: Readiness) {
        withExtendedLifetime(self) {
            if readiness.contains(.write) { write() }
            if readiness.contains(.read), let context = unsafe context { unsafe redisAsyncHandleRead(context) }
            tell()
        }
    }

    private func write() {
        guard let context = unsafe context else { return }
        if hasUnsent || isSocketFull { metrics.writes.add() }
        hasUnsent = false
        isWriting = true
        unsafe redisAsyncHandleWrite(context)
        isWriting = false
    }

    private func tell() {
        if mustTellConnected {
            mustTellConnected = false
            handlers.connected()
        }
        if let error = end {
            end = nil
            handlers.ended(error)
        }
    }

    private func append(_ command: Span<UInt8>, _ callback: ReplyCallback) -> Bool {
        guard let context = unsafe context else { return false }
        let link = unsafe Unmanaged.passUnretained(self).toOpaque()
        return unsafe command.withUnsafeBytes { bytes in
            unsafe redisAsyncFormattedCommand(
                context, callback, link, bytes.assumingMemoryBound(to: CChar.self).baseAddress, bytes.count) == REDIS_OK
        }
    }

    private func release() {
        unsafe context = nil
        watch?.cancel()
        watch = nil
        hasUnsent = false
    }

    // What the hooks and callbacks below do.

    fileprivate func wantsToRead() { if watch?.interest.contains(.read) == false { watch?.interest.insert(.read) } }

    fileprivate func wantsToWrite() {
        if isConnected && !isWriting {
            hasUnsent = true
        } else {
            isSocketFull = isConnected
            watch?.interest.insert(.write)
        }
    }

    fileprivate func hasWritten() {
        isSocketFull = false
        if watch?.interest.contains(.write) == true { watch?.interest.remove(.write) }
    }

    fileprivate func hasConnected(_ status: CInt) {
        guard status == REDIS_OK else { return }
        isConnected = true
        mustTellConnected = true
    }

    fileprivate func isFreed() {
        guard let context = unsafe self.context else { return }
        let code = errno
        end =
            switch unsafe context.pointee.c.err {
            case _ where !isConnected: .unreachable(code: code)
            case REDIS_ERR_EOF: .lost(.closedByServer)
            case REDIS_ERR_PROTOCOL: .lost(.notRedis)
            case REDIS_ERR_OTHER: unsafe .rejected(String(cString: context.pointee.errstr))
            default: .lost(.failed(code: code))
            }
        release()
    }

    fileprivate func commandReply(_ reply: RedisReply) { handlers.commandReply(reply) }
    fileprivate func serviceReply(_ reply: RedisReply) { handlers.serviceReply(reply) }
}

/// Done once a process, before its first connection.
let ignoreSigpipe: Void = {
    let code = sluice_redis_sigpipe_ignore()
    precondition(code == 0, "SIGPIPE cannot be ignored")
}()

private typealias ReplyCallback =
    @convention(c) (
        UnsafeMutablePointer<redisAsyncContext>?, UnsafeMutableRawPointer?, UnsafeMutableRawPointer?
    ) -> Void

// hiredis's hooks and callbacks; the pointer is the link, unretained: it frees the context or outlives it.

private nonisolated func link(_ pointer: UnsafeMutableRawPointer?) -> RedisLink {
    unsafe Unmanaged<RedisLink>.fromOpaque(pointer!).takeUnretainedValue()
}
private nonisolated func linkWantsToRead(_ pointer: UnsafeMutableRawPointer?) { unsafe link(pointer).wantsToRead() }
private nonisolated func linkWantsToWrite(_ pointer: UnsafeMutableRawPointer?) { unsafe link(pointer).wantsToWrite() }
private nonisolated func linkHasWritten(_ pointer: UnsafeMutableRawPointer?) { unsafe link(pointer).hasWritten() }
private nonisolated func linkIsFreed(_ pointer: UnsafeMutableRawPointer?) { unsafe link(pointer).isFreed() }

private nonisolated func linkHasConnected(_ context: UnsafePointer<redisAsyncContext>?, _ status: CInt) {
    if let pointer = unsafe context?.pointee.ev.data { unsafe link(pointer).hasConnected(status) }
}

/// Without a reply the context is being freed, and whoever waits is told otherwise.
private nonisolated func commandWasAnswered(
    _ context: UnsafeMutablePointer<redisAsyncContext>?, _ reply: UnsafeMutableRawPointer?, _ pointer: UnsafeMutableRawPointer?
) {
    guard let reply = unsafe reply else { return }
    unsafe link(pointer).commandReply(RedisReply(UnsafePointer(reply.assumingMemoryBound(to: redisReply.self))))
}

private nonisolated func serviceCommandWasAnswered(
    _ context: UnsafeMutablePointer<redisAsyncContext>?, _ reply: UnsafeMutableRawPointer?, _ pointer: UnsafeMutableRawPointer?
) {
    guard let reply = unsafe reply else { return }
    unsafe link(pointer).serviceReply(RedisReply(UnsafePointer(reply.assumingMemoryBound(to: redisReply.self))))
}
