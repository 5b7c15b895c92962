//! Which rows of a benchmark's table are measured: `make bench-start ONLY=mysql`.

/// The words after `--`; `cargo bench` adds an option of its own.
pub fn words() -> Vec<String> {
    std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect()
}

/// The rows whose name holds one of the words; all without any.
///
/// # Panics
/// Where a word fits no row: a misspelt one would measure nothing, and miss no target.
pub fn chosen<'a, T>(rows: &'a [T], words: &[String], name: impl Fn(&T) -> String) -> Vec<&'a T> {
    let holds = |row: &T, word: &String| name(row).contains(word.as_str());
    for word in words {
        let names: Vec<String> = rows.iter().map(&name).collect();
        assert!(rows.iter().any(|row| holds(row, word)), "no row is called {word}; there are: {}", names.join(", "));
    }
    rows.iter().filter(|row| words.is_empty() || words.iter().any(|word| holds(row, word))).collect()
}
