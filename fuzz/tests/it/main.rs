//! One target for each door that strangers' bytes come through.
#![expect(
    clippy::expect_used,
    reason = "this is a test binary: what must hold is stated"
)]

/// Feeds a target its corpus once, then random bytes, and the corpus with a few bytes changed. A
/// macro, because the engine names the target after the function that it is called in.
macro_rules! feed {
    ($corpus:expr, $target:expr) => {{
        let corpus: &[Vec<u8>] = &$corpus;
        for seed in corpus {
            $target(seed);
        }
        bolero::check!().for_each(|bytes: &[u8]| {
            $target(bytes);
            $target(&landfall_fuzz::mutated(corpus, bytes));
        });
    }};
}

mod body;
mod certificate;
mod import;
mod mqtt;
mod query;
mod sas;

fn read_corpus(target: &str) -> Vec<Vec<u8>> {
    let corpus = landfall_fuzz::corpus(target).expect("the corpus is there");
    assert!(!corpus.is_empty(), "{target} has seeds");
    corpus
}
