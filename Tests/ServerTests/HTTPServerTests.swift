import Foundation
import HTTP1
import Loop
import Server
import Telemetry
import Testing

@Suite struct HTTPServerTests {
    @Test func `pipelined requests are answered in their order although later ones are ready first`() throws {
        let loop = EventLoop()
        let echo = try Echo(loop, limits: .init())
        let requests = ["/later1", "/now1", "/later2", "/now2"].map { "GET \($0) HTTP/1.1\r\nHost: a\r\n\r\n" }
        let client = try Client(loop, echo.server!.addresses[0], [requests.joined()])
        run(loop, milliseconds: 60)
        #expect(client.bodies == ["/later1", "/now1", "/later2", "/now2"])
    }

    /// Those that may be in flight at once, that is: a client that sends more gets a write for each such lot.
    @Test(arguments: ["now", "later"], [16, 40])
    func `answers to pipelined requests that are there in one turn leave in one write`(when: String, count: Int) throws {
        let loop = EventLoop()
        var limits = HTTPServer<Echo>.Limits()
        limits.connection.pipelinedRequestsMax = 16
        limits.connection.pipelinedPerTurnMax = 16
        let echo = try Echo(loop, limits: limits)
        let paths = (0..<count).map { "/\(when)\($0)" }
        let writes = UInt32((count + limits.connection.pipelinedRequestsMax - 1) / limits.connection.pipelinedRequestsMax)
        #expect(writes == (count == 16 ? 1 : 3))
        let client = try Client(loop, echo.server!.addresses[0], [paths.map { "GET \($0) HTTP/1.1\r\nHost: a\r\n\r\n" }.joined()])
        run(loop, milliseconds: 60)
        #expect(client.bodies == paths)
        #expect(client.segmentsReceived == writes)
        // The control: answers of several turns are as many segments.
        for number in 0..<5 {
            client.send("GET /alone\(number) HTTP/1.1\r\nHost: a\r\n\r\n")
            run(loop, milliseconds: 10)
        }
        #expect(client.bodies.count == count + 5)
        #expect(client.segmentsReceived == writes + 5)
    }

    @Test func `more pipelined requests than may be in flight are all answered`() throws {
        let loop = EventLoop()
        let echo = try Echo(loop, limits: .init())
        let requests = (0..<200).map { "GET /\($0 % 3 == 0 ? "later" : "")\($0) HTTP/1.1\r\nHost: a\r\n\r\n" }
        let client = try Client(loop, echo.server!.addresses[0], [requests.joined()])
        run(loop, milliseconds: 400)
        #expect(client.bodies == (0..<200).map { "/\($0 % 3 == 0 ? "later" : "")\($0)" })
    }

    @Test func `a request in pieces is whole once its last byte is there`() throws {
        let loop = EventLoop()
        let echo = try Echo(loop, limits: .init())
        let text = "POST /p HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n-ab\r\n2\r\ncd\r\n0\r\n\r\n"
        let client = try Client(loop, echo.server!.addresses[0], text.map(String.init))
        run(loop, milliseconds: 100)
        #expect(client.bodies == ["/p-abcd"])
    }

    @Test func `a request that is not finished in time is answered 408 and an idle connection is closed silently`() throws {
        let loop = EventLoop()
        var limits = HTTPServer<Echo>.Limits()
        limits.connection.requestMilliseconds = 50
        limits.connection.idleMilliseconds = 50
        limits.connection.lingerMilliseconds = 20
        limits.sweepMilliseconds = 10
        let echo = try Echo(loop, limits: limits)
        let slow = try Client(loop, echo.server!.addresses[0], ["GET / HTTP/1.1\r\nHost"])
        let idle = try Client(loop, echo.server!.addresses[0], [])
        run(loop, milliseconds: 200)
        #expect(String(decoding: slow.received, as: UTF8.self).hasPrefix("HTTP/1.1 408 "))
        #expect(slow.isEnded)
        #expect(idle.received.isEmpty && idle.isEnded)
    }

    @Test func `past the connection limit clients wait and are served when others have gone`() throws {
        let loop = EventLoop()
        var limits = HTTPServer<Echo>.Limits()
        limits.connectionsMax = 2
        let echo = try Echo(loop, limits: limits)
        let address = echo.server!.addresses[0]
        let request = "GET /x HTTP/1.1\r\nHost: a\r\n\r\n"
        var first: [Client] = [try Client(loop, address, [request]), try Client(loop, address, [request])]
        run(loop, milliseconds: 30)
        let waiting = try Client(loop, address, [request])
        run(loop, milliseconds: 30)
        #expect(first.allSatisfy { $0.bodies == ["/x"] })
        #expect(waiting.bodies.isEmpty)
        first.removeLast()
        run(loop, milliseconds: 30)
        #expect(waiting.bodies == ["/x"])
    }

