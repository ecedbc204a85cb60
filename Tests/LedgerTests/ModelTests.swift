import Glibc
import Ledger
import Testing

/// Random logs, in random batches with random failures, against the reference: what is decided and stored may depend on
/// the log alone, not on where batches end, what is forgotten, how often storing fails or who tries again.
@Suite struct ModelTests {
    static let runs = 600
    static let commandsPerRun = 200

    /// `SLUICE_TEST_SEED` repeats a run that failed: its seed is then the first.
    static func firstSeed() -> UInt64 {
        if let text = unsafe getenv("SLUICE_TEST_SEED"), let seed = UInt64(unsafe String(cString: text)) { return seed }
        return UInt64.random(in: 0...UInt64.max / 2)
    }

    @Test func `120000 random commands come out as the reference says`() {
        let first = Self.firstSeed()
        print("ModelTests: \(Self.runs) runs of \(Self.commandsPerRun) commands, seeds from \(first)")
        var coverage: Set<String> = []
        for offset in 0..<Self.runs {
            var run = ModelRun(seed: first &+ UInt64(offset), commands: Self.commandsPerRun)
            if let fault = run.play() {
                Issue.record("SLUICE_TEST_SEED=\(run.seed): \(fault)")
                return
            }
            coverage.formUnion(run.coverage)
        }
        // A model that never meets a case proves nothing about it.
        // Too many changes need a log longer than these: `LifeCycleTests` has them.
        let reasons = DeclineReason.allCases.filter { ![.idempotencyKeyReused, .accountExists, .tooManyChanges].contains($0) }
        let expected =
            reasons.map { "\($0.code)" }
            + PaymentChange.Kind.allCases.map { "\($0.name)" }
            + [
                "settled", "authorized", "opened", "exists", "frozen", "closed", "repeated", "reused", "stale owner refused", "lost",
                "forgot", "changed where it was decided", "abandoned", "remembered",
                "followed", "abandoned with what followed",
            ]
        #expect(Set(expected).subtracting(coverage).isEmpty)
    }
}

/// One log, played to its end.
private struct ModelRun {
    let seed: UInt64
    private(set) var coverage: Set<String> = []
    private let world: RandomWorld
    private let expected: [ReferenceLedger.Verdict]
    private let reference: ReferenceLedger
    private var storage: SimulatedStorage
    private var book = Self.emptyBook
    private var random: SplitMix
    /// Too few to remember a whole log.
    private static var emptyBook: Book { Book(recentIDsMax: 16) }

    init(seed: UInt64, commands: Int) {
        self.seed = seed
        world = RandomWorld(seed: seed, commands: commands)
        var reference = ReferenceLedger(world.accounts)
        expected = world.log.map { reference.judge($0) }
        self.reference = reference
        storage = SimulatedStorage(world.accounts)
        random = SplitMix(seed: ~seed)
    }

    /// A batch that was decided and that storage has not answered.
    private struct Sent {
        let range: Range<Int>
        let effects: Book.Effects
        let operations: [SimulatedStorage.Operation]
        /// As a worker that leaves it to storage to know payments' ids does not.
        let isAsked: Bool
        let fault: String?
    }

