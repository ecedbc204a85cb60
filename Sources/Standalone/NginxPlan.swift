import Glibc

/// nginx as the API gateway of one system.
struct NginxPlan: Sendable {
    let layout: Layout
    let ports: Ports
    let user: ServiceUser?
    /// The gateways that payments and other changes go to, and those that reads go to, by name.
    var payments = ApplicationPlans.gateways
    var inquiries = ApplicationPlans.gateways
    /// Sockets of each gateway, one per thread.
    let threads: Int
    let executable: String
    let workers: Int
    /// The hard limit on descriptors of this process, which nginx's workers cannot exceed.
    let descriptorsMax: UInt64

    /// Two descriptors for each proxied client; a bound for machines with a huge hard limit.
    static let descriptorsWanted: UInt64 = 65_536
    static let includes = ["http.conf", "log.conf", "maps.conf", "api.conf", "problems.conf", "proxy.conf"]

    func writeFiles() throws(StandaloneError) {
        // The included files are copied, so that a running system does not change with the sources.
        for name in NginxPlan.includes {
            let source = "\(layout.home)/nginx/\(name)"
            guard let text = SystemCall.readFile(source) else {
                throw .brokenSetup("\(source) is missing: it comes with Sluice; restore it or pass --home")
            }
            try SystemCall.writeFile("\(layout.nginx)/\(name)", text, mode: 0o644)
        }
        let template = try Template(file: layout.home + "/nginx/sluice.conf.template")
        try SystemCall.writeFile(layout.nginx + "/nginx.conf", try rendered(template), mode: 0o644)
        try SystemCall.makeFolder(layout.nginx + "/temp", mode: user == nil ? 0o700 : 0o711)
    }

    func rendered(_ template: Template) throws(StandaloneError) -> String {
        let descriptors = min(NginxPlan.descriptorsWanted, descriptorsMax)
        return try template.rendered([
            "DATA": layout.data,
            "LOGS": layout.logs,
            "RUN": layout.run,
            "PORT": "\(ports[.nginx])",
            "USER": user.map { "user \($0.name);" } ?? "",
            "WORKERS": "\(workers)",
            "DESCRIPTORS": "\(descriptors)",
            "CONNECTIONS": "\(descriptors / 2)",
            "PAYMENTS_SERVERS": servers(payments),
            "INQUIRIES_SERVERS": servers(inquiries),
            "LIVE_SERVERS": NginxPlan.admins.dropLast().map { "        server \(ports.address($0.port));" }.joined(separator: "\n"),
            "LIVE_SOURCES": "["
                + NginxPlan.admins.map { "{\"name\":\"\($0.name)\",\"path\":\"\($0.name)/metrics\"}" }.joined(separator: ",") + "]",
            "LIVE_METRICS": NginxPlan.admins.map(metricsLocation).joined(separator: "\n"),
        ])
    }

    /// Whose figures the live page shows; any but the last can serve the page itself.
    private static let admins: [(name: String, port: PortName)] = [
        ("gateway-a", .gatewayAAdmin), ("gateway-b", .gatewayBAdmin), ("worker-1", .workerAdmin),
    ]

    private func metricsLocation(_ name: String, _ port: PortName) -> String {
        """
                location = /live/\(name)/metrics {
                    access_log off;
                    proxy_pass http://\(ports.address(port))/metrics;
                }
        """
    }

    /// Alternating between the gateways, so that nginx's next choice after a dead one is the other's.
    private func servers(_ gateways: [String]) -> String {
        let sockets = (0..<threads).flatMap { thread in gateways.map { "\(layout.gatewaySocketPrefix($0)).\(thread)" } }
        return sockets.map { "        server unix:\($0) max_fails=0;" }.joined(separator: "\n")
    }

    func plan(stage: Int) -> ProcessPlan {
        ProcessPlan(
            name: "nginx", stage: stage, executable: executable,
            // Without -e the compiled-in log outside the data folder is opened first.
            arguments: ["-e", "stderr", "-p", layout.nginx, "-c", layout.nginx + "/nginx.conf"],
            environment: ["PATH": "/usr/sbin:/usr/bin:/bin", "LC_ALL": "C.UTF-8", "TZ": "UTC"], directory: "/",
            log: layout.log("nginx"), address: ports.address(.nginx),
            // A killed nginx leaves its socket, and does not remove one that stands there.
            before: [.remove(layout.nginxSocket)],
            readiness: .http(.unix(path: layout.nginxSocket), path: "/readyz"),
            // Graceful, then at once (nginx(8)).
            stop: [.init(signal: SIGQUIT, waitMilliseconds: 5_000), .init(signal: SIGTERM, waitMilliseconds: 3_000)])
    }
}
