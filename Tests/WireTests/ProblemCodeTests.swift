import Glibc
import Ledger
import Testing
import Wire

@Suite struct ProblemCodeTests {
    @Test func `every code has a text of its own, and an error status`() {
        #expect(Set(ProblemCode.allCases.map { "\($0.entry.code)" }).count == ProblemCode.allCases.count)
        for code in ProblemCode.allCases {
            #expect((400...599).contains(code.status))
            #expect("\(code.entry.code)".allSatisfy { $0.isLowercase || $0 == "_" })
            #expect(!"\(code.entry.title)".contains { $0 == "\"" || $0 == "\\" }, "titles are written without escaping")
        }
    }

    @Test(arguments: DeclineReason.allCases)
    func `a decline is told under its own code and is final`(reason: DeclineReason) {
        let code = ProblemCode(reason)
        #expect("\(code.entry.code)" == "\(reason.code)")
        #expect(!code.retryable)
        switch reason {
        case .accountExists, .alreadyClosed, .balanceNotZero, .fundsHeld, .overdraftInUse, .externalAccount, .paymentNotAuthorized,
            .captureExceedsHold, .refundExceedsCaptured, .tooManyChanges:
            #expect(code.status == 409)
        case .paymentNotFound: #expect(code.status == 404)
        case .idempotencyKeyReused: #expect(code.status == 422)
        default: #expect(code.status == 402)
        }
    }

    @Test func `what may be repeated is a matter of time, never of the request`() {
        let retryable = ProblemCode.allCases.filter(\.retryable).map { "\($0.entry.code)" }
        #expect(
            retryable == [
                "payment_not_visible_yet", "request_timeout", "conflict", "revision_not_reached", "too_many_requests", "internal",
                "not_accepted",
                "service_unavailable", "outcome_unknown",
            ])
    }

    @Test func `the documentation has the same table`() {
        let rows = ProblemCode.allCases.map { "| \($0.status) | `\($0.entry.code)` | \($0.retryable ? "yes" : "no") |" }
        let documented = Self.documentation().split(separator: "\n").filter { $0.hasPrefix("| 4") || $0.hasPrefix("| 5") }
        #expect(documented.map { line in "|" + line.split(separator: "|").prefix(3).joined(separator: "|") + "|" } == rows)
        let text = Self.documentation()
        for code in ValidationProblem.Code.allCases { #expect(text.contains("| `\(code.text)` |")) }
    }

    private static func documentation() -> String {
        let root = #filePath.split(separator: "/", omittingEmptySubsequences: false).dropLast(3).joined(separator: "/")
        guard let file = unsafe fopen("\(root)/docs/api-errors.md", "r") else {
            Issue.record("docs/api-errors.md is not there")
            return ""
        }
        defer { unsafe fclose(file) }
        var bytes = [UInt8](repeating: 0, count: 64 * 1024)
        let count = unsafe fread(&bytes, 1, bytes.count, file)
        return String(decoding: bytes[..<count], as: UTF8.self)
    }
}
