import Bytes
import HTTP1
import Loop
import Telemetry
import Testing

@testable import Server

/// What a connection that sends many requests at once may have of a turn.
@Suite struct FairShareTests {
    private func requests(_ name: String, _ count: Int) -> String {
        (0..<count).map { "GET /\(name)\($0) HTTP/1.1\r\nHost: a\r\n\r\n" }.joined()
    }

    private func paths(_ name: String, _ count: Int) -> [String] { (0..<count).map { "/\(name)\($0)" } }

    private func send(_ text: String, to client: Client) {
        let bytes: [UInt8] = Array(text.utf8)
        #expect(Descriptors.send(client.descriptor, bytes.span) == .transferred(bytes.count))
    }

    /// Connects them, and lets them be accepted.
    private func clients(_ count: Int, _ loop: EventLoop, _ echo: Echo) throws -> [Client] {
        let clients = try (0..<count).map { _ in try Client(loop, echo.server!.addresses[0], []) }
        run(loop) { echo.server!.counters.accepted.value == count }
        return clients
    }

    @Test func `a request that comes while another connection's many are served is answered before they are through`() throws {
        let loop = EventLoop()
        let limits = HTTPServer<Echo>.Limits()
        let echo = try Echo(loop, limits: limits)
        let pair = try clients(2, loop, echo)
        echo.onBegin = { if $0 == "/many0" { send(requests("one", 1), to: pair[1]) } }
        send(requests("many", 64), to: pair[0])
        run(loop) { pair[0].bodies.count == 64 && !pair[1].bodies.isEmpty }
        #expect(echo.begun.count == 65)
        // Those of the turn that it came in, and no more.
        #expect(echo.begun.firstIndex(of: "/one0") == limits.connection.pipelinedPerTurnMax)
        #expect(pair[0].bodies == paths("many", 64))
        #expect(pair[1].bodies == ["/one0"])
        #expect(echo.server!.counters.putOff.value == 15)
    }

