import Testing

/// Whatever sends requests and looks at a clock: one suite, and one test, at a time.
@Suite(.serialized) enum Measurements {}
