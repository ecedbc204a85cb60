import HTTP1
import Testing

/// A small generator with a printed seed (SplitMix64), so that a failure can be run again.
struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var word = state
        word = (word ^ (word >> 30)) &* 0xbf58_476d_1ce4_e5b9
        word = (word ^ (word >> 27)) &* 0x94d0_49bb_1331_11eb
        return word ^ (word >> 31)
    }
}

/// Damaged requests, cut anywhere: nothing crashes and the verdict does not depend on the cuts.
@Suite struct RandomRequestTests {
    private static let seeds: [String] = [
        "GET /v1/accounts/a?limit=2 HTTP/1.1\r\nHost: a\r\nAccept: */*\r\n\r\n",
        "POST /v1/payments HTTP/1.1\r\nHost: a:80\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\nhello",
        "POST /c HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3;x=\"y\"\r\nabc\r\n0f\r\n0123456789abcde\r\n0\r\nT: 1\r\n\r\n",
        "HEAD http://a/x HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, x\r\n\r\n",
        "\r\nOPTIONS * HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n",
    ]
    /// What a mutation likes to put in: what the grammar is made of.
    private static let spice: [[UInt8]] = [
        [0x0D], [0x0A], [0x0D, 0x0A], [0x00], [0x20], [0x09], [0x3A], [0x25], [0x2C], [0x3B], [0x80], [0xFF], [0x7F],
        Array("Content-Length: 3\r\n".utf8), Array("Transfer-Encoding: chunked\r\n".utf8), Array("Host: b\r\n".utf8),
        Array("0\r\n\r\n".utf8), Array("\r\n\r\n".utf8), Array("ffffffff".utf8), Array("HTTP/1.1".utf8),
    ]

    private func stream(_ random: inout SeededGenerator) -> [UInt8] {
        var bytes: [UInt8] = []
        for _ in 0..<Int.random(in: 1...4, using: &random) { bytes += Array(Self.seeds.randomElement(using: &random)!.utf8) }
        for _ in 0..<Int.random(in: 0...3, using: &random) {
            let position = Int.random(in: 0..<bytes.count, using: &random)
            switch Int.random(in: 0..<5, using: &random) {
            case 0: bytes[position] = UInt8.random(in: 0...255, using: &random)
            case 1: bytes.insert(contentsOf: Self.spice.randomElement(using: &random)!, at: position)
            case 2: bytes.removeSubrange(position..<min(bytes.count, position + Int.random(in: 1...4, using: &random)))
            case 3: bytes[position] ^= 1 << UInt8.random(in: 0..<8, using: &random)
            default: bytes.insert(contentsOf: bytes[position..<min(bytes.count, position + 20)], at: position)
            }
            if bytes.isEmpty { bytes = [0x0D] }
        }
        return bytes
    }

    @Test(arguments: 1...8 as ClosedRange<UInt64>)
    func `the verdict on a damaged stream does not depend on how it is cut`(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        var limits = ConnectionLimits()
        limits.request.requestLineBytesMax = 60
        limits.request.fieldBytesMax = 120
        limits.request.bodyBytesMax = 24
        limits.request.chunkExtensionBytesMax = 8
        limits.request.trailerBytesMax = 10
        var refused = 0
        var served = 0
        for round in 0..<120 {
            let input = stream(&random)
            let (whole, _) = Replay.run(input, limits: limits)
            let (single, _) = Replay.run(input, cuts: Array(1..<max(input.count, 1)), limits: limits)
            let agrees = single == whole
            #expect(agrees, "seed \(seed), round \(round), byte by byte: \(shown(input))")
            for _ in 0..<4 {
                let cuts = (0..<Int.random(in: 1...6, using: &random)).map { _ in Int.random(in: 0...input.count, using: &random) }.sorted()
                let (split, extra) = Replay.run(input, cuts: cuts, limits: limits)
                let agrees = split == whole
                #expect(agrees, "seed \(seed), round \(round), cuts \(cuts): \(shown(input))")
                let isBounded = extra.keptAtEnd <= limits.request.bufferedBytesMax
                #expect(isBounded, "seed \(seed), round \(round)")
            }
            refused += whole.refusal == nil ? 0 : 1
            served += whole.requests.count
        }
        // The generator must keep reaching both sides.
        #expect(refused > 30)
        #expect(served > 90)
    }

