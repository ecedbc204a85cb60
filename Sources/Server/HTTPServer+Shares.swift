internal import Loop
internal import Telemetry

/// A connection that has sent many requests gets some of them begun in a turn; the rest is taken up when all that is ready had its turn.
extension HTTPServer {
    /// Leaves what a connection has sent for a later turn.
    func putOff(_ connection: Connection) {
        guard !connection.isPutOff else { return }
        connection.isPutOff = true
        putOffSlots.append(connection.slot)
        counters.putOff.add()
        wakePutOff()
    }

    /// The connection is closed.
    func forgetPutOff(_ connection: Connection) {
        guard connection.isPutOff else { return }
        connection.isPutOff = false
        putOffSlots.remove(connection.slot)
    }

    /// Called in a turn behind all descriptors that are ready in it.
    func resumePutOff() {
        for _ in 0..<limits.resumedPerTurnMax {
            guard let slot = putOffSlots.popFirst() else { return }
            let connection = connections[Int(slot)]
            connection.isPutOff = false
            var buffer: [UInt8] = []
            swap(&buffer, &connection.kept)
            consume(&buffer, on: connection)
            takeBack(&buffer)
            markDirty(connection)
        }
        if putOffSlots.count > 0 { wakePutOff() }
    }

    /// The next turn then does not wait: a timer that is due makes libevent only look at what is ready, which comes before the timer.
    private func wakePutOff() {
        if putOffTimer?.isArmed == false { putOffTimer?.arm(afterMilliseconds: 0) }
    }
}
