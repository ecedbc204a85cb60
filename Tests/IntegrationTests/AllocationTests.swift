import Foundation
import Glibc
import Testing

extension WholeSystem {
    /// After the first requests have warmed its buffers up, a gateway allocates nothing for a read in code of our own.
    @Suite struct Allocations {
        private struct Thread {
            let client: APIClient
            let scene: Scene

            /// Bytes that all of the gateway's threads have allocated.
            func allocated() throws -> Int {
                let page = try APIClient(scene.system.admin("gateway-a"), key: nil).get("/metrics").text
                let lines = page.split(separator: "\n").filter { $0.hasPrefix("sluice_gateway_allocated_bytes_total{") }
                return lines.compactMap { $0.split(separator: " ").last.flatMap { Int($0) } }.reduce(0, +)
            }

            /// Bytes for each request, what the loop allocates without any taken off.
            func bytesPerRequest(_ target: String, status: Int, count: Int = 3_000) throws -> Double {
                for _ in 0..<200 { #expect(try client.get(target).status == status) }
                // The count is published four times a second.
                usleep(600_000)
                let idleStart = (bytes: try allocated(), at: Moment.now)
                usleep(1_500_000)
                let idle = Double(try allocated() - idleStart.bytes) / idleStart.at.secondsAgo
                let start = (bytes: try allocated(), at: Moment.now)
                for _ in 0..<count { #expect(try client.get(target).status == status) }
                usleep(600_000)
                return (Double(try allocated() - start.bytes) - idle * start.at.secondsAgo) / Double(count)
            }
        }

        #if DEBUG
        // An unoptimised build keeps closures and spans on the heap that an optimised one does not.
        private let budget = 2_500.0
        #else
        private let budget = 48.0
        #endif

        @Test func `a read that is answered in the process, or refused, allocates nothing`() throws {
            let scene = try Scene()
            let shop = try scene.open("shop")
            let thread = Thread(client: try scene.system.client(at: "gateway-a"), scene: scene)
            for (target, status) in [("/v1/accounts/\(shop)/balance", 200), ("/v1/accounts/a%21b", 404)] {
                let bytes = try thread.bytesPerRequest(target, status: status)
                print("\(target): \(bytes) bytes a request")
                #expect(bytes <= budget, "\(target)")
            }
        }
    }
}
