/// The charts of a report, each drawn for a wide page and for a narrow one: an SVG that is only scaled down cannot be read.
struct HTMLCharts {
    private let report: LoadReport

    init(_ report: LoadReport) { self.report = report }

    var percentiles: String {
        let lines = report.curves.map { curve in
            ChartSVG.Line(
                name: curve.name, style: Self.style(of: curve.name),
                points: curve.points.compactMap { point in
                    point.count == 2 && point[0] < 100 ? (1 / (1 - point[0] / 100), max(point[1], 0.001)) : nil
                })
        }.filter { !$0.points.isEmpty }
        guard !lines.isEmpty else { return "<p>No answers.</p>" }
        let values = lines.flatMap { $0.points.map(\.y) }
        let highest = lines.flatMap { $0.points.map(\.x) }.max() ?? 10
        return draw(legend: lines) { width, height in
            ChartSVG(
                width: width, height: height, x: .percentiles(upTo: highest), y: .logarithmic("ms", values), lines: lines,
                label: "Latency by percentile")
        }
    }

    var latencies: String {
        func line(_ name: String, _ style: String, _ value: (LoadReport.Point) -> Double?) -> ChartSVG.Line {
            ChartSVG.Line(
                name: name, style: style,
                points: report.series.compactMap { point in value(point).map { (middle(point), max($0, 0.001)) } })
        }
        let lines = [line("p50", "c0", \.p50), line("p99", "c1", \.p99), line("highest", "c2 thin", \.max)]
        let values = lines.flatMap { $0.points.map(\.y) }
        guard !values.isEmpty else { return "" }
        return draw(legend: lines) { width, height in
            ChartSVG(
                width: width, height: height, x: .seconds(report.seconds, ticks: width > 500 ? 10 : 5), y: .logarithmic("ms", values),
                lines: lines, bands: bands, label: "Latency over time")
        }
    }

    var rates: String {
        func line(_ name: String, _ style: String, _ value: (LoadReport.Point) -> Double) -> ChartSVG.Line {
            ChartSVG.Line(name: name, style: style, points: report.series.map { (middle($0), value($0)) })
        }
        var lines = [line("succeeded", "c3") { Double($0.succeeded) / span($0) }]
        if report.series.contains(where: { $0.failed > 0 }) { lines.append(line("failed", "c1") { Double($0.failed) / span($0) }) }
        let asked = report.phases.flatMap { phase -> [(x: Double, y: Double)] in
            guard let from = phase.from, let to = phase.to else { return [] }
            return [(phase.startSecond, from), (phase.startSecond + phase.seconds, to)]
        }
        if !asked.isEmpty { lines.append(ChartSVG.Line(name: "asked", style: "c4 dashed", points: asked)) }
        let highest = lines.flatMap { $0.points.map(\.y) }.max() ?? 1
        return draw(legend: lines) { width, height in
            ChartSVG(
                width: width, height: height * 0.7, x: .seconds(report.seconds, ticks: width > 500 ? 10 : 5),
                y: .linear("requests/s", upTo: highest), lines: lines, bands: bands, label: "Requests a second over time")
        }
    }

    private var bands: [(name: String, range: ClosedRange<Double>)] {
        report.phases.count < 2 ? [] : report.phases.map { ($0.name, $0.startSecond...($0.startSecond + $0.seconds)) }
    }

    /// The last point may be of a shorter time than the others.
    private func span(_ point: LoadReport.Point) -> Double { max(0.001, min(report.intervalSeconds, report.seconds - point.second)) }
    private func middle(_ point: LoadReport.Point) -> Double { point.second + span(point) / 2 }

    private static func style(of curve: String) -> String {
        let isService = curve.hasSuffix("service time")
        let colour = curve.hasPrefix("reads") ? "c0" : curve.hasPrefix("writes") ? "c1" : "c3"
        return isService ? "\(colour) dashed" : colour
    }

    private func draw(legend: [ChartSVG.Line], _ chart: (Double, Double) -> ChartSVG) -> String {
        let names = legend.map { "<span><i class=\"key \($0.style)\"></i>\(HTMLText.escaped($0.name))</span>" }.joined()
        return "<figure><figcaption class=\"legend\">\(names)</figcaption><div class=\"wide\">\(chart(900, 340).render())</div>"
            + "<div class=\"narrow\">\(chart(360, 300).render())</div></figure>\n"
    }
}

