import Testing

@testable import HTTP1

/// The life of a connection, story by story. What each event does in each state stands in ConnectionTable.
@Suite struct ConnectionMachineTests {
    private typealias Outcome = ConnectionMachine.Receipt.Outcome
    private typealias Answer = ConnectionMachine.Answer

    private func write(_ persistence: ConnectionMachine.Persistence, omitsBody: Bool = false) -> Answer {
        .write(.init(omitsBody: omitsBody, persistence: persistence))
    }

    private func hold(_ persistence: ConnectionMachine.Persistence) -> Answer {
        .hold(.init(omitsBody: false, persistence: persistence))
    }

    @Test func `an idle connection keeps no bytes, before, between and after requests`() {
        let client = Client()
        #expect(client.isIdle)
        for number in 0..<3 as Range<UInt32> {
            #expect(client.receive("GET / HT") == [.needsMore])
            #expect(client.kept.count == 8)
            #expect(client.receive("TP/1.1\r\nHost: a\r\n\r\n") == [.request(number, body: ByteRange(27, 27)), .needsMore])
            #expect(client.kept.isEmpty)
            #expect(client.answer(number) == write(.implied))
            #expect(client.wrote() == .none)
            let (isIdle, wantsInput) = (client.isIdle, client.wantsInput)
            #expect(isIdle && wantsInput)
        }
    }

    @Test func `an empty line between requests keeps nothing and starts no deadline`() {
        let client = Client()
        #expect(client.receive("\r\n") == [.needsMore])
        #expect(client.kept.isEmpty)
        #expect(client.isIdle)
        #expect(client.pass(client.limits.requestMilliseconds + 1) == .none)
        #expect(client.receive(Client.get("/")).first == .request(0, body: ByteRange(27, 27)))
    }

    @Test func `answers in any order leave in the order of requests`() {
        let client = Client()
        #expect(client.receive((0..<5).map { Client.get("/\($0)") }.joined()).count == 6)
        #expect(client.requestsInFlight == 5)
        #expect(client.answer(3) == hold(.implied))
        #expect(client.answer(1) == hold(.implied))
        #expect(client.nextHeld() == nil)
        #expect(client.answer(0) == write(.implied))
        #expect(client.nextHeld() == 1)
        #expect(client.nextHeld() == nil)
        #expect(client.answer(2) == write(.implied))
        #expect(client.nextHeld() == 3)
        #expect(client.nextHeld() == nil)
        #expect(client.answer(3) == .drop)
        #expect(client.answer(4) == write(.implied))
        #expect(client.requestsInFlight == 0)
        #expect(client.wrote() == .none)
        #expect(client.isIdle)
    }

