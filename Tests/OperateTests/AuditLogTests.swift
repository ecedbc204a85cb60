import Foundation
import Kafka
import Ledger
import Postgres
import Store
import Testing

@testable import Operate
@testable import TestSupport

/// The log beside the ledger, with a real broker.
@Suite(.serialized) struct AuditLogTests {
    private func world() throws -> AuditWorld {
        let world = try AuditWorld(broker: Broker())
        try world.fill()
        return world
    }

    @Test func `a log whose every command has its outcome is clean`() throws {
        let world = try world()
        let report = try world.audit()
        #expect(try world.findings() == [])
        #expect(report.checks.last?.looked == 18)
        #expect(report.undecided == 0)
        #expect(report.partitions?.map(\.high) == [18, 0] && report.partitions?.map(\.nextOffset) == [18, 0])
    }

    @Test func `commands that are not decided yet are lag and no finding`() throws {
        let world = try world()
        try world.produce([world.pay("alice", "bob", 3), world.pay("alice", "bob", 4)])
        let report = try world.audit()
        #expect(report.isClean && report.undecided == 2)
    }

    @Test func `outcomes that do not fit the log are found and named`() throws {
        let world = try world()
        // Offsets 0 to 6 are five accounts and two payments, then 7: 300, 8: 700, 9: 100, 10: 5000, 11 and 12: 50 twice.
        try world.corrupt(
            """
            DELETE FROM sluice.operation WHERE log_offset = 4;
            UPDATE sluice.payment SET log_offset = 8 WHERE log_offset = 7;
            UPDATE sluice.payment SET amount = 99 WHERE log_offset = 9;
            UPDATE sluice.payment SET log_offset = 40 WHERE log_offset = 10;
            UPDATE sluice.payment SET fingerprint = gen_random_uuid() WHERE log_offset = 11;
            DELETE FROM sluice.key_conflict
            """)
        let found = try world.findings().filter { $0.hasPrefix("log: ") }
        func id(_ offset: Int) -> String { "\(world.envelopes[offset].id)" }
        let expected = [
            "log: offset 0/4, operation \(id(4)): has no outcome",
            "log: offset 0/8, operation \(id(8)): has 2 outcomes",
            "log: offset 0/9, operation \(id(9)): asks for 100 from carol to dave, and its outcome says 99 from carol to dave",
            "log: offset 0/11, operation \(id(11)): its outcome is that of another request: \(id(11))",
            "log: offset 0/12, operation \(id(12)): is another request under a key that was used, and there is no outcome that says so",
            "log: offset 0/15, operation \(id(15)): is another request under a key that was used, and there is no outcome that says so",
            "log: offset 0/40: has an outcome, and no command that is applied",
        ]
        #expect(Set(found) == Set(expected))
    }

    @Test func `a record that cannot be read must be a dead letter`() throws {
        let world = try world()
        try world.produce(value: Array("rubbish".utf8), headers: HeaderList())
        try world.corrupt("UPDATE sluice.kafka_offset SET next_offset = 19, published_offset = 19 WHERE partition = 0")
        #expect(try world.findings() == ["log: offset 0/18: has no outcome: it cannot be read, and is no dead letter"])
        try world.corrupt(
            """
            INSERT INTO sluice.dead_letter (log_incarnation, log_partition, log_offset, reason, seen_at)
            SELECT log_incarnation, 0, 18, 'not a command', now() FROM sluice.kafka_offset WHERE partition = 0
            """)
        let report = try world.audit()
        #expect(report.isClean && report.deadLetters == 1)
        #expect(report.checks.last?.notes == ["dead letter at offset 0/18: not a command"])
    }

    @Test func `offsets outside the log and of another log are found`() throws {
        let world = try world()
        try world.corrupt("UPDATE sluice.kafka_offset SET next_offset = 25 WHERE partition = 0")
        try world.corrupt("UPDATE sluice.kafka_offset SET log_incarnation = 'another' WHERE partition = 1")
        let found = try world.findings()
        #expect(found.contains("log: partition 0: is applied up to offset 25, and the log ends at 18: commands are lost"))
        #expect(found.contains { $0.hasPrefix("log: partition 1: its offsets count in log another, and this is log ") })
    }

    @Test func `a drained log can be left for another one`() throws {
        let world = try world()
        let path = FileManager.default.temporaryDirectory.path + "/sluice-audit-\(UUID()).json"
        defer { try? FileManager.default.removeItem(atPath: path) }
        try world.audit().json.write(toFile: path, atomically: true, encoding: .utf8)

        // The same broker stands for the new log: what the ledger says it is on is made another.
        let current = try #require(try KafkaAdmin.clusterID(world.kafka))
        try world.corrupt("UPDATE sluice.kafka_offset SET log_incarnation = 'old'; UPDATE sluice.key_conflict SET log_incarnation = 'old'")
        let text = try String(contentsOfFile: path, encoding: .utf8).replacing(current, with: "old")
        try text.write(toFile: path, atomically: true, encoding: .utf8)
        var migrator = Migrator(
            database: PostgresConfiguration(connectionString: world.database.connectionString), kafka: world.kafka)
        #expect { try migrator.run { _ in } } throws: { "\($0)".contains("--adopt-log") }

        let report = try AuditReport.read(path: path)
        try world.corrupt("UPDATE sluice.kafka_offset SET next_offset = 19 WHERE partition = 0")
        migrator.adoption = report
        #expect { try migrator.run { _ in } } throws: { "\($0)".contains("partition 0 has moved on since the audit") }
        try world.corrupt("UPDATE sluice.kafka_offset SET next_offset = 18 WHERE partition = 0")

        try migrator.run { _ in }
        let rows = try OffsetRows.read(world.connection)
        #expect(rows.allSatisfy { $0.logIncarnation == current && $0.nextOffset == 0 && $0.epoch == 2 })
        var lines: [String] = []
        try migrator.run { lines.append($0) }
        #expect(lines.contains("log: the ledger is on it already"))
        // Outcomes of the log that was left are not looked for in this one; its commands wait.
        let after = try world.audit()
        #expect(after.isClean && after.undecided == 18)
    }

    @Test func `a log that is not drained cannot be left`() throws {
        let rows = [OffsetRow(partition: 0, logIncarnation: "old", nextOffset: 5, publishedOffset: 5, epoch: 1)]
        func report(high: Int64, incarnation: String? = "old", isClean: Bool = true, tenant: String? = nil) -> AuditReport {
            var report = AuditReport(tenant: tenant)
            report.incarnation = incarnation
            report.partitions = [
                .init(partition: 0, low: 0, high: high, nextOffset: 5, publishedOffset: 5, incarnation: incarnation)
            ]
            var check = AuditReport.Check("x", "y")
            if !isClean { check.find("a", "b") }
            report.checks = [check]
            return report
        }
        func problem(_ report: AuditReport) -> String {
            do throws(OperateError) { try LogAdoption.checkDrained(rows, report) } catch { return "\(error)" }
            return ""
        }
        #expect(problem(report(high: 5)) == "")
        #expect(problem(report(high: 6)).contains("commands that are not decided: offset 5 of 6"))
        #expect(problem(report(high: 5, incarnation: "other")).contains("is on log old, and the audit is of log other"))
        #expect(problem(report(high: 5, isClean: false)).contains("has findings"))
        #expect(problem(report(high: 5, tenant: "demo")).contains("did not look at the whole log"))
    }
}
