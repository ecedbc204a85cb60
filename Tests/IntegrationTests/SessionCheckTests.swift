import Bytes
import Foundation
import Glibc
import Synchronization
import Testing

extension WholeSystem {
    /// Clients that remember what they have seen, in the spirit of Jepsen's bank test.
    ///
    /// A few seconds each in a usual run; `SLUICE_CHECK_SECONDS` and `SLUICE_CHECK_ROUNDS` make them long, and `SLUICE_CHECK_SEED` repeats
    /// the choices of one.
    @Suite struct SessionChecks {
        private let environment = ProcessInfo.processInfo.environment
        private var seconds: Double { environment["SLUICE_CHECK_SECONDS"].flatMap(Double.init) ?? 4 }
        private var rounds: Int { environment["SLUICE_CHECK_ROUNDS"].flatMap(Int.init) ?? 400 }

        /// Transfers, holds and reads through every layer. Each session presents the revision that it has seen of an account: what it is
        /// shown never falls below, and everything that anybody was shown is what the ledger had at that revision. Meanwhile the primary is
        /// asked for its totals.
        @Test func `sessions never go back, see only balances that the ledger had, and the totals never change`() throws {
            let seed = environment["SLUICE_CHECK_SEED"].flatMap(UInt64.init) ?? UInt64.random(in: 0...UInt64.max)
            print("seed \(seed)")
            let scene = try Scene()
            let world = try scene.world()
            let accounts = try (0..<48).map { number in
                let id = try scene.open("bank-\(number)")
                #expect(try scene.client.pay(1_000, from: world, to: id).status == 201)
                return id
            }
            let check = SessionCheck(accounts: accounts)
            let end = Moment.now.advanced(bySeconds: seconds)
            let system = scene.system
            let ways = [try system.gateway("gateway-a"), try system.gateway("gateway-b"), try system.nginx()]
            let layers = ["near_hits", "cache_hits", "cache_misses"].map { "sluice_gateway_\($0)_total" }
            let before = try layers.map { try system.gatewaySum($0) }
            // One of each way in pays, the others only read; the last asks the primary.
            let sessions = 9
            _ = try concurrently(
                sessions + 1,
                { number in
                    if number == sessions { return try watchTotals(check, system, until: end) }
                    var session = BankSession(
                        client: APIClient(ways[number % ways.count], key: system.demoKey), check: check, seed: seed &+ UInt64(number),
                        pays: number < ways.count)
                    while Moment.now < end { session.step() }
                },
                meanwhile: { try disturb(system, until: end) })
            try system.waitUntilHealthy()
            #expect(check.violations == [])
            #expect(check.readCount > Int(seconds) * 20, "\(check.readCount) reads")
            #expect(check.changeCounts.count == 5 && check.changeCounts["pay"] ?? 0 > Int(seconds), "\(check.changeCounts)")
            for (layer, count) in zip(layers, before) { #expect(try system.gatewaySum(layer) > count, "\(layer)") }
            let history = try AccountHistory(system, of: accounts)
            #expect(history.contradictions.isEmpty, "\(history.contradictions.prefix(5))")
            let wrong = check.seen.filter { !$0.agrees(with: history.state(of: $0.account, at: $0.revision)) }
            #expect(wrong.isEmpty, "\(wrong.count): \(wrong.prefix(5))")
            let holding = check.seen.count { $0.held ?? 0 > 0 }
            #expect(holding > 0, "no balance with anything held was seen")
            try expectLedgerIsSound(system)
            print(
                "\(check.readCount) reads, \(check.changeCounts) changes, \(check.seen.count) different states seen, "
                    + "\(holding) with something held, \(check.totalsCount) totals")
        }

        /// What the accounts have together, and what is held on them, again and again, each time in one statement and so in one snapshot.
        private func watchTotals(_ check: SessionCheck, _ system: SystemUnderTest, until end: Moment) throws {
            let list = check.accounts.map { "'\($0)'" }.joined(separator: ",")
            let totals = """
                SELECT sum(a.posted), sum(a.held) - (
                        SELECT coalesce(sum(p.amount - coalesce(p.captured, 0)), 0) FROM sluice.payment p
                        WHERE p.status = 4 AND p.debit IN (\(list))),
                    count(*) FILTER (WHERE a.posted - a.held < 0),
                    (SELECT count(*) FROM (SELECT 1 FROM sluice.account GROUP BY tenant_id, currency HAVING sum(posted) <> 0) unequal)
                FROM sluice.account a WHERE a.id IN (\(list))
                """
            let files = FileManager.default.temporaryDirectory.path + "/" + newKey()
            let (script, output) = (files + ".sql", files + ".out")
            defer { for file in [script, output] { try? FileManager.default.removeItem(atPath: file) } }
            try "\(totals)\n\\watch 0.05\n".write(toFile: script, atomically: false, encoding: .utf8)
            let asker = try GuardedProcess(
                "/usr/bin/psql", ["--no-psqlrc", "-qAtX", "-d", LedgerTables(system: system).superuser, "-f", script], output: output)
            while Moment.now < end { usleep(10_000) }
            kill(asker.pid, SIGKILL)
            _ = asker.waitForEnd(seconds: 10)
            // One that was cut off in the middle does not count.
            let lines = try String(contentsOfFile: output, encoding: .utf8).split(separator: "\n", omittingEmptySubsequences: true)
                .dropLast()
            check.noteTotals(lines.count)
            for line in lines where line != "\(check.accounts.count * 1_000)|0|0|0" { check.violate("the primary had \(line)") }
            if lines.count < Int(seconds) * 5 { check.violate("the totals were asked for \(lines.count) times") }
        }

        /// In the long form each of the servers behind the reads is taken away for a while, in turn.
        private func disturb(_ system: SystemUnderTest, until end: Moment) throws {
            guard seconds >= 30 else { return }
            let faults: [() throws -> Void] = [
                { try system.whileFrozen("redis") { pause(2) } }, { try system.whileFrozen("postgres-replica") { pause(2) } },
                { try system.whileReplicaIsStale { pause(3) } }, { try system.kill9("redis") },
                { try system.whileFrozen("worker-1") { pause(2) } },
            ]
            var turn = 0
            while Moment.now.advanced(bySeconds: 8) < end {
                pause(4)
                try faults[turn % faults.count]()
                turn += 1
            }
        }

        /// Pay at one gateway, read at the other what the answer said was the newest.
        @Test func `a payment that was answered is seen at the other gateway by who presents its revision`() throws {
            let scene = try Scene()
            let world = try scene.world()
            let threads = 4
            let accounts = try (0..<threads).map { try scene.open("round-\($0)") }
            let system = scene.system
            let rounds = rounds / threads
            let stale = Mutex(0)
            let work: @Sendable (Int) throws -> Int = { thread in
                let clients = try ["gateway-a", "gateway-b"].map { try system.client(at: $0) }
                for round in 0..<rounds {
                    let payment = try clients[round % 2].pay(1, from: world, to: accounts[thread])
                    guard let revision = payment.json.credit_result.revision.int else {
                        throw SystemUnderTest.Failure(description: "\(payment)")
                    }
                    let read = try clients[(round + 1) % 2].get("/v1/accounts/\(accounts[thread])/balance?min_revision=\(revision)")
                    guard read.status == 200 else { throw SystemUnderTest.Failure(description: "\(read)") }
                    if read.json.posted.int != round + 1 || (read.json.revision.int ?? 0) < revision { stale.withLock { $0 += 1 } }
                }
                return rounds
            }
            // In the long form the read replica stands still for a part of it: it answers, and learns nothing new.
            let isLong = rounds * threads >= 10_000
            let done = try concurrently(
                threads, work,
                meanwhile: {
                    guard isLong else { return }
                    for _ in 0..<3 {
                        pause(3)
                        try system.whileReplicaIsStale { pause(4) }
                    }
                })
            #expect(stale.withLock { $0 } == 0)
            print("\(done.reduce(0, +)) rounds, \(stale.withLock { $0 }) stale")
            try system.waitUntilHealthy()
        }
    }
}

private func pause(_ seconds: UInt32) { _ = sleep(seconds) }

/// What all sessions together have seen.
private final class SessionCheck: Sendable {
    /// What somebody was shown of an account.
    struct Sight: Hashable {
        let account: String
        let revision: Int
        let sequence: Int
        let posted: Int
        /// A history does not show them.
        var held: Int?
        var available: Int?

