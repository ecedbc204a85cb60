import Foundation
import Synchronization
import Testing

/// Clients that hold, capture twice and refund, each step under a key of its own that is repeated until it is acknowledged, and again
/// after it was: whatever happens meanwhile, each step counts once.
final class LifeLoad: Sendable {
    private struct State {
        var finished: [String] = []
        var unanswered = 0
        var isStopping = false
        var running = 0
    }

    private let credit: String
    private let state = Mutex(State())

    init(clients: Int, at endpoint: Endpoint, key: String, debits: [String], credit: String) {
        self.credit = credit
        state.withLock { $0.running = clients }
        for number in 0..<clients {
            let debit = debits[number % debits.count]
            Thread.detachNewThread {
                let client = APIClient(endpoint, key: key)
                while !self.state.withLock({ $0.isStopping }) {
                    self.play(client, debit)
                    usleep(20_000)
                }
                self.state.withLock { $0.running -= 1 }
            }
        }
    }

    /// 10 are held, 4 and then finally 3 captured, 2 given back.
    private func play(_ client: APIClient, _ debit: String) {
        let held = acknowledged { key throws(HTTPFailure) in try client.hold(10, from: debit, to: self.credit, key: key, wait: nil) }
        guard let id = held?.json.id.string else { return }
        for (verb, body) in [
            ("capture", "{\"amount\":4}"), ("capture", "{\"amount\":3,\"final\":true}"), ("refunds", "{\"amount\":2}"),
        ] {
            let step = acknowledged { key throws(HTTPFailure) in try client.change(payment: id, verb, body, key: key, wait: nil) }
            guard step != nil else { return }
        }
        state.withLock { $0.finished.append(id) }
    }

    /// Repeats a request until it is acknowledged, and once more.
    private func acknowledged(_ send: (String) throws(HTTPFailure) -> HTTPResponse) -> HTTPResponse? {
        let key = newKey()
        let deadline = Moment.now.advanced(bySeconds: 60)
        while Moment.now < deadline {
            if let response = try? send(key), response.status / 100 == 2 {
                _ = try? send(key)
                return response
            }
            usleep(50_000)
        }
        state.withLock { $0.unanswered += 1 }
        return nil
    }

    /// Stops the clients, waits until all is decided, and holds the ledger to it: each payment was captured and refunded as often as
    /// was asked for.
    func finish(_ system: SystemUnderTest, sourceLocation: SourceLocation = #_sourceLocation) throws {
        state.withLock { $0.isStopping = true }
        _ = eventually(seconds: 70) { state.withLock { $0.running == 0 } }
        let (finished, unanswered) = state.withLock { ($0.finished, $0.unanswered) }
        #expect(unanswered == 0, sourceLocation: sourceLocation)
        #expect(!finished.isEmpty, sourceLocation: sourceLocation)
        let tables = LedgerTables(system: system)
        let lives =
            "SELECT replace(p.id::text, '-', ''), p.status, p.captured, p.refunded, p.revision, "
            + "(SELECT count(*) FROM sluice.operation o WHERE o.payment_id = p.id) FROM sluice.payment p WHERE p.credit = '\(credit)' AND p.manual"
        var stored: [String: [String]] = [:]
        let isDone = try eventually(seconds: 40, everyMilliseconds: 200) {
            stored = Dictionary(uniqueKeysWithValues: try tables.rows(lives).map { ($0[0], Array($0.dropFirst())) })
            return finished.allSatisfy { stored[$0] == ["1", "7", "2", "4", "3"] }
        }
        let others = finished.filter { stored[$0] != ["1", "7", "2", "4", "3"] }.map { "\($0): \(stored[$0] ?? ["lost"])" }
        #expect(isDone, "\(others.prefix(5))", sourceLocation: sourceLocation)
        try expectLedgerIsSound(system, sourceLocation: sourceLocation)
    }
}
