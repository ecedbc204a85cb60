/// Every state that some accounts of the tenant `demo` were ever in, worked out here from what was decided, in the order of the log.
///
/// An account's row shows only the last of them, and entries only what was posted. But each decision on a payment raises the revision of
/// the accounts that it touches by one, and all of a tenant's commands stand in one partition: so what was held at each revision follows
/// from the payments and their changes.
struct AccountHistory {
    struct State: Equatable {
        var sequence = 0
        var posted = 0
        var held = 0
    }

    /// By account; the first is that of revision 1, without an entry.
    private var states: [String: [State]]
    /// What the ledger itself has otherwise.
    private(set) var contradictions: [String] = []

    init(_ system: SystemUnderTest, of accounts: [String]) throws {
        states = Dictionary(uniqueKeysWithValues: accounts.map { ($0, [State()]) })
        let tables = LedgerTables(system: system)
        let list = accounts.map { "'\($0)'" }.joined(separator: ",")
        let about = "p.tenant_id = (SELECT id FROM sluice.tenant WHERE name = 'demo') AND (p.debit IN (\(list)) OR p.credit IN (\(list)))"
        let rows = try tables.rows(
            """
            SELECT kind, debit, credit, moved, released FROM (
                SELECT CASE WHEN p.manual THEN 'hold' ELSE 'capture' END AS kind, p.debit, p.credit, p.amount AS moved, 0 AS released,
                    p.log_partition, p.log_offset
                FROM sluice.payment p WHERE p.decline_reason IS NULL AND \(about)
                UNION ALL
                SELECT CASE o.kind WHEN 6 THEN 'held capture' WHEN 9 THEN 'refund' ELSE 'release' END, p.debit, p.credit,
                    coalesce(o.moved, 0), coalesce(o.released, 0), o.log_partition, o.log_offset
                FROM sluice.operation o JOIN sluice.payment p ON p.id = o.payment_id
                WHERE o.payment_revision IS NOT NULL AND \(about)) change
            ORDER BY log_partition, log_offset
            """)
        for row in rows { apply(row[0], from: row[1], to: row[2], moved: Int(row[3]) ?? 0, released: Int(row[4]) ?? 0) }
        try compare(with: tables, list)
    }

    /// The account's state at a revision; nil when it never had it.
    func state(of account: String, at revision: Int) -> State? {
        guard let known = states[account], known.indices.contains(revision - 1) else { return nil }
        return known[revision - 1]
    }

    private mutating func apply(_ kind: String, from debit: String, to credit: String, moved: Int, released: Int) {
        switch kind {
        case "hold": change(debit, held: moved)
        case "release": change(debit, held: -released)
        case "refund":
            change(credit, posted: -moved)
            change(debit, posted: moved)
        default:
            change(debit, posted: -moved, held: kind == "capture" ? 0 : -moved - released)
            change(credit, posted: moved)
        }
    }

    private mutating func change(_ account: String, posted: Int = 0, held: Int = 0) {
        guard var state = states[account]?.last else { return }
        state.sequence += posted == 0 ? 0 : 1
        state.posted += posted
        state.held += held
        states[account]?.append(state)
    }

    private mutating func compare(with tables: LedgerTables, _ list: String) throws {
        for row in try tables.rows("SELECT id, revision, sequence, posted, held FROM sluice.account WHERE id IN (\(list))") {
            let last = states[row[0]] ?? []
            let shown = [last.count, last.last?.sequence ?? -1, last.last?.posted ?? -1, last.last?.held ?? -1].map(String.init)
            if shown != Array(row.dropFirst()) { contradictions.append("\(row) should be \(shown)") }
        }
        let entries = try tables.rows(
            """
            SELECT a.id, e.revision, e.sequence, e.after FROM (
                SELECT debit_account AS account, debit_revision AS revision, debit_sequence AS sequence, debit_posted_after AS after
                FROM sluice.movement
                UNION ALL SELECT credit_account, credit_revision, credit_sequence, credit_posted_after FROM sluice.movement) e
            JOIN sluice.account a ON a.number = e.account WHERE a.id IN (\(list))
            """)
        for row in entries {
            let state = state(of: row[0], at: Int(row[1]) ?? 0)
            if [state?.sequence, state?.posted] != [Int(row[2]), Int(row[3])] {
                contradictions.append("entry \(row) should be \(String(describing: state))")
            }
        }
    }
}
