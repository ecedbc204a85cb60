import Foundation
import HTTP1
import Testing

@testable import Gateway

@Suite struct LimitTests {
    private static func problem(_ text: String) -> String? {
        var limits = GatewayLimits()
        return limits.set(text) ?? limits.problem
    }

    @Test func `every limit can be set by its name, to both ends of its range, and keeps what it was given`() {
        for setting in LimitSetting.all {
            for value in [setting.range.lowerBound, setting.range.upperBound] {
                var limits = GatewayLimits()
                #expect(limits.set("\(setting.name)=\(value)") == nil)
                #expect(setting.value(in: limits) == value, "\(setting.name)")
                // No other has changed.
                for other in LimitSetting.all where other.name != setting.name {
                    #expect(other.value(in: limits) == other.value(in: GatewayLimits()), "\(setting.name) changed \(other.name)")
                }
            }
            for value in [setting.range.lowerBound - 1, setting.range.upperBound + 1] {
                #expect(
                    Self.problem("\(setting.name)=\(value)")?.contains("\(setting.range.lowerBound) to \(setting.range.upperBound)") == true
                )
            }
        }
        #expect(Set(LimitSetting.all.map(\.name)).count == LimitSetting.all.count)
    }

    @Test func `several are set at once, and what cannot be read is named`() {
        var limits = GatewayLimits()
        #expect(limits.set(" connections=500;request_milliseconds=2500;\nparked=7 ") == nil)
        #expect(limits.connectionsMax == 500 && limits.connection.requestMilliseconds == 2_500 && limits.parkedMax == 7)
        #expect(Self.problem("conections=500")?.contains("'conections'") == true)
        #expect(Self.problem("connections")?.contains("NAME=VALUE") == true)
        #expect(Self.problem("connections=many")?.contains("1 to 1000000") == true)
        #expect(Self.problem("connections=5;connections=6")?.contains("more than once") == true)
        #expect(Self.problem("unacknowledged_milliseconds=5000")?.contains("delivery") == true)
        #expect(Self.problem("drain_delay_milliseconds=9000")?.contains("drain") == true)
        #expect(Self.problem("drain_idle_milliseconds=12000")?.contains("drain") == true)
    }

    @Test func `connections are fitted to the open files, and a number that was asked for is not made smaller`() {
        var limits = GatewayLimits()
        #expect(limits.fit(descriptorsMax: 65_536, others: 200) == nil && limits.connectionsMax == 20_000)
        #expect(limits.fit(descriptorsMax: 1_024, others: 200) == nil && limits.connectionsMax == 824)
        #expect(limits.connectionsPerAddressMax == 824)
        var given = GatewayLimits()
        #expect(given.set("connections=20000") == nil)
        let problem = given.fit(descriptorsMax: 1_024, others: 200)
        #expect(problem?.contains("20200") == true && problem?.contains("824") == true && given.connectionsMax == 20_000)
        var tiny = GatewayLimits()
        #expect(tiny.fit(descriptorsMax: 210, others: 200) != nil)
    }

    @Test func `the page for operators has every limit with its default`() throws {
        let page = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("../../docs/operations.md")
        let text = try String(contentsOf: page, encoding: .utf8)
        for setting in LimitSetting.all {
            let row = "| `\(setting.name)` | \(setting.value(in: GatewayLimits())) |"
            #expect(text.contains(row), "docs/operations.md: \(row)")
        }
    }
}
