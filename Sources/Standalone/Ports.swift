import CSystem
import Foundation
import Glibc
import Loop

/// The TCP ports of one system, all on the loopback address.
enum PortName: String, CaseIterable, Sendable, Codable {
    case nginx
    case gatewayA = "gateway-a"
    case gatewayB = "gateway-b"
    case gatewayAAdmin = "gateway-a-admin"
    case gatewayBAdmin = "gateway-b-admin"
    case workerAdmin = "worker-1-admin"
    case postgresPrimary = "postgres-primary"
    case postgresStandby = "postgres-standby"
    case postgresReplica = "postgres-replica"
    case broker

    /// Distance from the port base, below `StandaloneOptions.portSpan`; gaps leave room for more of a kind.
    var offset: Int {
        switch self {
        case .nginx: 0
        case .gatewayA: 1
        case .gatewayB: 2
        case .gatewayAAdmin: 11
        case .gatewayBAdmin: 12
        case .workerAdmin: 21
        case .postgresPrimary: 31
        case .postgresStandby: 32
        case .postgresReplica: 33
        case .broker: 41
        }
    }
}

/// Which port each part listens on.
struct Ports: Sendable, Equatable {
    private var numbers: [PortName: Int]

    /// The base used when neither the option nor the data folder says one.
    static let defaultBase = 8080
    /// Free ports are looked for below the kernel's default range for outgoing connections (32768 up),
    /// or a client's connection could take the port of a part that is just being restarted.
    static let freeRange = 20_000..<32_000

    init(base: Int) {
        numbers = Dictionary(uniqueKeysWithValues: PortName.allCases.map { ($0, base + $0.offset) })
    }

    init(numbers: [PortName: Int]) {
        precondition(numbers.count == PortName.allCases.count, "every port has a number")
        self.numbers = numbers
    }

    subscript(_ name: PortName) -> Int { numbers[name]! }
    func address(_ name: PortName) -> String { "127.0.0.1:\(self[name])" }

    /// The ports asked for, or those remembered, or free ones; not checked yet.
    /// - Parameters:
    ///   - remembered: what the data folder's last start used.
    ///   - isFree: asked only for new free ports.
    static func choose(
        base: Int?, remembered: Ports?, seed: Int, isFree: (Int) -> Bool
    ) throws(StandaloneError) -> Ports {
        if let base, base != 0 { return Ports(base: base) }
        if let remembered { return remembered }
        guard base == 0 else { return Ports(base: defaultBase) }
        var candidates = (0..<freeRange.count).lazy.map { freeRange.lowerBound + (seed + $0) % freeRange.count }.makeIterator()
        var numbers: [PortName: Int] = [:]
        for name in PortName.allCases {
            while let port = candidates.next() {
                guard isFree(port) else { continue }
                numbers[name] = port
                break
            }
            guard numbers[name] != nil else {
                throw .brokenSetup("no free port left in \(freeRange.lowerBound) to \(freeRange.upperBound - 1): pass --port-base")
            }
        }
        return Ports(numbers: numbers)
    }

    /// Whether nobody listens on a loopback port now.
    static func isFree(_ port: Int) -> Bool {
        let descriptor = unsafe sluice_socket_listen_tcp("127.0.0.1", UInt16(port), 1, false)
        guard descriptor >= 0 else { return false }
        close(descriptor)
        return true
    }

    /// Names the first port that is taken, by whom where that can be seen, and what to do.
    func requireFree(_ names: [PortName]) throws(StandaloneError) {
        for name in names where !Ports.isFree(self[name]) {
            let address = SocketAddress.tcp(address: "127.0.0.1", port: UInt16(self[name]))
            let holder = Holder.ofSocket(address) ?? "another process (another user's, or it cannot be seen from here)"
            throw .brokenSetup(
                "port \(self[name]), needed for \(name.rawValue), is taken by \(holder): stop that process, "
                    + "or choose other ports with --port-base N (0 picks free ones)")
        }
    }
}

extension Ports: Codable {
    /// One object, name to number, so that the file is readable and survives new names.
    func encode(to encoder: any Encoder) throws {
        try Dictionary(uniqueKeysWithValues: numbers.map { ($0.rawValue, $1) }).encode(to: encoder)
    }

    init(from decoder: any Decoder) throws {
        let written = try [String: Int](from: decoder)
        var numbers: [PortName: Int] = [:]
        for name in PortName.allCases {
            guard let port = written[name.rawValue], (1...65_535).contains(port) else {
                throw DecodingError.dataCorrupted(.init(codingPath: [], debugDescription: "no port for \(name.rawValue)"))
            }
            numbers[name] = port
        }
        self.init(numbers: numbers)
    }
}
