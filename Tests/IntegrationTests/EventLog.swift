import Foundation
import Testing

/// `payments.events` as a consumer reads it with kcat, and what it finds wrong.
///
/// The consumer does what docs/events.md asks of one: of each partition it keeps the highest offset that it has seen, and drops what is
/// not beyond it.
struct EventLog {
    struct Event {
        let id: String
        let partition: Int
        let offset: Int
        let text: String
        var json: JSON { JSON(text) }
    }

    /// What a consumer takes, in the order in which it came.
    private(set) var taken: [Event] = []
    private(set) var repeated = 0
    private(set) var violations: [String] = []

    /// Reads the topic from its beginning to where it ends now.
    init(_ system: SystemUnderTest) throws {
        let arguments = [
            "-C", "-b", system.settings["SLUICE_KAFKA"] ?? "", "-t", "payments.events", "-o", "beginning", "-e", "-q", "-f", "%p\t%k\t%s\n",
        ]
        let result = try run("/usr/bin/kcat", arguments, seconds: 60)
        guard result.code == 0 else { throw SystemUnderTest.Failure(description: "kcat: \(result.errors)") }
        var highest: [Int: Int] = [:]
        var known: [String: String] = [:]
        for line in result.output.split(separator: "\n") {
            let columns = line.split(separator: "\t", maxSplits: 2).map(String.init)
            guard columns.count == 3, let partition = Int(columns[0]), let event = Self.event(columns[2], partition) else {
                violations.append("it cannot be read: \(line)")
                continue
            }
            if event.offset > highest[partition] ?? -1 {
                highest[partition] = event.offset
                known[event.id] = event.text
                taken.append(event)
            } else {
                repeated += 1
                if known[event.id] != event.text {
                    violations.append("\(event.text) was first \(known[event.id] ?? "overtaken by a later one")")
                }
            }
        }
    }

    /// Only what stands in front is read here: the whole of many events is more work than the test.
    private static func event(_ text: String, _ partition: Int) -> Event? {
        let beginning = /\{"event":"([0-9a-f]{32})","type":"[a-z._]+","tenant":\d+,"log":"[^"]+","partition":(\d+),"offset":(\d+),/
        guard let match = text.prefixMatch(of: beginning), Int(match.2) == partition, let offset = Int(match.3)
        else { return nil }
        return Event(id: String(match.1), partition: partition, offset: offset, text: text)
    }

    /// Waits until there is an event for every outcome of the ledger, then holds all of them to it.
    static func expectComplete(_ system: SystemUnderTest, sourceLocation: SourceLocation = #_sourceLocation) throws -> EventLog {
        let tables = LedgerTables(system: system)
        let outcomes = try tables.rows(
            "SELECT replace(id::text, '-', ''), log_partition, log_offset FROM sluice.payment UNION ALL "
                + "SELECT replace(id::text, '-', ''), log_partition, log_offset FROM sluice.operation")
        let wanted = Set(outcomes.map { "\($0[0]) at \($0[1]):\($0[2])" })
        var log = try EventLog(system)
        var missing: Set<String> = []
        _ = try eventually(seconds: 20, everyMilliseconds: 300) {
            missing = wanted.subtracting(log.taken.map { "\($0.id) at \($0.partition):\($0.offset)" })
            if !missing.isEmpty { log = try EventLog(system) }
            return missing.isEmpty
        }
        #expect(missing.isEmpty, "\(missing.count) of \(wanted.count) have no event: \(missing.prefix(3))", sourceLocation: sourceLocation)
        #expect(log.violations.isEmpty, "\(log.violations.count): \(log.violations.prefix(3))", sourceLocation: sourceLocation)
        return log
    }

    /// What a consumer that follows entries and payments finds missing, out of order, or other than the ledger has it.
    ///
    /// - Parameter accounts: of the tenant `demo`.
    func gaps(of accounts: [String], _ tables: LedgerTables) throws -> [String] {
        let list = accounts.map { "'\($0)'" }.joined(separator: ",")
        let tenant = "(SELECT id FROM sluice.tenant WHERE name = 'demo')"
        var found: [String] = []
        var entries: [String: (sequence: Int, posted: Int)] = [:]
        var revisions: [String: Int] = [:]
        for event in taken where event.text.contains(",\"change\":") || accounts.contains(where: event.text.contains) {
            let json = event.json
            // A change that moves nothing names its payment alone.
            if let id = json.change.payment.string, revisions[id] == nil { continue }
            for entry in json.entries.list {
                guard let account = entry.account.string, let sequence = entry.sequence.int, let posted = entry.posted_after.int,
                    let amount = entry.amount.int
                else { throw SystemUnderTest.Failure(description: "an entry lacks something: \(event.text)") }
                let last = entries[account] ?? (0, 0)
                if sequence != last.sequence + 1 { found.append("\(account): entry \(sequence) after \(last.sequence)") }
                if posted != last.posted + amount { found.append("\(account): \(last.posted) and \(amount) gave \(posted)") }
                entries[account] = (sequence, posted)
            }
            if let id = json.payment.id.string { revisions[id] = json.payment.revision.int }
            if let id = json.change.payment.string, let revision = json.change.payment_revision.int {
                if revision != (revisions[id] ?? 0) + 1 { found.append("payment \(id): revision \(revision) after \(revisions[id] ?? 0)") }
                revisions[id] = revision
            }
        }
        for row in try tables.rows("SELECT id, sequence, posted FROM sluice.account WHERE tenant_id = \(tenant) AND id IN (\(list))") {
            let last = entries[row[0]] ?? (0, 0)
            if "\(last.sequence) \(last.posted)" != "\(row[1]) \(row[2])" { found.append("\(row) ends with \(last)") }
        }
        for row in try tables.rows(
            "SELECT replace(id::text, '-', ''), revision FROM sluice.payment WHERE tenant_id = \(tenant) "
                + "AND (debit IN (\(list)) OR credit IN (\(list)))")
        where revisions[row[0]].map(String.init) != row[1] {
            found.append("payment \(row) ends with \(revisions[row[0]] ?? 0)")
        }
        return found
    }
}
