import Loop
import Pool
import Postgres
import Telemetry
import Testing

@testable import TestSupport

/// A primary with a streaming standby; each test has its own pair, because it breaks them.
@Suite(.serialized) struct ReplicaPoolTests {
    let bench = Bench()
    let answers = Answers()
    let whoAmI = Statement("who_am_i", "SELECT pg_is_in_recovery(), $1::bigint")

    private func configuration(_ server: TestServer) -> PostgresConfiguration {
        var configuration = PostgresConfiguration(connectionString: server.connectionString)
        configuration.queryDeadlineMilliseconds = 1_500
        configuration.connectTimeoutMilliseconds = 1_500
        return configuration
    }

    private func pool(
        _ replicas: [PostgresConfiguration], primary: TestServer?, budget: Int = 1_000, lagBound: Int = 400, servesLate: Bool = false
    ) -> ReplicaPool {
        ReplicaPool(
            loop: bench.loop, replicas: replicas, primary: primary.map(configuration), primaryBudgetPerSecond: budget,
            lagBoundMilliseconds: lagBound, sessionsPerReplica: 2, probeIntervalMilliseconds: 100, servesLateWithoutPrimary: servesLate)
    }

    /// Where a read went: true for a standby, false for the primary, nil for nobody.
    private func readsFromStandby(_ pool: ReplicaPool) throws -> Bool? {
        let label = "read \(answers.count)"
        guard pool.execute([SQL.query(whoAmI, 7)], completion: answers.completion(label)) else { return nil }
        let expected = answers.count + 1
        guard bench.run(until: { answers.count == expected }) else { throw Failure(description: "no answer") }
        return try answers.rows(label)[0].bool(0, 0)
    }

    @Test func `reads go to the standby, to the primary within its budget when the standby dies, and back`() throws {
        let primary = try TestServer()
        let standby = try TestServer(standbyOf: primary)
        let pool = pool([configuration(standby)], primary: primary, budget: 10)
        #expect(bench.run { pool.state(ofReplica: 0) == .serving })
        #expect(try readsFromStandby(pool) == true)

        standby.stop()
        #expect(bench.run { pool.state(ofReplica: 0) == .down })
        #expect(bench.run { pool.isReady })
        var sent = 0
        while pool.execute([SQL.query(whoAmI, 1)], for: 1, completion: answers.completion("primary")) { sent += 1 }
        // A burst is a tenth of a second's worth, at least one.
        #expect(sent == 1)
        #expect(pool.metrics.refused.value == 1)
        let expected = answers.count + sent
        #expect(bench.run { answers.count >= expected })
        #expect(try answers.rows("primary")[0].bool(0, 0) == false)

        try standby.start()
        #expect(bench.run { pool.state(ofReplica: 0) == .serving })
        #expect(try readsFromStandby(pool) == true)
        pool.close()
    }

    @Test func `a standby whose receiver is frozen is late although it says of itself that it is not`() throws {
        let primary = try TestServer()
        let standby = try TestServer(standbyOf: primary)
        let pool = pool([configuration(standby)], primary: primary)
        #expect(bench.run { pool.state(ofReplica: 0) == .serving })
        try standby.freezeReceiver()
        let writer = try primary.connect()
        try writer.run("CREATE TABLE later (n int)")
        #expect(bench.run { pool.state(ofReplica: 0) == .late })
        #expect(pool.lagMilliseconds(ofReplica: 0) > 400)
        #expect(try standby.connect().query("SELECT pg_last_wal_receive_lsn() = pg_last_wal_replay_lsn()").bool(0, 0))
        #expect(try readsFromStandby(pool) == false)
        #expect(bench.run { pool.metrics.ejections.value == 1 })
        try standby.thaw()
        #expect(bench.run { pool.state(ofReplica: 0) == .serving })
        #expect(try readsFromStandby(pool) == true)
        pool.close()
    }

