import Foundation
import Glibc
import Testing

private let isAsked = ProcessInfo.processInfo.environment["SLUICE_CONTROLS"] != nil

extension WholeSystem {
    /// What must turn red does: each guard is switched off (`SafetyCatch`, debug builds only) in a system of its own, meets the fault that
    /// it guards against, and the harness must notice. `make test-controls`.
    @Suite(.enabled(if: isAsked)) struct Controls {
        @Test func `a command that is produced twice is decided twice where ids are not looked at, and the audit names it`() throws {
            try withSystem(without: ["ids"]) { scene in
                try dropKeys(scene.system)
                let record = try payAndRead(scene)
                try record.produce(scene.system)
                #expect(try scene.client.pay(1, from: scene.id("world"), to: scene.id("shop")).status == 201)
                try expectRed(scene.system, naming: record.headers["id"] ?? "?")
                #expect(try LedgerTables(system: scene.system).movements(to: scene.id("shop")) == (3, 11))
            }
        }

        @Test func `what the log hands over again is decided again where neither offsets nor ids are looked at, and the audit says so`()
            throws
        {
            try withSystem(without: ["ids", "offsets", "redelivery"]) { scene in
                try dropKeys(scene.system)
                let ids = try live(scene)
                try restartWorker(scene)
                for (name, id) in ids { try expectRed(scene.system, naming: id, "\(name)") }
            }
        }

        /// The offsets stand against redelivery by themselves.
        @Test func `with ids not looked at, what the log hands over again is not decided again`() throws {
            try withSystem(without: ["ids", "redelivery"]) { scene in
                _ = try live(scene)
                try restartWorker(scene)
                try expectLedgerIsSound(scene.system)
            }
        }

        /// And so do the ids.
        @Test func `with offsets not looked at, what the log hands over again is not decided again`() throws {
            try withSystem(without: ["offsets", "redelivery"]) { scene in
                _ = try live(scene)
                try restartWorker(scene)
                try expectLedgerIsSound(scene.system)
            }
        }

        @Test func `payments are lost with a broker that dies where nobody waits for its word, and are missed`() throws {
            try withSystem(without: ["acknowledgements"]) { scene in
                let payers = try (0..<4).map { try scene.funded("customer-\($0)", 1_000_000) }
                let load = PaymentLoad(
                    clients: 4, at: try scene.system.nginx(), key: scene.system.demoKey, debits: payers, credit: scene.id("shop"))
                try load.runUntil(more: 100)
                let broker = try scene.system.pid("broker")
                kill(broker, SIGSTOP)
                _ = usleep(400_000)
                kill(broker, SIGKILL)
                try load.runUntil(more: 50, seconds: 60)
                load.stop()
                try scene.system.waitUntilHealthy(seconds: 60)
                var missing: Set<String> = []
                _ = try eventually(seconds: 15, everyMilliseconds: 200) {
                    missing = try load.missing(scene.system)
                    return missing.isEmpty
                }
                #expect(!missing.isEmpty, "nothing was lost, or nobody noticed")
            }
        }

        // MARK: Steps

        /// A scene in a system of its own, with an open world and shop.
        private func withSystem(without guards: [String], _ body: (Scene) throws -> Void) throws {
            let names = ["SLUICE_SAFETY_OFF", "SLUICE_FAIL_FOLDER"]
            let before = names.map { ProcessInfo.processInfo.environment[$0] }
            _ = unsafe setenv(names[0], guards.joined(separator: ","), 1)
            defer {
                for (name, value) in zip(names, before) {
                    if let value { _ = unsafe setenv(name, value, 1) } else { _ = unsafe unsetenv(name) }
                }
            }
            let system = try SystemUnderTest()
            defer { system.stop() }
            try SystemUnderTest.$current.withValue(system) {
                let scene = try Scene()
                try scene.world()
                try scene.open("shop")
                try body(scene)
            }
        }

        /// The ledger's own keys are guards as well.
        private func dropKeys(_ system: SystemUnderTest) throws {
            _ = try LedgerTables(system: system).rows(
                "ALTER TABLE sluice.payment DROP CONSTRAINT payment_pkey; ALTER TABLE sluice.operation DROP CONSTRAINT operation_pkey",
                asSuperuser: true)
        }

        private func payAndRead(_ scene: Scene) throws -> LogReader.Record {
            let id = try #require(try scene.client.pay(5, from: scene.id("world"), to: scene.id("shop")).json.id.string)
            return try #require(try LogReader(scene.system).records().first { $0.headers["id"] == id })
        }

        /// A hold, its expiry and a freeze: their ids.
        private func live(_ scene: Scene) throws -> [String: String] {
            let soon = ISO8601DateFormatter().string(from: Date().addingTimeInterval(3))
            let held = try scene.client.hold(10, from: scene.id("world"), to: scene.id("shop"), more: ",\"capture_before\":\"\(soon)\"")
            let id = try #require(held.json.id.string, "\(held)")
            let isExpired = try eventually(seconds: 20) { try scene.client.get("/v1/payments/\(id)").json.status.string == "expired" }
            #expect(isExpired)
            let frozen = try scene.client.change(account: scene.id("shop"), "freeze", "{\"side\":\"both\"}")
            #expect(frozen.status == 201, "\(frozen)")
            let records = try LogReader(scene.system).records()
            let expiry = try #require(records.last { $0.value.contains("\"expire\"") && $0.value.contains(id) }?.headers["id"])
            let freeze = try #require(
                records.last { $0.value.contains("\"freeze\"") && $0.value.contains(scene.id("shop")) }?.headers["id"])
            return ["hold": id, "expiry": expiry, "freeze": freeze]
        }

        /// The next owner is handed the last records again.
        private func restartWorker(_ scene: Scene) throws {
            try scene.system.kill9("worker-1")
            try scene.open("after")
            try scene.system.waitUntilHealthy()
        }

        private func expectRed(
            _ system: SystemUnderTest, naming id: String, _ what: String = "", sourceLocation: SourceLocation = #_sourceLocation
        ) throws {
            let audit = try system.sluice(["audit"])
            #expect(audit.code == 1, "\(what) \(audit.output)\(audit.errors)", sourceLocation: sourceLocation)
            #expect(audit.output.contains(id), "\(what) \(id) is not named: \(audit.output)", sourceLocation: sourceLocation)
        }
    }
}
