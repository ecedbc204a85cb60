internal import Loop
internal import Telemetry

/// What this process and the other gateways tell each other of the tenants' quotas.
extension GatewayLoop {
    /// One thread speaks for the process, whose threads share its quotas.
    var tellsQuotas: Bool { thread == 0 }

    /// To be called many times a second.
    func tellOfQuotas(_ parts: Parts, nowMilliseconds: UInt64) {
        guard tellsQuotas, nowMilliseconds >= nextTellingMilliseconds else { return }
        nextTellingMilliseconds = nowMilliseconds + SpentRequests.milliseconds
        let now = loop.nowNanoseconds
        let writes = shared.writes.takeUntold(countMax: SpentRequests.tenantsMax, nowNanoseconds: now)
        let reads = shared.reads.takeUntold(countMax: SpentRequests.tenantsMax, nowNanoseconds: now)
        SpentRequests.encode(sender: shared.sender, writes: writes, reads: reads, to: &telling)
        let message = telling
        if !message.isEmpty { parts.cache.tell(SpentRequests.channel, message.span) }
    }

    func heardOfQuotas(_ message: Span<UInt8>) {
        let now = loop.nowNanoseconds
        SpentRequests.decode(message, sender: shared.sender) { tenant, writes, reads in
            counters.spentElsewhere.add(UInt64(writes + reads))
            shared.writes.spentElsewhere(tenant, count: writes, nowNanoseconds: now)
            shared.reads.spentElsewhere(tenant, count: reads, nowNanoseconds: now)
        }
    }
}
