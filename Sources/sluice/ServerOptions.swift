import ArgumentParser
import Foundation
import Kafka
import Loop
import Postgres
import Redis
import Telemetry

/// `--kafka` and `--kafka-settings`, which every command that meets the log shares.
struct KafkaOptions: ParsableArguments {
    @Option(help: ArgumentHelp("Kafka brokers. [SLUICE_KAFKA]", valueName: "host:port,..."))
    var kafka: String?

    @Option(help: ArgumentHelp("Further librdkafka settings. [SLUICE_KAFKA_SETTINGS]", valueName: "name=value;..."))
    var kafkaSettings: String?

    /// - Parameter clientID: what brokers show for this process.
    func configuration(clientID: String) throws(SettingError) -> KafkaConfiguration {
        let brokers = try Settings.required("kafka", kafka, "the brokers as HOST:PORT, separated by commas")
        for broker in brokers.split(separator: ",", omittingEmptySubsequences: false) {
            let port = broker.lastIndex(of: ":").map { broker[broker.index(after: $0)...] }
            guard let port, UInt16(port) != nil, broker.count > port.count + 1 else {
                throw SettingError("kafka", "'\(broker)' is not allowed: use HOST:PORT, separated by commas")
            }
        }
        return KafkaConfiguration(bootstrapServers: brokers, clientID: clientID, extra: try extraSettings())
    }

    /// Values may hold `=`; they may be secrets, so a wrong text is not repeated.
    private func extraSettings() throws(SettingError) -> [(String, String)] {
        guard let list = Settings.text("kafka-settings", kafkaSettings) else { return [] }
        var settings: [(String, String)] = []
        for (index, part) in list.split(separator: ";").enumerated() {
            guard let equals = part.firstIndex(of: "="), equals > part.startIndex else {
                throw SettingError("kafka-settings", "part \(index + 1) is not allowed: use NAME=VALUE, separated by semicolons")
            }
            let name = part[..<equals].trimmingCharacters(in: .whitespaces)
            settings.append((name, String(part[part.index(after: equals)...])))
        }
        return settings
    }
}

/// `--database`: the primary, which every command that meets the ledger shares.
struct DatabaseOptions: ParsableArguments {
    @Option(help: ArgumentHelp("The primary. [SLUICE_DATABASE]", valueName: "libpq connection string"))
    var database: String?

    func configuration(applicationName: String) throws(SettingError) -> PostgresConfiguration {
        let text = try Settings.required("database", database, "the primary's libpq connection string")
        return try Self.configuration(text, "database", applicationName)
    }

    /// What libpq says about a wrong string may repeat parts of it, but for the password's value.
    static func configuration(_ text: String, _ name: SettingName, _ applicationName: String) throws(SettingError) -> PostgresConfiguration
    {
        var configuration = PostgresConfiguration(connectionString: text)
        configuration.applicationName = applicationName
        do {
            try configuration.validate()
        } catch {
            throw SettingError(name, "is no libpq connection string: \(error)")
        }
        return configuration
    }
}

/// `--replicas`: what reads are spread over.
struct ReplicaOptions: ParsableArguments {
    @Option(help: ArgumentHelp("Read replicas. [SLUICE_REPLICAS]", valueName: "libpq connection string;..."))
    var replicas: String?

    /// Empty when none is named.
    func configurations(applicationName: String) throws(SettingError) -> [PostgresConfiguration] {
        var result: [PostgresConfiguration] = []
        for part in (Settings.text("replicas", replicas) ?? "").split(separator: ";") {
            result.append(try DatabaseOptions.configuration(String(part), "replicas", applicationName))
        }
        return result
    }
}

/// `--redis`. Its password comes from `SLUICE_REDIS_PASSWORD` alone: everybody on a machine can read an argument list.
struct RedisOptions: ParsableArguments {
    @Option(help: ArgumentHelp("Redis; its password from SLUICE_REDIS_PASSWORD. [SLUICE_REDIS]", valueName: "address:port or unix:/path"))
    var redis: String?

    func configuration() throws(SettingError) -> RedisConfiguration {
        let name: SettingName = "redis"
        guard let endpoint = try Settings.address(name, redis) else {
            throw SettingError(name, "missing: give Redis's address as ADDRESS:PORT or unix:/path")
        }
        return RedisConfiguration(endpoint: endpoint, password: Settings.text("redis-password", nil))
    }
}

/// How commands end when they do not end with 0 or 1.
enum CommandExit {
    /// A setting is missing or wrong; nothing was done.
    static let wrongSetting = ExitCode(2)
}

/// `--admin`: where a role serves health, readiness and metrics.
struct AdminOptions: ParsableArguments {
    @Option(help: ArgumentHelp("Health, readiness and metrics. [SLUICE_ADMIN]", valueName: "address:port or unix:/path"))
    var admin: String?

    func address() throws(SettingError) -> SocketAddress {
        let name: SettingName = "admin"
        guard let address = try Settings.address(name, admin) else {
            throw SettingError(name, "missing: give the address of the admin listener, as 127.0.0.1:9000")
        }
        return address
    }
}

/// What every long-running role does first.
enum RoleProcess {
    /// Lines of the log carry the instance's name; `SLUICE_DEBUG=1` shows the finest of them.
    static func begin(_ name: String) {
        Log.configure(process: name, debug: Settings.text("debug", nil) == "1")
    }
}