    /// What went wrong; nil when nothing did.
    mutating func play() -> String? {
        var next = 0
        var stale: (end: Int, effects: Book.Effects)?
        var wasRefused = false
        while next < world.log.count {
            let covered = coverage
            let isAsked = wasRefused || random.chance(50)
            wasRefused = false
            let first = send(after: next, 1 + random.below(random.chance(50) ? 4 : 40), isAsked: isAsked)
            var batches = [first]
            let more = 1 + random.below(4)
            if mayFollow(first.range.upperBound, more) { batches.append(send(after: first.range.upperBound, more, isAsked: false)) }
            if random.chance(15), first.isAsked || !isTaken(first.effects, first.operations) {
                // The worker dies before it stores, and another starts with nothing; what the dead one had decided
                // arrives at the storage after the other has stored the same commands.
                coverage.insert("lost")
                stale = (first.range.upperBound, first.effects)
                book = Self.emptyBook
                continue
            }
            while let batch = batches.first {
                if !batch.isAsked, isTaken(batch.effects, batch.operations) {
                    // What was sent behind it is refused with it.
                    for refused in batches.reversed() { book.abandon(refused.effects, ids: world.log[refused.range].map(\.envelope.id)) }
                    coverage = covered.union(["abandoned", batches.count > 1 ? "abandoned with what followed" : "abandoned"])
                    wasRefused = true
                    break
                }
                if let fault = batch.fault { return fault }
                do { try storage.store(batch.effects, operations: batch.operations) } catch {
                    return "batch \(batch.range) was refused: \(error)"
                }
                if let late = stale, late.end <= batch.range.upperBound {
                    if let fault = refuse(late.effects) { return fault }
                    stale = nil
                }
                if batch.range.lowerBound != first.range.lowerBound { coverage.insert("followed") }
                next = batch.range.upperBound
                batches.removeFirst()
            }
            if wasRefused { continue }
            if random.chance(10) {
                // It dies after storing and before it knows.
                book = Self.emptyBook
            } else if random.chance(20) {
                book.shrink(to: random.below(6))
                coverage.insert("forgot")
            }
        }
        return compare()
    }

    /// Decides a batch that begins at a place in the log, and ends it.
    private mutating func send(after start: Int, _ count: Int, isAsked: Bool) -> Sent {
        let end = min(start + count, world.log.count)
        var operations: [SimulatedStorage.Operation] = []
        teach(start..<end, asksForPayments: isAsked)
        var fault: String?
        for index in start..<end {
            let found = decide(index, &operations)
            fault = fault ?? found
        }
        let effects = book.effects
        book.commit()
        return Sent(range: start..<end, effects: effects, operations: operations, isAsked: isAsked, fault: fault)
    }

    /// Whether nothing must be asked for a batch of commands from here on: storage does not know yet what comes before.
    private func mayFollow(_ start: Int, _ count: Int) -> Bool {
        guard start < world.log.count else { return false }
        return world.log[start..<min(start + count, world.log.count)].allSatisfy { record in
            guard case .pay = record.envelope.command else { return false }
            return record.envelope.accounts.allSatisfy { book.knows($0) }
        }
    }

    private func isTaken(_ effects: Book.Effects, _ operations: [SimulatedStorage.Operation]) -> Bool {
        var copy = storage
        do { try copy.store(effects, operations: operations) } catch { return error == .idTaken }
        return false
    }

    /// Storage must refuse what it has in other batches already, by the revisions alone when an account changed.
    private mutating func refuse(_ late: Book.Effects) -> String? {
        guard !late.changed.isEmpty else { return nil }
        var copy = storage
        do {
            try copy.store(late, operations: [])
            return "a stale owner stored its batch"
        } catch {
            coverage.insert("stale owner refused")
            return error == .revisionMoved ? nil : "a stale owner was refused as \(error) only"
        }
    }

    /// Teaches what the commands depend on and the book does not know, as a worker does.
    private mutating func teach(_ range: Range<Int>, asksForPayments: Bool) {
        for index in range {
            let envelope = world.log[index].envelope
            var isAsked = asksForPayments
            if case .pay = envelope.command {} else { isAsked = true }
            if book.remembers(envelope.id) { coverage.insert("remembered") }
            if isAsked, !book.remembers(envelope.id), let fingerprint = storage.decisions[envelope.id] {
                book.learn(PriorDecision(fingerprint: fingerprint), of: envelope.id)
            }
            if case .changePayment(let change) = envelope.command, let payment = storage.payments[change.payment] {
                book.learn(payment)
                for account in [payment.request.debit, payment.request.credit] {
                    if let stored = storage.accounts[AccountKey(tenant: payment.tenant, account: account)] { book.learn(stored) }
                }
            }
            for key in envelope.accounts where !book.knows(key) {
                if let account = storage.accounts[key] { book.learn(account) } else { book.learnAbsent(key) }
            }
        }
    }

