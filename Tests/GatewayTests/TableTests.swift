import Bytes
import HTTP1
import Ledger
import Loop
import Store
import Testing
import Wire

@testable import Gateway

@Suite struct TableTests {
    // MARK: Credentials

    private static func credential(_ key: APIKey, tenant: Int64, expiresAt: Int64? = nil) -> Credential {
        let bytes: [UInt8] = Array(key.text.utf8)
        var id: [UInt8] = []
        id.append(hex: key.publicID)
        return Credential(
            publicID: text(id), digest: Identity().digest(ofKey: bytes.span), tenant: TenantID(tenant), partition: Int32(tenant),
            expiresAt: expiresAt.map { Timestamp(microseconds: $0) })
    }

    private static func caller(_ table: CredentialTable, _ field: String?) -> Result<CredentialTable.Caller, Problem> {
        let identity = Identity()
        var table = table
        do throws(Problem) {
            guard let field else { return .success(try table.caller(authorization: nil, identity)) }
            let bytes: [UInt8] = Array(field.utf8)
            return .success(try table.caller(authorization: bytes.span, identity))
        } catch {
            return .failure(error)
        }
    }

    @Test("a key names its tenant, until the table is read without it")
    func keys() throws {
        var generator = SystemRandomNumberGenerator()
        let (first, second) = (APIKey.make(using: &generator), APIKey.make(using: &generator))
        var table = CredentialTable()
        guard case .failure(let early) = Self.caller(table, "Bearer \(first.text)") else { return #expect(Bool(false)) }
        #expect(early.code == .serviceUnavailable)
        table.replace(with: [Self.credential(first, tenant: 1), Self.credential(second, tenant: 2)], changedAt: Timestamp(microseconds: 5))
        #expect(try Self.caller(table, "Bearer \(first.text)").get() == CredentialTable.Caller(tenant: TenantID(1), partition: 1))
        #expect(try Self.caller(table, "bearer  \(second.text)").get().tenant == TenantID(2))
        // A replica that lags knows no better.
        table.replace(with: [], changedAt: Timestamp(microseconds: 4))
        #expect(try Self.caller(table, "Bearer \(first.text)").get().tenant == TenantID(1))
        table.replace(with: [Self.credential(second, tenant: 2)], changedAt: Timestamp(microseconds: 5))
        #expect(throws: Problem.self) { try Self.caller(table, "Bearer \(first.text)").get() }
        _ = try Self.caller(table, "Bearer \(second.text)").get()
    }

    @Test("a key's time ends although nobody can be asked, and no other key's does")
    func expiry() throws {
        var generator = SystemRandomNumberGenerator()
        let (brief, lasting) = (APIKey.make(using: &generator), APIKey.make(using: &generator))
        var table = CredentialTable()
        table.replace(
            with: [Self.credential(brief, tenant: 1, expiresAt: 100), Self.credential(lasting, tenant: 2)],
            changedAt: Timestamp(microseconds: 5))
        table.expire(now: Timestamp(microseconds: 99))
        #expect(try Self.caller(table, "Bearer \(brief.text)").get().tenant == TenantID(1))
        table.expire(now: Timestamp(microseconds: 100))
        #expect(throws: Problem.self) { try Self.caller(table, "Bearer \(brief.text)").get() }
        #expect(try Self.caller(table, "Bearer \(lasting.text)").get().tenant == TenantID(2))
    }

    @Test("what is no valid key is 401, and a key with a wrong end is told as one that does not exist")
    func strangers() {
        var generator = SystemRandomNumberGenerator()
        let key = APIKey.make(using: &generator)
        var table = CredentialTable()
        table.replace(with: [Self.credential(key, tenant: 1)], changedAt: Timestamp(microseconds: 1))
        let last = key.text.last == "A" ? "B" : "A"
        let wrongSecret = "Bearer " + key.text.dropLast() + last
        let unknown = "Bearer " + APIKey.make(using: &generator).text
        for field in [nil, "", "Basic \(key.text)", "Bearer", "Bearer x", wrongSecret, unknown, "Bearer \(key.text)x"] {
            guard case .failure(let problem) = Self.caller(table, field) else {
                Issue.record("\(field ?? "nothing") was let in")
                continue
            }
            #expect(problem.code == .unauthorized)
        }
        guard case .failure(let one) = Self.caller(table, wrongSecret), case .failure(let other) = Self.caller(table, unknown) else {
            return
        }
        #expect(one == other)
    }

    // MARK: Queues

    @Test("deadlines come in order, and not early")
    func deadlines() {
        var queue = DeadlineQueue<Int>()
        for value in 0..<1_000 { queue.append(value, deadline: UInt64(value / 10)) }
        var taken: [Int] = []
        while let value = queue.popDue(now: 49) { taken.append(value) }
        #expect(taken == Array(0..<500) && queue.count == 500)
        #expect(taken.count == 500)
        queue.append(1_000, deadline: 99)
        while let value = queue.popDue(now: .max) { taken.append(value) }
        #expect(taken == Array(0...1_000) && queue.isEmpty)
    }

    @Test("what is looked at again comes soon first, then ever less often, and all in the order of their time")
    func polls() {
        var polls = PollQueues<String>(firstMilliseconds: 10, longestMilliseconds: 100)
        #expect(polls.nextDeadline == nil)
        var now: UInt64 = 1_001
        var waits: [UInt64] = []
        for looks in 0..<7 {
            polls.append("late", looks: looks, now: now)
            let next = polls.nextDeadline ?? 0
            #expect(next % PollQueues<String>.grainMilliseconds == 0)
            let early = polls.popDue(now: next - 1)
            #expect(early == nil)
            let due = polls.popDue(now: next)
            #expect(due == "late")
            waits.append(next - now)
            now = next
        }
        // The first was rounded up to the grain.
        #expect(waits == [14, 20, 40, 80, 100, 100, 100])

        polls.append("old", looks: 3, now: 2_000)
        polls.append("new", looks: 0, now: 2_005)
        #expect(polls.nextDeadline == 2_015)
        let first = polls.popDue(now: 3_000)
        let second = polls.popDue(now: 3_000)
        #expect(first == "new" && second == "old" && polls.nextDeadline == nil)
        let short = PollQueues<String>(firstMilliseconds: 10, longestMilliseconds: 5)
        #expect(short.nextDeadline == nil)
    }

    @Test("waits for commands that are gone are forgotten once there are many, and the others still end in time")
    func waitQueues() {
        var waits = WaitQueues(lookMilliseconds: 100, sparedMax: 1_000)
        var looks = 0
        func isGone(_ id: OperationID) -> Bool {
            looks += 1
            return id.low % 100 != 0
        }
        for number in 0..<100_000 {
            let id = OperationID(high: 0, low: UInt64(number))
            waits.append(id, seconds: 10, deadline: 10_000 + UInt64(number))
            if number % 2 == 0 { waits.appendLook(id, looks: 3, now: UInt64(number)) }
            waits.sweep(isGone)
            #expect(waits.count < 5_000)
        }
        #expect(looks < 500_000)
        waits.sweep { _ in true }
        var ended = 0
        while let id = waits.popEnded(now: .max) { ended += id.low % 100 == 0 ? 1 : 0 }
        #expect(ended >= 1_000)
    }

    @Test("the first to want something asks for it, and all get it once")
    func flights() {
        var flights = Flights<String, Int>()
        let asks = [flights.join("a", 1), flights.join("a", 2), flights.join("b", 3)]
        #expect(asks == [true, false, true])
        let (landed, again) = (flights.land("a"), flights.land("a"))
        #expect(landed == [1, 2] && again.isEmpty && flights.count == 1)
        let asksAnew = flights.join("a", 4)
        #expect(asksAnew)
    }

    @Test("a reason for not being ready is told once, whatever the number of threads")
    func status() {
        let status = GatewayStatus(threads: 2)
        #expect(status.problems == ["starting"])
        status.set([], ofThread: 0)
        status.set(["late", "no keys"], ofThread: 1)
        #expect(status.problems == ["late", "no keys"])
        status.set(["late"], ofThread: 0)
        #expect(status.problems == ["late", "no keys"])
        status.set([], ofThread: 0)
        status.set([], ofThread: 1)
        #expect(status.problems.isEmpty)
        status.beginDraining()
        #expect(status.problems == ["stopping"])
    }

    // MARK: Limits

    @Test("the limits can be kept as they come, and one that cannot is named")
    func limits() {
        #expect(GatewayLimits().problem == nil)
        func problem(_ change: (inout GatewayLimits) -> Void) -> String? {
            var limits = GatewayLimits()
            change(&limits)
            return limits.problem
        }
        #expect(problem { $0.commandsMax = 0 }?.contains("commands") == true)
        #expect(problem { $0.parkedMax = 1_000_001 }?.contains("parked") == true)
        #expect(problem { $0.redisTimeoutMilliseconds = 0 }?.contains("Redis") == true)
        #expect(problem { $0.sessionsPerReplica = 33 }?.contains("replica") == true)
        #expect(problem { $0.primaryReadsPerSecond = -1 }?.contains("primary") == true)
        #expect(problem { $0.pageRowsDefault = 201 }?.contains("page") == true)
        #expect(problem { $0.unacknowledgedMillisecondsMax = 5_000 }?.contains("unacknowledged") == true)
        #expect(problem { $0.deliveryTimeoutMilliseconds = 8_900 }?.contains("marker") == true)
        #expect(problem { $0.drainMilliseconds = 6_000 }?.contains("drain") == true)
        #expect(problem { $0.lagMillisecondsMax = 58_000 }?.contains("floor") == true)
        #expect(problem { $0.connection.idleMilliseconds = 0 } != nil)
    }

    // MARK: Problems

    @Test("every refusal of the parser has a problem with the same status", arguments: Refusal.allCases)
    func refusals(_ refusal: Refusal) {
        let problem = Problem(refusal)
        #expect(problem.code.status == Int(refusal.status.rawValue) && problem.detail == "\(refusal.reason)")
    }

    @Test("every problem can be answered", arguments: ProblemCode.allCases)
    func problems(_ code: ProblemCode) {
        var output: [UInt8] = []
        let empty: [UInt8] = []
        var answer = Answer(code)
        if code == .methodNotAllowed { answer.allow = "GET, HEAD" }
        answer.write(body: empty.span, .init(omitsBody: false, persistence: .close), to: &output, date: empty.span)
        let written = text(output)
        #expect(written.hasPrefix("HTTP/1.1 \(code.status) ") && written.contains("Content-Type: application/problem+json\r\n"))
        #expect(written.contains("WWW-Authenticate: Bearer") == (code.status == 401))
        #expect(written.contains("Allow: GET, HEAD\r\n") == (code.status == 405))
        if code.status == 503 || code.status == 429 { #expect(written.contains("Retry-After: 1\r\n")) }
    }

    @Test("a representation that the client has is 304 with its tag and nothing else")
    func notModified() {
        var answer = Answer(.notModified)
        answer.revision = 12
        var output: [UInt8] = []
        let (body, empty): ([UInt8], [UInt8]) = ([1, 2], [])
        answer.write(body: body.span, .init(omitsBody: false, persistence: .implied), to: &output, date: empty.span)
        #expect(text(output) == "HTTP/1.1 304 Not Modified\r\nETag: \"R12\"\r\n\r\n")
    }

    // MARK: Leases

    @Test func `a lease is good for a lease's life after it was asked for, whatever Redis says`() {
        var freshness = Freshness()
        freshness.watch([1, 3])
        #expect(!freshness.isGood(3, nowMilliseconds: 1_000))
        freshness.learn(3, leftMilliseconds: 800, askedMilliseconds: 1_000)
        freshness.learn(1, leftMilliseconds: -2, askedMilliseconds: 1_000)
        #expect(freshness.isGood(3, nowMilliseconds: 1_799) && !freshness.isGood(3, nowMilliseconds: 1_800))
        #expect(!freshness.isGood(1, nowMilliseconds: 1_000) && !freshness.isGood(2, nowMilliseconds: 1_000))
        freshness.learn(3, leftMilliseconds: 3_600_000, askedMilliseconds: 2_000)
        #expect(freshness.isGood(3, nowMilliseconds: 2_999) && !freshness.isGood(3, nowMilliseconds: 3_000))
        freshness.learn(3, leftMilliseconds: 800, askedMilliseconds: 3_000)
        freshness.forgetAll()
        #expect(!freshness.isGood(3, nowMilliseconds: 3_001))
    }
}