        func agrees(with state: AccountHistory.State?) -> Bool {
            guard let state, state.sequence == sequence, state.posted == posted else { return false }
            guard held != nil || available != nil else { return true }
            return held == state.held && available == state.posted - state.held
        }
    }
    private struct State {
        var seen: Set<Sight> = []
        var violations: [String] = []
        var reads = 0
        var changes: [String: Int] = [:]
        var totals = 0
    }

    let accounts: [String]
    private let state = Mutex(State())

    init(accounts: [String]) { self.accounts = accounts }

    func note(_ sight: Sight) {
        state.withLock { state in
            state.reads += 1
            state.seen.insert(sight)
        }
    }

    func violate(_ text: String) { state.withLock { if $0.violations.count < 20 { $0.violations.append(text) } } }
    func noteChange(_ kind: String) { state.withLock { $0.changes[kind, default: 0] += 1 } }
    func noteTotals(_ count: Int) { state.withLock { $0.totals = count } }

    var seen: Set<Sight> { state.withLock(\.seen) }
    var violations: [String] { state.withLock(\.violations) }
    var readCount: Int { state.withLock(\.reads) }
    var changeCounts: [String: Int] { state.withLock(\.changes) }
    var totalsCount: Int { state.withLock(\.totals) }
}

/// One client: it remembers, for each account, the newest revision that it has been shown.
private struct BankSession {
    private struct Hold {
        let id: String
        let debit: String
        let credit: String
        let amount: Int
    }

