import Postgres
import Testing

@testable import Operate

/// Corruption planted in a ledger, and the finding that names it.
@Suite struct AuditLedgerTests {
    @Test func `a ledger as the worker writes it is clean`() throws {
        let world = try AuditWorld()
        try world.fill()
        let report = try world.audit()
        #expect(report.isClean)
        let looked = Dictionary(uniqueKeysWithValues: report.checks.map { ($0.name, $0.looked) })
        // Eight payments settled, with two entries each; three were declined.
        #expect(looked == ["conservation": 5, "entries": 16, "payments": 11, "changes": 5, "openings": 5, "keys": 16])
        #expect(try world.audit(tenant: "demo").isClean)
    }

    @Test func `an empty ledger is clean`() throws {
        #expect(try AuditWorld().audit().isClean)
    }

    struct Corruption: Sendable, CustomTestStringConvertible {
        let sql: String
        /// What must be among the findings: `$N` stands for the payment of N minor units.
        let finding: String
        var testDescription: String { sql }

        init(_ sql: String, _ finding: String) {
            self.sql = sql
            self.finding = finding
        }
    }

    static let corruptions = [
        Corruption(
            "UPDATE sluice.account SET posted = posted + 1 WHERE id = 'bob'",
            "entries: account demo/bob: its balance is 101, and the one after its last entry is 100"),
        Corruption(
            "UPDATE sluice.account SET posted = posted + 1 WHERE id = 'bob'", "conservation: currency CZK: all balances add up to 1"),
        Corruption(
            "UPDATE sluice.account SET posted = posted + 1 WHERE id = 'bob'",
            "conservation: tenant demo, currency CZK: all balances add up to 1"),
        Corruption(
            """
            UPDATE sluice.account SET posted = posted + 7 WHERE id = 'bob';
            UPDATE sluice.account SET posted = posted - 7 WHERE id = 'alice'
            """, "entries: account demo/bob: its balance is 107, and the one after its last entry is 100"),
        Corruption(
            "UPDATE sluice.account SET posted = 5, sequence = 0 WHERE id = 'dave'",
            "entries: account demo/dave: its sequence is 0, and its last entry is 2"),
        Corruption(
            "DELETE FROM sluice.movement WHERE amount = 300", "entries: account demo/alice: entry 3 does not follow the number before it"),
        Corruption(
            "DELETE FROM sluice.movement WHERE amount = 300",
            "entries: account demo/bob: entry 3: its balance is not the balance before it and its amount"),
        Corruption("DELETE FROM sluice.movement WHERE amount = 300", "payments: payment $300: it is settled, and no money moved"),
        Corruption(
            "DELETE FROM sluice.movement WHERE amount = 30", "entries: account demo/dave: its sequence is 2, and its last entry is 1"),
        Corruption(
            "UPDATE sluice.movement SET credit_posted_after = 9223372036854775807 WHERE amount = 700",
            "entries: account demo/carol: entry 1: its balance is not the balance before it and its amount"),
        Corruption(
            """
            UPDATE sluice.movement SET debit_posted_after = CASE amount WHEN 300 THEN 650 ELSE 700 END
            WHERE amount IN (300, 50) AND debit_account = (SELECT number FROM sluice.account WHERE id = 'alice')
            """, "entries: account demo/alice: entry 2: its balance is not the balance before it and its amount"),
        Corruption(
            "UPDATE sluice.movement SET amount = 301 WHERE amount = 300", "payments: payment $300: its amount is 300, and 301 moved"),
        Corruption(
            "UPDATE sluice.movement SET debit_revision = 1 WHERE amount = 300",
            "entries: account demo/alice: entry 2: its revision is not above the one before it"),
        Corruption(
            "UPDATE sluice.account SET revision = 2 WHERE id = 'alice'",
            "entries: account demo/alice: its revision is 2, below 6 of its last entry"),
        Corruption("DELETE FROM sluice.account WHERE id = 'dave'", "entries: account number 5: has entries, and does not exist"),
        Corruption(
            "DELETE FROM sluice.account WHERE id = 'dave'", "openings: account demo/dave: 1 commands opened it, and it does not exist"),
        Corruption(
            "UPDATE sluice.account SET currency = 'XXX' WHERE id = 'dave'",
            "entries: account demo/dave: its currency `XXX` is none of ISO 4217"),
        Corruption(
            "UPDATE sluice.account SET currency = 'EUR' WHERE id = 'dave'", "payments: payment $100: it moved money between currencies"),
        Corruption(
            "DELETE FROM sluice.payment WHERE amount = 700", "payments: payment $700: money moved without a payment: 700 from bob to carol"),
        Corruption(
            "UPDATE sluice.payment SET status = 2, decline_reason = 1 WHERE amount = 700",
            "payments: payment $700: it is not settled, and money moved"),
        Corruption(
            "UPDATE sluice.payment SET status = 1, decline_reason = NULL WHERE amount = 5000",
            "payments: payment $5000: it is settled, and no money moved"),
        Corruption(
            "UPDATE sluice.payment SET decline_reason = NULL WHERE amount = 5000",
            "payments: payment $5000: its status and its decline reason do not agree"),
        Corruption("UPDATE sluice.payment SET status = 0 WHERE amount = 5000", "payments: payment $5000: its status is 0"),
        Corruption(
            "UPDATE sluice.payment SET credit = 'dave' WHERE amount = 700",
            "payments: payment $700: it is from bob to dave, and money moved from bob to carol"),
        Corruption(
            """
            INSERT INTO sluice.movement SELECT payment_id, debit_account, credit_account, amount, 9, 9, 0, 0, 99, 99, decided_at
            FROM sluice.movement WHERE amount = 300
            """, "payments: payment $300: its movement is entry 9 of alice, which is not the one it names"),
        Corruption(
            "DELETE FROM sluice.operation WHERE account_id = 'dave'", "openings: account demo/dave: no command opened it"),
        Corruption(
            "INSERT INTO sluice.operation SELECT gen_random_uuid(), tenant_id, fingerprint, kind, account_id, NULL, decided_at, 0, 99 "
                + "FROM sluice.operation WHERE account_id = 'dave'", "openings: account demo/dave: 2 commands opened it"),
        Corruption(
            "INSERT INTO sluice.operation SELECT id, tenant_id, fingerprint, 2, debit, NULL, decided_at, 0, 99 FROM sluice.payment WHERE amount = 300",
            "keys: operation $300: has 2 outcomes"),
        Corruption(
            "UPDATE sluice.key_conflict SET operation_id = gen_random_uuid()",
            "keys: offset 0/15: is said to repeat a key that nobody has used"),
        Corruption(
            "UPDATE sluice.key_conflict k SET fingerprint = p.fingerprint FROM sluice.payment p WHERE p.id = k.operation_id",
            "keys: offset 0/15: is said to be another request than the first one, and is the same"),
    ]

