import Kafka
import Ledger
import Loop
import Telemetry
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

    @Test func `more events than the log's client has room for wait for it, and what is under way is not given up`() throws {
        var limits = WorkerLimits()
        limits.relayRetryMilliseconds = 10
        limits.relayFlushMilliseconds = 10
        limits.unrelayedEventsMax = 2
        limits.batchRecordsMax = 2
        let relay = try EventRelay(loop: loop, kafka: KafkaConfiguration(bootstrapServers: "127.0.0.1:1"), limits: limits) { _ in }
        // There is room for six.
        for offset in 0..<4 { relay.relay([event(3), event(3)], log: "log", reach: [3: Int64(offset)]) }
        run(milliseconds: 100)
        #expect(relay.isBehind && relay.unrelayedEvents == 8)
        #expect(relay.restarts.value == 0)
        // A beginning anew finds no room either until the client has answered: that is no reason for another one.
        relay.forget(partition: 9)
        run(milliseconds: 200)
        #expect(relay.restarts.value == 1)
        var isClosed = false
        relay.close { isClosed = true }
        while !isClosed { run(milliseconds: 20) }
    }
}