    @Test func `shares are taken in rounds, and not all of a round in one turn`() throws {
        let loop = EventLoop()
        var limits = HTTPServer<Echo>.Limits()
        limits.connection.pipelinedPerTurnMax = 3
        let echo = try Echo(loop, limits: limits)
        let all = try clients(40, loop, echo)
        var turn = 0
        var resumed: [Int: Int] = [:]
        loop.atTurnEnd { turn += 1 }
        var shares: [Int] = []
        echo.onBegin = { path in
            shares.append(Int(path.split(separator: "-")[1])! / limits.connection.pipelinedPerTurnMax)
            if shares[shares.count - 1] > 0 { resumed[turn, default: 0] += 1 }
        }
        for (number, client) in all.enumerated() { send(requests("\(number)-", 12), to: client) }
        run(loop) { all.allSatisfy { $0.bodies.count == 12 } }
        #expect(echo.begun.count == 40 * 12)
        #expect(shares == shares.sorted())
        #expect(resumed.values.max() == limits.resumedPerTurnMax * limits.connection.pipelinedPerTurnMax)
        for (number, client) in all.enumerated() { #expect(client.bodies == paths("\(number)-", 12)) }
    }

    @Test func `who sends no more than a share is answered in one write and never put off`() throws {
        let loop = EventLoop()
        let limits = HTTPServer<Echo>.Limits()
        let echo = try Echo(loop, limits: limits)
        let client = try clients(1, loop, echo)[0]
        for round in 0..<5 {
            send(requests("\(round)-", limits.connection.pipelinedPerTurnMax), to: client)
            run(loop) { client.bodies.count == (round + 1) * limits.connection.pipelinedPerTurnMax }
        }
        #expect(client.bodies.count == 5 * limits.connection.pipelinedPerTurnMax)
        #expect(client.segmentsReceived == 5)
        #expect(echo.server!.counters.putOff.value == 0)
    }

    @Test(arguments: ["now", "later"])
    func `a drain in the middle answers what was begun, says so in the last answer, and begins no more`(when: String) throws {
        let loop = EventLoop()
        var limits = HTTPServer<Echo>.Limits()
        limits.connection.lingerMilliseconds = 20
        limits.sweepMilliseconds = 10
        let echo = try Echo(loop, limits: limits)
        let client = try clients(1, loop, echo)[0]
        var (isDraining, isDrained) = (false, false)
        loop.atTurnEnd {
            guard echo.begun.count == 8, !isDraining else { return }
            isDraining = true
            echo.server?.drain { isDrained = true }
        }
        send(requests(when, 64), to: client)
        run(loop) { client.isEnded && isDrained }
        // All of the eight are answered and written where the answers come at once: then the end is said in the next one.
        #expect(client.bodies == paths(when, when == "now" ? 9 : 8))
        let answers = String(decoding: client.received, as: UTF8.self).split(separator: "HTTP/1.1 ")
        #expect(answers.map { $0.contains("Connection: close\r\n") } == answers.indices.map { $0 == answers.count - 1 })
        #expect(client.isEnded && isDrained)
    }

    @Test func `while nothing can be begun the loop sleeps`() throws {
        let loop = EventLoop()
        let limits = HTTPServer<Echo>.Limits()
        let echo = try Echo(loop, limits: limits)
        echo.lateMilliseconds = 300
        let client = try clients(1, loop, echo)[0]
        var turns = 0
        loop.atTurnEnd { turns += 1 }
        send(requests("later", 64), to: client)
        run(loop) { echo.begun.count == limits.connection.pipelinedRequestsMax }
        turns = 0
        run(loop, milliseconds: 40)
        #expect(echo.begun.count == limits.connection.pipelinedRequestsMax)
        #expect(client.bodies.isEmpty)
        #expect(turns < 20)
        echo.lateMilliseconds = 1
        run(loop) { client.bodies.count == 64 }
        #expect(client.bodies == paths("later", 64))
    }

    @Test func `a client that has ended its side is answered all it has asked for`() throws {
        let loop = EventLoop()
        let echo = try Echo(loop, limits: .init())
        let client = try clients(1, loop, echo)[0]
        send(requests("now", 64), to: client)
        Descriptors.shutDownWriting(client.descriptor)
        run(loop) { client.isEnded }
        #expect(client.bodies == paths("now", 64))
        #expect(echo.server!.counters.open.value == 0)
    }

    @Test func `connections that are lost while they are put off leave nothing to those that come into their place`() throws {
        let loop = EventLoop()
        var limits = HTTPServer<Echo>.Limits()
        limits.resumedPerTurnMax = 1
        // Twenty that are put off hold more than twice as much.
        limits.bufferedBytesMax = 30_000
        let echo = try Echo(loop, limits: limits)
        let first = try clients(20, loop, echo)
        // Nobody is in the list who is not there any more: it is as long as there are connections, at most.
        var isExact = true
        loop.atTurnEnd {
            let server = echo.server!
            if server.putOffSlots.count != server.connections.count(where: { $0.isOpen && $0.isPutOff }) { isExact = false }
        }
        for (number, client) in first.enumerated() { send(requests("\(number)-", 100), to: client) }
        run(loop) { first.allSatisfy { $0.isEnded || $0.bodies.count == 100 } }
        #expect(isExact)
        let lost = Int(echo.server!.counters.shed.value)
        #expect((5...15).contains(lost))
        for (number, client) in first.enumerated() where !client.isEnded { #expect(client.bodies == paths("\(number)-", 100)) }
        #expect(first.count(where: \.isEnded) == lost)
        let second = try (0..<lost).map { _ in try Client(loop, echo.server!.addresses[0], []) }
        run(loop) { echo.server!.counters.open.value == 20 }
        for (number, client) in second.enumerated() { send(requests("again\(number)-", 10), to: client) }
        run(loop) { second.allSatisfy { $0.bodies.count == 10 } }
        for (number, client) in second.enumerated() { #expect(client.bodies == paths("again\(number)-", 10)) }
        #expect(echo.server!.counters.open.value == 20)
    }

    @Test func `a queue of slots gives them in their order, whatever is taken out of the middle`() {
        var queue = SlotQueue()
        var model: [UInt32] = []
        var random = SystemRandomNumberGenerator()
        for step in 0..<10_000 as Range<UInt32> {
            switch Int.random(in: 0..<5, using: &random) {
            case 0, 1:
                queue.append(step)
                model.append(step)
            case 2, 3: #expect(queue.popFirst() == (model.isEmpty ? nil : model.removeFirst()))
            default:
                guard let slot = model.randomElement(using: &random) else { continue }
                queue.remove(slot)
                model.removeAll { $0 == slot }
            }
            #expect(queue.count == model.count)
        }
    }
}