    private mutating func decide(_ index: Int, _ operations: inout [SimulatedStorage.Operation]) -> String? {
        let record = world.log[index]
        let outcome = book.decide(record.envelope, at: record.now, newAccountNumber: record.accountNumber)
        let verdict: ReferenceLedger.Verdict
        switch outcome {
        case .repeated:
            verdict = .repeated
            coverage.insert("repeated")
        case .keyReused:
            verdict = .reused
            coverage.insert("reused")
        case .opened(let account):
            verdict = .opened
            coverage.insert("opened")
            guard account.revision == 1, account.posted == 0, account.number == record.accountNumber else { return "opened \(account)" }
            operations.append(.init(id: record.envelope.id, fingerprint: record.envelope.fingerprint))
        case .accountDeclined(_, let reason):
            verdict = reason == .accountExists ? .exists : .accountRefused(reason)
            coverage.insert(reason == .accountExists ? "exists" : "\(reason.code)")
            operations.append(.init(id: record.envelope.id, fingerprint: record.envelope.fingerprint))
        case .accountChanged(let account):
            verdict = .accountChanged(account.flags.rawValue, account.overdraftLimit, account.revision)
            coverage.insert(account.flags.contains(.closed) ? "closed" : account.flags.isEmpty ? "open" : "frozen")
            operations.append(.init(id: record.envelope.id, fingerprint: record.envelope.fingerprint, account: account.key))
        case .paymentChanged(let change):
            guard change.id == record.envelope.id, .changePayment(change.request) == record.envelope.command else {
                return "command \(index) became \(change)"
            }
            verdict = change.declineReason.map { .changeRefused($0) } ?? .changed(change.moved, change.released)
            coverage.insert(change.declineReason.map { "\($0.code)" } ?? "\(change.request.kind.name)")
            if change.declineReason == nil, storage.payments[change.request.payment] == nil {
                coverage.insert("changed where it was decided")
            }
            operations.append(.init(id: record.envelope.id, fingerprint: record.envelope.fingerprint, change: change))
        case .payment(let payment):
            guard payment.id == record.envelope.id, payment.tenant == record.envelope.tenant, payment.decidedAt == record.now,
                .pay(payment.request) == record.envelope.command
            else { return "command \(index) became \(payment)" }
            if let debit = payment.debitResult, let credit = payment.creditResult, payment.status == .settled {
                verdict = .settled(debit: debit, credit: credit)
                coverage.insert("settled")
            } else if payment.status == .authorized, payment.debitResult == nil {
                verdict = .authorized
                coverage.insert("authorized")
            } else if let reason = payment.declineReason, payment.status == .declined {
                verdict = .declined(reason)
                coverage.insert("\(reason.code)")
            } else {
                return "neither settled nor declined: \(payment)"
            }
        }
        return verdict == expected[index] ? nil : "command \(index): \(verdict), where the reference says \(expected[index])"
    }

    /// Storage against the reference, and against the promises themselves.
    private func compare() -> String? {
        let accounts = reference.accounts
        guard accounts.count == storage.accounts.count else { return "\(storage.accounts.count) accounts, not \(accounts.count)" }
        var sums: [Currency: Int64] = [:]
        for account in accounts {
            guard let stored = storage.accounts[account.key] else { return "\(account.key) is missing" }
            guard stored == account else { return "stored \(stored), not \(account)" }
            let entries = storage.entries[account.number] ?? []
            guard entries.map(\.amount) == reference.steps.filter({ $0.account == account.key }).compactMap(\.amount) else {
                return "the entries of \(account.key) differ"
            }
            sums[account.currency, default: 0] += entries.reduce(0) { $0 + $1.amount }
        }
        for order in reference.orders {
            let standing = reference.standing(of: order.id, amount: order.pay.amount)
            guard let payment = storage.payments[order.id] else { return "payment \(order.id) is missing" }
            guard payment.status == standing.status, payment.captured == standing.captured, payment.refunded == standing.refunded else {
                return "payment \(payment), not \(standing)"
            }
        }
        // What is held is what payments hold; the accounts of the start hold some for nobody.
        let heldAtFirst = world.accounts.reduce(0) { $0 + $1.held }
        let held = storage.payments.values.reduce(0) { $0 + $1.held }
        guard storage.accounts.values.reduce(0, { $0 + $1.held }) == held + heldAtFirst else { return "other than the open holds is held" }
        for (currency, sum) in sums where sum != 0 { return "\(sum) \(currency) came from nowhere" }
        return nil
    }
}
