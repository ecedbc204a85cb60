import Foundation
import Testing

extension WholeSystem {
    /// `sluice bench --audit`: its last word is on the money.
    @Suite struct BenchAudits {
        /// A hundred payments within a second, over four connections to these ports.
        private func bench(_ ports: [UInt16]) throws -> ProgramResult {
            let accounts = "audited-\(UUID().uuidString.prefix(8).lowercased()):1..4"
            return try SystemUnderTest.shared.sluice(
                [
                    "bench", "--audit", "--prepare", "--quiet", "--url", ports.map { "http://127.0.0.1:\($0)" }.joined(separator: ","),
                    "--accounts", accounts, "--mix", "0:1", "--rate", "100", "--seconds", "1", "--connections", "4",
                ], seconds: 180)
        }

        private func gatewayPort() throws -> UInt16 {
            guard case .tcp(let port) = try SystemUnderTest.shared.gateway("gateway-a") else { preconditionFailure("it listens on TCP") }
            return port
        }

        @Test func `a run after which every accepted payment has its outcome exits with 0`() throws {
            let result = try bench([try gatewayPort()])
            #expect(result.code == 0, "\(result)")
            #expect(result.output.contains("audit      clean: 100 accepted payments have one outcome each"), "\(result.output)")
        }

        /// With refusals the run would exit with 1: money goes before it.
        @Test(arguments: [0, 3]) func `payments that were accepted and have no outcome are exit 2, whatever else came of the run`(
            refusedEvery: Int
        ) throws {
            let lying = try LyingGateway(refusedEvery: refusedEvery)
            defer { lying.stop() }
            let result = try bench([try gatewayPort(), lying.port])
            let seen = lying.seen
            #expect(seen.accepted > 10 && (seen.refused > 0) == (refusedEvery > 0), "\(seen)")
            #expect(result.code == 2, "\(result)")
            // All those that it acknowledged, and none of the real gateway's.
            let sentence = "\(seen.accepted) of \(100 - seen.refused) accepted payments have no outcome"
            #expect(result.output.contains(sentence), "\(sentence): \(result.output)")
            #expect(result.output.contains("audit      WRONG") && result.output.contains("was accepted and has no outcome"))
            // Nobody else can know of them.
            try expectLedgerIsSound(SystemUnderTest.shared)
        }
    }
}
