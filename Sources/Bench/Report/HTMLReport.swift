internal import Foundation

extension LoadReport {
    /// One page that needs nothing else: no script, no font, no network. Light or dark as the reader's system is.
    public var html: String { HTMLReport(self).page }
}

/// Makes the page of a report.
struct HTMLReport {
    private let report: LoadReport
    private let charts: HTMLCharts

    init(_ report: LoadReport) {
        self.report = report
        charts = HTMLCharts(report)
    }

    var page: String {
        """
        <!doctype html>
        <html lang="en">
        <head>
        <meta charset="utf-8">
        <meta name="viewport" content="width=device-width, initial-scale=1">
        <meta name="color-scheme" content="light dark">
        <title>\(text(report.name)), \(text(report.startedAt))</title>
        <style>
        \(HTMLStyle.css)
        </style>
        </head>
        <body>
        <main>
        \(header)
        \(figures)
        \(warnings)
        \(verdict)
        \(search)
        <section><h2>Latency by percentile</h2>
        <p>From the moment a request should have been sent to its whole answer. Dashed: service time, from the moment it was sent, which is
        what a client that waits for its turn sees. Where the two part, requests waited.</p>
        \(charts.percentiles)</section>
        <section><h2>Over time</h2>
        <p>Requests by the moment they should have been sent, in steps of \(number(report.intervalSeconds, 0)) s.</p>
        \(charts.latencies)
        \(charts.rates)</section>
        <section><h2>Latency</h2>\(latencies)</section>
        <section><h2>Answers and errors</h2>\(errors)</section>
        <section><h2>Environment</h2>\(environment)</section>
        </main>
        </body>
        </html>

        """
    }

    // MARK: Top

    private var header: String {
        let asked = report.askedPerSecond.map { "open loop, \(report.arrivals ?? "") arrivals, \(number($0, 0)) requests/s on average" }
        let early = report.stoppedEarly ? ", stopped early" : ""
        return """
            <header><h1>\(text(report.name))</h1>
            <p>\(text(report.startedAt)): \(asked ?? "closed loop"), \(report.connections) connections, \(number(report.seconds, 0)) s\(early)</p>
            </header>
            """
    }

    private var figures: String {
        var items = [
            (number(report.achievedPerSecond, 0), "answers/s" + (report.askedPerSecond.map { " of \(number($0, 0)) asked" } ?? ""))
        ]
        for (name, latency) in [("reads", report.reads), ("payments", report.writes)] {
            guard let latency else { continue }
            items.append((milliseconds(latency.p99), "p99 of \(name)"))
            items.append((milliseconds(latency.p999), "p99.9 of \(name)"))
        }
        if let latency = report.timeToFinal { items.append((milliseconds(latency.p99), "p99 accepted to final")) }
        items.append(("\(percent(report.failedShare))", "of requests failed"))
        return "<ul class=\"figures\">" + items.map { "<li><b>\($0.0)</b> \(text($0.1))</li>" }.joined() + "</ul>"
    }

    private var warnings: String {
        report.generator.warnings.map { "<p class=\"note bad\"><b>Read this first.</b> \(text($0))</p>" }.joined(separator: "\n")
    }

    private var verdict: String {
        guard let verdict = report.verdict else {
            return "<p class=\"note\"><b>Money: not audited.</b> <code>--audit</code> ends a run with a verdict.</p>"
        }
        let words: [BenchVerdict.Word: (String, String)] = [
            .clean: ("good", "clean"), .wrong: ("bad", "WRONG"), .unknown: ("bad", "unknown"),
        ]
        let (style, word) = words[verdict.word] ?? ("bad", "unknown")
        var html = "<section><h2>Money</h2><p class=\"note \(style)\"><b>Audit: \(word).</b> \(text(verdict.sentence))</p>"
        guard !verdict.checks.isEmpty else { return html + "</section>" }
        html += table(
            ["check", "looked at", "findings", "what was tested"],
            verdict.checks.map { [text($0.name), "\($0.looked)", "\($0.findings)", text($0.claim)] }, textColumns: [0, 3],
            style: "table checks")
        let shown = verdict.checks.flatMap(\.shown)
        if !shown.isEmpty { html += "<ul>" + shown.map { "<li>\(text($0))</li>" }.joined() + "</ul>" }
        return html + "</section>"
    }