    @Test(arguments: [1, 2, 63, 64])
    func `the pipeline takes requests up to its bound and goes on when answers are written`(bound: Int) {
        var limits = ConnectionLimits()
        limits.pipelinedRequestsMax = bound
        let client = Client(limits: limits)
        var outcomes = client.receive(String(repeating: Client.get("/"), count: bound + 1))
        #expect(outcomes.count == bound + 1)
        #expect(outcomes.last == .pause)
        #expect(!client.wantsInput)
        #expect(client.kept == Array(Client.get("/").utf8))
        // Answered is not written: the output is what the bound protects.
        for number in 0..<UInt32(bound) { #expect(client.answer(number) == write(.implied)) }
        #expect(client.receive() == [.pause])
        #expect(client.wrote() == .resume)
        outcomes = client.receive()
        #expect(outcomes == [.request(UInt32(bound), body: ByteRange(27, 27)), .needsMore])
        #expect(client.kept.isEmpty)
    }

    @Test func `a full pipeline without more bytes does not read and reads again after an answer`() {
        var limits = ConnectionLimits()
        limits.pipelinedRequestsMax = 2
        let client = Client(limits: limits)
        _ = client.receive(Client.get("/0") + Client.get("/1"))
        #expect(!client.wantsInput)
        #expect(!client.needsKeptBytes)
        #expect(client.serve(0) == .none)
        #expect(client.wantsInput)
    }

    @Test func `request numbers outlive many turns of the pipeline`() {
        let client = Client()
        for number in 0..<1000 as Range<UInt32> {
            let method = number % 3 == 0 ? "HEAD" : "GET"
            _ = client.receive("\(method) / HTTP/1.1\r\nHost: a\r\n\r\n")
            #expect(client.answer(number) == write(.implied, omitsBody: number % 3 == 0))
            #expect(client.wrote() == .none)
        }
    }

    @Test func `a client that waits for 100 gets it once, after the answers it is owed`() {
        let post = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n"
        let client = Client()
        #expect(client.receive(post) == [.sendContinue])
        #expect(client.wrote() == .none)
        #expect(client.receive("ab") == [.needsMore])
        #expect(client.receive("cd").first == .request(0, body: ByteRange(post.utf8.count, post.utf8.count + 4)))

        #expect(client.receive(post) == [.needsMore])
        #expect(client.wrote() == .none)
        #expect(client.answer(0) == write(.implied))
        #expect(client.wrote() == .sendContinue)
        #expect(client.wrote() == .none)
        #expect(client.receive("abcd").count == 2)
    }

    @Test(arguments: ["a", "abcd"])
    func `a body that comes with its head needs no 100`(body: String) {
        let client = Client()
        let outcomes = client.receive("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nExpect: 100-Continue\r\n\r\n" + body)
        #expect(!outcomes.contains(.sendContinue))
    }

    @Test(arguments: [
        "POST / HTTP/1.0\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nExpect: 100-continue\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 65537\r\nExpect: 100-continue\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n\r\n",
    ])
    func `no 100 is sent where no body may follow`(head: String) {
        let client = Client()
        #expect(!client.receive(head).contains(.sendContinue))
    }

    @Test func `an owed 100 is forgotten when the body comes by itself`() {
        let client = Client()
        _ = client.receive(Client.get("/"))
        _ = client.receive("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n")
        #expect(client.receive("ab") == [.needsMore])
        #expect(client.serve(0) == .none)
    }

    @Test func `a refusal is answered after the requests before it, then the connection lingers and closes`() {
        let client = Client()
        let outcomes = client.receive(Client.get("/0") + "GET / HTTP/1.1\r\nHost : a\r\n\r\nmore")
        #expect(outcomes == [.request(0, body: ByteRange(28, 28)), .refuse(1, .spaceBeforeColon), .needsMore])
        #expect(client.kept.isEmpty)
        #expect(client.answer(1) == hold(.close))
        #expect(client.wrote() == .none)
        #expect(client.answer(0) == write(.implied))
        #expect(client.nextHeld() == 1)
        #expect(client.wrote() == .shutDownWriting)
        #expect(client.wantsInput)
        #expect(client.receive("rest of the body") == [.needsMore])
        #expect(client.kept.isEmpty)
        #expect(client.pass(client.limits.lingerMilliseconds - 1) == .none)
        #expect(client.pass(1) == .close)
    }

    @Test func `lingering throws away no more than its bound`() {
        var limits = ConnectionLimits()
        limits.lingerBytesMax = 10
        let client = Client(limits: limits)
        _ = client.receive("\n")
        #expect(client.serve(0) == .shutDownWriting)
        #expect(client.receive("1234567890") == [.needsMore])
        #expect(client.receive("1") == [.close])
        #expect(client.isClosed)
    }

    @Test func `a refused HEAD is answered without a body`() {
        let client = Client()
        #expect(client.receive("HEAD / HTTP/1.1\r\n\r\n") == [.refuse(0, .hostMissing), .needsMore])
        #expect(client.answer(0) == write(.close, omitsBody: true))
    }

    @Test func `a request with close is the last`() {
        let client = Client()
        let outcomes = client.receive(Client.get("/0", "Connection: close\r\n") + Client.get("/1"))
        #expect(outcomes == [.request(0, body: ByteRange(47, 47)), .needsMore])
        #expect(client.answer(0) == write(.close))
        #expect(client.wrote() == .close)
    }

    @Test func `HTTP/1.0 closes by itself and says keep-alive when asked to keep`() {
        let client = Client()
        _ = client.receive("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
        #expect(client.answer(0) == write(.keepAlive))
        #expect(client.wrote() == .none)
        _ = client.receive("GET / HTTP/1.0\r\n\r\n")
        #expect(client.answer(1) == write(.close))
        #expect(client.wrote() == .close)
    }

    @Test(arguments: [1, 2, 5])
    func `a connection serves its bound of requests and no more`(bound: Int) {
        var limits = ConnectionLimits()
        limits.requestsPerConnectionMax = bound
        let client = Client(limits: limits)
        let outcomes = client.receive(String(repeating: Client.get("/"), count: bound + 1))
        #expect(outcomes.count == bound + 1)
        #expect(outcomes.last == .needsMore)
        for number in 0..<UInt32(bound) { #expect(client.answer(number) == write(Int(number) == bound - 1 ? .close : .implied)) }
        // The client may have sent more than was served, so its bytes must not reset our last answer.
        #expect(client.wrote() == .shutDownWriting)
    }

    @Test func `an answer may close, and later requests get none`() {
        let client = Client()
        _ = client.receive(Client.get("/0") + Client.get("/1") + "GET /2")
        #expect(client.answer(1) == hold(.implied))
        #expect(client.answer(0, closing: true) == write(.close))
        #expect(client.nextHeld() == nil)
        #expect(client.wrote() == .shutDownWriting)
    }

    @Test func `the deadline of a request runs from its first byte and is not moved by more bytes`() {
        let client = Client()
        client.now += 5000
        _ = client.receive("P")
        let limit = client.limits.requestMilliseconds
        #expect(client.deadline == client.now + limit)
        #expect(client.pass(limit - 2) == .none)
        _ = client.receive("OST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nx")
        #expect(client.pass(1) == .none)
        #expect(client.pass(1) == .refuse(0, .requestTimeout))
        #expect(!client.needsKeptBytes)
        #expect(client.answer(0) == write(.close))
        #expect(client.wrote() == .shutDownWriting)
    }

    @Test func `an idle connection closes silently after its time, counted from the last written answer`() {
        let client = Client()
        let limit = client.limits.idleMilliseconds
        #expect(client.pass(limit - 1) == .none)
        _ = client.receive(Client.get("/"))
        #expect(client.deadline == .max)
        #expect(client.pass(10 * limit) == .none)
        #expect(client.serve(0) == .none)
        #expect(client.pass(limit - 1) == .none)
        #expect(client.pass(1) == .close)
    }

    @Test func `a client that does not read is not read and closes after the write time`() {
        let client = Client()
        _ = client.receive(Client.get("/0") + Client.get("/1") + "GET /2")
        _ = client.answer(0)
        #expect(client.wrote(500) == .none)
        #expect(!client.wantsInput)
        _ = client.pass(client.limits.writeMilliseconds / 2)
        // Reading a little does not buy more time.
        #expect(client.wrote(499) == .none)
        #expect(client.pass(client.limits.writeMilliseconds / 2 - 1) == .none)
        #expect(client.pass(1) == .close)
    }

    @Test func `a client that reads slowly but in time goes on`() {
        let client = Client()
        _ = client.receive(Client.get("/0"))
        _ = client.answer(0)
        #expect(client.wrote(500) == .none)
        _ = client.pass(client.limits.writeMilliseconds - 1)
        #expect(client.wrote(0) == .none)
        #expect(client.wantsInput)
        #expect(client.deadline == client.now + client.limits.idleMilliseconds)
    }

    @Test func `unwritten bytes are bounded`() {
        var limits = ConnectionLimits()
        limits.unwrittenBytesMax = 100
        for (unwritten, action) in [(100, ConnectionMachine.Action.none), (101, .close)] {
            let client = Client(limits: limits)
            _ = client.receive(Client.get("/0"))
            _ = client.answer(0)
            #expect(client.wrote(unwritten) == action)
        }
    }

    @Test func `what is gathered is written before the next request is begun`() {
        var limits = ConnectionLimits()
        limits.gatheredBytesMax = 100
        let client = Client(limits: limits)
        #expect(client.receive(Client.get("/0"), gathered: 99).first == .request(0, body: ByteRange(28, 28)))
        #expect(client.receive(Client.get("/1"), gathered: 100) == [.pause])
        #expect(!client.wantsInput)
        _ = client.answer(0)
        #expect(client.wrote(100) == .none)
        #expect(client.wrote(0) == .resume)
        #expect(client.receive().first == .request(1, body: ByteRange(28, 28)))
        #expect(client.wantsInput)
    }

    @Test func `a connection that has had its share of a turn is resumed, and is not taken for idle meanwhile`() {
        var limits = ConnectionLimits()
        limits.pipelinedPerTurnMax = 3
        let client = Client(limits: limits)
        #expect(client.receive(Client.get("/0"), begun: 2).first == .request(0, body: ByteRange(28, 28)))
        // Nothing is left: the share does not matter.
        #expect(client.receive(begun: 3) == [.needsMore])
        #expect(client.wantsInput)
        #expect(client.receive(Client.get("/1"), begun: 3) == [.pause])
        #expect(!client.wantsInput && client.needsKeptBytes)
        _ = client.answer(0)
        #expect(client.wrote() == .resume)
        #expect(client.pass(limits.idleMilliseconds * 2) == .none)
        // Nor is it one that a drain finds without a request.
        #expect(client.drain() == .none)
        #expect(client.pass(limits.drainIdleMilliseconds * 2) == .none)
        #expect(client.receive().first == .request(1, body: ByteRange(28, 28)))
        #expect(client.answer(1) == write(.close))
        #expect(client.wrote() == .shutDownWriting)
    }

    @Test func `a half-closed client gets its answers, then the connection closes without lingering`() {
        let client = Client()
        _ = client.receive(Client.get("/0") + Client.get("/1") + "GET /unfinished")
        #expect(client.endOfInput() == .none)
        #expect(!client.wantsInput)
        #expect(client.answer(0) == write(.implied))
        #expect(client.wrote() == .none)
        #expect(client.answer(1) == write(.close))
        #expect(client.wrote() == .close)
    }

    @Test func `the end of input behind a backlog waits until the backlog is served`() {
        var limits = ConnectionLimits()
        limits.pipelinedRequestsMax = 1
        let client = Client(limits: limits)
        #expect(client.receive(Client.get("/0") + Client.get("/1") + "GET").last == .pause)
        #expect(client.endOfInput() == .none)
        #expect(client.serve(0) == .resume)
        #expect(client.receive() == [.request(1, body: ByteRange(28, 28)), .pause])
        #expect(client.serve(1) == .resume)
        #expect(client.receive() == [.close])
        #expect(client.isClosed)
    }

    @Test func `draining closes a connection that stays idle, and others after what is in flight`() {
        let idle = Client()
        #expect(idle.drain() == .none && idle.wantsInput)
        #expect(idle.pass(2_999) == .none)
        // An empty line is no request.
        #expect(idle.receive("\r\n") == [.needsMore])
        #expect(idle.pass(2_999) == .none)
        #expect(idle.pass(1) == .close)

        let busy = Client()
        _ = busy.receive(Client.get("/0") + Client.get("/1"))
        #expect(busy.drain() == .none)
        #expect(!busy.wantsInput)
        #expect(busy.answer(0) == write(.implied))
        #expect(busy.answer(1) == write(.close))
        #expect(busy.wrote() == .shutDownWriting)
    }

    @Test func `a request that is under way to an idle connection when draining begins is served, and is the last`() {
        let client = Client()
        _ = client.receive(Client.get("/0"))
        _ = client.serve(0)
        #expect(client.drain() == .none)
        #expect(client.pass(2_000) == .none)
        #expect(client.receive(Client.get("/1") + Client.get("/never")).count == 2)
        #expect(client.answer(1) == write(.close))
        #expect(client.wrote() == .shutDownWriting)
    }

    @Test func `draining lets an unfinished request finish and makes it the last`() {
        let client = Client()
        _ = client.receive("GET / HTTP/1.1\r\nHo")
        #expect(client.drain() == .none)
        #expect(client.drain() == .none)
        #expect(client.wantsInput)
        #expect(client.receive("st: a\r\n\r\n" + Client.get("/never")) == [.request(0, body: ByteRange(27, 27)), .needsMore])
        #expect(client.answer(0) == write(.close))
        #expect(client.wrote() == .shutDownWriting)
    }

    @Test func `a request that was set aside until answers are written is served when draining begins meanwhile, and is the last`() {
        var limits = ConnectionLimits()
        limits.gatheredBytesMax = 100
        let client = Client(limits: limits)
        _ = client.receive(Client.get("/0"))
        #expect(client.answer(0) == write(.implied))
        #expect(client.receive(Client.get("/1") + Client.get("/never"), gathered: 100) == [.pause])
        #expect(client.drain() == .none)
        #expect(client.wrote(50) == .none)
        #expect(client.wrote() == .resume)
        #expect(client.receive() == [.request(1, body: ByteRange(28, 28)), .needsMore])
        #expect(client.answer(1) == write(.close))
        #expect(client.wrote() == .shutDownWriting)
    }

    @Test func `draining between answer and write still ends`() {
        let client = Client()
        _ = client.receive(Client.get("/0"))
        _ = client.answer(0)
        #expect(client.wrote(10) == .none)
        #expect(client.drain() == .none)
        #expect(client.wrote(0) == .shutDownWriting)
        #expect(client.endOfInput() == .close)
    }

    @Test func `the length of an unfinished request is known from its head`() {
        let client = Client()
        #expect(client.expectedBytes == 0)
        let head = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5000\r\n\r\n"
        _ = client.receive(head)
        #expect(client.expectedBytes == head.utf8.count + 5000)
    }

    @Test func `a machine is small`() {
        #expect(MemoryLayout<ConnectionMachine>.size <= 192)
    }

    @Test func `limits that cannot work are named in a sentence`() {
        #expect(ConnectionLimits().problem == nil)
        let breaks: [(inout ConnectionLimits) -> Void] = [
            { $0.pipelinedRequestsMax = 0 }, { $0.pipelinedRequestsMax = 65 }, { $0.pipelinedPerTurnMax = 0 },
            { $0.pipelinedPerTurnMax = 65 }, { $0.requestsPerConnectionMax = 0 },
            { $0.idleMilliseconds = 0 }, { $0.lingerBytesMax = -1 }, { $0.request.fieldsMax = 65 }, { $0.request.fieldBytesMax = 65_536 },
            { $0.request.requestLineBytesMax = 1 }, { $0.request.largeBodyBytesMax = 1 }, { $0.request.chunkExtensionBytesMax = -1 },
            { $0.request.trailerBytesMax = -1 },
        ]
        for apply in breaks {
            var limits = ConnectionLimits()
            apply(&limits)
            #expect(limits.problem?.hasSuffix(".") == true)
        }
    }
}
