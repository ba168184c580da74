//! How often the tests with random input run: as often as they say, or more when `make properties` asks; tests only.

/// `PROPTEST_CASES`, but not less than usual.
pub(crate) fn cases(usual: u32) -> u32 {
    let asked = std::env::var("PROPTEST_CASES").ok();
    let asked = asked.and_then(|text| text.parse().ok());
    asked.unwrap_or(0).max(usual)
}
