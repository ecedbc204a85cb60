import Loop
import Postgres
import Testing

@testable import TestSupport

/// What breaks, and what the session makes of it. Tests that break a server have one of their own.
@Suite struct SessionFaultTests {
    let bench = Bench()
    let answers = Answers()

    // MARK: Transactions

    @Test func `queries executed together are one transaction: one fails, none has an effect`() throws {
        let table = try ownTable("n bigint PRIMARY KEY")
        let insert = Statement("insert_whole", "INSERT INTO \(table) VALUES ($1)")
        let session = try bench.ready()
        #expect(session.execute([SQL.query(insert, 1)], completion: answers.completion("first")))
        #expect(session.execute([SQL.query(insert, 2), SQL.query(insert, 1), SQL.query(insert, 3)], completion: answers.completion("bad")))
        #expect(session.execute([SQL.query(insert, 4)], completion: answers.completion("last")))
        #expect(bench.run { answers.count == 3 })
        #expect(answers.error("bad")?.recovery == .dataRefused)
        #expect(try answers.rows("last")[0].affectedRows == 1)
        #expect(try contents(table) == "{1,4}")
    }

    @Test func `a constraint that fails at the commit fails the execution, although every query had succeeded`() throws {
        let table = try ownTable("n bigint UNIQUE DEFERRABLE INITIALLY DEFERRED")
        let insert = Statement("insert_deferred", "INSERT INTO \(table) VALUES ($1)")
        let session = try bench.ready()
        #expect(session.execute([SQL.query(insert, 1)], completion: answers.completion("first")))
        #expect(session.execute([SQL.query(insert, 2), SQL.query(insert, 1)], completion: answers.completion("bad")))
        #expect(session.execute([SQL.query(insert, 3)], completion: answers.completion("last")))
        #expect(bench.run { answers.count == 3 })
        guard case .serverError("23505", _, _)? = answers.error("bad") else {
            Issue.record("\(answers.list)")
            return
        }
        #expect(try answers.rows("last").count == 1)
        #expect(try contents(table) == "{1,3}")
    }

    // MARK: Prepared statements

    @Test func `a statement that cannot be prepared fails alone, with the reason, and is tried again`() throws {
        let table = try ownTable("n bigint")
        let late = Statement("late_table", "SELECT n FROM \(table)_late WHERE n = $1::bigint")
        let session = try bench.ready()
        for label in ["bad 1", "bad 2"] { #expect(session.execute([SQL.query(late, 1)], completion: answers.completion(label))) }
        #expect(session.execute([SQL.query(SQL.echo, 5)], completion: answers.completion("good")))
        #expect(bench.run { answers.count == 3 })
        for label in ["bad 1", "bad 2"] {
            #expect(
                answers.error(label) == .serverError(sqlState: "42P01", message: "relation \"\(table)_late\" does not exist", detail: nil))
        }
        #expect(try answers.rows("good")[0].int64(0, 0) == 5)
        try TestServer.shared.connect().run("CREATE TABLE \(table)_late (n bigint)")
        #expect(session.execute([SQL.query(late, 1)], completion: answers.completion("now")))
        #expect(bench.run { answers.count == 4 })
        #expect(try answers.rows("now")[0].isEmpty)
    }

    @Test func `a statement first used in a transaction that fails stays prepared`() throws {
        let session = try bench.ready()
        #expect(session.execute([SQL.query(SQL.divide, 0), SQL.query(SQL.echo, 1)], completion: answers.completion("bad")))
        #expect(session.execute([SQL.query(SQL.echo, 2), SQL.query(SQL.divide, 50)], completion: answers.completion("good")))
        #expect(bench.run { answers.count == 2 })
        #expect(try answers.rows("good").map { $0.int64(0, 0) } == [2, 2])
        let prepared = Statement("prepared", "SELECT count(*) FROM pg_prepared_statements WHERE name LIKE 'echo.%' OR name LIKE 'divide.%'")
        #expect(session.execute([Query(prepared)], completion: answers.completion("count")))
        #expect(bench.run { answers.count == 3 })
        #expect(try answers.rows("count")[0].int64(0, 0) == 2)
    }

    @Test func `after a migration or a deallocation, a statement fails once, as worth repeating, and works again`() throws {
        let table = try ownTable("n bigint")
        let all = Statement("all_columns", "SELECT * FROM \(table)")
        let deallocate = Statement("deallocate", "DEALLOCATE ALL")
        let session = try bench.ready()
        let admin = try TestServer.shared.connect()
        func attempt(_ label: String) throws -> PostgresError? {
            #expect(session.execute([Query(all)], completion: answers.completion(label)))
            #expect(bench.run { answers.labels.last == label })
            return answers.error(label)
        }
        #expect(try attempt("before") == nil)
        try admin.run("ALTER TABLE \(table) ADD COLUMN t text")
        #expect(try attempt("altered")?.recovery == .retry)
        #expect(try attempt("again") == nil)
        #expect(session.execute([Query(deallocate)], completion: answers.completion("deallocate")))
        #expect(try attempt("deallocated")?.recovery == .retry)
        #expect(try attempt("at last") == nil)
        #expect(session.isReady)
    }

