import Foundation
import Glibc
import Synchronization
import Testing

/// Keeps what was said while money moves: every answer to its clients, 202 and final, of payments, captures and refunds, and every value
/// and word that the workers put into Redis. What was said once must be what the ledger says in the end.
final class Witness: Sendable {
    private struct State {
        /// Bodies of payments, as they were answered.
        var answers: [String] = []
        /// Bodies of captures and refunds, as they were answered.
        var changes: [String] = []
        /// What was accepted: id, accounts and amount.
        var accepted: Set<String> = []
        var isStopping = false
        var running = 0
    }

    private let state = Mutex(State())
    private let monitor: GuardedProcess
    private let heard: String
    let shop: String

    /// - Parameters:
    ///   - poor: accounts that run dry: some of their payments are declined.
    ///   - holder: an account on which money is held, captured in two parts and given back in part.
    ///   - shop: what they pay to.
    init(_ system: SystemUnderTest, poor: [String], holder: String, shop: String) throws {
        self.shop = shop
        // Beside the data: what is in it is searched for secrets at the end, and this is large and not the system's.
        heard = "\(system.data)/../redis-monitor-\(UInt32.random(in: 0 ... .max)).log"
        let socket = system.redisSocket
        monitor = try GuardedProcess("/usr/bin/redis-cli", ["-s", socket, "MONITOR"], output: heard)
        let (endpoint, key) = (try system.nginx(), system.demoKey)
        state.withLock { $0.running = poor.count + 1 }
        Thread.detachNewThread { [self] in
            let client = APIClient(endpoint, key: key)
            while !isStopping { live(client, holder) }
            state.withLock { $0.running -= 1 }
        }
        for (number, debit) in poor.enumerated() {
            Thread.detachNewThread { [self] in
                let client = APIClient(endpoint, key: key)
                var count = number
                while !isStopping {
                    count += 1
                    let amount = 1 + count % 9
                    _ = final { key throws(HTTPFailure) in try client.pay(amount, from: debit, to: shop, key: key, wait: 2) }
                }
                state.withLock { $0.running -= 1 }
            }
        }
    }

    private var isStopping: Bool { state.withLock { $0.isStopping } }

    /// Sends a request under one key until somebody says what came of it (a retry is answered as the first time), and keeps every answer.
    private func final(_ send: (String) throws(HTTPFailure) -> HTTPResponse) -> JSON? {
        let key = newKey()
        for _ in 0..<30 where !isStopping {
            if let response = try? send(key), let said = keep(response) { return said }
            usleep(20_000)
        }
        return nil
    }

    /// The answer's payment or change once it is decided.
    private func keep(_ response: HTTPResponse) -> JSON? {
        guard response.status / 100 == 2 || response.status == 402 else { return nil }
        let json = response.json
        let said = response.status == 402 ? (json.payment.id.string == nil ? json.change : json.payment) : json
        let isChange = said.type.string != nil && said.payment.string != nil
        guard said.decided_at.string != nil else {
            state.withLock { _ = $0.accepted.insert(isChange ? Self.request(change: said) : Self.request(payment: said)) }
            return nil
        }
        state.withLock { if isChange { $0.changes.append(Self.facts(change: said)) } else { $0.answers.append(Self.facts(said)) } }
        return said
    }

    /// 10 are held, 4 and then finally 3 captured, 2 given back.
    private func live(_ client: APIClient, _ holder: String) {
        let held = final { key throws(HTTPFailure) in try client.hold(10, from: holder, to: shop, key: key, wait: 2) }
        guard let id = held?.id.string else { return }
        for (verb, body) in [
            ("capture", "{\"amount\":4}"), ("capture", "{\"amount\":3,\"final\":true}"), ("refunds", "{\"amount\":2}"),
        ] {
            let step = final { key throws(HTTPFailure) in try client.change(payment: id, verb, body, key: key, wait: 2) }
            if step == nil { return }
        }
    }

    private static func request(payment json: JSON) -> String {
        [json.id.string, json.debit.string, json.credit.string, json.amount.int.map(String.init)].map { $0 ?? "?" }.joined(separator: " ")
    }

    private static func request(change json: JSON) -> String {
        [json.id.string, json.type.string, json.payment.string].map { $0 ?? "?" }.joined(separator: " ")
    }

    var answerCount: Int { state.withLock { $0.answers.count } }

    func stop() {
        state.withLock { $0.isStopping = true }
        _ = eventually(seconds: 40) { state.withLock { $0.running == 0 } }
        if monitor.exitCode == nil { kill(monitor.pid, SIGTERM) }
    }

    /// How many captures and refunds were answered, and how many requests were answered 202.
    var changeCount: Int { state.withLock { $0.changes.count } }
    var acceptedCount: Int { state.withLock { $0.accepted.count } }

    private static func entries(_ json: JSON) -> [String] {
        let debit = json.debit_result
        let credit = json.credit_result
        return [debit.sequence, debit.posted_after, debit.revision, credit.sequence, credit.posted_after, credit.revision]
            .map { $0.int.map(String.init) ?? "-" }
    }

    private static func facts(change json: JSON) -> String {
        let numbers = [json.moved, json.released, json.payment_revision].map { $0.int.map(String.init) ?? "-" }
        return ([request(change: json), json.decided_at.string ?? "?"] + numbers + entries(json)).joined(separator: " ")
    }

