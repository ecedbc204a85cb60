import Foundation
import Ledger
import Postgres
import Store
import Testing

@testable import Operate

@Suite struct KeysTests {
    /// A migrated database with partitions.
    private func migrated(partitions: Int32 = 2) throws -> TestDatabase {
        let database = try TestDatabase()
        _ = try SchemaMigrator(connection: database.connection).run()
        _ = try OffsetRows.insert(partitions: partitions, on: database.connection)
        return database
    }

    private func credentials(_ database: TestDatabase) throws -> [Credential] {
        CredentialQueries.credentials(try database.connection.query(CredentialQueries.all.statement.sql))
    }

    @Test func `a tenant gets the partition with the fewest tenants`() throws {
        let database = try migrated(partitions: 3)
        let tenants = Tenants(database.connection)
        #expect(try tenants.create("a").partition == 0)
        #expect(try tenants.create("b", partition: 2).partition == 2)
        #expect(try tenants.create("c").partition == 1)
        #expect(try tenants.create("d").partition == 0)
        #expect(try tenants.all().map(\.name) == ["a", "b", "c", "d"])
    }

    @Test func `a tenant that cannot be is refused with the reason`() throws {
        let database = try migrated()
        let tenants = Tenants(database.connection)
        _ = try tenants.create("shop")
        #expect { try tenants.create("shop") } throws: { "\($0)" == "there is a tenant `shop` already" }
        #expect { try tenants.create("other", partition: 2) } throws: { "\($0)" == "the topic has no partition 2" }
        for name in ["", "Shop", "-shop", "_shop", "a b", "é", String(repeating: "a", count: 64)] {
            #expect { try tenants.create(name) } throws: { "\($0)".contains("is no tenant's name") }
        }
        #expect(try tenants.all().map(\.name) == ["shop"])
        let empty = try TestDatabase()
        _ = try SchemaMigrator(connection: empty.connection).run()
        #expect { try Tenants(empty.connection).create("shop") } throws: { "\($0)".contains("run `sluice migrate` first") }
    }

    @Test func `a gateway finds a key by its public id and only its digest is stored`() throws {
        let database = try migrated()
        let tenant = try Tenants(database.connection).create("shop")
        let keys = Keys(database.connection)
        let text = try keys.create(tenant: "shop", label: "till")
        let found = try credentials(database)
        #expect(found.map(\.publicID) == [String(text.dropFirst(3).prefix(16))])
        #expect(found[0].tenant == TenantID(tenant.number) && found[0].partition == tenant.partition)
        #expect(try keys.standing(of: text) == .valid(tenant: "shop"))
        // The same public id with another secret.
        #expect(try keys.standing(of: String(text.dropLast(2)) + "AA") == .worthless)
        let secret = String(text.suffix(43))
        #expect(try database.integer("SELECT count(*) FROM sluice.api_key k WHERE k::text LIKE '%\(secret)%'") == 0)
        #expect { try keys.create(tenant: "nobody") } throws: { "\($0)".contains("there is no tenant `nobody`") }
    }

    @Test func `a revoked key is worth nothing`() throws {
        let database = try migrated()
        _ = try Tenants(database.connection).create("shop")
        let keys = Keys(database.connection)
        let text = try keys.create(tenant: "shop")
        let publicID = String(text.dropFirst(3).prefix(16))
        #expect(try keys.revoke(publicID))
        #expect(try !keys.revoke(publicID))
        #expect(try keys.standing(of: text) == .worthless)
        #expect(try credentials(database).isEmpty)
        #expect(try keys.all().map(\.publicID) == [publicID])
        #expect { try keys.revoke("0000000000000000") } throws: { "\($0)".contains("there is no key") }
    }

    @Test func `a key has the scopes and the time that it was given`() throws {
        let database = try migrated()
        _ = try Tenants(database.connection).create("shop")
        let keys = Keys(database.connection)
        _ = try keys.create(tenant: "shop")
        let reader = try keys.create(tenant: "shop", scopes: .read, validForSeconds: 3_600)
        let found = try credentials(database)
        #expect(Set(found.map(\.scopes.description)) == ["read,pay,admin", "read"])
        let listed = try keys.all().first { reader.contains($0.publicID) }
        let validFor = listed.flatMap { key in key.expiresAtMicroseconds.map { $0 - key.createdAtMicroseconds } }
        #expect(listed?.scopes == .read && validFor == 3_600_000_000)
        // An hour later, as far as the table knows.
        _ = try database.connection.query(
            "UPDATE sluice.api_key SET created_at = created_at - interval '2 hours', expires_at = expires_at - interval '2 hours'")
        #expect(try credentials(database).map(\.scopes) == [.all])
        #expect(try keys.standing(of: reader) == .worthless)
        #expect { try keys.create(tenant: "shop", scopes: []) } throws: { "\($0)".contains("permits nothing") }
        #expect { try keys.create(tenant: "shop", validForSeconds: 0) } throws: { "\($0)".contains("a second at least") }
        #expect(KeyScopes(names: "pay,read") == [.read, .pay] && KeyScopes(names: "pay,") == nil && KeyScopes(names: "root") == nil)
    }

    @Test func `bootstrap makes a key once and again when it is worth nothing`() throws {
        let database = try migrated()
        let folder = FileManager.default.temporaryDirectory.appending(path: "sluice-keys-\(UUID())")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let path = folder.path + "/demo.key"
        let keys = Keys(database.connection)
        #expect(try keys.bootstrap(tenant: "demo", path: path) == .created)
        let first = try String(contentsOfFile: path, encoding: .utf8)
        let mode = try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int
        #expect(mode == 0o600)
        #expect(first.count == 64 && first.hasSuffix("\n"))
        #expect(try keys.standing(of: String(first.dropLast())) == .valid(tenant: "demo"))

        #expect(try keys.bootstrap(tenant: "demo", path: path) == .kept)
        #expect(try String(contentsOfFile: path, encoding: .utf8) == first)

        _ = try keys.revoke(String(first.dropFirst(3).prefix(16)))
        #expect(try keys.bootstrap(tenant: "demo", path: path) == .created)
        #expect(try String(contentsOfFile: path, encoding: .utf8) != first)

        try "rubbish\n".write(toFile: path, atomically: true, encoding: .utf8)
        #expect(try keys.bootstrap(tenant: "demo", path: path) == .created)
        #expect { try keys.bootstrap(tenant: "other", path: path) } throws: { "\($0)".contains("holds a valid key of the tenant `demo`") }
        #expect { try keys.bootstrap(tenant: "demo", path: "/nonexistent/demo.key") } throws: { "\($0)".contains("/nonexistent/demo.key") }
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path) == ["demo.key"])
        #expect(try database.integer("SELECT count(*) FROM sluice.tenant") == 1)
    }
}