    @Test(arguments: 1...4 as ClosedRange<UInt64>)
    func `random bytes are refused or wait for more, and never crash`(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        for _ in 0..<300 {
            let input = (0..<Int.random(in: 1...80, using: &random)).map { _ in UInt8.random(in: 0...255, using: &random) }
            let (replay, _) = Replay.run(input)
            #expect(replay.requests.isEmpty)
        }
    }

    @Test(arguments: 1...4 as ClosedRange<UInt64>)
    func `a random chunked body decodes to what was encoded`(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        for _ in 0..<100 {
            let body = (0..<Int.random(in: 0...300, using: &random)).map { _ in UInt8.random(in: 32...126, using: &random) }
            var input = Array("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n".utf8)
            var rest = body[...]
            while !rest.isEmpty {
                let chunk = rest.prefix(Int.random(in: 1...40, using: &random))
                rest = rest.dropFirst(chunk.count)
                input +=
                    Array(String(chunk.count, radix: 16, uppercase: Bool.random(using: &random)).utf8) + [0x0D, 0x0A] + chunk + [
                        0x0D, 0x0A,
                    ]
            }
            input += Array("0\r\n\r\n".utf8)
            let cuts = (0..<Int.random(in: 0...20, using: &random)).map { _ in Int.random(in: 0...input.count, using: &random) }.sorted()
            let (replay, extra) = Replay.run(input, cuts: cuts)
            #expect(replay.requests.map(\.body) == [String(decoding: body, as: UTF8.self)], "seed \(seed)")
            #expect(extra.keptAtEnd == 0)
        }
    }

    /// A model of the connection: requests numbered in order, answered in random order, written in random pieces.
    @Test(arguments: 1...8 as ClosedRange<UInt64>)
    func `a random walk answers every request once and in order`(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        var limits = ConnectionLimits()
        limits.pipelinedRequestsMax = Int.random(in: 1...8, using: &random)
        let client = Client(limits: limits)
        let total = 200
        let input = (0..<total).map { Client.get("/\($0)") }.joined()
        var unsent = Array(input.utf8)[...]
        var open: [UInt32] = []
        var written: [UInt32] = []
        var inOutput = 0
        var steps = 0
        while written.count < total || inOutput > 0 {
            steps += 1
            guard steps < 100_000 else { break }
            var outcomes: [ConnectionMachine.Receipt.Outcome] = []
            if client.wantsInput, Bool.random(using: &random) {
                let piece = unsent.prefix(Int.random(in: 1...90, using: &random))
                unsent = unsent.dropFirst(piece.count)
                outcomes = client.receive(
                    String(decoding: piece, as: UTF8.self), begun: Int.random(in: 0...limits.pipelinedPerTurnMax, using: &random))
            } else if !open.isEmpty, Bool.random(using: &random) {
                let number = open.remove(at: Int.random(in: 0..<open.count, using: &random))
                if case .write = client.answer(number) {
                    written.append(number)
                    inOutput += 10
                    while let next = client.nextHeld() {
                        written.append(next)
                        inOutput += 10
                    }
                }
            } else {
                inOutput = Bool.random(using: &random) ? 0 : inOutput / 2
                if client.wrote(inOutput) == .resume { outcomes = client.receive() }
            }
            for case .request(let number, _) in outcomes { open.append(number) }
            #expect(client.requestsInFlight <= limits.pipelinedRequestsMax)
        }
        #expect(written == Array(0..<UInt32(total)), "seed \(seed)")
        _ = client.wrote(0)
        #expect(client.isIdle)
        #expect(client.kept.isEmpty)
    }
}
