import Loop
import Postgres
import Testing

@testable import TestSupport

/// A loop with sessions on it, run on the test's own thread until a condition holds.
final class Bench {
    let loop = EventLoop()
    private var sessions: [PostgresSession] = []
    private(set) var states: [PostgresSession.State] = []
    private var ticker: LoopTimer?
    private var condition: () -> Bool = { true }
    private var holds = false
    private var ticksLeft = 0

    init() {
        ticker = LoopTimer(loop: loop) { [unowned self] in
            ticksLeft -= 1
            holds = condition()
            if holds || ticksLeft == 0 { loop.stop() } else { ticker?.arm(afterMilliseconds: 2) }
        }
    }

    /// Runs the loop until the condition holds; false when it does not in time.
    func run(upTo seconds: Double = 20, until condition: @escaping () -> Bool) -> Bool {
        self.condition = condition
        ticksLeft = Int(seconds * 500)
        ticker?.arm(afterMilliseconds: 0)
        loop.run()
        return holds
    }

    func session(_ server: TestServer = .shared, _ adjust: (inout PostgresConfiguration) -> Void = { _ in }) -> PostgresSession {
        var configuration = PostgresConfiguration(connectionString: server.connectionString)
        adjust(&configuration)
        let session = PostgresSession(loop: loop, configuration: configuration) { [unowned self] in states.append($0) }
        sessions.append(session)
        return session
    }

    /// A session that is ready.
    func ready(_ server: TestServer = .shared, _ adjust: (inout PostgresConfiguration) -> Void = { _ in }) throws -> PostgresSession {
        let session = session(server, adjust)
        guard run(until: { session.isReady }) else { throw Failure(description: "not ready: \(session.lastFailure as Any)") }
        return session
    }
}

/// What the completions of a test's executions were, in the order they came.
final class Answers {
    private(set) var list: [(label: String, result: Result<[Rows], PostgresError>)] = []
    var count: Int { list.count }
    var labels: [String] { list.map(\.label) }

    func completion(_ label: String) -> PostgresSession.Completion {
        { [unowned self] in list.append((label, $0)) }
    }

    func rows(_ label: String) throws -> [Rows] {
        try #require(list.first { $0.label == label }, "no answer to \(label)").result.get()
    }

    func error(_ label: String) -> PostgresError? {
        guard case .failure(let error)? = list.first(where: { $0.label == label })?.result else { return nil }
        return error
    }
}

enum SQL {
    static let echo = Statement("echo", "SELECT $1::bigint")
    static let divide = Statement("divide", "SELECT 100 / $1::bigint")
    static let sleep = Statement("sleep", "SELECT pg_sleep($1::bigint / 1000.0)")
    static let unknownTable = Statement("unknown_table", "SELECT * FROM no_such_table WHERE n = $1::bigint")

    static func query(_ statement: Statement, _ value: Int64) -> Query {
        var parameters = Parameters()
        parameters.append(int64: value)
        return Query(statement, parameters)
    }
}

@Suite struct SessionTests {
    let bench = Bench()
    let answers = Answers()

    @Test func `pipelined executions are answered in order`() throws {
        let session = try bench.ready()
        for number in 0..<100 {
            #expect(
                session.execute([SQL.query(SQL.echo, Int64(number)), SQL.query(SQL.echo, -1)], completion: answers.completion("\(number)")))
        }
        #expect(session.inFlight == 100)
        #expect(answers.count == 0)
        #expect(bench.run { answers.count == 100 })
        #expect(answers.labels == (0..<100).map(String.init))
        for number in 0..<100 { #expect(try answers.rows("\(number)").map { $0.int64(0, 0) } == [Int64(number), -1]) }
        #expect(session.inFlight == 0)
    }

    @Test func `one that fails between two good ones fails alone`() throws {
        let session = try bench.ready()
        #expect(session.execute([SQL.query(SQL.divide, 4)], completion: answers.completion("before")))
        #expect(
            session.execute(
                [SQL.query(SQL.echo, 1), SQL.query(SQL.divide, 0), SQL.query(SQL.echo, 2)], completion: answers.completion("bad")))
        #expect(session.execute([SQL.query(SQL.divide, 5)], completion: answers.completion("after")))
        #expect(bench.run { answers.count == 3 })
        #expect(answers.labels == ["before", "bad", "after"])
        #expect(try answers.rows("before")[0].int64(0, 0) == 25)
        #expect(answers.error("bad") == .serverError(sqlState: "22012", message: "division by zero", detail: nil))
        #expect(try answers.rows("after")[0].int64(0, 0) == 20)
        #expect(session.isReady)
    }
}
