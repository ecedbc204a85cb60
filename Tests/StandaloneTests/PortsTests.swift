import Foundation
import Testing

@testable import Standalone

@Suite struct PortsTests {
    @Test func `no two parts share a port, and all lie within the span`() {
        let offsets = PortName.allCases.map(\.offset)
        #expect(Set(offsets).count == offsets.count)
        #expect(offsets.allSatisfy { (0..<StandaloneOptions.portSpan).contains($0) })
    }

    @Test func `a port base wins over what is remembered`() throws {
        let ports = try Ports.choose(base: 9000, remembered: Ports(base: 7000), seed: 0) { _ in false }
        #expect(ports[.nginx] == 9000)
    }

    @Test(arguments: [nil, 0]) func `without a base the remembered ports are kept`(base: Int?) throws {
        let ports = try Ports.choose(base: base, remembered: Ports(base: 7000), seed: 0) { _ in false }
        #expect(ports == Ports(base: 7000))
    }

    @Test func `the first start without a base uses the default`() throws {
        #expect(try Ports.choose(base: nil, remembered: nil, seed: 0) { _ in false } == Ports(base: 8080))
    }

    @Test func `free ports are distinct, free, and outside of the kernel's range for outgoing connections`() throws {
        var asked = 0
        let ports = try Ports.choose(base: 0, remembered: nil, seed: Ports.freeRange.count - 3) { port in
            asked += 1
            return port % 2 == 0
        }
        let numbers = PortName.allCases.map { ports[$0] }
        #expect(Set(numbers).count == PortName.allCases.count)
        #expect(numbers.allSatisfy { $0 % 2 == 0 && Ports.freeRange.contains($0) })
        #expect(asked < 40)
    }

    @Test func `when no port is free the search ends with an error`() {
        #expect(throws: StandaloneError.self) { try Ports.choose(base: 0, remembered: nil, seed: 5) { _ in false } }
    }

    @Test func `ports survive the way to the file and back`() throws {
        let written = JSONText.encode(Ports(base: 4000))
        #expect(try JSONDecoder().decode(Ports.self, from: Data(written.utf8)) == Ports(base: 4000))
        #expect(throws: (any Error).self) { try JSONDecoder().decode(Ports.self, from: Data(#"{"nginx":1}"#.utf8)) }
    }

    @Test func `a taken port is named with its holder and what to do`() throws {
        let listener = try ListeningSocket(tcpPort: 0)
        #expect(!Ports.isFree(listener.port))
        let ports = Ports(base: listener.port)
        let error = #expect(throws: StandaloneError.self) { try ports.requireFree([.nginx]) }
        let text = "\(error!)"
        #expect(text.hasPrefix("port \(listener.port), needed for nginx, is taken by "))
        #expect(text.contains("(pid \(ProcessInfo.processInfo.processIdentifier))"))
        #expect(text.contains("--port-base"))
        listener.close()
        #expect(eventually { Ports.isFree(listener.port) }, "a child of another test may hold it until its exec")
    }
}
