import Foundation
import Glibc
import Synchronization
import Testing

/// Keeps what was said while money moves: every final answer to its clients, 2xx and 402, and every value and word that the workers
/// put into Redis. What was said once must be what the ledger says in the end.
final class Witness: Sendable {
    private struct State {
        /// Bodies of payments, as they were answered.
        var answers: [String] = []
        var isStopping = false
        var running = 0
    }

    private let state = Mutex(State())
    private let monitor: GuardedProcess
    private let heard: String
    let shop: String

    /// - Parameters:
    ///   - poor: accounts that run dry: some of their payments are declined.
    ///   - shop: what they pay to.
    init(_ system: SystemUnderTest, poor: [String], shop: String) throws {
        self.shop = shop
        heard = "\(system.data)/logs/redis-monitor-\(UInt32.random(in: 0 ... .max)).log"
        let socket = (system.settings["SLUICE_REDIS"] ?? "").replacing("unix:", with: "")
        monitor = try GuardedProcess("/usr/bin/redis-cli", ["-s", socket, "MONITOR"], output: heard)
        let (endpoint, key) = (try system.nginx(), system.demoKey)
        state.withLock { $0.running = poor.count }
        for (number, debit) in poor.enumerated() {
            Thread.detachNewThread { [self] in
                let client = APIClient(endpoint, key: key)
                var count = number
                while !state.withLock({ $0.isStopping }) {
                    count += 1
                    // The same key until somebody says what came of it: a retry is answered as the first time.
                    let paymentKey = newKey()
                    for _ in 0..<30 where !state.withLock({ $0.isStopping }) {
                        let response = try? client.pay(1 + count % 9, from: debit, to: shop, key: paymentKey, wait: 2)
                        if let response, response.status / 100 == 2 || response.status == 402 {
                            let payment = response.status == 402 ? response.json.payment : response.json
                            guard payment.decided_at.string != nil else { continue }
                            state.withLock { $0.answers.append(Self.facts(payment)) }
                            break
                        }
                        usleep(20_000)
                    }
                }
                state.withLock { $0.running -= 1 }
            }
        }
    }

    var answerCount: Int { state.withLock { $0.answers.count } }

    func stop() {
        state.withLock { $0.isStopping = true }
        _ = eventually(seconds: 40) { state.withLock { $0.running == 0 } }
        if monitor.exitCode == nil { kill(monitor.pid, SIGTERM) }
    }

    /// What a payment's body says of its decision, which never changes.
    private static func facts(_ json: JSON) -> String {
        let debit = json.debit_result
        let credit = json.credit_result
        let numbers = [debit.sequence, debit.posted_after, debit.revision, credit.sequence, credit.posted_after, credit.revision]
            .map { $0.int.map(String.init) ?? "-" }
        let outcome = json.decline_reason.string == nil ? "1" : "2"
        return ([json.id.string ?? "?", outcome, json.decided_at.string ?? "?"] + numbers).joined(separator: " ")
    }

    /// What was said and is not so in the ledger; to be asked once all is decided.
    func contradictions(_ system: SystemUnderTest) throws -> [String] {
        let tables = LedgerTables(system: system)
        let time = "to_char(p.decided_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')"
        let rows = try tables.rows(
            "SELECT replace(p.id::text, '-', ''), p.status, \(time), m.debit_sequence, m.debit_posted_after, m.debit_revision, "
                + "m.credit_sequence, m.credit_posted_after, m.credit_revision FROM sluice.payment p LEFT JOIN sluice.movement m "
                + "ON m.debit_account = p.debit_account AND m.debit_sequence = p.debit_sequence WHERE p.credit = '\(shop)'")
        let known = Set(rows.map { $0.map { $0.isEmpty ? "-" : $0 }.joined(separator: " ") })
        let answers = state.withLock { $0.answers }
        var found = answers.filter { !known.contains($0) }.map { "answered, and not so: \($0)" }

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
            guard let id = json.id.string, let revision = json.revision.int else { continue }
            if json.posted.int != nil, let sequence = json.sequence.int, let posted = json.posted.int {
                if revision > last[id] ?? 0 { found.append("published, and the ledger never came so far: \(body)") }
                if let balance = balances["\(id) \(revision)"], balance != "\(sequence) \(posted)" {
                    found.append("published, and not so (\(balance)): \(body)")
                }
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
        where line.contains("\"sluice_put\"") || line.contains("\"sluice_fill\"") || line.contains("\"PUBLISH\"") {
            guard let start = line.firstRange(of: "{\\\"id\\\":"), let end = line.lastIndex(of: "}") else { continue }
            let quoted = String(line[start.lowerBound...end])
            bodies.append(
                quoted.replacing("\\\\", with: "\u{1}").replacing("\\\"", with: "\"").replacing("\u{1}", with: "\\"))
        }
        return bodies
    }
}
