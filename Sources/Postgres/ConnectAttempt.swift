internal import Loop

/// One attempt to connect: libpq's handshake driven by a loop, host after host, until it succeeds or fails.
final class ConnectAttempt {
    let connection: ConnectionHandle
    private let loop: EventLoop
    private let onEnd: (ConnectionHandle.ConnectProgress) -> Void
    private var watch: DescriptorWatch?

    /// Opens the first socket. `start` follows.
    init(
        loop: EventLoop, options: [(keyword: String, value: String)], onEnd: @escaping (ConnectionHandle.ConnectProgress) -> Void
    ) {
        self.loop = loop
        self.onEnd = onEnd
        connection = ConnectionHandle(options: options)
    }

    deinit { watch?.cancel() }

    /// Calls `onEnd` once, with `.connected` or `.failed`; within this call when there was nothing to wait for.
    func start() {
        // libpq wants the first poll when the socket is writable.
        if connection.isBroken { onEnd(.failed) } else { wait(for: .write) }
    }

    private func wait(for readiness: Readiness) {
        let watch = DescriptorWatch(loop: loop, descriptor: connection.socket) { [unowned self] _ in poll() }
        watch.interest = readiness
        self.watch = watch
    }

    private func poll() {
        // libpq may close this socket and open another one, even under the same number.
        watch?.cancel()
        switch connection.continueConnecting() {
        case .wantsRead: wait(for: .read)
        case .wantsWrite: wait(for: .write)
        case .connected: onEnd(.connected)
        case .failed: onEnd(.failed)
        }
    }
}
