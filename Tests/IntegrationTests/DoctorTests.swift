import Foundation
import Testing

extension WholeSystem {
    /// `sluice doctor` before what `sluice up` brings up.
    @Suite struct Doctor {
        private struct Report: Decodable {
            struct Finding: Decodable {
                let level: String
                let check: String
                let seen: String
            }
            struct Probe: Decodable {
                let records: Int
                let lost: Int
                let doubled: Int
                let disordered: Int
            }
            let failures: Int
            let findings: [Finding]
            let probe: Probe?
        }

        @Test func `a system that is up has no failure, and the probe proves its log`() throws {
            let result = try SystemUnderTest.shared.sluice(["doctor", "--json", "--probe", "--probe-records", "200"])
            let report = try JSONDecoder().decode(Report.self, from: Data(result.output.utf8))
            let failed = report.findings.filter { $0.level == "failure" }.map { "\($0.check): \($0.seen)" }
            #expect(failed == [])
            #expect(result.code == 0)
            // All that is configured was looked at.
            let areas = Set(report.findings.map { $0.check.prefix { $0 != "." } })
            #expect(areas == ["client", "log", "ledger", "replica", "redis", "edge", "system", "probe"])
            let probe = try #require(report.probe)
            #expect(probe.records == 200 && probe.lost == 0 && probe.doubled == 0 && probe.disordered == 0)
        }

        @Test func `the worker's role adds entries and can change none, and the processes connect as users of their own`() throws {
            let system = SystemUnderTest.shared
            let worker = (system.settings["SLUICE_DATABASE"] ?? "").replacingOccurrences(of: "user=sluice ", with: "user=sluice_worker ")
            for statement in ["UPDATE sluice.movement SET amount = 1", "DELETE FROM sluice.operation", "TRUNCATE sluice.movement"] {
                let result = try run("/usr/bin/psql", ["--no-psqlrc", "-qAtX", "-d", worker, "-c", statement])
                #expect(result.code != 0 && result.errors.contains("permission denied"), "\(result)")
            }
            let users = try LedgerTables(system: system).rows(
                "SELECT DISTINCT usename FROM pg_stat_activity WHERE application_name IN ('worker-1', 'gateway-a')", asSuperuser: true)
            #expect(Set(users.flatMap(\.self)) == ["sluice_gateway", "sluice_worker"])
            let clients = try system.redis("CLIENT", "LIST")
            for user in ["sluice_gateway", "sluice_worker"] { #expect(clients.contains("user=\(user) "), "\(clients)") }
        }

        @Test func `failures and wrong settings end it with codes of their own`() throws {
            let system = SystemUnderTest.shared
            // More gateways than the primary has connections for.
            let failed = try system.sluice(["doctor", "--only", "ledger", "--gateways", "100"])
            #expect(failed.code == 1)
            #expect(failed.output.contains("FAILURE ledger.connections"))
            #expect(try system.sluice(["doctor", "--only", "redis", "--redis", "nowhere"]).code == 2)
            #expect(try system.sluice(["doctor", "--only", "everything"]).code == 64)
        }
    }
}
