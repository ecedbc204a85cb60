internal import Foundation

/// An HTTP answer as far as submitting goes, and what it means. Pure.
struct SubmitAnswer {
    let status: Int
    /// The field `Retry-After`, seconds.
    var retryAfterSeconds: Int?
    /// The field `Idempotency-Replayed`.
    var isReplayed = false
    /// The members of a payment or of a problem; all nil when the body is something else.
    var content = Content()

    /// Members of payments and of problems: no name is used by both with another meaning.
    struct Content: Decodable, Equatable {
        var id: String?
        var payment: Embedded?
        var status: String?
        var declineReason: String?
        var code: String?
        var retryable: Bool?
        var detail: String?
        var title: String?
        var errors: [Place]?

        struct Embedded: Decodable, Equatable { var id: String? }
        struct Place: Decodable, Equatable {
            var pointer: String?
            var detail: String?
        }

        enum CodingKeys: String, CodingKey {
            case id, payment, status, code, retryable, detail, title, errors
            case declineReason = "decline_reason"
        }

        init() {}

        /// A problem's `status` is a number, a payment's a text.
        init(from decoder: any Decoder) throws {
            let container = try decoder.container(keyedBy: CodingKeys.self)
            func text(_ key: CodingKeys) -> String? { try? container.decodeIfPresent(String.self, forKey: key) }
            (id, status, declineReason, code) = (text(.id), text(.status), text(.declineReason), text(.code))
            (detail, title) = (text(.detail), text(.title))
            payment = try? container.decodeIfPresent(Embedded.self, forKey: .payment)
            retryable = try? container.decodeIfPresent(Bool.self, forKey: .retryable)
            errors = try? container.decodeIfPresent([Place].self, forKey: .errors)
        }
    }

    /// How a payment ended.
    enum Final: Equatable {
        case settled
        case declined(reason: String)
        case quarantined
    }

    enum Verdict: Equatable {
        /// Durable in the log; with its outcome where the answer has it.
        case accepted(id: String, Final?)
        /// Never accepted: the same request will be refused again.
        case refused(code: String, detail: String)
        /// The same request may be answered otherwise later.
        case retry(reason: String)
    }

    /// Of a request that submits, or follows, a payment or an account.
    var verdict: Verdict {
        switch status {
        case 200, 201, 202: .accepted(id: content.id ?? "", final)
        // A decline is an outcome of something that was accepted.
        case 402: .accepted(id: content.payment?.id ?? "", .declined(reason: content.code ?? "unknown"))
        case 408, 425, 429, 502, 503, 504: .retry(reason: "\(status) \(content.code ?? "")")
        default:
            content.retryable ?? (status >= 500 && status != 501 && status != 505)
                ? .retry(reason: "\(status) \(content.code ?? "")")
                : .refused(code: content.code ?? "http_\(status)", detail: sentence)
        }
    }

    private var final: Final? {
        switch content.status {
        case "settled": .settled
        case "declined": .declined(reason: content.declineReason ?? "unknown")
        case "quarantined": .quarantined
        default: nil
        }
    }

    private var sentence: String {
        let places = (content.errors ?? []).map { "\($0.pointer ?? ""): \($0.detail ?? "")" }
        return places.isEmpty ? content.detail ?? content.title ?? "" : places.joined(separator: "; ")
    }

    static func content(of body: [UInt8]) -> Content {
        (try? JSONDecoder().decode(Content.self, from: Data(body))) ?? Content()
    }
}
