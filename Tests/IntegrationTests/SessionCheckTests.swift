import Foundation
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

        /// Transfers and reads through every layer. Each session presents the revision that it has seen of an account: what it is shown
        /// never falls below, and every balance that anybody was shown is the ledger's at that entry.
        @Test func `sessions never go back, and see only balances that the ledger had`() throws {
            let seed = environment["SLUICE_CHECK_SEED"].flatMap(UInt64.init) ?? UInt64.random(in: 0...UInt64.max)
            print("seed \(seed)")
            let scene = try Scene()
            let world = try scene.world()
            let accounts = try (0..<8).map { number in
                let id = try scene.open("bank-\(number)")
                #expect(try scene.client.pay(1_000, from: world, to: id).status == 201)
                return id
            }
            let check = SessionCheck(accounts: accounts)
            let end = Moment.now.advanced(bySeconds: seconds)
            let system = scene.system
            _ = try concurrently(
                6,
                { number in
                    var session = BankSession(
                        client: try system.client(at: number % 2 == 0 ? "gateway-a" : "gateway-b"), check: check,
                        seed: seed &+ UInt64(number),
                        transfers: number < 2)
                    while Moment.now < end { try session.step() }
                },
                meanwhile: { try disturb(system, until: end) })
            try system.waitUntilHealthy()
            #expect(check.violations == [])
            #expect(check.readCount > Int(seconds) * 20, "\(check.readCount) reads")
            #expect(check.transferCount > Int(seconds), "\(check.transferCount) transfers")
            try expectBalancesAreTheLedgers(check, system)
            let sum = try LedgerTables(system: system).count(
                "SELECT sum(posted) FROM sluice.account WHERE id IN (\(accounts.map { "'\($0)'" }.joined(separator: ",")))")
            #expect(sum == 8_000)
            try expectLedgerIsSound(system)
            print("\(check.readCount) reads, \(check.transferCount) transfers, \(check.seenCount) different balances seen")
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

        private func expectBalancesAreTheLedgers(_ check: SessionCheck, _ system: SystemUnderTest) throws {
            var ledger: [SessionCheck.Place: Int] = [:]
            let rows = try LedgerTables(system: system).rows(
                "SELECT a.id, e.sequence, e.after FROM (SELECT debit_account AS account, debit_sequence AS sequence, debit_posted_after AS after "
                    + "FROM sluice.movement UNION ALL SELECT credit_account, credit_sequence, credit_posted_after FROM sluice.movement) e "
                    + "JOIN sluice.account a ON a.number = e.account WHERE a.id LIKE 'bank-%'")
            for row in rows { ledger[SessionCheck.Place(account: row[0], sequence: Int(row[1]) ?? -1)] = Int(row[2]) }
            let wrong = check.seen.filter { ledger[$0.key] != $0.value }
            #expect(wrong.isEmpty, "\(wrong.prefix(5))")
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
    struct Place: Hashable {
        let account: String
        let sequence: Int
    }
    private struct State {
        var seen: [Place: Int] = [:]
        var violations: [String] = []
        var reads = 0
        var transfers = 0
    }

    let accounts: [String]
    private let state = Mutex(State())

    init(accounts: [String]) { self.accounts = accounts }

    func note(_ account: String, sequence: Int, posted: Int) {
        state.withLock { state in
            state.reads += 1
            if let known = state.seen.updateValue(posted, forKey: Place(account: account, sequence: sequence)), known != posted {
                state.violations.append("\(account) had \(known) and \(posted) at entry \(sequence)")
            }
        }
    }

    func violate(_ text: String) { state.withLock { if $0.violations.count < 20 { $0.violations.append(text) } } }
    func noteTransfer() { state.withLock { $0.transfers += 1 } }

    var seen: [Place: Int] { state.withLock(\.seen) }
    var seenCount: Int { seen.count }
    var violations: [String] { state.withLock(\.violations) }
    var readCount: Int { state.withLock(\.reads) }
    var transferCount: Int { state.withLock(\.transfers) }
}

/// One client: it remembers, for each account, the newest revision that it has been shown.
private struct BankSession {
    let client: APIClient
    let check: SessionCheck
    var random: SplitMix
    let transfers: Bool
    private var tokens: [String: Int] = [:]

    init(client: APIClient, check: SessionCheck, seed: UInt64, transfers: Bool) {
        self.client = client
        self.check = check
        random = SplitMix(state: seed)
        self.transfers = transfers
    }

    mutating func step() throws {
        let account = pick()
        if transfers, random.next() % 2 == 0 { return transfer(from: account, to: pick()) }
        let token = tokens[account] ?? 0
        // Every third read has no token: it may be older, and still is a balance that the ledger had.
        let presents = random.next() % 3 != 0
        let isHistory = random.next() % 4 == 0
        let target = "/v1/accounts/\(account)\(isHistory ? "/transactions?limit=1&" : "/balance?")min_revision=\(presents ? token : 0)"
        guard let read = try? client.get(target) else { return }
        // A database may be away: late is not wrong.
        guard read.status == 200 else {
            if ![503, 409].contains(read.status) { check.violate("\(target): \(read)") }
            return
        }
        guard let revision = revision(of: read) else { return check.violate("\(target): no revision in \(read)") }
        if presents, revision < token { check.violate("\(target) was shown revision \(revision)") }
        tokens[account] = max(token, revision)
        if isHistory {
            let entry = read.json.data[0]
            if let sequence = entry.sequence.int, let posted = entry.posted_after.int {
                check.note(account, sequence: sequence, posted: posted)
            }
        } else if let sequence = read.json.sequence.int, let posted = read.json.posted.int {
            check.note(account, sequence: sequence, posted: posted)
        }
    }

    private func revision(of read: HTTPResponse) -> Int? { read["etag"].flatMap { Int($0.dropFirst(2).dropLast()) } }

    private mutating func transfer(from debit: String, to credit: String) {
        guard debit != credit, let paid = try? client.pay(Int(random.next() % 20) + 1, from: debit, to: credit, wait: 2) else { return }
        guard paid.status == 201 else { return }
        check.noteTransfer()
        if let revision = paid.json.debit_result.revision.int { tokens[debit] = max(tokens[debit] ?? 0, revision) }
        if let revision = paid.json.credit_result.revision.int { tokens[credit] = max(tokens[credit] ?? 0, revision) }
    }

    private mutating func pick() -> String { check.accounts[Int(random.next() % UInt64(check.accounts.count))] }
}

/// Vigna's splitmix64: a seed repeats a test's choices.
private struct SplitMix {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}
