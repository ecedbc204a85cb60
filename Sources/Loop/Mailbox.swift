internal import CSystem
internal import Telemetry

/// The one way into a loop from another thread: a bounded array under a mutex and an eventfd that is written only
/// when the mailbox goes from empty to non-empty.
///
/// `send` may be called on any thread. `MailboxReceiver` takes the messages out on the loop's own thread.
public final class Mailbox<Message: Sendable>: Sendable {
    private struct State: Sendable {
        var messages: [Message] = []
        var closed = false
    }
    private let state = Locked(State())
    private let capacity: Int
    let descriptor: CInt

    /// `capacity` bounds the messages that wait.
    public init(capacity: Int) {
        precondition(capacity > 0)
        self.capacity = capacity
        descriptor = sluice_eventfd_open()
        precondition(descriptor >= 0, "no eventfd: raise the limit of open files")
    }

    deinit { Descriptors.close(descriptor) }

    /// Leaves a message. False when the mailbox is full or closed: nothing was left, and the sender decides.
    public func send(_ message: Message) -> Bool {
        let wakes: Bool? = state.withLock { state in
            guard !state.closed, state.messages.count < capacity else { return nil }
            state.messages.append(message)
            return state.messages.count == 1
        }
        guard let wakes else { return false }
        if wakes {
            let code = sluice_eventfd_signal(descriptor)
            precondition(code == 0, "a mailbox's eventfd is broken")
        }
        return true
    }

    /// Refuses messages from now on; those that wait are still delivered.
    public func close() { state.withLock { $0.closed = true } }

    func takeAll(into batch: inout [Message]) {
        let code = sluice_eventfd_drain(descriptor)
        precondition(code == 0, "a mailbox's eventfd is broken")
        state.withLock { state in swap(&state.messages, &batch) }
    }
}

/// Takes a mailbox's messages out, on its loop's thread, in the order they were left.
public final class MailboxReceiver<Message: Sendable> {
    private let mailbox: Mailbox<Message>
    private let handler: (Message) -> Void
    private var batch: [Message] = []
    private var watch: DescriptorWatch?

    public init(loop: EventLoop, mailbox: Mailbox<Message>, onMessage handler: @escaping (Message) -> Void) {
        self.mailbox = mailbox
        self.handler = handler
        let watch = DescriptorWatch(loop: loop, descriptor: mailbox.descriptor) { [unowned self] _ in drain() }
        watch.interest = .read
        self.watch = watch
    }

    deinit { watch?.cancel() }

    private func drain() {
        mailbox.takeAll(into: &batch)
        for message in batch { handler(message) }
        batch.removeAll(keepingCapacity: true)
    }
}
