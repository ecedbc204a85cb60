import Testing

@testable import Standalone

@Suite struct StatusTests {
    private func process(_ name: String, _ state: String, pid: Int32? = 7) -> ProcessStatus {
        ProcessStatus(name: name, pid: pid, address: "127.0.0.1:1", admin: nil, state: state, restarts: 0)
    }

    @Test func `the exit code tells healthy, unhealthy and absent apart`() {
        #expect(SystemStatus(phase: "running", processes: [process("a", "healthy")]).exitCode == 0)
        #expect(SystemStatus(phase: "running", processes: [process("a", "healthy"), process("b", "backing-off", pid: nil)]).exitCode == 3)
        #expect(SystemStatus(phase: "not running", processes: []).exitCode == 1)
    }

    @Test func `the JSON always has every member`() {
        let json = SystemStatus(phase: "running", processes: [process("a", "backing-off", pid: nil)]).json
        let expected = """
            [
              {
                "address" : "127.0.0.1:1",
                "admin" : null,
                "name" : "a",
                "pid" : null,
                "restarts" : 0,
                "state" : "backing-off"
              }
            ]

            """
        #expect(json == expected)
        #expect(SystemStatus(phase: "", processes: []).json.filter { !$0.isWhitespace } == "[]")
    }

    @Test func `the table lines its columns up`() {
        let table = SystemStatus(phase: "running", processes: [process("gateway-a", "healthy", pid: 12)]).table
        let expected = """
            NAME       PID  STATE    RESTARTS  ADDRESS
            gateway-a  12   healthy  0         127.0.0.1:1
            """
        #expect(table == expected)
    }

    @Test func `a folder without a state is not running`() throws {
        try withTemporaryFolder { folder in
            #expect(Standalone.status(dataFolder: folder) == SystemStatus(phase: "not running", processes: []))
            let stopped = try Standalone.down(dataFolder: folder) { _ in }
            #expect(!stopped)
        }
    }
}
