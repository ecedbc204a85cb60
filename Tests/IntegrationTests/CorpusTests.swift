import HTTP1
import Testing

@testable import TestSupport

extension WholeSystem {
    /// The parser's whole table of malformed requests at a real gateway, straight and through nginx as it is shipped.
    @Suite struct Corpus {
        @Test(arguments: MalformedRequest.all)
        func `is refused by a gateway before any handler sees it`(request: MalformedRequest) throws {
            let system = SystemUnderTest.shared
            let gateway = system.gatewaySocket("gateway-a", thread: 0)
            let verdict = try CorpusVerdict(system, gateway, request.aimed(key: system.demoKey), isClosed: true)
            #expect(verdict == CorpusVerdict(answers: [Int(request.refusal.status.rawValue)], handled: 0))
        }

        @Test(arguments: MalformedRequest.all)
        func `is refused through nginx as well, or mended as the table says`(request: MalformedRequest) throws {
            let system = SystemUnderTest.shared
            let verdict = try CorpusVerdict(system, system.nginx(), request.aimed(key: system.demoKey))
            if let mended = MendedRequest.all.first(where: { $0.name == request.name }) {
                #expect(verdict == mended.verdict, "\(mended.reason)")
            } else {
                #expect(verdict.isRefusal, "\(verdict)")
            }
        }

        /// The control: without a flaw such a request does reach a handler, and is counted.
        @Test func `a request without a flaw is served both ways`() throws {
            let system = SystemUnderTest.shared
            let good = MalformedRequest("good", "GET / HTTP/1.1\r\nHost: a\r\n\r\n", .malformedTarget).aimed(key: system.demoKey)
            for endpoint in [system.gatewaySocket("gateway-a", thread: 0), try system.nginx()] {
                #expect(try CorpusVerdict(system, endpoint, good) == CorpusVerdict(answers: [200], handled: 1))
            }
        }

        @Test func `what nginx mends is in the corpus, each once`() {
            let names = MendedRequest.all.map(\.name)
            #expect(Set(names).count == names.count)
            #expect(Set(names).isSubset(of: MalformedRequest.all.map(\.name)))
        }
    }
}