    @Test func `a drain finishes what is in flight, closes what is idle and then says so`() throws {
        let loop = EventLoop()
        var limits = HTTPServer<Echo>.Limits()
        limits.connection.lingerMilliseconds = 20
        limits.connection.drainIdleMilliseconds = 30
        limits.sweepMilliseconds = 10
        let echo = try Echo(loop, limits: limits)
        let address = echo.server!.addresses[0]
        let idle = try Client(loop, address, ["GET /done HTTP/1.1\r\nHost: a\r\n\r\n"])
        run(loop, milliseconds: 20)
        let busy = try Client(loop, address, ["GET /later HTTP/1.1\r\nHost: a\r\n\r\n"])
        var isDrained = false
        let begin = LoopTimer(loop: loop) { echo.server?.drain { isDrained = true } }
        begin.arm(afterMilliseconds: 3)
        run(loop, milliseconds: 100)
        #expect(busy.bodies == ["/later"])
        #expect(String(decoding: busy.received, as: UTF8.self).contains("Connection: close\r\n"))
        #expect(idle.isEnded && busy.isEnded)
        #expect(isDrained)
    }

    @Test func `a drain serves who has connected, who was about to send, and lets nobody else in`() throws {
        let loop = EventLoop()
        var limits = HTTPServer<Echo>.Limits()
        limits.connection.lingerMilliseconds = 20
        limits.connection.drainIdleMilliseconds = 200
        limits.sweepMilliseconds = 10
        let path = FileManager.default.temporaryDirectory.appendingPathComponent("sluice-drain-\(UInt32.random(in: 0 ... .max)).sock").path
        let echo = try Echo(loop, limits: limits, address: .unix(path: path))
        let address = echo.server!.addresses[0]
        let request = "GET /x HTTP/1.1\r\nHost: a\r\n\r\n"
        // Connected, and answered once.
        let kept = try Client(loop, address, [request])
        run(loop, milliseconds: 20)
        // In the kernel's backlog, with a request sent.
        echo.server?.takesConnections = false
        let waiting = try Client(loop, address, [request])
        run(loop, milliseconds: 20)
        #expect(waiting.bodies.isEmpty)
        var isDrained = false
        echo.server?.drain { isDrained = true }
        #expect(throws: SocketError.self) { _ = try Client(loop, address, []) }
        kept.send(request)
        run(loop, milliseconds: 100)
        #expect(waiting.bodies == ["/x"] && kept.bodies == ["/x", "/x"])
        #expect(String(decoding: kept.received, as: UTF8.self).hasSuffix("/x"))
        #expect(String(decoding: kept.received, as: UTF8.self).contains("Connection: close\r\n"))
        #expect(isDrained && kept.isEnded && waiting.isEnded)
    }

    @Test func `one address cannot have more than its share of the connections`() throws {
        let loop = EventLoop()
        var limits = HTTPServer<Echo>.Limits()
        limits.connectionsPerAddressMax = 2
        let echo = try Echo(loop, limits: limits)
        let address = echo.server!.addresses[0]
        let request = "GET /x HTTP/1.1\r\nHost: a\r\n\r\n"
        var first: [Client] = [try Client(loop, address, [request]), try Client(loop, address, [request])]
        run(loop, milliseconds: 30)
        let third = try Client(loop, address, [request])
        run(loop, milliseconds: 30)
        #expect(first.allSatisfy { $0.bodies == ["/x"] && !$0.isEnded })
        #expect(third.bodies.isEmpty && third.isEnded)
        #expect(echo.server!.counters.refusedAddresses.value == 1)
        first.removeLast()
        run(loop, milliseconds: 30)
        let fourth = try Client(loop, address, [request])
        run(loop, milliseconds: 30)
        #expect(fourth.bodies == ["/x"])
    }

    @Test func `what slow clients hold in memory is bounded, and those go first that hold it the longest`() throws {
        let loop = EventLoop()
        var limits = HTTPServer<Echo>.Limits()
        limits.bufferedBytesMax = 100_000
        let echo = try Echo(loop, limits: limits)
        let address = echo.server!.addresses[0]
        let slow = "POST /p HTTP/1.1\r\nHost: a\r\nContent-Length: 60000\r\n\r\n" + String(repeating: "x", count: 30_000)
        var clients: [Client] = []
        for _ in 0..<3 {
            clients.append(try Client(loop, address, [slow]))
            run(loop, milliseconds: 20)
        }
        #expect(clients.allSatisfy { !$0.isEnded })
        clients.append(try Client(loop, address, [slow]))
        run(loop, milliseconds: 20)
        // Four of 30,000 and a head are too much; two are within three quarters.
        #expect(clients.map(\.isEnded) == [true, true, false, false])
        #expect(echo.server!.counters.shed.value == 2)
        let good = try Client(loop, address, ["GET /x HTTP/1.1\r\nHost: a\r\n\r\n"])
        run(loop, milliseconds: 20)
        #expect(good.bodies == ["/x"])
    }

