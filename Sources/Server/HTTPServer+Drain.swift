internal import HTTP1
internal import Loop
internal import Telemetry

extension HTTPServer {
    /// Stops accepting, lets requests in flight finish and closes what stays idle; `completion` once no connection is left.
    ///
    /// Whoever has connected already is served: a client that was let in and then reset does not know whether it was heard.
    public func drain(_ completion: @escaping () -> Void) {
        guard !isDraining else { return }
        isDraining = true
        onDrained = completion
        for listener in listeners { listener.finish() }
        listeners.removeAll()
        let now = Clock.monotonicMilliseconds
        for connection in connections where connection.isOpen {
            perform(connection.machine.drain(limits: limits.connection, now: now), on: connection)
        }
        finishDrainIfDue()
    }

    func finishDrainIfDue() {
        guard isDraining, let completion = onDrained, !connections.contains(where: \.isOpen) else { return }
        onDrained = nil
        completion()
    }
}
