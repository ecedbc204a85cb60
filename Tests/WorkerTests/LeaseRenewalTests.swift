import Ledger
import Loop
import Redis
import Store
import Testing

@testable import Worker

@Suite struct LeaseRenewalTests {
    let loop = EventLoop()

    func account(_ revision: Int64) -> Account {
        Account(
            key: AccountKey(tenant: TenantID(1), account: AccountID("alice")!), number: 1, currency: Currency("EUR")!, kind: .normal,
            overdraftLimit: 0, revision: revision, openedAt: Timestamp(microseconds: 0), changedAt: Timestamp(microseconds: 0))
    }

    func run(milliseconds: Int) {
        let timer = LoopTimer(loop: loop) { loop.stop() }
        timer.arm(afterMilliseconds: milliseconds)
        withExtendedLifetime(timer) { loop.run() }
    }

    private func withPublisher(_ server: ScriptedRedis, _ body: (Publisher) -> Void) {
        let publisher = Publisher(loop: loop, configuration: RedisConfiguration(endpoint: server.address), limits: WorkerLimits()) { _ in }
        defer { publisher.close() }
        while !publisher.isReady { run(milliseconds: 5) }
        body(publisher)
    }

    @Test func `a worker vouches for a partition only while Redis has all that it has committed`() throws {
        let server = try ScriptedRedis(loop: loop)
        var renewals: [[String]] = []
        var refuses = false
        server.answer = { command in
            if command.contains(RedisFunctions.name("renew")) {
                renewals.append(command)
                return ":\(renewals.count)\r\n"
            }
            return refuses ? "-OOM command not allowed\r\n" : ":2\r\n"
        }
        withPublisher(server) { publisher in
            publisher.renewLeases([(partition: 4, epoch: 9)])
            run(milliseconds: 10)
            // The key, the epoch, the lease's life, and what was confirmed before.
            #expect(renewals.map { Array($0.dropFirst(3)) } == [["l:4", "9", "1000", "0"]])
            publisher.renewLeases([(partition: 4, epoch: 9)])
            run(milliseconds: 10)
            #expect(renewals.last.map { Array($0.dropFirst(3)) } == ["l:4", "9", "1000", "1"])

            refuses = true
            publisher.publish(accounts: [account(2)], tellings: [], deadLetters: [], reach: [4: 1])
            run(milliseconds: 10)
            #expect(publisher.owedAccounts == 1)
            for _ in 0..<5 {
                publisher.renewLeases([(partition: 4, epoch: 9)])
                run(milliseconds: 10)
            }
            #expect(renewals.count == 2)

            refuses = false
            run(milliseconds: 2_200)
            #expect(publisher.owedAccounts == 0)
            publisher.renewLeases([(partition: 4, epoch: 9)])
            run(milliseconds: 10)
            #expect(renewals.count == 3)
        }
    }

    @Test func `a Redis that another worker has emptied is not emptied again`() throws {
        let server = try ScriptedRedis(loop: loop)
        var seen: [String] = []
        var count: Int64 = 0
        server.answer = { command in
            guard command.contains(RedisFunctions.name("renew")) else {
                seen.append(command[0])
                return "+OK\r\n"
            }
            // As the function: less than what was confirmed is a lapse.
            if count > 0, count < Int64(command[6]) ?? 0 { return ":-2\r\n" }
            count += 1
            return ":\(count)\r\n"
        }
        withPublisher(server) { publisher in
            for round in 0..<8 {
                if round == 4 { count = 0 }
                publisher.renewLeases([(partition: 4, epoch: 9)])
                run(milliseconds: 10)
            }
            #expect(count == 4 && seen.isEmpty)
        }
    }

    /// Round trips above the 200 ms between renewals: the second is sent before the first is answered.
    @Test func `two renewals under way when another worker empties Redis do not empty it again`() throws {
        let server = try ScriptedRedis(loop: loop)
        var seen: [String] = []
        var count: Int64 = 0
        server.answer = { command in
            guard command.contains(RedisFunctions.name("renew")) else {
                seen.append(command[0])
                if command[0] == "FLUSHDB" { count = 0 }
                return "+OK\r\n"
            }
            if count > 0, count < Int64(command[6]) ?? 0 { return ":-2\r\n" }
            count += 1
            return ":\(count)\r\n"
        }
        withPublisher(server) { publisher in
            func renewTwice() {
                for _ in 0..<2 { publisher.renewLeases([(partition: 4, epoch: 9)]) }
                run(milliseconds: 20)
            }
            renewTwice()
            renewTwice()
            #expect(count == 4 && seen.isEmpty)
            count = 0
            renewTwice()
            #expect(count == 1 && seen.isEmpty)
            renewTwice()
            #expect(count == 3 && seen.isEmpty)
            // A lapse of Redis's memory is still one, and is emptied once for both.
            count = 2
            renewTwice()
            #expect(count == 0 && seen == ["FLUSHDB"])
            renewTwice()
            #expect(count == 2 && seen == ["FLUSHDB"])
        }
    }

