import Ledger
import Postgres
import Testing

@testable import Operate

/// Corruption planted in what payments and accounts have become, and the finding that names it.
@Suite struct AuditChangeTests {
    @Test func `a ledger with holds, captures, refunds and frozen accounts is clean`() throws {
        let world = try AuditWorld()
        try world.fill()
        try world.live()
        let report = try world.audit()
        #expect(report.isClean, "\(report.text)")
        let check = try #require(report.checks.first { $0.name == "changes" })
        // Five accounts opened before; nine changes of payments, two of them declined; the account commands, one of them declined.
        #expect(check.looked == 5 + 9 + 6)
        // 101 are held for bob, of which 1 was captured.
        let held = try world.connection.query("SELECT held FROM sluice.account WHERE id = 'alice'").int64(0, 0)
        #expect(held == 100)
        #expect(try world.audit(tenant: "demo").isClean)
    }

    static let corruptions: [AuditLedgerTests.Corruption] = [
        .init(
            "UPDATE sluice.account SET held = held + 1 WHERE id = 'alice'",
            "changes: account demo/alice: its held is 101, and its open holds add up to 100"),
        .init(
            "UPDATE sluice.account SET held = 3 WHERE id = 'carol'",
            "changes: account demo/carol: its held is 3, and its open holds add up to 0"),
        .init(
            "UPDATE sluice.account SET revision = revision + 1 WHERE id = 'dave'",
            "changes: account demo/dave: its revision is 5, and 2 entries, 0 holds, 0 releases and 1 commands are known of it"),
        .init(
            "UPDATE sluice.payment SET captured = 103 WHERE amount = 102", "changes: payment $102: captured is 103, above the amount 102"),
        .init(
            "UPDATE sluice.payment SET captured = 43 WHERE amount = 102",
            "changes: payment $102: captured is 43, and its captures add up to 42"),
        .init("UPDATE sluice.payment SET refunded = 43 WHERE amount = 102", "changes: payment $102: refunded is 43, above the captured 42"),
        .init(
            "UPDATE sluice.payment SET refunded = 11 WHERE amount = 102",
            "changes: payment $102: refunded is 11, and its refunds add up to 12"),
        .init("UPDATE sluice.payment SET refunded = 0 WHERE amount = 7", "changes: payment $7: refunded is 0, and its refunds add up to 7"),
        .init(
            "UPDATE sluice.payment SET revision = 9 WHERE amount = 102",
            "changes: payment $102: its revision is 9, and 3 changes were made to it"),
        .init("UPDATE sluice.payment SET status = 1 WHERE amount = 103", "changes: payment $103: its status is 1, and captured is 0"),
        .init(
            "UPDATE sluice.payment SET status = 5 WHERE amount = 101",
            "changes: payment $101: its hold is closed, and 1 captured and 0 released are not 101"),
        .init(
            "UPDATE sluice.payment SET status = 4 WHERE amount = 103", "changes: payment $103: it is authorized, and its hold was released"),
        .init(
            "UPDATE sluice.payment SET manual = NULL WHERE amount = 101", "payments: payment $101: its status is 4, and it was never held"),
        .init(
            "DELETE FROM sluice.operation WHERE kind = 6 AND moved = 40",
            "payments: payment $102: its movement is entry 6 of alice, which no capture and no refund names"),
        .init(
            "DELETE FROM sluice.operation WHERE kind = 9 AND moved = 12",
            "changes: payment $102: its revision is 4, and 2 changes were made to it"),
        .init(
            "UPDATE sluice.operation SET payment_revision = 7 WHERE kind = 6 AND moved = 40",
            "changes: payment $102: its changes are not numbered without a gap"),
        .init(
            "UPDATE sluice.operation SET moved = 41 WHERE kind = 6 AND moved = 40", "payments: payment $102: its amount is 41, and 40 moved"
        ),
        .init(
            "UPDATE sluice.operation SET decline_reason = 1 WHERE kind = 7 AND decline_reason IS NULL",
            "changes: payment $103: a change was declined and made, or neither"),
        .init(
            "UPDATE sluice.operation SET debit_account = NULL, debit_sequence = NULL WHERE kind = 9 AND moved = 12",
            "changes: payment $102: a change says that 12 moved, and nothing did"),
        .init(
            "UPDATE sluice.operation SET requested = 13 WHERE kind = 9 AND moved = 12",
            "changes: payment $102: a change was to move 13, and moved 12"),
        .init(
            "UPDATE sluice.payment SET debit = 'dave' WHERE amount = 102",
            "payments: payment $102: a refund of it is from carol to dave, and money moved from carol to alice"),
        .init(
            "UPDATE sluice.account SET flags = 0 WHERE id = 'bob'",
            "changes: account demo/bob: its flags are 0, which is not what its last commands made them"),
        .init(
            "UPDATE sluice.account SET flags = 1 WHERE id = 'dave'",
            "changes: account demo/dave: its flags are 1, which is not what its last commands made them"),
        .init(
            "UPDATE sluice.account SET flags = 4 WHERE id = 'dave'",
            "changes: account demo/dave: it is closed and no command closed it, or the other way round"),
        .init(
            "UPDATE sluice.account SET flags = 0 WHERE id = 'empty'",
            "changes: account demo/empty: it is closed and no command closed it, or the other way round"),
        .init(
            "UPDATE sluice.account SET overdraft_limit = 10 WHERE id = 'dave'",
            "changes: account demo/dave: its limit is 10, and its last command made it 9"),
    ]

    @Test(arguments: corruptions) func `corruption is found and named`(_ corruption: AuditLedgerTests.Corruption) throws {
        let world = try AuditWorld()
        try world.fill()
        try world.live()
        try world.corrupt(corruption.sql)
        let amount = corruption.finding.split(separator: "$").dropFirst().first.flatMap { Int64($0.prefix { $0.isNumber }) }
        let expected = amount.map { corruption.finding.replacing("$\($0)", with: world.payment($0)) } ?? corruption.finding
        let found = try world.findings()
        #expect(found.contains(expected), "found: \(found)")
    }

    @Test func `history cannot be changed by a statement`() throws {
        let world = try AuditWorld()
        try world.fill()
        #expect(throws: (any Error).self) { try world.connection.run("UPDATE sluice.operation SET kind = 2") }
        #expect(throws: (any Error).self) { try world.connection.run("DELETE FROM sluice.operation") }
    }
}
