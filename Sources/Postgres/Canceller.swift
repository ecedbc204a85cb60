internal import CLibpq
internal import Loop
internal import Synchronization
internal import Telemetry

/// Owns one `PGcancel`: address and key of a connection's server process, usable on any thread.
@safe
final class CancelRequest: Sendable {
    /// Written once, before the request is shared, and read by one thread at a time: `PQcancel` does not change it.
    private let address: UInt

    init(_ pointer: OpaquePointer) { address = UInt(bitPattern: pointer) }

    deinit { unsafe PQfreeCancel(OpaquePointer(bitPattern: address)) }

    /// Opens a connection of its own, asks, and waits for the server to hang up: blocks while the server is frozen.
    func send() {
        var message = [CChar](repeating: 0, count: 256)
        let sent = unsafe PQcancel(OpaquePointer(bitPattern: address), &message, CInt(message.count))
        if sent == 0 { Log.info("a cancel request did not reach PostgreSQL") }
    }
}

/// The process's one thread for cancel requests, because libpq 15 has no other than the blocking call.
///
/// Best effort: a frozen server holds the thread up, and once 64 requests wait more of them are dropped. What bounds a
/// statement is `statement_timeout`; a cancel only ends it earlier.
enum Canceller {
    private static let requests = Mailbox<CancelRequest>(capacity: 64)
    private static let thread = LoopThread(name: "pg-cancel") { loop in
        let receiver = MailboxReceiver(loop: loop, mailbox: requests) { $0.send() }
        withExtendedLifetime(receiver) { loop.run() }
    }

    /// Leaves the request to the thread, which starts with the first one. Never blocks.
    static func send(_ request: CancelRequest) {
        _ = thread
        if !requests.send(request) { Log.info("a cancel request was dropped: too many wait") }
    }
}
