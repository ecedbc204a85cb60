import Foundation
import Glibc
import Testing

extension WholeSystem {
    /// `payments.events` as a consumer reads it.
    @Suite struct Events {
        @Test func `every outcome has one event, and account commands show what they did`() throws {
            let scene = try Scene()
            try scene.world()
            let account = try scene.funded("account", 100)
            let shop = try scene.open("shop")
            #expect(try scene.client.change(account: account, "freeze", "{\"side\":\"debit\"}").status == 201)
            #expect(try scene.client.pay(1, from: account, to: shop).status == 402)
            #expect(try scene.client.change(account: account, "unfreeze", "{\"side\":\"debit\"}").status == 201)
            #expect(try scene.client.change(account: account, "close", "{}").status == 409)
            let held = try #require(try scene.client.hold(10, from: account, to: shop).json.id.string)
            #expect(try scene.client.change(payment: held, "capture", "{\"amount\":4}").status == 201)
            #expect(try scene.client.change(payment: held, "void", "{}").status == 201)
            #expect(try scene.client.change(payment: held, "refunds", "{\"amount\":3}").status == 201)
            #expect(try scene.client.change(payment: held, "refunds", "{\"amount\":3}").status == 409)
            let log = try EventLog.expectComplete(scene.system)
            let events = log.taken.filter { $0.text.contains(account) || $0.text.contains(held) }.map(\.json)
            #expect(
                events.compactMap(\.type.string) == [
                    "account.opened", "payment.settled", "account.frozen", "payment.declined", "account.unfrozen",
                    "account.change_declined", "payment.authorized", "payment.captured", "payment.voided", "payment.refunded",
                    "payment.refund_declined",
                ])
            #expect(events[2].account_revision.int == 3 && events[5].decline_reason.string == "balance_not_zero")
            #expect(events[7].entries.list.compactMap(\.amount.int) == [-4, 4])
            #expect(events[9].entries.list.compactMap(\.account.string) == [shop, account])
            #expect(try log.gaps(of: [scene.id("world"), account, shop], LedgerTables(system: scene.system)) == [])
        }

        @Test func `a broker and then the worker killed leave out no event and reorder none`() throws {
            let scene = try LoadedScene(clients: 2)
            try scene.load.runUntil(more: 40)
            try scene.system.kill9("broker")
            usleep(20_000)
            try scene.system.kill9("worker-1")
            try scene.load.runUntil(more: 40, seconds: 60)
            try scene.load.finish(scene.system)
            let log = try EventLog.expectComplete(scene.system)
            #expect(try log.gaps(of: [scene.load.credit, scene.scene.id("world")], LedgerTables(system: scene.system)) == [])
            try scene.system.waitUntilHealthy()
        }
    }
}
