import Bytes
import Testing

@testable import Redis

private func text(_ command: borrowing CommandBuffer) -> String {
    var bytes: [UInt8] = []
    bytes.append(command.encoded)
    return String(decoding: bytes, as: UTF8.self)
}

@Suite struct CommandBufferTests {
    @Test func `a command is an array of bulk strings with their lengths in bytes`() {
        var command = CommandBuffer()
        command.begin(argumentCount: 5)
        command.append("SET")
        command.append("account:", Array("é1".utf8).span)
        command.append(Array("a\r\nb\0".utf8).span)
        command.append("PX")
        command.append(decimal: UInt64(30_000))
        let isComplete = command.isComplete
        #expect(isComplete)
        #expect(text(command) == "*5\r\n$3\r\nSET\r\n$11\r\naccount:é1\r\n$5\r\na\r\nb\0\r\n$2\r\nPX\r\n$5\r\n30000\r\n")
    }

    @Test(
        arguments: [
            (0, "0"), (9, "9"), (10, "10"), (-1, "-1"), (-10, "-10"), (99, "99"), (100, "100"), (.max, "9223372036854775807"),
            (.min, "-9223372036854775808"),
        ] as [(Int64, String)])
    func `a decimal has the length of its digits`(value: Int64, digits: String) {
        var command = CommandBuffer()
        command.begin(argumentCount: 1)
        command.append(decimal: value)
        #expect(text(command) == "*1\r\n$\(digits.count)\r\n\(digits)\r\n")
    }

    @Test func `an argument in parts and an empty one`() {
        var command = CommandBuffer()
        command.begin(argumentCount: 3)
        command.append(text: "")
        let isComplete = command.isComplete
        #expect(!isComplete)
        command.append(byteCount: 5) { bytes in
            bytes.append("v=")
            bytes.append(decimal: UInt64(123))
        }
        command.append("", [UInt8]().span)
        #expect(text(command) == "*3\r\n$0\r\n\r\n$5\r\nv=123\r\n$0\r\n\r\n")
    }

    @Test func `begin drops what was there`() {
        var command = CommandBuffer()
        let isComplete = command.isComplete
        #expect(!isComplete)
        command.begin(argumentCount: 2)
        command.append("GET")
        command.begin(argumentCount: 1)
        command.append("PING")
        #expect(text(command) == "*1\r\n$4\r\nPING\r\n")
    }

    @Test func `an argument too many, a wrong length and an unfinished command stop the process`() async {
        await #expect(processExitsWith: .failure) {
            var command = CommandBuffer()
            command.begin(argumentCount: 1)
            command.append("GET")
            command.append("key")
        }
        await #expect(processExitsWith: .failure) {
            var command = CommandBuffer()
            command.begin(argumentCount: 1)
            command.append(byteCount: 2) { bytes in bytes.append("abc") }
        }
    }
}