    @Test(arguments: corruptions) func `corruption is found and named`(_ corruption: Corruption) throws {
        let world = try AuditWorld()
        try world.fill()
        try world.corrupt(corruption.sql)
        let amount = corruption.finding.split(separator: "$").dropFirst().first.flatMap { Int64($0.prefix { $0.isNumber }) }
        let expected = amount.map { corruption.finding.replacing("$\($0)", with: world.payment($0)) } ?? corruption.finding
        let found = try world.findings()
        #expect(found.contains(expected), "found: \(found)")
    }

    @Test func `another tenant's corruption is not this tenant's`() throws {
        let world = try AuditWorld()
        try world.fill()
        _ = try Tenants(world.connection).create("other")
        try world.corrupt("UPDATE sluice.account SET posted = posted + 1 WHERE id = 'bob'")
        #expect(try !world.audit(tenant: "demo").isClean)
        #expect(try world.audit(tenant: "other").isClean)
        #expect { try world.audit(tenant: "nobody") } throws: { "\($0)" == "there is no tenant `nobody`" }
    }

    @Test func `all findings are counted and the first ones shown`() throws {
        let world = try AuditWorld()
        try world.apply((0..<30).map { world.open("a\($0)") })
        try world.corrupt("UPDATE sluice.account SET posted = 1")
        let check = try #require(try world.audit().checks.first { $0.name == "entries" })
        #expect(check.findings == 30 && check.first.count == 20)
        #expect(try world.audit().text.contains("FOUND  entries: and 10 more"))
    }

    @Test func `an old schema is not audited`() throws {
        let world = try AuditWorld()
        try world.corrupt("DELETE FROM sluice.schema_migration WHERE number = (SELECT max(number) FROM sluice.schema_migration)")
        #expect { try world.audit() } throws: { "\($0)".contains("run `sluice migrate` first") }
    }
}
