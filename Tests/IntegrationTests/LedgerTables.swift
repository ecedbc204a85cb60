import Foundation
import Testing

/// The ledger as its tables have it, read past all of our own code by psql.
struct LedgerTables {
    let system: SystemUnderTest

    private var own: String { system.settings["SLUICE_DATABASE"] ?? "" }
    /// Where the server's own superuser connects.
    var superuser: String { own.replacingOccurrences(of: "user=sluice", with: "user=postgres") }

    /// The rows of a query, each split into its columns.
    ///
    /// - Parameters:
    ///   - asSuperuser: whether the server's own superuser asks.
    ///   - server: another one than the primary.
    func rows(_ query: String, asSuperuser: Bool = false, on server: String? = nil) throws -> [[String]] {
        let arguments = [
            "--no-psqlrc", "-qAtX", "-F", "\t", "-v", "ON_ERROR_STOP=1", "-d", server ?? (asSuperuser ? superuser : own), "-c", query,
        ]
        // A ledger after hours of load is read whole.
        let result = try run("/usr/bin/psql", arguments, seconds: 600)
        guard result.code == 0 else { throw SystemUnderTest.Failure(description: "psql: \(result.errors)") }
        return result.output.split(separator: "\n").map { $0.split(separator: "\t", omittingEmptySubsequences: false).map(String.init) }
    }

    func count(_ query: String) throws -> Int { try rows(query).first.flatMap { $0.first.flatMap { Int($0) } } ?? 0 }

    /// The status of each payment to an account, by the payment's id as the API writes it.
    func statuses(creditedTo account: String) throws -> [String: String] {
        let rows = try rows(
            "SELECT replace(id::text, '-', ''), CASE status WHEN 1 THEN 'settled' WHEN 2 THEN 'declined' ELSE status::text END "
                + "FROM sluice.payment WHERE credit = '\(account)'")
        return Dictionary(uniqueKeysWithValues: rows.map { ($0[0], $0[1]) })
    }

    /// How many movements of money reached an account, and how much they brought.
    func movements(to account: String) throws -> (count: Int, sum: Int) {
        let row = try rows(
            "SELECT count(*), coalesce(sum(m.amount), 0) FROM sluice.movement m JOIN sluice.account a ON a.number = m.credit_account "
                + "WHERE a.id = '\(account)'")
        return (Int(row[0][0]) ?? -1, Int(row[0][1]) ?? -1)
    }

    /// What contradicts the promise that money is conserved; empty when nothing does.
    func violations() throws -> [String] {
        let entries =
            "WITH entry AS (SELECT debit_account AS account, debit_sequence AS sequence, -amount AS amount, debit_posted_after AS after "
            + "FROM sluice.movement UNION ALL SELECT credit_account, credit_sequence, amount, credit_posted_after FROM sluice.movement) "
        let checks = [
            "money was made or lost": "SELECT tenant_id, currency, sum(posted) FROM sluice.account GROUP BY 1, 2 HAVING sum(posted) <> 0",
            "entries have gaps": entries
                + "SELECT a.id, a.sequence, count(e.*), max(e.sequence) FROM sluice.account a LEFT JOIN entry e ON e.account = a.number "
                + "GROUP BY a.number, a.id, a.sequence HAVING count(e.*) <> a.sequence OR coalesce(max(e.sequence), 0) <> a.sequence",
            "a balance does not follow from the one before": entries
                + "SELECT * FROM (SELECT account, sequence, after, amount, coalesce(lag(after) OVER (PARTITION BY account ORDER BY sequence), 0) "
                + "AS before FROM entry) chain WHERE before + amount <> after",
            "an account does not stand where its last entry left it": entries
                + "SELECT a.id, a.posted, e.after FROM sluice.account a JOIN entry e ON e.account = a.number AND e.sequence = a.sequence "
                + "WHERE a.posted <> e.after",
            "a payment moved other than once":
                "SELECT p.id, p.status, count(m.*) FROM sluice.payment p LEFT JOIN sluice.movement m ON m.payment_id = p.id "
                + "WHERE p.revision = 1 GROUP BY p.id, p.status HAVING count(m.*) <> CASE p.status WHEN 1 THEN 1 ELSE 0 END",
            "a payment moved other than it says":
                "SELECT p.id, p.captured, p.refunded FROM sluice.payment p LEFT JOIN sluice.movement m ON m.payment_id = p.id "
                + "LEFT JOIN sluice.account d ON d.number = m.debit_account WHERE p.revision > 1 GROUP BY p.id "
                + "HAVING p.captured <> coalesce(sum(m.amount) FILTER (WHERE d.id = p.debit), 0) "
                + "OR p.refunded <> coalesce(sum(m.amount) FILTER (WHERE d.id = p.credit), 0)",
            "other than the open holds is held":
                "SELECT a.id, a.held FROM sluice.account a LEFT JOIN sluice.payment p ON p.debit_account = a.number AND p.status = 4 "
                + "GROUP BY a.number, a.id, a.held HAVING a.held <> coalesce(sum(p.amount - p.captured), 0)",
            "a movement has no payment":
                "SELECT m.payment_id FROM sluice.movement m LEFT JOIN sluice.payment p ON p.id = m.payment_id WHERE p.id IS NULL",
        ]
        return try checks.flatMap { name, query in try rows(query).map { "\(name): \($0)" } }
    }
}

/// What must hold after every fault: the audit finds nothing, and neither do our own queries.
func expectLedgerIsSound(_ system: SystemUnderTest, sourceLocation: SourceLocation = #_sourceLocation) throws {
    let violations = try LedgerTables(system: system).violations()
    #expect(violations.isEmpty, sourceLocation: sourceLocation)
    let audit = try system.sluice(["audit"])
    #expect(audit.code == 0, "\(audit.output)\(audit.errors)", sourceLocation: sourceLocation)
}