    let client: APIClient
    let check: SessionCheck
    var random: SplitMix64
    let pays: Bool
    private var tokens: [String: Int] = [:]
    private var holds: [Hold] = []

    init(client: APIClient, check: SessionCheck, seed: UInt64, pays: Bool) {
        self.client = client
        self.check = check
        random = SplitMix64(seed: seed)
        self.pays = pays
    }

    /// A server may be away, and then there is no answer or a refusal: late is not wrong.
    mutating func step() {
        if pays, random.next() % 2 == 0 { change() } else { read(pick()) }
    }

    // MARK: Reads

    private mutating func read(_ account: String) {
        let token = tokens[account] ?? 0
        // Every third read has no token: it may be older, and still is a state that the ledger had.
        let presents = random.next() % 3 != 0
        let isHistory = random.next() % 4 == 0
        let target = "/v1/accounts/\(account)\(isHistory ? "/transactions?limit=1&" : "/balance?")min_revision=\(presents ? token : 0)"
        guard let read = try? client.get(target) else { return }
        guard read.status == 200 else {
            if ![503, 409].contains(read.status) { check.violate("\(target): \(read)") }
            return
        }
        guard let revision = read["etag"].flatMap({ Int($0.dropFirst(2).dropLast()) }) else {
            return check.violate("\(target): no revision in \(read)")
        }
        if presents, revision < token { check.violate("\(target) was shown revision \(revision)") }
        tokens[account] = max(token, revision)
        let json = isHistory ? read.json.data[0] : read.json
        guard let sequence = json.sequence.int, let posted = (isHistory ? json.posted_after : json.posted).int else {
            return check.violate("\(target): \(read)")
        }
        check.note(
            SessionCheck.Sight(
                account: account, revision: revision, sequence: sequence, posted: posted, held: json.held.int,
                available: json.available.int))
    }

    // MARK: Changes

    private mutating func change() {
        if random.next() % 3 == 0, !holds.isEmpty { return endHold() }
        let (debit, credit, amount) = (pick(), pick(), Int(random.next() % 20) + 1)
        guard debit != credit else { return }
        if random.next() % 3 > 0 {
            _ = settled("pay", try? client.pay(amount, from: debit, to: credit, wait: 2), debit, credit)
        } else if let id = settled("hold", try? client.hold(amount, from: debit, to: credit, wait: 2), debit, credit)?.id.string {
            holds.append(Hold(id: id, debit: debit, credit: credit, amount: amount))
        }
    }

    /// Takes some of it and leaves the rest held, or gives all of it back; then some of what was taken goes back too.
    private mutating func endHold() {
        let hold = holds.remove(at: Int(random.next() % UInt64(holds.count)))
        if random.next() % 3 == 0 {
            _ = settled("void", try? client.change(payment: hold.id, "void", wait: 2), hold.debit, hold.credit)
            return
        }
        let amount = Int(random.next() % UInt64(hold.amount)) + 1
        let isFinal = random.next() % 2 == 0
        let body = "{\"amount\":\(amount),\"final\":\(isFinal)}"
        _ = settled("capture", try? client.change(payment: hold.id, "capture", body, wait: 2), hold.debit, hold.credit)
        let back = "{\"amount\":\(Int(random.next() % UInt64(amount)) + 1)}"
        _ = settled("refund", try? client.change(payment: hold.id, "refunds", back, wait: 2), hold.credit, hold.debit)
    }

    /// Remembers what an answer says of both accounts, when it says that something was done.
    private mutating func settled(_ kind: String, _ answer: HTTPResponse?, _ debit: String, _ credit: String) -> JSON? {
        guard let answer, answer.status == 201 else { return nil }
        check.noteChange(kind)
        let json = answer.json
        if let revision = json.debit_result.revision.int { tokens[debit] = max(tokens[debit] ?? 0, revision) }
        if let revision = json.credit_result.revision.int { tokens[credit] = max(tokens[credit] ?? 0, revision) }
        return json
    }

    private mutating func pick() -> String { check.accounts[Int(random.next() % UInt64(check.accounts.count))] }
}
