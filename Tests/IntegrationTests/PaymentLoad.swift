import Foundation
import Synchronization
import Testing

/// Clients that pay one account, repeat what was not acknowledged under the same key, and remember every answer.
final class PaymentLoad: Sendable {
    /// A payment that was answered 2xx, with all that came before.
    struct Acknowledged: Sendable {
        let id: String
        let amount: Int
        let attempts: Int
    }

    private struct State {
        var acknowledged: [Acknowledged] = []
        var refusals: [String: Int] = [:]
        var unanswered: [String] = []
        var isStopping = false
        var running = 0
    }

    let credit: String
    private let state = Mutex(State())

    /// Starts `clients` threads, each with its own connection and its own payer among `debits`.
    init(clients: Int = 4, at endpoint: Endpoint, key: String, debits: [String], credit: String, pauseMilliseconds: UInt32 = 4) {
        self.credit = credit
        state.withLock { $0.running = clients }
        for number in 0..<clients {
            let debit = debits[number % debits.count]
            Thread.detachNewThread {
                let client = APIClient(endpoint, key: key)
                var count = 0
                while !self.isStopping {
                    count += 1
                    self.pay(1 + count % 7, client, debit)
                    usleep(pauseMilliseconds * 1000)
                }
                self.state.withLock { $0.running -= 1 }
            }
        }
    }

    private var isStopping: Bool { state.withLock { $0.isStopping } }
    var acknowledgedCount: Int { state.withLock { $0.acknowledged.count } }
    /// Answers that were no acknowledgement, and failures to get any, by kind.
    var refusals: [String: Int] { state.withLock { $0.refusals } }

    /// Repeats one payment until it is acknowledged: what a client that wants no loss does.
    private func pay(_ amount: Int, _ client: APIClient, _ debit: String) {
        let key = newKey()
        let deadline = Moment.now.advanced(bySeconds: 60)
        var attempts = 0
        while Moment.now < deadline {
            attempts += 1
            var kind: String
            do {
                let response = try client.pay(amount, from: debit, to: credit, key: key, wait: nil)
                if response.status / 100 == 2, let id = response.json.id.string {
                    state.withLock { $0.acknowledged.append(Acknowledged(id: id, amount: amount, attempts: attempts)) }
                    return
                }
                kind = "\(response.status) \(response.problemCode ?? "without a problem: \(response.text)")"
            } catch {
                kind = "\(error)"
            }
            state.withLock { $0.refusals[kind, default: 0] += 1 }
            usleep(50_000)
        }
        state.withLock { $0.unanswered.append(key) }
    }

    /// Waits until so many more have been acknowledged.
    func runUntil(more count: Int, seconds: Double = 30, sourceLocation: SourceLocation = #_sourceLocation) throws {
        let goal = acknowledgedCount + count
        let isReached = eventually(seconds: seconds) { acknowledgedCount >= goal }
        try #require(isReached, "\(acknowledgedCount) of \(goal) acknowledged, \(refusals)", sourceLocation: sourceLocation)
    }

    /// Stops the clients, waits until all that was acknowledged is decided, and holds the ledger to it: every acknowledged
    /// payment is settled, once, and nothing else reached the account.
    func finish(_ system: SystemUnderTest, seconds: Double = 40, sourceLocation: SourceLocation = #_sourceLocation) throws {
        stop()
        let all = state.withLock { $0.acknowledged }
        #expect(state.withLock { $0.unanswered } == [], "never acknowledged; \(refusals)", sourceLocation: sourceLocation)
        let ids = Set(all.map(\.id))
        #expect(ids.count == all.count, "two keys got one id", sourceLocation: sourceLocation)
        let tables = LedgerTables(system: system)
        var statuses: [String: String] = [:]
        let isDecided = try eventually(seconds: seconds, everyMilliseconds: 200) {
            statuses = try tables.statuses(creditedTo: credit)
            return ids.isSubset(of: statuses.keys)
        }
        #expect(isDecided, "\(ids.subtracting(statuses.keys).count) of \(ids.count) acknowledged are lost", sourceLocation: sourceLocation)
        #expect(Set(statuses.keys) == ids, "payments that nobody was told of", sourceLocation: sourceLocation)
        #expect(statuses.values.allSatisfy { $0 == "settled" }, sourceLocation: sourceLocation)
        let movements = try tables.movements(to: credit)
        #expect(movements.count == all.count, sourceLocation: sourceLocation)
        #expect(movements.sum == all.reduce(0) { $0 + $1.amount }, sourceLocation: sourceLocation)
        try expectLedgerIsSound(system, sourceLocation: sourceLocation)
    }

    /// Payments that were acknowledged and are not in the ledger.
    func missing(_ system: SystemUnderTest) throws -> Set<String> {
        let known = try LedgerTables(system: system).statuses(creditedTo: credit)
        return Set(state.withLock { $0.acknowledged.map(\.id) }).subtracting(known.keys)
    }

    /// Ends the clients without judging anything; for a test that has failed already.
    func stop() {
        state.withLock { $0.isStopping = true }
        _ = eventually(seconds: 70) { state.withLock { $0.running == 0 } }
    }
}

/// Runs `body` on as many threads at once and returns what each returned. Expectations belong after it, or into
/// `meanwhile`, which the calling thread runs: on other threads nobody knows which test they are of.
func concurrently<Result: Sendable>(
    _ count: Int, _ body: @escaping @Sendable (Int) throws -> Result, meanwhile: () throws -> Void = {}
) throws -> [Result] {
    let results = Mutex<[Int: Swift.Result<Result, any Error>]>([:])
    let group = DispatchGroup()
    for index in 0..<count {
        group.enter()
        Thread.detachNewThread {
            let result = Swift.Result { try body(index) }
            results.withLock { $0[index] = result }
            group.leave()
        }
    }
    let outcome = Swift.Result { try meanwhile() }
    group.wait()
    try outcome.get()
    return try results.withLock { all in try (0..<count).map { try all[$0]!.get() } }
}
