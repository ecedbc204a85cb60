import Ledger
import Postgres
import Testing

@testable import Operate

/// What clients were told is accepted, beside the ledger.
@Suite struct AuditAcknowledgedTests {
    private func check(_ world: AuditWorld, _ ids: [OperationID]) throws -> AuditReport.Check {
        try #require(try world.audit(acknowledged: ids).checks.first { $0.name == "acknowledged" })
    }

    /// Two payments of a ledger that is otherwise as it should be.
    private func paid() throws -> (world: AuditWorld, first: Envelope, second: Envelope) {
        let world = try AuditWorld()
        try world.fill()
        let (first, second) = (world.pay("alice", "bob", 3), world.pay("alice", "bob", 4))
        try world.apply([first, second])
        return (world, first, second)
    }

    @Test func `what was accepted and has one outcome is clean, whichever it is and however often it was told`() throws {
        let world = try AuditWorld()
        try world.fill()
        // Settled, declined, and openings of accounts.
        let ids = world.envelopes.map(\.id)
        let check = try check(world, ids)
        #expect(check.findings == 0 && check.notes.isEmpty && check.looked == ids.count)
        #expect(try !world.audit().checks.contains { $0.name == "acknowledged" })
    }

    @Test func `a payment that never reached the ledger is found, and no other check can see it`() throws {
        let (world, first, second) = try paid()
        let lost = world.pay("alice", "bob", 5)
        let report = try world.audit(acknowledged: [first.id, lost.id, second.id])
        let check = try #require(report.checks.first { $0.name == "acknowledged" })
        #expect(check.first == [.init(subject: "payment \(lost.id)", problem: "was accepted and has no outcome")])
        #expect(check.notes == ["1 of 3 accepted payments have no outcome"])
        #expect(report.checks.filter { $0.findings > 0 }.count == 1 && !report.isClean)
    }

    /// The client asks for the id that it was told, and for no other.
    @Test func `a payment that was decided under another id is found`() throws {
        let (world, first, _) = try paid()
        let told = world.pay("alice", "bob", 5)
        let id = OperationID(high: told.id.high, low: told.id.low ^ 1)
        try world.apply([
            Envelope(id: id, tenant: told.tenant, fingerprint: told.fingerprint, acceptedAt: told.acceptedAt, command: told.command)
        ])
        let check = try check(world, [first.id, told.id])
        #expect(check.first.map(\.subject) == ["payment \(told.id)"] && check.findings == 1)
    }

    @Test func `a payment with two outcomes is found`() throws {
        let (world, first, second) = try paid()
        try world.corrupt(
            "INSERT INTO sluice.operation SELECT id, tenant_id, fingerprint, 2, debit, NULL, decided_at, 0, 99 FROM sluice.payment "
                + "WHERE amount = 3")
        let check = try check(world, [first.id, second.id])
        #expect(check.first == [.init(subject: "payment \(first.id)", problem: "was accepted once and has 2 outcomes")])
        #expect(check.notes.isEmpty)
    }

    @Test func `a dead letter is an outcome, and none beside the one that its replay came to`() throws {
        let (world, first, _) = try paid()
        let dead = world.pay("alice", "bob", 5)
        func keep(_ id: OperationID, at offset: Int) throws {
            try world.corrupt(
                "INSERT INTO sluice.dead_letter (log_incarnation, log_partition, log_offset, operation_id, reason, seen_at) "
                    + "VALUES ('test-log', 0, \(offset), '\(id)', 'a test', now())")
        }
        try keep(dead.id, at: 7_000)
        try keep(first.id, at: 7_001)
        // Replayed too early, it becomes one again.
        try keep(first.id, at: 7_002)
        #expect(try check(world, [first.id, dead.id]).findings == 0)
    }

    @Test func `however many were lost, all are counted`() throws {
        let (world, first, _) = try paid()
        // More than are asked for at once.
        let lost = (1...10_005).map { OperationID(high: 1, low: UInt64($0)) }
        let check = try check(world, lost + [first.id])
        #expect(check.looked == 10_006 && check.findings == 10_005 && check.first.count == AuditReport.findingsShownMax)
        #expect(check.notes == ["10005 of 10006 accepted payments have no outcome"])
    }
}
