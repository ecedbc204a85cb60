import Testing

@testable import TestSupport

/// What came of bytes that were sent on a connection of their own.
struct CorpusVerdict: Equatable, CustomStringConvertible {
    /// The status of each answer; one without a head, as HTTP/0.9 has it, is none.
    var answers: [Int]
    /// How many requests the parsers of the two gateways took for good and handed to their handlers.
    var handled: Int

    var description: String { "\(answers.isEmpty ? "no answer" : "\(answers)"), \(handled) handled" }

    /// With one answer or with none, before any handler saw it.
    var isRefusal: Bool { handled == 0 && answers.count <= 1 && answers.allSatisfy { (400..<600).contains($0) } }

    init(answers: [Int], handled: Int) { (self.answers, self.handled) = (answers, handled) }

    /// Sends bytes to a gateway, or to nginx before both, and waits until nothing more comes.
    /// - Parameter isClosed: whether the connection must be closed then, as it must without an answer anyhow.
    init(_ system: SystemUnderTest, _ endpoint: Endpoint, _ bytes: [UInt8], isClosed: Bool = false) throws {
        // Every request that a parser refuses is counted elsewhere.
        let before = try system.gatewaySum("sluice_http_requests_total")
        let connection = try HTTPConnection(endpoint, timeoutSeconds: 2)
        try connection.send(bytes)
        answers = []
        var (isFinished, isEnded) = (false, false)
        reading: while true {
            do throws(HTTPFailure) {
                answers.append(try connection.receive().status)
            } catch {
                isEnded = error == .closed
                // It waits for more: a request that is not whole is one that is not served.
                guard error == .timedOut, answers.isEmpty, !isFinished else { break reading }
                connection.finishSending()
                isFinished = true
                continue
            }
            guard connection.rest(withinSeconds: 0.05) == .bytes else { break reading }
        }
        if isClosed || answers.isEmpty { #expect(isEnded || connection.rest(withinSeconds: 3) == .end, "it is kept open") }
        handled = try system.gatewaySum("sluice_http_requests_total") - before
    }
}

extension MalformedRequest {
    /// The same flaw in a request for a list of accounts, with a key: nginx passes on nothing else, and a handler would answer it with 200.
    func aimed(key: String) -> [UInt8] { Self.authorized(Self.aimed(bytes), key) }

    private static let path = Array("/v1/accounts".utf8)

    /// The path is put before the first slash that begins a target, or in place of one that stands alone.
    private static func aimed(_ bytes: [UInt8]) -> [UInt8] {
        guard let slash = bytes.indices.first(where: { beginsPath(bytes, $0) }) else { return bytes }
        let isAlone = slash + 1 < bytes.count && [UInt8(ascii: " "), UInt8(ascii: "\t"), UInt8(ascii: "\r")].contains(bytes[slash + 1])
        return bytes[..<slash] + path + bytes[(isAlone ? slash + 1 : slash)...]
    }

    private static func beginsPath(_ bytes: [UInt8], _ index: Int) -> Bool {
        guard bytes[index] == UInt8(ascii: "/"), index > 0 else { return false }
        let before = bytes[..<index]
        if before.last == UInt8(ascii: " ") || before.last == UInt8(ascii: "\t") { return true }
        // Of an absolute target: the slash after the host.
        guard let scheme = before.firstRange(of: Array("://".utf8)) else { return false }
        return !before[scheme.upperBound...].contains(UInt8(ascii: "/"))
    }

    /// The key comes after the line of the host, or after the request line; its line ends as that one does.
    private static func authorized(_ bytes: [UInt8], _ key: String) -> [UInt8] {
        let start = bytes.firstRange(of: Array("Host:".utf8))?.upperBound ?? bytes.startIndex
        let (lineFeed, carriageReturn) = (UInt8(ascii: "\n"), UInt8(ascii: "\r"))
        guard let end = bytes[start...].firstIndex(where: { $0 == lineFeed || $0 == carriageReturn }) else { return bytes }
        let isPair = bytes[end] == carriageReturn && end + 1 < bytes.count && bytes[end + 1] == lineFeed
        let next = end + (isPair ? 2 : 1)
        return bytes[..<next] + Array("Authorization: Bearer \(key)".utf8) + bytes[end..<next] + bytes[next...]
    }
}