    /// What a payment's body says of its decision, which never changes.
    private static func facts(_ json: JSON) -> String {
        let numbers = entries(json)
        let outcome = json.decline_reason.string != nil ? "2" : json.capture.string == "manual" ? "held" : "1"
        return ([json.id.string ?? "?", outcome, json.decided_at.string ?? "?"] + numbers).joined(separator: " ")
    }

    /// What was said and is not so in the ledger; to be asked once all is decided.
    func contradictions(_ system: SystemUnderTest) throws -> [String] {
        let tables = LedgerTables(system: system)
        let time = "to_char(p.decided_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')"
        let rows = try tables.rows(
            "SELECT replace(p.id::text, '-', ''), CASE WHEN p.manual AND p.status <> 2 THEN 'held' ELSE p.status::text END, \(time), m.debit_sequence, m.debit_posted_after, m.debit_revision, "
                + "m.credit_sequence, m.credit_posted_after, m.credit_revision FROM sluice.payment p LEFT JOIN sluice.movement m "
                + "ON m.debit_account = p.debit_account AND m.debit_sequence = p.debit_sequence WHERE p.credit = '\(shop)'")
        let known = Set(rows.map { $0.map { $0.isEmpty ? "-" : $0 }.joined(separator: " ") })
        let answers = state.withLock { $0.answers }
        var found = answers.filter { !known.contains($0) }.map { "answered, and not so: \($0)" }

        let operations = try tables.rows(
            "SELECT replace(o.id::text, '-', ''), CASE o.kind WHEN 6 THEN 'capture' WHEN 7 THEN 'void' WHEN 8 THEN 'expiry' ELSE 'refund' END, "
                + "replace(p.id::text, '-', ''), \(time.replacing("p.decided_at", with: "o.decided_at")), nullif(o.moved, 0), "
                + "nullif(o.released, 0), o.payment_revision, m.debit_sequence, m.debit_posted_after, m.debit_revision, m.credit_sequence, "
                + "m.credit_posted_after, m.credit_revision FROM sluice.operation o JOIN sluice.payment p ON p.id = o.payment_id "
                + "LEFT JOIN sluice.movement m ON m.debit_account = o.debit_account AND m.debit_sequence = o.debit_sequence "
                + "WHERE p.credit = '\(shop)'")
        let changes = Set(operations.map { $0.map { $0.isEmpty ? "-" : $0 }.joined(separator: " ") })
        found += state.withLock { $0.changes }.filter { !changes.contains($0) }.map { "answered, and not so: \($0)" }
        let requests = try tables.rows(
            "SELECT replace(id::text, '-', ''), debit, credit, amount FROM sluice.payment WHERE credit = '\(shop)'")
        let taken = Set(requests.map { $0.joined(separator: " ") } + operations.map { $0[0...2].joined(separator: " ") })
        found += state.withLock { $0.accepted }.subtracting(taken).map { "accepted, and not so: \($0)" }
        let ours = Set(requests.map { $0[0] })

        // An account's body at a revision that a movement left: its entry's number and balance are the movement's.
        let entries = try tables.rows(
            "SELECT a.id, e.revision, e.sequence, e.after FROM sluice.account a JOIN ("
                + "SELECT debit_account AS account, debit_revision AS revision, debit_sequence AS sequence, debit_posted_after AS after "
                + "FROM sluice.movement UNION ALL SELECT credit_account, credit_revision, credit_sequence, credit_posted_after "
                + "FROM sluice.movement) e ON e.account = a.number")
        let balances = Dictionary(entries.map { ("\($0[0]) \($0[1])", "\($0[2]) \($0[3])") }, uniquingKeysWith: { first, _ in first })
        let last = Dictionary(
            try tables.rows("SELECT id, revision FROM sluice.account").map { ($0[0], Int($0[1]) ?? 0) }, uniquingKeysWith: max)
        for body in try publishedBodies() {
            let json = JSON(body)
            guard let id = json.id.string, let revision = json.revision.int ?? json.payment_revision.int else { continue }
            if json.posted.int != nil, let sequence = json.sequence.int, let posted = json.posted.int {
                if revision > last[id] ?? 0 { found.append("published, and the ledger never came so far: \(body)") }
                if let balance = balances["\(id) \(revision)"], balance != "\(sequence) \(posted)" {
                    found.append("published, and not so (\(balance)): \(body)")
                }
            } else if let payment = json.payment.string, ours.contains(payment), !changes.contains(Self.facts(change: json)) {
                found.append("published, and not so: \(body)")
            } else if json.credit.string == shop, revision == 1, !known.contains(Self.facts(json)) {
                found.append("published, and not so: \(body)")
            }
        }
        return found
    }

    /// The bodies among the arguments of the workers' commands, as MONITOR writes them.
    private func publishedBodies() throws -> [String] {
        let text = try String(contentsOfFile: heard, encoding: .utf8)
        var bodies: [String] = []
        for line in text.split(separator: "\n")
        where line.contains("_put_all\"") || line.contains("_complete_all\"") || line.contains("_fill\"") || line.contains("_fill_all\"")
            || line.contains("_replace\"") || line.contains("\"PUBLISH\"")
        {
            // Each argument stands in quotation marks, and a body's own are escaped.
            for argument in line.split(separator: "\" \"") {
                guard let start = argument.firstRange(of: "{\\\"id\\\":"), let end = argument.lastIndex(of: "}") else { continue }
                let quoted = String(argument[start.lowerBound...end])
                bodies.append(
                    quoted.replacing("\\\\", with: "\u{1}").replacing("\\\"", with: "\"").replacing("\u{1}", with: "\\"))
            }
        }
        return bodies
    }
}
