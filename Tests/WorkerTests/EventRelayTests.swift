import Kafka
import Ledger
import Loop
import Testing
import Wire

@testable import Worker

/// Without a broker: nothing that is produced is ever answered.
@Suite struct EventRelayTests {
    private let loop = EventLoop()

    private func event(_ partition: Int32) -> LedgerEvent {
        let command = Command.openAccount(
            OpenAccount(account: AccountID("alice")!, currency: Currency("EUR")!, kind: .normal, overdraftLimit: 0))
        return LedgerEvent(
            id: OperationID(high: 1, low: 2), tenant: TenantID(1), partition: partition, offset: 4, decidedAt: Timestamp(microseconds: 1),
            content: .account(command, revision: 1, declineReason: nil))
    }

    private func run(milliseconds: Int) {
        let timer = LoopTimer(loop: loop) { loop.stop() }
        timer.arm(afterMilliseconds: milliseconds)
        withExtendedLifetime(timer) { loop.run() }
    }

    @Test func `events of commits that are lost keep nobody waiting, and count as written nowhere`() throws {
        var limits = WorkerLimits()
        limits.relayRetryMilliseconds = 10
        limits.relayFlushMilliseconds = 10
        var reached: [[Int32: Int64]] = []
        let relay = try EventRelay(loop: loop, kafka: KafkaConfiguration(bootstrapServers: "127.0.0.1:1"), limits: limits) {
            reached.append($0)
        }
        relay.relay([event(3)], log: "log", reach: [3: 5])
        // Nothing of its own to wait for, but all that is before it.
        relay.relay([], log: "log", reach: [4: 8])
        run(milliseconds: 50)
        #expect(reached.isEmpty && relay.unrelayedEvents == 1)
        relay.forget(partition: 3)
        run(milliseconds: 100)
        #expect(reached == [[4: 8]])
        #expect(relay.unrelayedEvents == 0)
        var isClosed = false
        relay.close { isClosed = true }
        while !isClosed { run(milliseconds: 20) }
    }
}