    // MARK: Losing the server

    @Test func `a server process that is ended loses everything in flight, once each, and the session connects again`() throws {
        let session = try bench.ready { $0.applicationName = "to be ended" }
        #expect(session.execute([SQL.query(SQL.sleep, 10_000)], completion: answers.completion("0")))
        for number in 1..<5 { #expect(session.execute([SQL.query(SQL.echo, 1)], completion: answers.completion("\(number)"))) }
        let admin = try TestServer.shared.connect()
        try wait(upTo: 5) {
            try admin.query("SELECT 1 FROM pg_stat_activity WHERE application_name = 'to be ended' AND query LIKE '%sleep%'").count == 1
        }
        try admin.run("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'to be ended'")
        #expect(bench.run { answers.count == 5 && session.isReady })
        #expect(answers.labels == ["0", "1", "2", "3", "4"])
        for number in 0..<5 { #expect(answers.error("\(number)") == .lost(afterSending: true)) }
        #expect(bench.states == [.connecting, .ready, .waitingToReconnect, .connecting, .ready])
        #expect(session.execute([SQL.query(SQL.echo, 9)], completion: answers.completion("after")))
        #expect(bench.run { answers.count == 6 })
        #expect(try answers.rows("after")[0].int64(0, 0) == 9)
    }

    @Test func `a frozen server is noticed at the deadline, and used again when it thaws`() throws {
        let server = try TestServer()
        let session = try bench.ready(server) {
            $0.queryDeadlineMilliseconds = 300
            $0.connectTimeoutMilliseconds = 300
        }
        try server.freeze()
        let start = bench.loop.nowNanoseconds
        #expect(session.execute([SQL.query(SQL.echo, 1)], completion: answers.completion("frozen")))
        #expect(bench.run { answers.count == 1 })
        #expect(answers.error("frozen") == .timedOut)
        let waited = (bench.loop.nowNanoseconds - start) / 1_000_000
        #expect(waited >= 300 && waited < 5_000)
        #expect(!session.isReady && !session.execute([SQL.query(SQL.echo, 1)], completion: answers.completion("refused")))
        // Long enough for attempts to time out as well.
        #expect(!bench.run(upTo: 1) { session.isReady })
        try server.thaw()
        #expect(bench.run { session.isReady })
        #expect(answers.count == 1)
    }

    @Test func `a server that is restarted is connected to again`() throws {
        let server = try TestServer()
        let session = try bench.ready(server)
        server.stop()
        #expect(bench.run { session.state == .waitingToReconnect })
        guard case .connectFailed? = session.lastFailure else {
            Issue.record("\(session.lastFailure as Any)")
            return
        }
        #expect(!bench.run(upTo: 0.5) { session.isReady })
        try server.start()
        #expect(bench.run { session.isReady })
        #expect(session.lastFailure == nil)
    }

    @Test func `a deadline stops what the server is doing where that is asked for`() throws {
        let session = try bench.ready {
            $0.queryDeadlineMilliseconds = 200
            $0.cancelsAtDeadline = true
            $0.applicationName = "to be cancelled"
        }
        #expect(session.execute([SQL.query(SQL.sleep, 60_000)], completion: answers.completion("slow")))
        #expect(bench.run { answers.count == 1 })
        #expect(answers.error("slow") == .timedOut)
        let admin = try TestServer.shared.connect()
        try wait(upTo: 5) {
            try admin.query("SELECT FROM pg_stat_activity WHERE application_name = 'to be cancelled' AND state = 'active'").isEmpty
        }
    }

    @Test func `the server's own statement time-out fails one execution and keeps the session`() throws {
        let session = try bench.ready { $0.statementTimeoutMilliseconds = 50 }
        #expect(session.execute([SQL.query(SQL.sleep, 10_000)], completion: answers.completion("slow")))
        #expect(session.execute([SQL.query(SQL.echo, 1)], completion: answers.completion("after")))
        #expect(bench.run { answers.count == 2 })
        guard case .serverError("57014", _, _)? = answers.error("slow") else {
            Issue.record("\(answers.list)")
            return
        }
        #expect(try answers.rows("after").count == 1)
    }

    // MARK: Bounds and ends

    @Test func `past the bound executions are refused, and accepted again after an answer`() throws {
        let session = try bench.ready { $0.inFlightMax = 3 }
        for number in 0..<3 { #expect(session.execute([SQL.query(SQL.echo, 1)], completion: answers.completion("\(number)"))) }
        #expect(session.inFlight == 3)
        #expect(!session.execute([SQL.query(SQL.echo, 1)], completion: answers.completion("refused")))
        #expect(bench.run { answers.count == 3 })
        #expect(session.execute([SQL.query(SQL.echo, 1)], completion: answers.completion("3")))
        #expect(bench.run { answers.count == 4 })
        #expect(answers.labels == ["0", "1", "2", "3"])
    }

    @Test func `closing answers what is in flight as cancelled, at once, and ends it`() throws {
        let session = try bench.ready()
        for number in 0..<2 { #expect(session.execute([SQL.query(SQL.sleep, 50)], completion: answers.completion("\(number)"))) }
        session.close()
        #expect(answers.labels == ["0", "1"])
        #expect(answers.error("0") == .cancelled && answers.error("1") == .cancelled)
        #expect(!session.execute([SQL.query(SQL.echo, 1)], completion: answers.completion("refused")))
        #expect(!bench.run(upTo: 0.3) { answers.count > 2 || session.state != .closed })
        #expect(bench.states.last == .closed)
    }

    @Test func `cancelling all answers them, and the session goes on over a new connection`() throws {
        let session = try bench.ready()
        #expect(session.execute([SQL.query(SQL.sleep, 10_000)], completion: answers.completion("slow")))
        session.cancelAll()
        #expect(answers.error("slow") == .cancelled)
        #expect(bench.run { session.isReady })
    }

    @Test func `a completion may execute, close or release the session`() throws {
        let session = try bench.ready()
        var chained = 0
        func next() {
            chained += 1
            if chained < 5 { #expect(session.execute([SQL.query(SQL.echo, 1)]) { _ in next() }) } else { session.close() }
        }
        #expect(session.execute([SQL.query(SQL.echo, 1)]) { _ in next() })
        #expect(session.execute([SQL.query(SQL.sleep, 20_000)], completion: answers.completion("never")))
        _ = bench.run(upTo: 0.2) { session.state == .closed }
        #expect(chained == 1)

        var configuration = PostgresConfiguration(connectionString: TestServer.shared.connectionString)
        configuration.statements = [SQL.echo]
        var released: PostgresSession? = PostgresSession(loop: bench.loop, configuration: configuration)
        weak let remains = released
        #expect(bench.run { remains?.isReady == true })
        var answered = 0
        for _ in 0..<3 {
            #expect(
                released?.execute([SQL.query(SQL.echo, 1)]) { _ in
                    answered += 1
                    released = nil
                } == true)
        }
        #expect(bench.run { remains == nil })
        // What had arrived together with the first may still be handed out.
        let count = answered
        #expect(!bench.run(upTo: 0.2) { answered > count })
    }

    @Test func `a COPY is an error of its own and does not hang the session`() throws {
        let copy = Statement("copy", "COPY (SELECT 1) TO STDOUT")
        let session = try bench.ready()
        #expect(session.execute([Query(copy)], completion: answers.completion("copy")))
        #expect(session.execute([SQL.query(SQL.echo, 1)], completion: answers.completion("after")))
        #expect(bench.run { answers.count == 2 && session.isReady })
        guard case .unexpectedAnswer? = answers.error("copy") else {
            Issue.record("\(answers.list)")
            return
        }
        #expect(answers.error("after") == .lost(afterSending: true))
    }

    @Test func `what libpq refuses to send has no effect, and the connection it half went out on is replaced`() throws {
        let table = try ownTable("n bigint")
        let insert = Statement("insert_half", "INSERT INTO \(table) VALUES ($1)")
        let session = try bench.ready()
        var tooMany = Parameters()
        for _ in 0..<65_536 { tooMany.append(bool: true) }
        #expect(session.execute([SQL.query(SQL.sleep, 1_000)], completion: answers.completion("before")))
        #expect(!session.execute([SQL.query(insert, 1), Query(SQL.echo, tooMany)], completion: answers.completion("refused")))
        #expect(!session.isReady && !session.execute([SQL.query(insert, 2)], completion: answers.completion("refused")))
        #expect(answers.count == 0)
        #expect(bench.run { session.isReady })
        #expect(answers.labels == ["before"] && answers.error("before") == .lost(afterSending: true))
        #expect(session.execute([SQL.query(insert, 3)], completion: answers.completion("after")))
        #expect(bench.run { answers.count == 2 })
        #expect(try contents(table) == "{3}")
    }

    @Test func `parameters and results larger than any buffer get through`() throws {
        let length = Statement("length", "SELECT length($1), $1")
        let session = try bench.ready()
        let text = String(repeating: "0123456789abcdef", count: 1 << 19)
        var parameters = Parameters()
        parameters.append(text: text)
        for number in 0..<4 { #expect(session.execute([Query(length, parameters)], completion: answers.completion("\(number)"))) }
        #expect(bench.run(upTo: 30) { answers.count == 4 })
        for number in 0..<4 {
            let rows = try answers.rows("\(number)")[0]
            #expect(rows.int32(0, 0) == 1 << 23)
            #expect(rows.text(0, 1) == text)
        }
    }

    private func ownTable(_ columns: String) throws -> String {
        let name = "table_" + String(UInt32.random(in: 0...UInt32.max), radix: 36)
        try TestServer.shared.connect().run("CREATE TABLE \(name) (\(columns))")
        return name
    }

    private func contents(_ table: String) throws -> String {
        try TestServer.shared.connect().query("SELECT array_agg(n ORDER BY n)::text FROM \(table)").text(0, 0)
    }
}
