import Telemetry
import Testing

@Suite struct MetricsTests {
    @Test func `a page has one help and one type line for each family`() {
        let reads = Counter()
        reads.add(3)
        let depth = Gauge()
        depth.raise(to: 7)
        depth.raise(to: 5)
        var page = MetricsPage()
        page.counter("sluice_reads_total", help: "Reads.", labels: "layer=\"redis\"") { reads.value }
        page.counter("sluice_reads_total", help: "Reads.", labels: "layer=\"replica\"") { 1 }
        page.gauge("sluice_depth", help: "Depth.") { depth.value }
        page.seconds("sluice_age_seconds", help: "Age.", partsPerSecond: 1_000) { 1_250 }
        #expect(
            page.render() == """
                # HELP sluice_reads_total Reads.
                # TYPE sluice_reads_total counter
                sluice_reads_total{layer="redis"} 3
                sluice_reads_total{layer="replica"} 1
                # HELP sluice_depth Depth.
                # TYPE sluice_depth gauge
                sluice_depth 7
                # HELP sluice_age_seconds Age.
                # TYPE sluice_age_seconds gauge
                sluice_age_seconds 1.25

                """)
    }

    @Test func `a duration falls into the first bucket that is not below it`() {
        let histogram = DurationHistogram()
        histogram.record(microseconds: 50)
        histogram.record(microseconds: 51)
        histogram.record(microseconds: 20_000_000)
        let counts = histogram.cumulativeCounts
        #expect(counts[0] == 1)
        #expect(counts[1] == 2)
        #expect(counts[counts.count - 2] == 2)
        #expect(counts[counts.count - 1] == 3)
        #expect(histogram.totalMicroseconds == 20_000_101)
    }
}
