import Loop
import Postgres
import Testing

@testable import TestSupport

/// How a session finds its server, and what it says when it does not.
@Suite struct SessionConnectTests {
    let bench = Bench()
    let answers = Answers()

    @Test func `set-up commands and declared statements are there before the session is ready`() throws {
        let setting = Statement("setting", "SELECT current_setting('work_mem'), current_setting('application_name')")
        let session = try bench.ready {
            $0.setUp = ["SET work_mem = '777kB'", "DO $$ BEGIN RAISE NOTICE 'hello'; END $$"]
            $0.statements = [SQL.echo, setting]
            $0.applicationName = "test of set-up"
        }
        let admin = try TestServer.shared.connect()
        #expect(session.execute([Query(setting)], completion: answers.completion("setting")))
        #expect(bench.run { answers.count == 1 })
        let rows = try answers.rows("setting")[0]
        #expect(rows.text(0, 0) == "777kB" && rows.text(0, 1) == "test of set-up")
        #expect(try admin.query("SELECT FROM pg_stat_activity WHERE application_name = 'test of set-up'").count == 1)
    }

    @Test func `a declared statement that does not compile keeps the session from being ready until it does`() throws {
        let admin = try TestServer.shared.connect()
        try admin.run("DROP TABLE IF EXISTS comes_later")
        let session = bench.session {
            $0.statements = [SQL.echo, Statement("comes_later", "SELECT n FROM comes_later WHERE n = $1::bigint"), SQL.divide]
        }
        #expect(!bench.run(upTo: 0.4) { session.isReady })
        #expect(session.lastFailure == .serverError(sqlState: "42P01", message: "relation \"comes_later\" does not exist", detail: nil))
        try admin.run("CREATE TABLE comes_later (n bigint)")
        #expect(bench.run { session.isReady })
        #expect(session.lastFailure == nil)
    }

    @Test func `a wrong password is said so, and nothing is accepted`() throws {
        let string = "hostaddr=127.0.0.1 port=\(TestServer.shared.port) user=with_password dbname=postgres password="
        let wrong = bench.session { $0.connectionString = string + "wrong" }
        let right = bench.session { $0.connectionString = string + "right" }
        #expect(bench.run { wrong.lastFailure != nil && right.isReady })
        guard case .connectFailed(let message)? = wrong.lastFailure else { return }
        #expect(message.contains("password authentication failed for user \"with_password\""))
        #expect(!wrong.isReady && !wrong.execute([SQL.query(SQL.echo, 1)], completion: answers.completion("refused")))
    }

    @Test func `a connection string that cannot be read is the failure`() {
        let session = bench.session { $0.connectionString = "host" }
        #expect(bench.run { session.lastFailure != nil })
        #expect(session.lastFailure == .connectFailed(message: "missing \"=\" after \"host\" in connection info string"))
    }

    @Test func `of several hosts a dead one is passed over`() throws {
        let server = TestServer.shared
        let session = try bench.ready {
            $0.connectionString = "hostaddr=127.0.0.1,127.0.0.1 port=\(TestServer.freePort()),\(server.port) user=postgres dbname=postgres"
        }
        #expect(session.isReady)
    }

    @Test func `a host that takes the connection and says nothing delays by one time-out`() throws {
        var accepted: [CInt] = []
        let silent = try Listener(loop: bench.loop, address: .tcp(address: "127.0.0.1", port: 0)) { accepted.append($0) }
        guard case .tcp(_, let port) = silent.address else { return }
        let session = try bench.ready {
            $0.connectionString = "hostaddr=127.0.0.1,127.0.0.1 port=\(port),\(TestServer.shared.port) user=postgres dbname=postgres"
            $0.connectTimeoutMilliseconds = 1_000
        }
        #expect(session.isReady && accepted.count == 1)
        #expect(bench.states == [.connecting, .waitingToReconnect, .connecting, .ready])
        for descriptor in accepted { Descriptors.close(descriptor) }
    }

    @Test func `with target_session_attrs the session follows the primary`() throws {
        let primary = try TestServer()
        let standby = try TestServer(standbyOf: primary)
        let hosts = "host=\(standby.folder),\(primary.folder) port=\(standby.port),\(primary.port)"
        let session = try bench.ready { $0.connectionString = hosts + " user=postgres dbname=postgres target_session_attrs=read-write" }
        #expect(!session.isStandby)
        primary.stop()
        #expect(bench.run { !session.isReady })
        #expect(!bench.run(upTo: 0.3) { session.isReady })
        try standby.connect().run("SELECT pg_promote()")
        #expect(bench.run { session.isReady })
        let address = Statement("address", "SELECT current_setting('port')")
        #expect(session.execute([Query(address)], completion: answers.completion("address")))
        #expect(bench.run { answers.count == 1 })
        #expect(try answers.rows("address")[0].text(0, 0) == "\(standby.port)")
    }
}