    private var search: String {
        guard let steps = report.search else { return "" }
        let found = report.capacityPerSecond.map { "\(number($0, 0)) requests a second held" } ?? "not even the lowest rate held"
        let rows = steps.map { step in
            [
                number(step.asked, 0), number(step.achieved, 0), number(step.p99, 1), percent(step.failedShare),
                text(step.holds ? "yes" : "no: \(step.reason ?? "")") + (step.isGeneratorLimited ? " (generator late)" : ""),
            ]
        }
        return "<section><h2>Capacity</h2><p>\(found). The figures below are those of that rate.</p>"
            + table(["asked/s", "answers/s", "p99 ms", "failed", "holds"], rows, textColumns: [4]) + "</section>"
    }

    // MARK: Tables

    private var latencies: String {
        var rows: [[String]] = []
        func add(_ name: String, _ latency: LoadReport.Latency?) {
            guard let latency else { return }
            let values = [latency.p50, latency.p90, latency.p99, latency.p999, latency.p9999, latency.max]
            rows.append([text(name), "\(latency.count)"] + values.map { number($0, 2) })
        }
        add("all", report.all)
        add("reads", report.reads)
        add("writes", report.writes)
        add("refused", report.refused)
        for kind in report.kinds {
            add(kind.name, kind.latency)
            add("\u{2003}service time", kind.service)
        }
        add("accepted to final", report.timeToFinal)
        if report.phases.count > 1 { for phase in report.phases { add("phase \(phase.name)", phase.latency) } }
        return table(["ms", "count", "p50", "p90", "p99", "p99.9", "p99.99", "max"], rows, textColumns: [0])
    }

    private var errors: String {
        var rows = report.statuses.sorted { $0.key < $1.key }.map { ["answer \($0.key)", "\($0.value)"] }
        rows += report.errors.sorted { $0.key < $1.key }.map { [text($0.key), "\($0.value)"] }
        let counts = [
            ("requests sent", report.sent), ("answered at last", report.answered), ("declined (an outcome)", report.declined),
            ("retries, with the same key", report.retries), ("given up after all retries", report.gaveUp),
            ("payments accepted by a retry", report.acceptedLater), ("repeats answered with another payment", report.duplicatesWrong),
            ("sent more than 1 ms late", report.late), ("dropped, never sent", report.dropped),
            ("connections closed between requests", report.closedIdle), ("for warming up", report.warmUps),
        ]
        rows += counts.filter { $0.1 > 0 }.map { [$0.0, "\($0.1)"] }
        return table(["what", "count"], rows, textColumns: [0])
    }

    private var environment: String {
        let environment = report.environment
        var rows = [
            ["processor", "\(environment.cores) cores, \(text(environment.processor))"],
            ["memory", "\(number(environment.memoryGigabytes, 1)) GB"],
            ["system", "\(text(environment.system)), kernel \(text(environment.kernel))"],
            ["load average", text(environment.load)],
            ["threads of the generator", "\(report.threads)"], ["seed", "\(report.seed)"],
            [
                "CPU of the generator",
                "\(number(report.generator.cpuMicrosecondsPerRequest, 1)) us a request, busiest thread \(percent(report.generator.busiestThreadShare))",
            ],
        ]
        rows += report.settings.sorted { $0.key < $1.key }.map { [text($0.key), text($0.value)] }
        rows += environment.notes.sorted { $0.key < $1.key }.map { [text($0.key), text($0.value)] }
        return table(["setting", "value"], rows, textColumns: [0, 1])
    }

    /// - Parameter style: the page's class of it.
    private func table(_ head: [String], _ rows: [[String]], textColumns: Set<Int>, style: String = "table") -> String {
        func row(_ cells: [String], _ tag: String) -> String {
            "<tr>"
                + cells.enumerated().map { "<\(tag)\(textColumns.contains($0.offset) ? " class=\"text\"" : "")>\($0.element)</\(tag)>" }
                .joined()
                + "</tr>\n"
        }
        return "<div class=\"\(style)\"><table><thead>" + row(head, "th") + "</thead><tbody>" + rows.map { row($0, "td") }.joined()
            + "</tbody></table></div>\n"
    }

    private func text(_ text: String) -> String { HTMLText.escaped(text) }
    private func number(_ value: Double, _ digits: Int) -> String { String(format: "%.\(digits)f", value) }
    private func percent(_ share: Double) -> String { String(format: share > 0 && share < 0.0001 ? "%.4f %%" : "%.2f %%", share * 100) }
    private func milliseconds(_ value: Double) -> String {
        value < 10 ? "\(number(value, 2)) ms" : "\(number(value, value < 100 ? 1 : 0)) ms"
    }
}
