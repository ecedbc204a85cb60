internal import Foundation
internal import Glibc

/// Shows a run while it lasts, on standard error: a block that is redrawn on a terminal, a line every few seconds elsewhere.
public final class LiveView {
    /// Where it is shown.
    public enum Kind: Sendable {
        case terminal(hasColour: Bool, columns: Int)
        case lines
        case silent
    }

    /// Seconds between two lines.
    private static let lineSeconds = 5.0
    /// What the bar's width leaves for the rest of its line.
    private static let barWidthMax = 40

    private let kind: Kind
    private let write: (String) -> Void
    private var linesDrawn = 0
    private var lastLine = -lineSeconds

    public convenience init(_ kind: Kind) { self.init(kind) { text in FileHandle.standardError.write(Data(text.utf8)) } }

    /// - Parameter write: gets text as it is to appear, line ends included.
    init(_ kind: Kind, write: @escaping (String) -> Void) {
        self.kind = kind
        self.write = write
    }

    /// How often `show` should be called.
    public var everyMilliseconds: Int { if case .terminal = kind { 500 } else { 1_000 } }

    /// As standard error is: a terminal that can move its cursor, or not. `NO_COLOR` (no-color.org), when it is not empty,
    /// takes the colours away.
    public static func kind(environment: [String: String]) -> Kind {
        guard isatty(STDERR_FILENO) != 0, environment["TERM"] ?? "dumb" != "dumb" else { return .lines }
        var size = winsize()
        let code = unsafe ioctl(STDERR_FILENO, UInt(TIOCGWINSZ), &size)
        let columns = code == 0 && size.ws_col > 0 ? Int(size.ws_col) : 80
        return .terminal(hasColour: (environment["NO_COLOR"] ?? "").isEmpty, columns: columns)
    }

    public func show(_ progress: LoadProgress) {
        switch kind {
        case .silent: break
        case .lines:
            // Nothing has begun while connections are opened.
            guard progress.elapsedSeconds > 0, progress.elapsedSeconds - lastLine >= Self.lineSeconds else { return }
            lastLine = progress.elapsedSeconds
            write(Self.line(progress) + "\n")
        case .terminal(let hasColour, let columns):
            let lines = Self.block(progress, hasColour: hasColour, columns: columns)
            // Up to the block's first line; each line is cleared from its end on, so that nothing flickers.
            let up = linesDrawn > 0 ? "\u{1B}[\(linesDrawn)A" : ""
            write(up + lines.map { $0 + "\u{1B}[K\n" }.joined())
            linesDrawn = lines.count
        }
    }

    /// Clears the block: the report follows.
    public func end() {
        guard linesDrawn > 0 else { return }
        write("\u{1B}[\(linesDrawn)A\u{1B}[J")
        linesDrawn = 0
    }

    static func line(_ progress: LoadProgress) -> String {
        let asked = progress.askedPerSecond.map { " of \(number($0, 0))" } ?? ""
        var line = "\(clock(progress.elapsedSeconds))/\(clock(progress.totalSeconds)) \(progress.phase): "
        line += "\(number(progress.answersPerSecond, 0))\(asked) answers/s, p50 \(latency(progress.p50)), p99 \(latency(progress.p99)), "
        line += "max \(latency(progress.max)), \(progress.failed) failed, \(progress.dropped) dropped"
        if progress.retries > 0 { line += ", \(progress.retries) retries" }
        if progress.generatorShare > GeneratorWarnings.busyShareMax { line += ", THE GENERATOR IS THE BOTTLENECK" }
        return line
    }

    static func block(_ progress: LoadProgress, hasColour: Bool, columns: Int) -> [String] {
        func paint(_ text: String, _ code: String) -> String { hasColour ? "\u{1B}[\(code)m\(text)\u{1B}[0m" : text }
        let share = progress.totalSeconds > 0 ? min(1, progress.elapsedSeconds / progress.totalSeconds) : 0
        let width = max(10, min(barWidthMax, columns - 40))
        let full = Int(share * Double(width))
        let bar = paint(String(repeating: "#", count: full), "32") + String(repeating: ".", count: width - full)
        let left = max(0, progress.totalSeconds - progress.elapsedSeconds)
        let asked = progress.askedPerSecond.map { " of \(number($0, 0)) asked" } ?? ""
        let hasFailures = progress.failed > 0 || progress.dropped > 0
        let failures = "\(progress.failed) failed, \(progress.dropped) dropped, \(progress.retries) retries"
        let generator = "generator \(number(progress.generatorShare * 100, 0)) % busy"
        let isBusy = progress.generatorShare > GeneratorWarnings.busyShareMax
        let lines = [
            "[\(bar)] \(number(share * 100, 0)) %  \(clock(progress.elapsedSeconds))  ETA \(clock(left))",
            "phase      \(progress.phase)",
            "answers/s  \(paint(number(progress.answersPerSecond, 0), "1"))\(asked), \(progress.waiting) waiting for an answer",
            "latency    p50 \(latency(progress.p50))  p99 \(paint(latency(progress.p99), "1"))  max \(latency(progress.max))",
            "errors     \(hasFailures ? paint(failures, "31") : failures)",
            isBusy ? paint("\(generator): IT IS THE BOTTLENECK", "31;1") : generator,
        ]
        return lines.map { clipped($0, columns) }
    }

    /// A line that wraps would be two when the block is redrawn. Colours take no columns.
    private static func clipped(_ text: String, _ columns: Int) -> String {
        var result = ""
        var count = 0
        var isEscape = false
        for character in text {
            if character == "\u{1B}" { isEscape = true }
            if !isEscape {
                if count == columns - 1 { continue }
                count += 1
            }
            result.append(character)
            if isEscape, character == "m" { isEscape = false }
        }
        return result
    }

    private static func latency(_ value: Double?) -> String { value.map { "\(number($0, $0 < 10 ? 2 : 0)) ms" } ?? "-" }
    private static func number(_ value: Double, _ digits: Int) -> String { String(format: "%.\(digits)f", value) }

    private static func clock(_ seconds: Double) -> String {
        let whole = Int(max(0, seconds))
        return String(format: "%d:%02d", whole / 60, whole % 60)
    }
}
