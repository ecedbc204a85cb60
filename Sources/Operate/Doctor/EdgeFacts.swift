internal import Foundation
internal import Glibc
internal import Loop
internal import Telemetry

/// What a stranger is answered at the front door.
struct EdgeFacts: Sendable {
    struct Answer: Sendable, Equatable {
        var status = 0
        var contentType = ""
        var body = ""
    }

    /// To a read without a key, an operator's page, and a request without Host, which a proxy may take and the gateway never does.
    var withoutKey = Answer()
    var metrics = Answer()
    var withoutHost = Answer()

    private static let timeoutMilliseconds: UInt64 = 5_000
    private static let answerBytesMax = 65_536

    static func read(_ target: SubmitTarget) throws(OperateError) -> EdgeFacts {
        let prefix = target.pathPrefix
        let host = "Host: \(target.host)\r\nConnection: close\r\n"
        var facts = EdgeFacts()
        facts.withoutKey = try ask(target, "GET \(prefix)/v1/accounts HTTP/1.1\r\n\(host)\r\n")
        facts.metrics = try ask(target, "GET \(prefix)/metrics HTTP/1.1\r\n\(host)\r\n")
        facts.withoutHost = try ask(target, "GET \(prefix)/v1/accounts HTTP/1.1\r\nConnection: close\r\n\r\n")
        return facts
    }

    /// Sends a request and reads until the server closes.
    private static func ask(_ target: SubmitTarget, _ request: String) throws(OperateError) -> Answer {
        func refused(_ reason: String) -> OperateError { .refused("\(target.address): \(reason)") }
        let socket: CInt
        do throws(SocketError) { socket = try Descriptors.connect(to: target.address) } catch { throw refused("\(error)") }
        defer { Descriptors.close(socket) }
        let deadline = Clock.monotonicMilliseconds + timeoutMilliseconds
        func wait(_ events: Int32) throws(OperateError) {
            var wanted = pollfd(fd: socket, events: Int16(events), revents: 0)
            let now = Clock.monotonicMilliseconds
            guard now < deadline, unsafe poll(&wanted, 1, CInt(deadline - now)) == 1 else {
                throw refused("no answer within \(timeoutMilliseconds / 1_000) s")
            }
        }
        try wait(POLLOUT)
        let code = Descriptors.connectError(socket)
        guard code == 0 else { throw refused(unsafe String(cString: strerror(code))) }
        let bytes: [UInt8] = Array(request.utf8)
        guard Descriptors.send(socket, bytes.span) == .transferred(bytes.count) else { throw refused("the request was not taken") }
        var answer: [UInt8] = []
        while answer.count < answerBytesMax {
            switch Descriptors.receive(socket, into: &answer, limit: 4_096) {
            case .transferred: continue
            case .wouldBlock: try wait(POLLIN)
            case .ended, .failed: return parse(answer)
            }
        }
        return parse(answer)
    }

    static func parse(_ bytes: [UInt8]) -> Answer {
        let text = String(decoding: bytes, as: UTF8.self)
        let parts = text.split(separator: "\r\n\r\n", maxSplits: 1)
        guard let head = parts.first else { return Answer() }
        let lines = head.components(separatedBy: "\r\n")
        let status = lines[0].split(separator: " ")
        let type = lines.first { $0.lowercased().hasPrefix("content-type:") }?.dropFirst("content-type:".count)
        return Answer(
            status: status.count > 1 ? Int(status[1]) ?? 0 : 0, contentType: type?.trimmingCharacters(in: .whitespaces) ?? "",
            body: parts.count > 1 ? String(parts[1]) : "")
    }
}

/// What the front door must answer. Pure.
struct EdgeRules {
    let facts: EdgeFacts

    func judge(into report: inout DoctorReport) {
        report.judge(
            "edge.gateways", facts.withoutKey.status == 401, seen: "a read without a key: \(facts.withoutKey.status)",
            risk: [502, 503, 504].contains(facts.withoutKey.status)
                ? "no gateway answers: clients are refused" : "strangers are let in, or the API is not there",
            mend: "the upstream pools of nginx, /readyz of each gateway")
        report.judge(
            "edge.problems", facts.withoutKey.contentType.hasPrefix("application/problem+json"), level: .warning,
            seen: "its errors are \(facts.withoutKey.contentType.isEmpty ? "without a type" : facts.withoutKey.contentType)",
            risk: "clients cannot tell what may be repeated", mend: "include problems.conf in nginx's server")
        report.judge(
            "edge.operators", facts.metrics.status == 404 || facts.metrics.status == 401 || facts.metrics.status == 403,
            seen: "/metrics is \(facts.metrics.status) from outside", risk: "strangers read what the system does",
            mend: "route /v1/ only; admin listeners belong to an inner network")
        report.judge(
            "edge.strictness", facts.withoutHost.status == 400 || facts.withoutHost.status == 0,
            seen: "a request without Host: \(facts.withoutHost.status == 0 ? "closed" : "\(facts.withoutHost.status)")",
            risk: "what is in front reads requests otherwise than the gateways do", mend: "a proxy that is strict about RFC 9112")
    }
}
