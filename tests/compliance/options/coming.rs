//! Options that ours does not serve yet; run apart with `options::coming::`.
