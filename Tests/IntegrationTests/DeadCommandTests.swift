import Foundation
import Testing

extension WholeSystem {
    /// `sluice dead list`, `show` and `replay` on a system with dead letters.
    @Suite struct DeadCommands {
        /// The line of `sluice dead list` about an operation.
        private func line(_ operation: String, _ options: [String] = []) throws -> String? {
            let result = try SystemUnderTest.shared.sluice(["dead", "list"] + options)
            try #require(result.code == 0, "\(result)")
            return result.output.split(separator: "\n").map(String.init).first { $0.contains(operation) }
        }

        /// The line, once the worker has met the record.
        private func letter(_ operation: String) throws -> String {
            var found: String?
            let isDead = try eventually(everyMilliseconds: 100) {
                found = try line(operation)
                return found != nil
            }
            try #require(isDead, "the record of \(operation) is no dead letter")
            return found ?? ""
        }

        private func place(_ line: String) -> String { String(line.prefix { $0 != " " }) }

        private func newOperation() -> String { UUID().uuidString.replacingOccurrences(of: "-", with: "").lowercased() }

        /// The record of an opening as the gateway wrote it, under another id.
        private func record(_ scene: Scene, of account: String, _ others: [String: String]) throws -> LogReader.Record {
            let written = try #require(try LogReader(scene.system).records().last { $0.value.contains("\"\(account)\"") })
            return LogReader.Record(
                partition: written.partition, offset: 0, key: written.key, value: written.value,
                headers: written.headers.merging(others) { $1 })
        }

        @Test func `a record that nobody can read is listed and shown, does the terminal nothing, and is not replayed`() throws {
            let scene = try Scene()
            let id = newOperation()
            let good = try record(scene, of: try scene.open("read"), ["id": id])
            try LogReader.Record(
                partition: good.partition, offset: 0, key: good.key, value: "from the future \u{1B}[31m", headers: good.headers
            ).produce(scene.system)
            let line = try letter(id)
            let place = place(line)
            #expect(place.wholeMatch(of: /[0-9]+\/[0-9]+/) != nil && line.contains("  demo  ") && line.contains("  open  "), "\(line)")
            #expect(line.hasSuffix("the value is not JSON"))
            #expect(try self.line(id, ["--open", "--tenant", "demo"]) == line && self.line(id, ["--limit", "1"]) == line)

            let shown = try scene.system.sluice(["dead", "show", place])
            #expect(shown.code == 0 && shown.errors.isEmpty, "\(shown)")
            for part in [
                "place:     \(place) of log ", "tenant:    demo", "operation: \(id)", "reason:    the value is not JSON", "decided:   no",
                "header:    id: \(id)", "value:     from the future \u{FFFD}[31m",
            ] {
                #expect(shown.output.contains(part), "\(part): \(shown.output)")
            }
            #expect(!shown.output.contains("\u{1B}") && !shown.output.contains("replayed:"))

            let replayed = try scene.system.sluice(["dead", "replay", place])
            #expect(replayed.code == 1 && replayed.output == "\(place): this build cannot read it either: the value is not JSON\n")
            #expect(try LogReader(scene.system).records().filter { $0.headers["id"] == id }.count == 1)
            // What comes after it in the log was decided all the same.
            try scene.open("after")
            try expectLedgerIsSound(scene.system)
        }

        /// An account of a tenant that the ledger does not know yet.
        @Test func `what the ledger refused is replayed once the cause is mended, and decided once`() throws {
            let scene = try Scene()
            let system = scene.system
            let account = try scene.open("stranded")
            let number = try LedgerTables(system: system).count("SELECT last_value + 1 FROM sluice.tenant_id_seq")
            let id = newOperation()
            try record(scene, of: account, ["id": id, "tenant": "\(number)"]).produce(system)
            let place = place(try letter(id))
            let shown = try system.sluice(["dead", "show", place]).output
            #expect(shown.contains("reason:    the ledger refused it: ") && shown.contains("SQLSTATE 23503"), "\(shown)")
            #expect(shown.contains("tenant:    -") && shown.contains("\"account\":\"\(account)\""), "\(shown)")

            let early = try system.sluice(["dead", "replay", place])
            #expect(early.code == 1 && early.output.contains("its tenant, number \(number), does not exist"), "\(early)")

            let name = "late-\(UUID().uuidString.prefix(8).lowercased())"
            let made = try system.sluice(["keys", "create-tenant", name])
            try #require(made.output.hasPrefix("tenant \(name): number \(number), "), "\(made)")
            // One that cannot be replayed keeps no other from it.
            let none = "\(place.prefix { $0 != "/" })/999999999"
            let replayed = try system.sluice(["dead", "replay", none, place])
            #expect(replayed.code == 1 && replayed.output.contains("\(none): there is no dead letter at \(none)"), "\(replayed)")
            #expect(replayed.output.hasSuffix("\(place): in the log again\n"))
            let isDecided = try eventually { try line(id)?.contains("  decided  ") == true }
            #expect(isDecided)
            #expect(try line(id, ["--open"]) == nil)
            let after = try system.sluice(["dead", "show", place]).output
            #expect(after.contains("tenant:    \(name)") && after.contains("decided:   yes") && after.contains("replayed:  2"), "\(after)")
            #expect(try LedgerTables(system: system).count("SELECT count(*) FROM sluice.account WHERE tenant_id = \(number)") == 1)

            // And never again.
            let again = try system.sluice(["dead", "replay", place])
            #expect(again.code == 0 && again.output == "\(place): its command has an outcome already; nothing was done\n", "\(again)")
            #expect(try LogReader(system).records().filter { $0.headers["id"] == id }.count == 2)
            try expectLedgerIsSound(system)
        }

        @Test func `a place that is none, and one without a letter, are told apart`() throws {
            let system = SystemUnderTest.shared
            for command in ["show", "replay"] {
                let nonsense = try system.sluice(["dead", command, "here"])
                #expect(nonsense.code == 64 && nonsense.errors.contains("'here' is no place: use PARTITION/OFFSET"), "\(nonsense)")
                let none = try system.sluice(["dead", command, "0/999999999"])
                #expect(none.code == 1 && (none.output + none.errors).contains("there is no dead letter at 0/999999999"), "\(none)")
            }
            let nobody = try system.sluice(["dead", "list", "--tenant", "nobody"])
            #expect(nobody.code == 1 && nobody.errors.contains("nobody"), "\(nobody)")
            #expect(try system.sluice(["dead", "list", "--limit", "0"]).code == 64)
        }
    }
}
