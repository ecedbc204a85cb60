/// The bounds of what a body may say; the API's documentation has the same numbers.
public enum Limits {
    /// Longer bodies are refused unread. The largest valid one, every character escaped, is below 40 KiB.
    public static let bodyBytesMax = JSONReader.bytesMax
    public static let referenceBytesMax = 128
    public static let metadataMembersMax = 16
    public static let metadataNameBytesMax = 40
    public static let metadataValueBytesMax = 256
    /// In canonical form.
    public static let metadataBytesMax = 4096
    /// Items of one batch.
    public static let batchItemsMax = 1_000
    public static let idempotencyKeyBytes = 8...255
    /// The longest time that `Prefer: wait` is honoured for.
    public static let waitSecondsMax = 10
}
