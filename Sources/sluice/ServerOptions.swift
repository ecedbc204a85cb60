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
        let name: SettingName = "kafka-settings"
        let text = try Settings.text(
            name, kafkaSettings, allowed: "NAME=VALUE of librdkafka, separated by semicolons",
            shown: { list in
                Self.parts(list).map { $0.map { Self.isSecret($0.name) ? "\($0.name)=set" : "\($0.name)=\($0.value)" } ?? "?" }
                    .joined(separator: ";")
            })
        var settings: [(String, String)] = []
        for (index, part) in Self.parts(text ?? "").enumerated() {
            guard let part else {
                throw SettingError(name, "part \(index + 1) is not allowed: use NAME=VALUE, separated by semicolons")
            }
            guard kafkaSettings == nil || !Self.isSecret(part.name) else {
                throw SettingError(
                    name,
                    "\(part.name) is a secret, and everybody on this machine can read an argument list: use \(name.variable) "
                        + "or a file that \(name.variable)_FILE names")
            }
            settings.append(part)
        }
        return settings
    }

    /// Nil for a part without a name or a value.
    private static func parts(_ list: String) -> [(name: String, value: String)?] {
        list.split(whereSeparator: { $0 == ";" || $0.isNewline }).map { part in
            guard let equals = part.firstIndex(of: "="), equals > part.startIndex else { return nil }
            return (part[..<equals].trimmingCharacters(in: .whitespaces), String(part[part.index(after: equals)...]))
        }
    }

    /// Paths to keys are none; keys themselves and passwords are.
    private static func isSecret(_ name: String) -> Bool {
        !name.hasSuffix(".location") && ["password", "secret", "key.pem", "oauthbearer.config", "token"].contains { name.contains($0) }
    }
}

/// `--database`: the primary, which every command that meets the ledger shares.
struct DatabaseOptions: ParsableArguments {
    @Option(help: ArgumentHelp("The primary. [SLUICE_DATABASE]", valueName: "libpq connection string"))
    var database: String?

    func configuration(applicationName: String) throws(SettingError) -> PostgresConfiguration {
        let text = try Settings.required(
            "database", database, "the primary's libpq connection string", shown: PostgresConfiguration.withoutPassword)
        return try Self.configuration(text, "database", isFlag: database != nil, applicationName)
    }

    /// What libpq says about a wrong string is not shown: it repeats parts of it, and a password may be among them.
    static func configuration(
        _ text: String, _ name: SettingName, isFlag: Bool, _ applicationName: String
    ) throws(SettingError) -> PostgresConfiguration {
        var configuration = PostgresConfiguration(connectionString: text)
        configuration.applicationName = applicationName
        do {
            try configuration.validate()
        } catch {
            throw SettingError(name, "is no libpq connection string, as \"host=... dbname=... user=...\" or postgresql://user@host/dbname")
        }
        guard !isFlag || !configuration.hasPassword else {
            throw SettingError(
                name,
                "has a password, and everybody on this machine can read an argument list: use passfile=, \(name.variable), or a file that "
                    + "\(name.variable)_FILE names")
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
        let list = try Settings.text(
            "replicas", replicas, allowed: "libpq connection strings, separated by semicolons",
            shown: { $0.split(separator: ";").map { PostgresConfiguration.withoutPassword(String($0)) }.joined(separator: ";") })
        for part in (list ?? "").split(separator: ";") {
            result.append(try DatabaseOptions.configuration(String(part), "replicas", isFlag: replicas != nil, applicationName))
        }
        return result
    }
}

/// `--redis`. Its password comes from `SLUICE_REDIS_PASSWORD` or a file alone: everybody on a machine can read an argument list.
struct RedisOptions: ParsableArguments {
    @Option(help: ArgumentHelp("Redis; its password from SLUICE_REDIS_PASSWORD. [SLUICE_REDIS]", valueName: "address:port or unix:/path"))
    var redis: String?

    @Option(help: ArgumentHelp("Whom to connect to Redis as. [SLUICE_REDIS_USER]", valueName: "user"))
    var redisUser: String?

    func configuration() throws(SettingError) -> RedisConfiguration {
        let name: SettingName = "redis"
        guard let endpoint = try Settings.address(name, redis) else {
            throw SettingError(name, "missing: give Redis's address as ADDRESS:PORT or unix:/path")
        }
        let user = try Settings.text("redis-user", redisUser, allowed: "a user of Redis's access list; none for its default user")
        let password = try Settings.text(.redisPassword, nil, allowed: "text, from the environment or a file", isSecret: true)
        guard user == nil || password != nil else {
            throw SettingError("redis-user", "needs SLUICE_REDIS_PASSWORD or SLUICE_REDIS_PASSWORD_FILE")
        }
        return RedisConfiguration(endpoint: endpoint, username: user, password: password)
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
    static func begin(_ name: String) throws(SettingError) {
        let debug = try Settings.text(.debug, nil, allowed: "1 for the finest lines of the log", absent: "0")
        Log.configure(process: name, debug: debug == "1")
        if let guards = SafetyCatch.allOff {
            Log.warning("guards of the money are switched off: this process is for tests alone", .text("SLUICE_SAFETY_OFF", guards))
        }
    }
}