    /// What a server has counted when it has closed a client that sends requests and reads no answer, or after five seconds.
    private func countersOnceClosed(
        _ loop: EventLoop, _ limits: HTTPServer<Echo>.Limits, requests: Int, bodyBytes: Int, receiveBytes: CInt? = nil
    ) throws -> ServerCounters {
        let echo = try Echo(loop, limits: limits)
        let counters = echo.server!.counters
        let request = "POST /p HTTP/1.1\r\nHost: a\r\nContent-Length: \(bodyBytes)\r\n\r\n" + String(repeating: "x", count: bodyBytes)
        let client = try Client(loop, echo.server!.addresses[0], [], receiveBytes: receiveBytes)
        client.isReading = false
        client.send(String(repeating: request, count: requests))
        for _ in 0..<200 where counters.closed.value == 0 { run(loop, milliseconds: 25) }
        return counters
    }

    @Test func `a client that does not read its answers is read no further and closed in time`() throws {
        let loop = EventLoop()
        var limits = HTTPServer<Echo>.Limits()
        limits.connection.writeMilliseconds = 200
        limits.connection.request.bodyBytesMax = 4_000_000
        limits.connection.unwrittenBytesMax = 16_000_000
        limits.sweepMilliseconds = 10
        let counters = try countersOnceClosed(loop, limits, requests: 10, bodyBytes: 3_000_000)
        // The kernel takes some of the answers. With one that it did not take whole, the other requests stay in the kernel too.
        #expect((1...8).contains(counters.requests.value))
        #expect(counters.open.value == 0 && counters.writeTimeouts.value == 1)
    }

    @Test func `answers that lie in the kernel's memory are bounded: a client that does not read them is seen soon`() throws {
        let loop = EventLoop()
        var limits = HTTPServer<Echo>.Limits()
        limits.connection.writeMilliseconds = 200
        limits.connection.request.bodyBytesMax = 50_000
        limits.sweepMilliseconds = 10
        let counters = try countersOnceClosed(loop, limits, requests: 30, bodyBytes: 50_000, receiveBytes: 4_096)
        // Without the bound loopback takes more than two megabytes, and so all of them.
        #expect((2...8).contains(counters.requests.value))
        #expect(counters.open.value == 0 && counters.writeTimeouts.value == 1)
    }

    @Test func `pipelined requests with long answers are answered piece by piece, in order and all of them`() throws {
        let loop = EventLoop()
        var limits = HTTPServer<Echo>.Limits()
        limits.readBytesMax = 1_000_000
        limits.connection.unwrittenBytesMax = 150_000
        let echo = try Echo(loop, limits: limits)
        let requests = (0..<12).map {
            "POST /\($0) HTTP/1.1\r\nHost: a\r\nContent-Length: 50000\r\n\r\n" + String(repeating: "x", count: 50_000)
        }
        let client = try Client(loop, echo.server!.addresses[0], [requests.joined()])
        for _ in 0..<100 where client.received.count < 12 * 50_000 { run(loop, milliseconds: 10) }
        run(loop, milliseconds: 10)
        // Twelve answers at once would be more than may be unwritten.
        #expect(client.bodies.map { $0.prefix(while: { $0 != "x" }) } == (0..<12).map { "/\($0)" })
        #expect(echo.server!.counters.closed.value == 0)
    }

    @Test func `thousands of connections come and go, and an answer to one that has gone finds nobody`() throws {
        let loop = EventLoop()
        let echo = try Echo(loop, limits: .init())
        let address = echo.server!.addresses[0]
        for _ in 0..<10 {
            var clients: [Client] = []
            for number in 0..<200 {
                clients.append(try Client(loop, address, ["GET /\(number % 2 == 0 ? "later" : "now") HTTP/1.1\r\nHost: a\r\n\r\n"]))
            }
            run(loop, milliseconds: 4)
            clients.removeAll()
            run(loop, milliseconds: 10)
        }
        run(loop, milliseconds: 50)
        #expect(echo.server!.counters.accepted.value == 2_000)
        #expect(echo.server!.counters.open.value == 0)
    }
}
