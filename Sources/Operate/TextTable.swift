/// Rows of text in columns of equal width, for people.
public struct TextTable {
    private var rows: [[String]]

    public init(_ header: [String]) { rows = [header] }

    /// As many cells as the header has.
    public mutating func add(_ cells: [String]) {
        precondition(cells.count == rows[0].count, "a row with another number of cells than the header")
        rows.append(cells)
    }

    /// Lines without an end of line after the last one. The last column is not padded.
    public var text: String {
        let widths = rows[0].indices.map { column in rows.map { $0[column].count }.max() ?? 0 }
        return rows.map { row in
            row.enumerated().map { column, cell in
                column == row.count - 1 ? cell : cell + String(repeating: " ", count: widths[column] - cell.count)
            }.joined(separator: "  ")
        }.joined(separator: "\n")
    }
}