    @Test func `a read lost in flight is repeated on another server`() throws {
        let primary = try TestServer()
        let standby = try TestServer(standbyOf: primary)
        let pool = pool([configuration(standby)], primary: primary)
        #expect(bench.run { pool.state(ofReplica: 0) == .serving })
        #expect(pool.execute([SQL.query(SQL.sleep, 200), SQL.query(whoAmI, 1)], completion: answers.completion("slow")))
        let killer = try standby.connect()
        try killer.run(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'")
        #expect(bench.run { answers.count == 1 })
        #expect(try answers.rows("slow")[1].bool(0, 0) == false)
        #expect(pool.metrics.retried.value == 1)
        pool.close()
    }

    @Test func `reads that meet connections broken a moment ago, which nobody has noticed yet, are answered by another server`() throws {
        let primary = try TestServer()
        let standby = try TestServer(standbyOf: primary)
        let pool = pool([configuration(standby)], primary: primary)
        #expect(bench.run { pool.state(ofReplica: 0) == .serving && pool.metrics.states[0].value == 2 })
        #expect(try readsFromStandby(pool) == true)
        // The loop stands still meanwhile: the pool takes both sessions for ready.
        standby.stop()
        #expect(pool.state(ofReplica: 0) == .serving)
        for number in 0..<6 { #expect(pool.execute([SQL.query(whoAmI, 1)], completion: answers.completion("met \(number)"))) }
        #expect(bench.run { answers.count == 7 })
        for number in 0..<6 { #expect(try answers.rows("met \(number)")[0].bool(0, 0) == false) }
        #expect(pool.metrics.refused.value == 0)
        pool.close()
    }

    @Test func `a read that a frozen standby does not answer is repeated, it is left out, and a dead address never serves`() throws {
        let primary = try TestServer()
        let standby = try TestServer(standbyOf: primary)
        let dead = PostgresConfiguration(connectionString: "hostaddr=127.0.0.1 port=\(TestServer.freePort()) user=postgres")
        let pool = pool([dead, configuration(standby)], primary: primary)
        #expect(bench.run { pool.state(ofReplica: 1) == .serving })
        for _ in 0..<4 { #expect(try readsFromStandby(pool) == true) }
        try standby.freeze()
        #expect(pool.execute([SQL.query(whoAmI, 1)], completion: answers.completion("frozen")))
        #expect(bench.run { answers.count == 5 })
        #expect(try answers.rows("frozen")[0].bool(0, 0) == false)
        #expect(pool.metrics.retried.value == 1)
        #expect(try readsFromStandby(pool) == false)
        try standby.thaw()
        #expect(bench.run { pool.state(ofReplica: 1) == .serving })
        #expect(pool.state(ofReplica: 0) == .down)
        pool.close()
    }

    @Test func `without fresh replicas and primary, late replicas serve where that is allowed`() throws {
        let primary = try TestServer()
        let standby = try TestServer(standbyOf: primary)
        let strict = pool([configuration(standby)], primary: primary)
        let lenient = pool([configuration(standby)], primary: primary, servesLate: true)
        #expect(bench.run { strict.state(ofReplica: 0) == .serving && lenient.state(ofReplica: 0) == .serving })
        primary.stop()
        #expect(bench.run { strict.state(ofReplica: 0) == .late && lenient.state(ofReplica: 0) == .late })
        #expect(try readsFromStandby(strict) == nil)
        #expect(!strict.isReady && lenient.isReady)
        #expect(try readsFromStandby(lenient) == true)
        #expect(lenient.metrics.onLate.value == 1)
        strict.close()
        lenient.close()
    }

    @Test func `with a promoted standby and no old primary, reads go on`() throws {
        let primary = try TestServer()
        let standby = try TestServer(standbyOf: primary)
        let pool = pool([configuration(standby)], primary: nil)
        #expect(bench.run { pool.state(ofReplica: 0) == .serving })
        primary.stop()
        #expect(bench.run { pool.state(ofReplica: 0) == .late })
        try standby.connect().run("SELECT pg_promote()")
        #expect(bench.run { pool.state(ofReplica: 0) == .serving })
        #expect(try readsFromStandby(pool) == false)
        pool.close()
    }

    @Test func `what nobody wants any more is stopped, and what is behind it on the connection is answered`() throws {
        let primary = try TestServer()
        let standby = try TestServer(standbyOf: primary)
        let pool = ReplicaPool(
            loop: bench.loop, replicas: [configuration(standby)], primary: nil, primaryBudgetPerSecond: 0, lagBoundMilliseconds: 5_000,
            sessionsPerReplica: 1, probeIntervalMilliseconds: 50)
        #expect(bench.run { pool.state(ofReplica: 0) == .serving })
        let watcher = try standby.connect()
        func isAsleep() throws -> Bool {
            try watcher.query("SELECT count(*) > 0 FROM pg_stat_activity WHERE wait_event = 'PgSleep'").bool(0, 0)
        }
        for round in 1...5 {
            var isWanted = true
            // Well within the deadline, and far longer than a stop takes.
            #expect(
                pool.execute(
                    [SQL.query(SQL.sleep, 1_300)], isWanted: { isWanted }, completion: answers.completion("gone \(round)")))
            #expect(pool.execute([SQL.query(whoAmI, 1)], isWanted: { true }, completion: answers.completion("behind \(round)")))
            #expect(bench.run { (try? isAsleep()) == true })
            #expect(answers.count == 2 * (round - 1))
            isWanted = false
            let since = bench.loop.nowNanoseconds
            #expect(bench.run { answers.count == 2 * round })
            #expect(bench.loop.nowNanoseconds - since < 800_000_000)
            #expect(answers.error("gone \(round)") == .cancelled)
            #expect(try answers.rows("behind \(round)")[0].bool(0, 0))
            #expect(try !isAsleep())
        }
        #expect(pool.metrics.cancelled.value == 5)
        #expect(pool.state(ofReplica: 0) == .serving)
        pool.close()
    }

    @Test func `an answer that was faster than the request to stop it is nobody's loss`() throws {
        let primary = try TestServer()
        let standby = try TestServer(standbyOf: primary)
        let pool = ReplicaPool(
            loop: bench.loop, replicas: [configuration(standby)], primary: nil, primaryBudgetPerSecond: 0, lagBoundMilliseconds: 5_000,
            sessionsPerReplica: 1, probeIntervalMilliseconds: 10)
        #expect(bench.run { pool.state(ofReplica: 0) == .serving })
        // Requests to stop reach the server all the time, many of them just after what they were for; only those for whom they were meant fail.
        var (meant, others) = (0, 0)
        for number in 0..<60 {
            #expect(
                pool.execute([SQL.query(SQL.sleep, Int64(8 + number % 8))], isWanted: { false }, completion: { _ in meant += 1 }))
            for _ in 0..<3 {
                #expect(
                    pool.execute(
                        [SQL.query(SQL.sleep, 3), SQL.query(whoAmI, 1)], isWanted: { true },
                        completion: { result in
                            if case .success = result { others += 1 } else { Issue.record("hit, and not repeated: \(result)") }
                        }))
            }
            #expect(bench.run { meant == number + 1 && others == 3 * (number + 1) })
        }
        #expect(pool.metrics.cancelled.value > 10)
        pool.close()
    }

    @Test func `a read of the primary that a request to stop hits in place of another is sent again`() throws {
        let primary = try TestServer()
        let pool = ReplicaPool(
            loop: bench.loop, replicas: [], primary: configuration(primary), primaryBudgetPerSecond: 10_000, lagBoundMilliseconds: 5_000,
            sessionsPerReplica: 1, probeIntervalMilliseconds: 10)
        #expect(bench.run { pool.isReady })
        var (meant, others) = (0, 0)
        for number in 0..<60 {
            #expect(
                pool.executeOnPrimary(
                    [SQL.query(SQL.sleep, Int64(8 + number % 8))], for: nil, isWanted: { false }, completion: { _ in meant += 1 }))
            for _ in 0..<3 {
                #expect(
                    pool.executeOnPrimary(
                        [SQL.query(SQL.sleep, 3), SQL.query(whoAmI, 1)], for: nil, isWanted: { true },
                        completion: { result in
                            if case .success = result { others += 1 } else { Issue.record("hit, and not repeated: \(result)") }
                        }))
            }
            #expect(bench.run { meant == number + 1 && others == 3 * (number + 1) })
        }
        #expect(pool.metrics.cancelled.value > 10)
        pool.close()
    }
}
