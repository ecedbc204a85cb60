import Foundation

/// A part of the system that can be brought up by itself.
public enum Component: String, CaseIterable, Sendable {
    /// The PostgreSQL primary, its synchronous standby and its read replica.
    case postgres
    case redis
    case broker
    /// Migrations, gateways and the worker: needs postgres, redis and broker.
    case application
    case nginx
}

/// What `sluice up` is asked to do.
public struct StandaloneOptions: Sendable, Equatable {
    /// Where everything is kept; made when missing.
    public var dataFolder = ".sluice"
    /// The public port; the others follow it within `PortName.span`. 0: free ports, chosen once and
    /// remembered. nil: the ports remembered in the data folder, else those from 8080.
    public var portBase: Int?
    /// Event-loop threads of each gateway, 1 to 64; nil: half of the cores, at most 8.
    public var gatewayThreads: Int?
    /// What to bring up.
    public var components = Set(Component.allCases)
    /// The folder with `nginx/` and `infra/`; nil: looked for upwards from the
    /// executable, then from the current folder.
    public var home: String?
    /// The executable started as gateway, worker and migrate; nil: the running one.
    public var executable: String?

    public init() {}

    /// The longest stretch of ports used: the public port up to `portBase + span - 1`.
    static let portSpan = 100

    /// Refuses what cannot work, naming the option; called by `Standalone.up` before it touches anything.
    public func validate() throws(StandaloneError) {
        try StandaloneOptions.validate(path: dataFolder, option: "--data")
        if let portBase, portBase != 0, !(1024...(65_535 - StandaloneOptions.portSpan)).contains(portBase) {
            throw .invalidOption(
                "--port-base \(portBase) is out of range: use 0 for free ports, or 1024 to \(65_535 - StandaloneOptions.portSpan)")
        }
        if let gatewayThreads, !(1...64).contains(gatewayThreads) {
            throw .invalidOption("--threads \(gatewayThreads) is out of range: use 1 to 64")
        }
        if components.isEmpty {
            throw .invalidOption("--only needs at least one of: \(StandaloneOptions.names(Component.allCases))")
        }
        let needed: Set<Component> = [.postgres, .redis, .broker]
        if components.contains(.application), !components.isSuperset(of: needed) {
            throw .invalidOption("--only application also needs: \(StandaloneOptions.names(needed.subtracting(components)))")
        }
    }

    /// The path goes into configuration files of four programs, each with its own quoting, and into
    /// libpq connection strings: characters that any of them treats specially are refused.
    static func validate(path: String, option: String) throws(StandaloneError) {
        guard !path.isEmpty else { throw .invalidOption("\(option) is empty: name a folder") }
        let plain = Set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789/._-+@,=~".utf8)
        if let bad = path.utf8.first(where: { $0 < 0x80 && !plain.contains($0) }) {
            let shown = bad > 0x20 && bad < 0x7f ? "'\(Character(UnicodeScalar(bad)))'" : bad == 0x20 ? "a space" : "byte \(bad)"
            throw .invalidOption("\(option) \(path) holds \(shown), which configuration files cannot carry: choose another folder")
        }
    }

    /// `nil` when the text names no component; used for `--only`.
    public static func components(_ list: String) -> Set<Component>? {
        var found: Set<Component> = []
        for name in list.split(separator: ",", omittingEmptySubsequences: false) {
            guard let component = Component(rawValue: String(name)) else { return nil }
            found.insert(component)
        }
        return found
    }

    private static func names(_ components: some Sequence<Component>) -> String {
        components.map(\.rawValue).sorted().joined(separator: ",")
    }

    /// The threads of each gateway after the default is applied.
    var threads: Int { gatewayThreads ?? max(1, min(8, ProcessInfo.processInfo.activeProcessorCount / 2)) }

    /// `dataFolder` without a relative part; symbolic links stay, because users recognise them.
    var dataFolderAbsolute: String { URL(fileURLWithPath: dataFolder).standardizedFileURL.path }
}
