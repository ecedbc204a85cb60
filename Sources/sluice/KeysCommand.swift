import ArgumentParser
import Foundation
import Operate
import Postgres
import Store

/// `sluice keys`: who may use the API.
struct KeysCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "keys", abstract: "Manage tenants and API keys.",
        discussion: "Only digests of keys are stored: a key is shown once, by the command that creates it.",
        subcommands: [CreateTenant.self, ListTenants.self, Create.self, List.self, Revoke.self, Bootstrap.self])
}

/// `--database`, and a connection to it.
private struct PrimaryOption: ParsableArguments {
    @OptionGroup var database: DatabaseOptions

    func connected<Result>(_ body: (PostgresConnection) throws(OperateError) -> Result) throws -> Result {
        try database.connected(as: "sluice-keys", body)
    }
}

extension KeysCommand {
    struct CreateTenant: ParsableCommand {
        static let configuration = CommandConfiguration(commandName: "create-tenant", abstract: "Create a tenant.")

        @OptionGroup private var primary: PrimaryOption
        @Argument(help: "1 to 63 of a-z 0-9 _ -, beginning with a letter or a digit.") var name: String
        @Option(help: "Partition of payments.commands for its commands. (default: the one with the fewest tenants)")
        var partition: Int32?

        func run() throws {
            let tenant = try primary.connected { connection throws(OperateError) in
                try Tenants(connection).create(name, partition: partition)
            }
            say("tenant \(tenant.name): number \(tenant.number), partition \(tenant.partition)")
        }
    }

    struct ListTenants: ParsableCommand {
        static let configuration = CommandConfiguration(commandName: "tenants", abstract: "List the tenants.")

        @OptionGroup private var primary: PrimaryOption

        func run() throws {
            let tenants = try primary.connected { connection throws(OperateError) in try Tenants(connection).all() }
            var table = TextTable(["NUMBER", "NAME", "PARTITION", "KEYS", "CREATED"])
            for tenant in tenants {
                table.add([
                    "\(tenant.number)", tenant.name, "\(tenant.partition)", "\(tenant.validKeys)", time(tenant.createdAtMicroseconds),
                ])
            }
            say(table.text)
        }
    }

    struct Create: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "create", abstract: "Create a key and print it, once.",
            discussion: "The key goes to standard output and nothing else does: sluice keys create --tenant NAME > FILE.")

        @OptionGroup private var primary: PrimaryOption
        @Option(help: "Whose key.") var tenant: String
        @Option(help: "What it is for, for people; at most 100 characters.") var label = ""

        @Option(help: ArgumentHelp("What it permits.", valueName: "read,pay,admin")) var scopes = "read,pay,admin"
        @Option(help: ArgumentHelp("Valid for so long only. (default: until it is revoked)", valueName: "days")) var days: Int64?

        func validate() throws {
            if KeyScopes(names: scopes) == nil { throw ValidationError("--scopes \(scopes): use some of read,pay,admin") }
            if let days, !(1...36_500).contains(days) { throw ValidationError("--days: use 1 to 36500") }
        }

        func run() throws {
            say(
                try primary.connected { connection throws(OperateError) in
                    try Keys(connection).create(
                        tenant: tenant, label: label, scopes: KeyScopes(names: scopes) ?? .all, validForSeconds: days.map { $0 * 86_400 })
                })
        }
    }

    struct List: ParsableCommand {
        static let configuration = CommandConfiguration(commandName: "list", abstract: "List the keys by their public ids.")

        @OptionGroup private var primary: PrimaryOption

        func run() throws {
            let keys = try primary.connected { connection throws(OperateError) in try Keys(connection).all() }
            var table = TextTable(["PUBLIC ID", "TENANT", "SCOPES", "CREATED", "EXPIRES", "REVOKED", "LABEL"])
            for key in keys {
                table.add([
                    key.publicID, key.tenant, key.scopes.description, time(key.createdAtMicroseconds),
                    key.expiresAtMicroseconds.map(time) ?? "-", key.revokedAtMicroseconds.map(time) ?? "-", key.label,
                ])
            }
            say(table.text)
        }
    }

    struct Revoke: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "revoke", abstract: "Revoke a key.", discussion: "Gateways refuse it once they have read the keys again.")

        @OptionGroup private var primary: PrimaryOption
        @Argument(help: ArgumentHelp("The key's public id: the 16 digits after sk_.", valueName: "public-id")) var publicID: String

        func run() throws {
            let isNew = try primary.connected { connection throws(OperateError) in try Keys(connection).revoke(publicID) }
            say(isNew ? "revoked" : "was revoked before")
        }
    }

    struct Bootstrap: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "bootstrap", abstract: "See to it that a tenant and a file with a valid key of it exist.",
            discussion: "Does nothing when the file's key is valid.")

        @OptionGroup private var primary: PrimaryOption
        @Option(help: "Created when it does not exist.") var tenant: String
        @Option(help: ArgumentHelp("Where the key is; made with mode 0600.", valueName: "path")) var out: String

        func run() throws {
            let result = try primary.connected { connection throws(OperateError) in
                try Keys(connection).bootstrap(tenant: tenant, path: out)
            }
            say(result == .created ? "tenant \(tenant): a new key is in \(out)" : "tenant \(tenant): the key in \(out) is valid")
        }
    }
}
