internal import Bytes
internal import HTTP1
internal import Server
internal import Wire

/// Hands answers to the server, and counts them.
final class Responder {
    private let counters: GatewayCounters
    /// Set once the server is made, which needs its handler first.
    unowned var server: HTTPServer<GatewayLoop>?
    private var problemBody: [UInt8] = []
    /// The bodies of problems that say nothing particular, by their codes: written once.
    private var plainBodies: [[UInt8]] = Array(repeating: [], count: ProblemCode.allCases.count)

    init(counters: GatewayCounters) { self.counters = counters }

    /// The body is copied before this returns. A client that is gone is told nothing.
    func send(_ ticket: RequestTicket, _ answer: Answer, body: Span<UInt8>) {
        counters.count(answer.status)
        server?.respond(ticket) { rendering, output, date in answer.write(body: body, rendering, to: &output, date: date) }
    }

    /// Whether the client has closed the connection, or ended its side: with TCP nobody can tell these apart. It is answered what is known
    /// already, and nothing is waited for.
    func hasLeft(_ ticket: RequestTicket) -> Bool { server?.hasLeft(ticket) ?? true }

    /// What was read, at its revision: 304 when the client's `If-None-Match` (empty for none) names it.
    func show(_ ticket: RequestTicket, revision: Int64, body: Span<UInt8>, ifNoneMatch tags: Span<UInt8>) {
        let isKnown = !tags.isEmpty && EntityTag.matches(ifNoneMatch: tags, revision: revision)
        var answer = Answer(isKnown ? .notModified : .ok)
        answer.revision = revision
        send(ticket, answer, body: body)
    }

    func refuse(_ ticket: RequestTicket, _ problem: Problem, allow: StaticString? = nil, quota: QuotaPolicy? = nil) {
        var answer = Answer(problem.code)
        answer.allow = allow
        answer.quota = quota
        let body = body(of: problem)
        send(ticket, answer, body: body.span)
    }

    private func body(of problem: Problem) -> [UInt8] {
        guard problem.isPlain else {
            problemBody.removeAll(keepingCapacity: true)
            problemBody.append(problem)
            return problemBody
        }
        let index = Int(problem.code.rawValue)
        if plainBodies[index].isEmpty { plainBodies[index].append(problem) }
        return plainBodies[index]
    }
}
