import Foundation
import Testing

/// Every test of the whole system, one after the other: they share one system, and some of them break it.
@Suite(.serialized, .sharedSystem)
struct WholeSystem {}

/// Starts the system before the first test of a suite and stops it after the last: then nothing of it may be left.
///
/// Should the test process die, the kernel tells `sluice up` to stop (`GuardedProcess`).
struct SharedSystemTrait: SuiteTrait, TestScoping {
    @concurrent
    func provideScope(
        for test: Test, testCase: Test.Case?, performing function: @concurrent @Sendable () async throws -> Void
    ) async throws {
        let system = try SystemUnderTest()
        do {
            try await SystemUnderTest.$current.withValue(system) { try await function() }
        } catch {
            Issue.record(error)
        }
        for problem in system.stop() { Issue.record("\(problem)") }
    }
}

extension Trait where Self == SharedSystemTrait {
    static var sharedSystem: Self { Self() }
}
