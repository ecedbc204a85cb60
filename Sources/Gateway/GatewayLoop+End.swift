internal import Loop
internal import Postgres
internal import Redis
internal import Server

/// How a thread of a gateway stops.
extension GatewayLoop {
    /// Accepts nothing more, tells those who wait what is known, and ends the loop once everything is answered, or when the time
    /// for that is up.
    func drain() {
        guard !isDraining else { return }
        isDraining = true
        let timer = LoopTimer(loop: loop) { [unowned self] in end() }
        timer.arm(afterMilliseconds: limits.drainMilliseconds - limits.deliveryTimeoutMilliseconds / 2)
        drainTimer = timer
        guard limits.drainDelayMilliseconds > 0 else { return stopAccepting() }
        let delay = LoopTimer(loop: loop) { [unowned self] in stopAccepting() }
        delay.arm(afterMilliseconds: limits.drainDelayMilliseconds)
        delayTimer = delay
    }

    private func stopAccepting() {
        guard let parts, !isEnding else { return }
        parts.door?.drain()
        parts.payments.drain()
        parts.server.drain { [unowned self] in end() }
    }

    private func end() {
        guard !isEnding, let parts else { return }
        isEnding = true
        drainTimer?.cancel()
        credentialsTimer?.cancel()
        let finish = { [unowned self] in
            parts.server.closeAll()
            parts.subscriber.close()
            parts.cache.close()
            parts.pool.close()
            parts.listPool.close()
            loop.stop()
        }
        guard let door = parts.door else { return finish() }
        door.close(flushMilliseconds: limits.deliveryTimeoutMilliseconds / 2, completion: finish)
    }
}