    @Test func `a Redis that has told in another line of the ledger's history is emptied`() throws {
        let server = try ScriptedRedis(loop: loop)
        var seen: [String] = []
        server.answer = { command in
            seen.append(command.contains(RedisFunctions.name("renew")) ? "renew" : command[0])
            return command.contains(RedisFunctions.name("renew")) ? (seen.contains("FLUSHDB") ? ":1\r\n" : ":-3\r\n") : "+OK\r\n"
        }
        withPublisher(server) { publisher in
            for _ in 0..<2 {
                publisher.renewLeases([(partition: 0, epoch: 1 << 40 + 1)])
                run(milliseconds: 20)
            }
            #expect(seen == ["renew", "FLUSHDB", "renew"])
        }
    }

    @Test func `a Redis that has forgotten renewals is emptied before it is vouched for again`() throws {
        let server = try ScriptedRedis(loop: loop)
        var seen: [String] = []
        var forgets = true
        server.answer = { command in
            seen.append(command.contains(RedisFunctions.name("renew")) ? "renew" : command[0])
            if command.contains(RedisFunctions.name("renew")) { return forgets ? ":-2\r\n" : ":1\r\n" }
            return "+OK\r\n"
        }
        withPublisher(server) { publisher in
            publisher.renewLeases([(partition: 0, epoch: 1)])
            run(milliseconds: 20)
            #expect(seen == ["renew", "FLUSHDB"])
            forgets = false
            publisher.renewLeases([(partition: 0, epoch: 1)])
            run(milliseconds: 20)
            #expect(seen == ["renew", "FLUSHDB", "renew"])
        }
    }

    /// A Redis that goes on from its disk, or the replica of one that is lost, has the renewal and may lack what came after it.
    @Test(arguments: [100_000, 2])
    func `what Redis took after the last renewal is written again when the session was lost`(kept: Int) throws {
        let server = try ScriptedRedis(loop: loop)
        var seen: [String] = []
        var renewals = 0
        server.answer = { command in
            if command.contains(RedisFunctions.name("renew")) {
                renewals += 1
                seen.append("renew")
                return ":\(renewals)\r\n"
            }
            seen.append(command[0] == "FCALL" ? "revision \(command[4])" : command[0])
            return command[0] == "FCALL" ? ":0\r\n" : "+OK\r\n"
        }
        var limits = WorkerLimits()
        limits.unpublishedAccountsMax = kept
        let publisher = Publisher(loop: loop, configuration: RedisConfiguration(endpoint: server.address), limits: limits) { _ in }
        defer { publisher.close() }
        func runUntil(_ isDone: () -> Bool) {
            for _ in 0..<1_000 where !isDone() { run(milliseconds: 5) }
            #expect(isDone())
        }
        func renew() {
            let before = renewals
            publisher.renewLeases([(partition: 4, epoch: 9)])
            runUntil { renewals > before }
            // The answer comes a turn or two later.
            run(milliseconds: 50)
        }
        func put(_ revisions: ClosedRange<Int64>) {
            for revision in revisions {
                publisher.publish(accounts: [account(revision)], tellings: [], deadLetters: [], reach: [4: revision])
                runUntil { publisher.unconfirmedBatches == 0 }
            }
        }
        func reconnect() -> [String] {
            seen = []
            server.cut()
            run(milliseconds: 20)
            while !publisher.isReady { run(milliseconds: 5) }
            // Nothing is vouched for before what is owed is there.
            publisher.renewLeases([(partition: 4, epoch: 9)])
            runUntil { publisher.owedAccounts == 0 }
            run(milliseconds: 50)
            renew()
            return seen.filter { !["CLIENT", "HELLO", "AUTH", "FUNCTION", "SELECT"].contains($0) }
        }
        while !publisher.isReady { run(milliseconds: 5) }
        put(1...2)
        renew()
        // The renewal was confirmed after these.
        #expect(!reconnect().contains { $0.hasPrefix("revision") })
        put(3...5)
        let again = reconnect()
        if kept > 3 {
            // The latest of them, and nothing is vouched for before.
            #expect(again.first == "revision 5" && again.contains("renew"), "\(again)")
        } else {
            #expect(again.first == "FLUSHDB" && again.contains("renew"), "\(again)")
        }
        #expect(!reconnect().contains { $0.hasPrefix("revision") || $0 == "FLUSHDB" })
    }
}