/// The page's style.
enum HTMLStyle {
    static let css = """
        :root { --page: #fff; --ink: #1b1f24; --soft: #5c6670; --rule: #d9dee3; --band: #f2f5f8; --good: #e7f5ec; --bad: #fdecea;
          --c0: #1f6fb4; --c1: #c2410c; --c2: #8b95a1; --c3: #15803d; --c4: #6b7280; }
        @media (prefers-color-scheme: dark) {
          :root { --page: #14181d; --ink: #e4e8ec; --soft: #9aa5b1; --rule: #2f3740; --band: #1c2229; --good: #14301f; --bad: #3d1a16;
            --c0: #6cb2f0; --c1: #fb923c; --c2: #79838f; --c3: #4ade80; --c4: #a3acb6; } }
        * { box-sizing: border-box; }
        body { margin: 0; background: var(--page); color: var(--ink); font: 16px/1.5 system-ui, sans-serif; }
        main { max-width: 980px; margin: 0 auto; padding: 24px 20px 60px; }
        h1 { font-size: 1.7rem; margin: 0; } h2 { font-size: 1.15rem; margin: 2rem 0 .4rem; }
        p { margin: .3rem 0 .8rem; } header p, section > p { color: var(--soft); }
        .figures { list-style: none; display: grid; grid-template-columns: repeat(auto-fit, minmax(118px, 1fr)); gap: 10px; padding: 0; }
        .figures li { border: 1px solid var(--rule); border-radius: 6px; padding: 10px 12px; color: var(--soft); font-size: .85rem; }
        .figures b { display: block; color: var(--ink); font-size: 1.35rem; font-variant-numeric: tabular-nums; }
        .note { border-left: 4px solid var(--rule); background: var(--band); padding: 10px 14px; color: var(--ink) !important; }
        .note.good { border-color: var(--c3); background: var(--good); } .note.bad { border-color: var(--c1); background: var(--bad); }
        figure { margin: 0 0 18px; } svg { display: block; width: 100%; height: auto; }
        .legend { display: flex; flex-wrap: wrap; gap: 4px 16px; font-size: .85rem; color: var(--soft); margin-bottom: 4px; }
        .key { display: inline-block; width: 18px; border-top: 3px solid currentColor; vertical-align: middle; margin-right: 6px; }
        .key.dashed { border-top-style: dashed; } .key.thin { border-top-width: 1px; }
        .c0 { color: var(--c0); stroke: var(--c0); } .c1 { color: var(--c1); stroke: var(--c1); } .c2 { color: var(--c2); stroke: var(--c2); }
        .c3 { color: var(--c3); stroke: var(--c3); } .c4 { color: var(--c4); stroke: var(--c4); }
        .line { fill: none; stroke-width: 2; stroke-linejoin: round; } .line.dashed { stroke-dasharray: 6 4; } .line.thin { stroke-width: 1; }
        .dot { fill: currentColor; } .grid { stroke: var(--rule); stroke-width: 1; } .band { fill: var(--band); }
        .tick, .axis { fill: var(--soft); font: 11px system-ui, sans-serif; } .narrow { display: none; }
        .table { overflow-x: auto; } table { border-collapse: collapse; width: 100%; font-size: .88rem; font-variant-numeric: tabular-nums; }
        th, td { text-align: right; padding: 5px 10px; border-bottom: 1px solid var(--rule); white-space: nowrap; vertical-align: baseline; }
        th { color: var(--soft); font-weight: 600; } th.text, td.text { text-align: left; white-space: normal; }
        th:first-child, td:first-child { padding-left: 0; }
        @media (max-width: 620px) { .wide { display: none; } .narrow { display: block; } main { padding: 16px 14px 40px; }
          th, td { padding: 5px 5px; } .figures { grid-template-columns: 1fr 1fr; } .figures li:last-child:nth-child(odd) { grid-column: 1 / -1; }
          th:first-child, td:first-child { position: sticky; left: 0; background: var(--page); }
          .checks table, .checks thead, .checks tbody { display: block; }
          .checks tr { display: grid; grid-template-columns: 1fr 5.5rem 4.5rem; border-bottom: 1px solid var(--rule); }
          .checks th, .checks td { border: 0; } .checks th:last-child { display: none; }
          .checks td:last-child { grid-column: 1 / -1; padding: 0 0 7px; color: var(--soft); } }
        @media print { body { font-size: 12px; } section { break-inside: avoid; } }
        """
}
