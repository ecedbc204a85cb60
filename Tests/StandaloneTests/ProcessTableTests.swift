import Glibc
import Testing

@testable import Standalone

@Suite struct ProcessTableTests {
    @Test func `a command name with parentheses and spaces does not shift the fields`() throws {
        let fields = (3...52).map { $0 == 3 ? "S" : "\($0)" }.joined(separator: " ")
        let parsed = try #require(ProcessTable.parse(stat: "12 (a) b (c) \(fields)\n"))
        #expect(parsed.state == "S")
        #expect(parsed.startTicks == 22)
    }

    @Test(arguments: ["", "12 (x", "12 (x) S 1 2"]) func `a text that is no stat line is refused`(text: String) {
        #expect(ProcessTable.parse(stat: text) == nil)
    }

    @Test func `this process is alive, and another start time is another process`() throws {
        let own = try #require(ProcessTable.identity(getpid()))
        #expect(ProcessTable.isAlive(own))
        #expect(!ProcessTable.isAlive(ProcessIdentity(pid: own.pid, startTicks: own.startTicks + 1)))
        #expect(ProcessTable.identity(0) == nil)
    }

    @Test func `a wait status is read as the C macros read it`() {
        #expect(ExitStatus(wait: 0) == .code(0))
        #expect(ExitStatus(wait: 3 << 8) == .code(3))
        #expect(ExitStatus(wait: SIGKILL) == .signal(SIGKILL))
        // With a core dump.
        #expect(ExitStatus(wait: SIGSEGV | 0x80) == .signal(SIGSEGV))
    }
}
