internal import CSystem
internal import Glibc
internal import Loop
internal import Telemetry

/// The embedded log: one node that speaks Kafka's protocol. See docs/broker.md.
public enum Broker {
    /// Recovers the data folder, serves until SIGTERM or SIGINT, flushes, and returns.
    ///
    /// Called on the main thread, before any other thread is started by the process (the signals are blocked here).
    public static func run(_ options: BrokerOptions) throws {
        Limits.check()
        try checkAddress(options)
        _ = sluice_descriptor_limit_raise()
        let loop = EventLoop()
        var stopSignal: ((CInt) -> Void)?
        let signals = SignalWatch(loop: loop, signals: [SIGTERM, SIGINT]) { stopSignal?($0) }
        let folder = try OpenFolder(options.dataFolder)
        let broker = BrokerLoop(loop: loop, options: options, folder: folder)
        broker.reserveProducerIds()
        let listener: Listener
        do {
            listener = try Listener(loop: loop, address: options.address) { broker.accept($0) }
        } catch {
            throw BrokerStartError(description: "cannot listen on \(error)")
        }
        announce(broker, listener.address)
        if let portFile = options.portFile { try writePort(listener.address, to: portFile) }
        stopSignal = { number in
            Log.info("stopping", .integer("signal", number))
            listener.isAccepting = false
            broker.stop()
        }
        withExtendedLifetime((signals, listener, LogSweep(loop: loop))) { loop.run() }
        broker.shutDown()
        Log.tellLeftOut(isEnding: true)
        Log.info("stopped")
    }

    private static func checkAddress(_ options: BrokerOptions) throws {
        guard case .tcp(let host, _) = options.address else {
            throw BrokerStartError(description: "--listen takes an address and a port, as 127.0.0.1:9092")
        }
        guard !host.hasPrefix("127."), host != "::1" else { return }
        guard options.allowsRemote else {
            throw BrokerStartError(
                description: "\(host) can be reached from other machines, and this broker has no authentication and no encryption; "
                    + "--allow-remote says that the network keeps strangers out")
        }
        if host == "0.0.0.0" || host == "::", options.advertised == nil {
            throw BrokerStartError(description: "with \(host), --advertise HOST:PORT says where clients find this broker")
        }
        Log.warning("listening beyond this machine without authentication or encryption", .text("address", options.address.description))
    }

    private static func announce(_ broker: BrokerLoop, _ address: SocketAddress) {
        if broker.options.advertised == nil, case .tcp(let host, let port) = address { broker.advertised = (host, port) }
        let promise: String =
            switch broker.options.flush {
            case .always: "acknowledged records survive kill -9 and power loss"
            case .interval(let milliseconds): "acknowledged records survive kill -9; a power loss may take the last \(milliseconds) ms"
            }
        Log.info(
            "serving", .text("address", address.description), .text("promise", promise),
            .text("limits", "one node, no replication, no transactions"))
    }

    /// Written under another name and renamed, so that a waiting supervisor never reads half of it.
    private static func writePort(_ address: SocketAddress, to path: String) throws {
        guard case .tcp(_, let port) = address else { return }
        let text = Array("\(port)\n".utf8)
        try Files.replace(path + ".new", with: text.span)
        try Files.rename(path + ".new", to: path)
    }
}
